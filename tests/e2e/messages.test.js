// Section 3 of the contract: envelopes in and out, errors, who gets what, order.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import {
    assertEnvelope,
    assertErrorEnvelope,
    assertFreshTimestamp,
    assertFreshUuid,
    assertOnlyMarkerComes,
    canonicalJson,
    clientFor,
    clientsFor,
    freshRoom,
    jsonMember,
    jsonMembers,
} from '../support/chat.js';
import { serviceFor, startService } from '../support/service.js';
import { connect, encodeFrame } from '../support/websocket.js';

let pod;
before(async () => {
    pod = await startService();
});
after(() => pod.stop());

/** A client alone in a room of its own, which hears what it says. */
const soloist = (t, options) => clientFor(t, pod, { room: freshRoom(), ...options });

/** What comes back to a soloist for the text. */
async function echoed(client, text) {
    client.sendText(text);
    return client.nextText();
}

describe('envelope fields', () => {
    it('all have their defaults', async (t) => {
        const room = freshRoom();
        const client = await clientFor(t, pod, { room });
        client.sendText('{}');
        const envelope = await client.nextJson();
        assertEnvelope(envelope, { type: 'chat', event: undefined, room, data: {} });
        assertFreshTimestamp(envelope.timestamp);
        assertFreshUuid(envelope.id);
        assert.notEqual(envelope.from, '');
    });

    it('may be surrounded by white space', async (t) => {
        const envelope = JSON.parse(await echoed(await soloist(t), ' \t\r\n{ "data" : 1 } \n'));
        assertEnvelope(envelope, { data: 1 });
    });

    for (const id of [
        randomUUID(),
        randomUUID().toUpperCase(),
        '01890a5d-ac96-774b-bcce-b302099a8057',
        '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
    ]) {
        it(`id ${id} is kept`, async (t) => {
            const client = await soloist(t);
            client.sendJson({ id, data: 1 });
            assertEnvelope(await client.nextJson(), { id });
        });
    }

    for (const id of [
        'no-uuid',
        '',
        5,
        null,
        {},
        [],
        true,
        randomUUID().slice(1),
        `${randomUUID()}0`,
        randomUUID().replaceAll('-', ''),
        `{${randomUUID()}}`,
        `urn:uuid:${randomUUID()}`,
        randomUUID().replace(/^./, 'g'),
        randomUUID().replace('-', '_'),
    ]) {
        it(`id ${JSON.stringify(id)} is refused and repeated`, async (t) => {
            const client = await soloist(t);
            client.sendJson({ id, data: 1 });
            assertErrorEnvelope(await client.nextJson(), 'INVALID_PAYLOAD', { field: 'id', id });
        });
    }

    it('ids that the server makes differ', async (t) => {
        const client = await soloist(t);
        const ids = new Set();
        for (let i = 0; i < 200; i++) client.sendJson({});
        for (let i = 0; i < 200; i++) ids.add((await client.nextJson()).id);
        assert.equal(ids.size, 200);
    });

    for (const type of ['chat', 'notification']) {
        it(`type ${type} is passed on`, async (t) => {
            const client = await soloist(t);
            client.sendJson({ type, data: { text: 'x' } });
            assertEnvelope(await client.nextJson(), { type, data: { text: 'x' } });
        });
    }

    it('type presence is passed on', async (t) => {
        const client = await soloist(t);
        client.sendJson({ type: 'presence', data: { status: 'online' } });
        assertEnvelope(await client.nextJson(), { type: 'presence', data: { status: 'online' } });
    });

    for (const type of ['', 'Chat', 'CHAT', 'chat ', 'message', 5, null, ['chat'], {}, true]) {
        it(`type ${JSON.stringify(type)} is refused`, async (t) => {
            const client = await soloist(t);
            client.sendJson({ type });
            assertErrorEnvelope(await client.nextJson(), 'INVALID_PAYLOAD', { field: 'type' });
        });
    }

    it('event is passed on', async (t) => {
        const client = await soloist(t);
        client.sendJson({ event: 'message:send', data: 1 });
        assertEnvelope(await client.nextJson(), { event: 'message:send', data: 1 });
    });

    for (const event of [5, {}, [], true]) {
        it(`event ${JSON.stringify(event)} is refused`, async (t) => {
            const client = await soloist(t);
            client.sendJson({ event });
            assertErrorEnvelope(await client.nextJson(), 'INVALID_PAYLOAD', { field: 'event' });
        });
    }

    it("from is the client's own id, whatever it claims", async (t) => {
        const room = freshRoom();
        const [one, two] = await clientsFor(t, 2, pod, { room });
        const seen = [];
        for (const [sender, from] of [
            [one, 'somebody else'],
            [one, 5],
            [one, {}],
            [two, undefined],
        ]) {
            sender.sendJson({ from });
            seen.push((await one.nextJson()).from);
            assert.equal((await two.nextJson()).from, seen.at(-1), 'the same for all');
        }
        assert.equal(seen[0], seen[1]);
        assert.equal(seen[0], seen[2]);
        assert.notEqual(seen[0], seen[3]);
        assert.ok(!seen.includes('somebody else') && !seen.includes(''));
    });

    it("timestamp is the server's, whatever the client claims", async (t) => {
        const client = await soloist(t);
        for (const timestamp of ['1999-01-01T00:00:00.000Z', 5, null, {}]) {
            client.sendJson({ timestamp });
            assertFreshTimestamp((await client.nextJson()).timestamp);
        }
    });

    it('other members are kept out', async (t) => {
        const text = await echoed(
            await soloist(t),
            '{"pod":"x","ref2":{"id":1},"data":1,"Type":"wrong","":null,"status":"error"}',
        );
        const names = jsonMembers(text)
            .map(([name]) => name)
            .sort();
        assert.deepEqual(names, ['data', 'from', 'id', 'room', 'timestamp', 'type']);
    });

    it('member names may be written with escapes', async (t) => {
        const envelope = JSON.parse(
            await echoed(
                await soloist(t),
                '{"\\u0064ata":{"\\u0061":1},"typ\\u0065":"notification"}',
            ),
        );
        assertEnvelope(envelope, { data: { a: 1 }, type: 'notification' });
    });

    it('a repeated member yields one or an error, never two', async (t) => {
        const text = await echoed(
            await soloist(t),
            '{"data":1,"type":"chat","data":2,"type":"notification"}',
        );
        const names = jsonMembers(text).map(([name]) => name);
        assert.equal(new Set(names).size, names.length);
        const envelope = JSON.parse(text);
        if (envelope.event === 'error') assertErrorEnvelope(envelope, 'INVALID_PAYLOAD');
        else assert.ok([1, 2].includes(envelope.data));
    });
});

