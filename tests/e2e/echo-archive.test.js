// What protocol suites test is what serves: build/ws-echo has the very code of build/chat-api. Each
// object of the archive is looked for in both programs, octet by octet, but for the addresses that
// the linker writes.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';

import { ECHO_BINARY } from '../support/echo.js';
import { Elf, readArchive } from '../support/elf.js';
import { BINARY } from '../support/service.js';

const ARCHIVE = path.join(path.dirname(BINARY), 'libchat.a');
/** What ws-echo is there to show: a connection's way from its upgrade to its close. */
const CONNECTION_LAYER = [
    ...['upgrade', 'client', 'hub', 'message', 'outq', 'room', 'shard', 'conn', 'loop', 'deflate'],
    ...['extensions', 'frame', 'handshake', 'header', 'parser', 'session', 'utf8'],
].map((name) => `${name}.o`);

/** What of the archive's objects the program has: {same: names, unlike: [text], checked, unnamed}. */
function compare(members, program) {
    const figures = { same: [], unlike: [], checked: 0, unnamed: 0 };
    for (const { name, object } of members) {
        if (!program.hasPartOf(object)) continue;
        const unlike = [];
        for (const section of object.carried) {
            const same = program.carries(object, section);
            if (same === undefined) figures.unnamed += section.size;
            else if (same) figures.checked += section.size;
            else unlike.push(`${name}: ${section.name}`);
        }
        if (unlike.length === 0) figures.same.push(name);
        figures.unlike.push(...unlike);
    }
    return figures;
}

describe('ws-echo and the service', () => {
    let members;
    let echo;
    before(() => {
        members = readArchive(fs.readFileSync(ARCHIVE)).map((member) => ({
            ...member,
            object: new Elf(member.bytes),
        }));
        echo = new Elf(fs.readFileSync(ECHO_BINARY));
    });

    it('have the same code from the same archive', (t) => {
        const service = compare(members, new Elf(fs.readFileSync(BINARY)));
        assert.deepEqual(service.unlike, [], BINARY);
        assert.equal(service.same.length, members.length, 'the service has all of the archive');
        const echoed = compare(members, echo);
        assert.deepEqual(echoed.unlike, [], ECHO_BINARY);
        for (const name of CONNECTION_LAYER) {
            assert.ok(echoed.same.includes(name), `${ECHO_BINARY} has no ${name}`);
        }
        t.diagnostic(`${echoed.same.length} of ${members.length} objects are in both, `
            + `${echoed.checked} octets the same, ${echoed.unnamed} without a name`);
    });

    it('are told apart by one octet in any section of an object', () => {
        let tried = 0;
        // What is in the service alone may share names with something that is in both.
        for (const { name, bytes, object } of members.filter((one) => echo.hasPartOf(one.object))) {
            for (const section of object.carried.filter((one) => echo.carries(object, one))) {
                for (const [from, to] of object.fixedRanges(section).slice(-1)) {
                    const tampered = Buffer.from(bytes);
                    tampered[section.offset + Math.floor((from + to) / 2)] ^= 1;
                    const { unlike } = compare([{ name, object: new Elf(tampered) }], echo);
                    assert.deepEqual(unlike, [`${name}: ${section.name}`]);
                    tried += 1;
                }
            }
        }
        assert.ok(tried > CONNECTION_LAYER.length, `${tried} sections`);
    });
});