describe('data', () => {
    const kept = {
        'a string': '"text"',
        'an empty string': '""',
        'a number': '42',
        null: 'null',
        true: 'true',
        false: 'false',
        'an array': '[1,[2,[]],{}]',
        'an empty object': '{}',
        'a trailing zero': '1.10',
        'an exponent beyond doubles': '1e400',
        'a tiny exponent': '-1E-999',
        'a big integer': '123456789012345678901234567890',
        'an integer beyond 2^53': '9007199254740993',
        'minus zero': '-0',
        'minus zero point zero': '-0.0',
        'more digits than a double has': '0.1000000000000000055511151231257827',
        'the order of members': '{"z":1,"a":2,"m":{"y":1,"b":2},"10":1,"2":1}',
        'repeated members': '{"a":1,"a":2}',
        'NUL, escaped': '"a\\u0000b"',
        'control characters, escaped': '"\\u0001\\u001f\\b\\f\\n\\r\\t"',
        'escapes of plain characters': '"\\u0041\\/\\u00e9"',
        'a surrogate pair, escaped': '"\\ud83d\\ude00"',
        'quotes and backslashes': '"\\"\\\\\\\\\\""',
        'characters of 2, 3 and 4 bytes': '"é€😀"',
        'noncharacters and DEL': '"\ufffe\uffff\u007f"',
        'a byte order mark inside': '"\ufeffx"',
        'line and paragraph separators': '"\u2028\u2029"',
        'escaped names': '{"\\u0061\\n":{"":0}}',
        'names of the envelope inside': '{"id":1,"type":2,"room":3,"from":4,"pod":5,"timestamp":6}',
        HTML: '"<script>alert(1)</script>&amp;"',
        'white space between': '{ "a" : [ 1 , 2 ] }',
    };
    for (const [name, data] of Object.entries(kept)) {
        it(`keeps ${name}`, async (t) => {
            const text = await echoed(await soloist(t), `{"data":${data}}`);
            assertEnvelope(JSON.parse(text), {});
            assert.equal(jsonMember(text, 'data'), canonicalJson(data));
        });
    }

    const nested = (depth, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth);

    it('keeps a nesting of 64, the envelope included', async (t) => {
        const text = await echoed(await soloist(t), `{"data":${nested(63)}}`);
        assert.equal(jsonMember(text, 'data'), nested(63));
        const objects = `${'{"a":'.repeat(63)}1${'}'.repeat(63)}`;
        assert.equal(
            jsonMember(await echoed(await soloist(t), `{"data":${objects}}`), 'data'),
            objects,
        );
    });

    for (const depth of [65, 1000, 32000]) {
        it(`refuses a nesting of ${depth}`, async (t) => {
            const text = await echoed(await soloist(t), `{"data":${nested(depth)}}`);
            assertErrorEnvelope(JSON.parse(text), 'INVALID_PAYLOAD');
        });
    }

    it('refuses deep nesting in members that are kept out, too', async (t) => {
        const text = await echoed(await soloist(t), `{"other":${nested(30000)}}`);
        assertErrorEnvelope(JSON.parse(text), 'INVALID_PAYLOAD');
    });
});

describe('what is no envelope', () => {
    for (const text of [
        '',
        ' ',
        'hello',
        '"text"',
        '5',
        'null',
        'true',
        '[]',
        '[{"data":1}]',
        '{',
        '{"data":1',
        '{"data":1}}',
        '{"data":1} x',
        '{"data":1}{"data":2}',
        '{data:1}',
        "{'data':1}",
        '{"data":1,}',
        '{"data":}',
        '{"data" 1}',
        '{"data":01}',
        '{"data":+1}',
        '{"data":1.}',
        '{"data":.5}',
        '{"data":1e}',
        '{"data":NaN}',
        '{"data":Infinity}',
        '{"data":0x10}',
        '{"data":"\t"}',
        '{"data":"\\x41"}',
        '{"data":"\\u12"}',
        '{"data":"open}',
        '{"data":tru}',
        '{"data":[1,]}',
        '{"data":[1}',
        '{"a":1 "b":2}',
        '{,}',
        '// x\n{}',
        '{"data":/**/1}',
        '\ufeff{"data":1}',
        '{"data":1}\0',
    ]) {
        it(`${JSON.stringify(text)} is refused, and the connection stays`, async (t) => {
            const client = await soloist(t);
            client.sendText(text);
            assertErrorEnvelope(await client.nextJson(), 'INVALID_PAYLOAD');
            client.sendJson({ data: 'on we go' });
            assertEnvelope(await client.nextJson(), { data: 'on we go' });
        });
    }
});

describe('errors', () => {
    it('go to their cause alone', async (t) => {
        const [wrong, other] = await clientsFor(t, 2, pod, { room: freshRoom() });
        wrong.sendJson({ type: 'bogus' });
        assertErrorEnvelope(await wrong.nextJson(), 'INVALID_PAYLOAD');
        await assertOnlyMarkerComes(wrong, [wrong, other]);
    });

    it('repeat the id and the ref of the message', async (t) => {
        const client = await soloist(t);
        const id = randomUUID();
        client.sendJson({ id, ref: 'my-ref', type: 'bogus' });
        assertErrorEnvelope(await client.nextJson(), 'INVALID_PAYLOAD', {
            id,
            ref: 'my-ref',
            field: 'type',
        });
        client.sendJson({ type: 'bogus', ref: 'behind the fault' });
        assertErrorEnvelope(await client.nextJson(), 'INVALID_PAYLOAD', {
            ref: 'behind the fault',
        });
        client.sendJson({ type: 'bogus' });
        const { data } = await client.nextJson();
        assert.ok(!('id' in (data.data ?? {})) && !('ref' in (data.data ?? {})));
    });

    it('come in the order of the messages', async (t) => {
        const client = await soloist(t);
        for (let i = 0; i < 50; i++)
            client.sendJson(i % 2 ? { data: i } : { type: 'bogus', ref: String(i) });
        for (let i = 0; i < 50; i++) {
            const envelope = await client.nextJson();
            if (i % 2) assertEnvelope(envelope, { data: i });
            else assertErrorEnvelope(envelope, 'INVALID_PAYLOAD', { ref: String(i) });
        }
    });

    for (const [name, room] of Object.entries({
        '129 bytes': 'r'.repeat(129),
        '129 bytes in 65 characters': `${'é'.repeat(64)}a`,
        'a slash': 'a/b',
        'a NUL': 'a\0b',
        'a line feed': 'a\nb',
        DEL: 'a\u007fb',
    })) {
        it(`a room of ${name} is a CHANNEL_ERROR`, async (t) => {
            const client = await soloist(t);
            client.sendJson({ room });
            assertErrorEnvelope(await client.nextJson(), 'CHANNEL_ERROR');
        });
    }

    for (const room of [5, {}, [], true]) {
        it(`a room of ${JSON.stringify(room)} is an error`, async (t) => {
            const client = await soloist(t);
            client.sendJson({ room });
            const envelope = assertErrorEnvelope(await client.nextJson());
            assert.ok(['INVALID_PAYLOAD', 'CHANNEL_ERROR'].includes(envelope.data.code));
        });
    }
});

describe('who gets what', () => {
    it("a room's message reaches its members, the sender included, nobody else", async (t) => {
        const room = freshRoom();
        const members = await clientsFor(t, 3, pod, { room });
        const others = [await clientFor(t, pod, { room: freshRoom() }), await clientFor(t, pod)];
        for (const sender of members) {
            sender.sendJson({ data: 'in here' });
            for (const member of members) {
                assertEnvelope(await member.nextJson(), { room, data: 'in here' });
            }
        }
        await assertOnlyMarkerComes(members[0], [...members, ...others]);
    });

    it('all members see the same bytes', async (t) => {
        const members = await clientsFor(t, 5, pod, { room: freshRoom() });
        members[0].sendJson({ data: { a: [1, 2.5] } });
        const texts = new Set();
        for (const member of members) texts.add(await member.nextText());
        assert.equal(texts.size, 1);
    });

    for (const [name, room] of [
        ['null', null],
        ['an empty string', ''],
    ]) {
        it(`room ${name} makes a member's message global`, async (t) => {
            const sender = await soloist(t);
            const all = [sender, await soloist(t), await clientFor(t, pod)];
            sender.sendJson({ room, data: 'to all' });
            for (const client of all) {
                assertEnvelope(await client.nextJson(), { room: undefined, data: 'to all' });
            }
        });
    }

    it('a client without a room speaks to all', async (t) => {
        const sender = await clientFor(t, pod);
        const all = [sender, await soloist(t), await clientFor(t, pod)];
        sender.sendJson({ data: 'no room' });
        for (const client of all) {
            assertEnvelope(await client.nextJson(), { room: undefined, data: 'no room' });
        }
    });

    it('a room can be spoken to without joining it', async (t) => {
        const room = freshRoom();
        const members = await clientsFor(t, 2, pod, { room });
        const roomless = await clientFor(t, pod);
        const elsewhere = await soloist(t);
        for (const sender of [roomless, elsewhere]) {
            sender.sendJson({ room, data: 'from outside' });
            for (const member of members) {
                assertEnvelope(await member.nextJson(), { room, data: 'from outside' });
            }
        }
        await assertOnlyMarkerComes(roomless, [roomless, elsewhere, ...members]);
    });

    it('a room without members takes messages, too', async (t) => {
        const sender = await clientFor(t, pod);
        sender.sendJson({ room: freshRoom(), data: 'into the void' });
        await assertOnlyMarkerComes(sender, [sender]);
    });

    it('the own room can be named', async (t) => {
        const room = freshRoom();
        const client = await clientFor(t, pod, { room });
        client.sendJson({ room, data: 1 });
        assertEnvelope(await client.nextJson(), { room, data: 1 });
    });

    it('room names differ by case, and are compared after decoding escapes', async (t) => {
        const room = freshRoom();
        const lower = await clientFor(t, pod, { room });
        const upper = await clientFor(t, pod, { room: room.toUpperCase() });
        upper.sendText(`{"room":"\\u0072${room.slice(1)}","data":1}`);
        assertEnvelope(await lower.nextJson(), { room, data: 1 });
        await assertOnlyMarkerComes(lower, [lower, upper]);
    });

    it('both upgrade paths lead to the same rooms', async (t) => {
        const room = freshRoom();
        const paths = [
            `/ws/${room}`,
            `/api/chat-api/ws/${room}`,
            `/ws?room=${room}`,
            `/api/chat-api/ws?room=${room}`,
        ];
        const clients = await Promise.all(paths.map((path) => clientFor(t, pod, { path })));
        clients[0].sendJson({ data: 'same' });
        for (const client of clients)
            assertEnvelope(await client.nextJson(), { room, data: 'same' });
    });

    it('who has left gets nothing more, who comes gets nothing older', async (t) => {
        const room = freshRoom();
        const stays = await clientFor(t, pod, { room });
        const leaves = await clientFor(t, pod, { room });
        await leaves.close();
        stays.sendJson({ data: 'before' });
        await stays.nextJson();
        const comes = await clientFor(t, pod, { room });
        stays.sendJson({ data: 'after' });
        assert.equal((await comes.nextJson()).data, 'after');
    });

    it('a plain client hears of no comings and goings', async (t) => {
        const room = freshRoom();
        const first = await clientFor(t, pod, { room });
        const second = await clientFor(t, pod, { room });
        await second.close();
        await pod.statsWhere('one member', ({ rooms: list }) => list[room] === 1);
        await assertOnlyMarkerComes(first, [first]);
    });
});

describe('order', () => {
    it('is kept per sender, and each message comes once', async (t) => {
        const room = freshRoom();
        const members = await clientsFor(t, 4, pod, { room });
        const count = 300;
        const frames = (sender) =>
            Buffer.concat(
                Array.from({ length: count }, (_, i) =>
                    encodeFrame({ payload: JSON.stringify({ data: [sender, i] }) }),
                ),
            );
        members[0].sendRaw(frames(0));
        members[1].sendRaw(frames(1));
        for (const member of members) {
            const next = [0, 0];
            for (let i = 0; i < 2 * count; i++) {
                const [sender, number] = (await member.nextJson()).data;
                assert.equal(number, next[sender]++);
            }
        }
        await assertOnlyMarkerComes(members[0], members);
    });

    it('is kept on many threads, while others come and go', async (t) => {
        const own = await serviceFor(t, { env: { CONNECTION_THREADS: '4' } });
        const room = 'threads';
        const members = await clientsFor(t, 12, own, { room });
        const senders = members.slice(0, 4);
        let talking = true;
        const comeAndGo = async (end) => {
            while (talking) await end(await connect(own, { room }));
        };
        const guests = [
            comeAndGo((guest) => guest.close()),
            comeAndGo((guest) => guest.reset()),
            comeAndGo((guest) => guest.hangUp()),
        ];
        const count = 200;
        for (let i = 0; i < count; i++) {
            senders.forEach((sender, number) => sender.sendJson({ data: [number, i] }));
            if (i % 10 === 9) await new Promise(setImmediate);
        }
        for (const member of members) {
            const next = senders.map(() => 0);
            for (let n = 0; n < senders.length * count; n++) {
                const [number, i] = (await member.nextJson()).data;
                assert.equal(i, next[number]++);
            }
        }
        talking = false;
        await Promise.all(guests);
        await own.statsWhere(
            'the members alone',
            ({ rooms: list }) => list[room] === members.length,
        );
        await assertOnlyMarkerComes(members[0], members);
    });

    it('is kept when messages are large and small in turn', async (t) => {
        const [sender, member] = await clientsFor(t, 2, pod, { room: freshRoom() });
        for (let i = 0; i < 40; i++)
            sender.sendJson({ data: { i, pad: 'x'.repeat(i % 2 ? 20000 : 0) } });
        for (const client of [sender, member]) {
            for (let i = 0; i < 40; i++) assert.equal((await client.nextJson()).data.i, i);
        }
    });
});
