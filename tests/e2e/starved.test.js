// Memory that is not to be had at every place whose size a peer chooses: build/chat-api-starved is
// the service with a linker's wrap around mem_try_* (tests/starve/starve.c). Clients may be refused
// or lose their connection while memory is short; the process may not end, nobody may get a frame
// that is none or a message twice, and afterwards all is as it was.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { eventually, within } from '../support/deadline.js';
import { PROTOCOL } from '../support/events.js';
import { request } from '../support/http.js';
import { mebibytes, openFiles, residentBytes } from '../support/process.js';
import { startRedis } from '../support/redis.js';
import { BINARY, serviceFor } from '../support/service.js';
import { OP, ServerFault, attempt, connect, encodeFrame } from '../support/websocket.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const STARVED = path.join(path.dirname(BINARY), 'chat-api-starved');
/** Large rooms give memory back when they become small, which asks for some. */
const CROWD = 140;
const LEAVING = 8;
const ROUNDS = 12;
/** What a chat goes through. The unit tests of each module make each of its requests fail in turn. */
const SHORT_AT_LEAST = [
    ...['base/blob', 'base/buf', 'base/map', 'bus/interest', 'bus/outbox', 'bus/recent'],
    ...['chat/batch', 'chat/client', 'chat/client_out', 'chat/message'],
    ...['chat/outq', 'chat/room'],
    ...['ws/deflate', 'ws/parser'],
].map((name) => `core/${name}.c`);
const MESSAGE_ID = '01900000-0000-7000-8000-0000000000aa';

/** What a member hears: numbers that only grow, from each speaker by itself. */
class Listener {
    fault = null;
    #last = new Map();

    constructor(client) {
        this.client = client;
        this.#listen().catch(() => {});
    }

    async #listen() {
        for (;;) {
            const { text } = await this.client.messages.next(3600000, 'a message');
            this.client.frames.drain();
            const { from, data } = JSON.parse(text);
            if (typeof data?.number !== 'number') continue;
            const last = this.#last.get(from) ?? -1;
            if (data.number <= last) this.fault ??= `${data.number} after ${last} from ${from}`;
            this.#last.set(from, data.number);
        }
    }
}

const ignore = (promise) => promise.catch(() => {});
let number = 0;
const numbered = (fill = '') => JSON.stringify({ data: { number: ++number, fill } });

/** Everything that makes the service ask for memory; what fails of it is not looked at. */
function speak(client) {
    client.sendText(numbered());
    client.sendText(numbered('x'.repeat(3000)));
    if (client.deflate) client.sendCompressed(numbered('compressed '.repeat(500)));
    const whole = numbered('in pieces');
    client.sendFragments([whole.slice(0, 9), whole.slice(9)]);
    client.sendText('no JSON');
    client.sendText(numbered('"'.repeat(3000))); // read by way of a copy without the escapes
    client.sendText(`["${'without an end'.repeat(300)}`);
    client.sendFrame({ opcode: OP.PING, payload: 'ping' });
    const frame = encodeFrame({ payload: numbered('y'.repeat(300)) });
    client.sendRaw(frame.subarray(0, 100));
    client.sendRaw(frame.subarray(100));
    if (client.protocol) speakEvents(client);
}

function speakEvents(client) {
    const room = `extra-${++number}`;
    client.sendJson({ event: 'room:join', room });
    client.sendJson({ event: 'message:read', data: { ids: [MESSAGE_ID] } });
    client.sendJson({ event: 'room:leave', room });
}

async function comeAndGo(pod, round) {
    const coming = Array.from({ length: 20 }, (_, i) =>
        connect(pod, {
            room: `room-${round}-${i % 12}`,
            deflate: i % 2 === 0,
            protocol: i % 3 === 0 ? PROTOCOL : undefined,
            ms: 1000,
        }));
    const come = await Promise.allSettled(coming);
    const clients = come.filter(({ value }) => value).map(({ value }) => value);
    for (const client of clients) speak(client);
    await Promise.all(['/api/chat-api/ws/stats', '/metrics', '/openapi.json', '/ws/none'].map((path) =>
        ignore(request(pod, path))));
    for (const [i, client] of clients.entries()) {
        if (i % 2) client.reset();
        else client.sendClose(1000);
    }
}

/** Other pods, each of which says one thing. */
async function hearFromPods(wire, round) {
    for (let i = 0; i < 5; i++) {
        const payload = `{"pod":"pod-${round}-${i}","id":"01900000-0000-7000-8000-00000000000${i}",`
            + '"type":"chat","room":"crowd","from":"x","data":1,"timestamp":"2026-02-05T00:00:00.000Z"}';
        await wire.command('PUBLISH', 'realtime:room:crowd', payload);
        await wire.command('PUBLISH', 'realtime:room:crowd', '{"data":"from elsewhere"}');
    }
}

async function gatherCrowd(pod) {
    const clients = [];
    for (let i = 0; i < CROWD; i++) {
        const protocol = i % 3 === 2 ? PROTOCOL : undefined;
        clients.push(await connect(pod, { room: 'crowd', deflate: i % 4 === 0, protocol }));
    }
    clients[0].sendJson({ id: MESSAGE_ID, data: 'to be read' });
    assert.equal((await clients[0].nextJson()).data, 'to be read');
    return clients.map((client) => new Listener(client));
}

async function hearsItself(pod) {
    const client = await connect(pod, { room: 'again' });
    try {
        client.sendJson({ data: 'well?' });
        return (await client.nextJson()).data === 'well?';
    } finally {
        client.hangUp();
    }
}

async function goThrough(pod, wire, crowd) {
    const left = [];
    const deaf = await connect(pod, { room: 'crowd' });
    pod.signal('SIGUSR1');
    deaf.pause();
    for (let round = 0; round < ROUNDS; round++) {
        for (const { client } of crowd.slice(0, 5)) speak(client);
        // More than the deaf one's socket takes.
        for (let i = 0; i < 10; i++) crowd[0].client.sendText(numbered('z'.repeat(30000)));
        await comeAndGo(pod, round);
        await hearFromPods(wire, round);
        for (const { client } of crowd.slice(-LEAVING * (round + 1), -LEAVING * round || undefined)) {
            client.sendClose(1000);
            left.push(client.closed);
        }
    }
    // All of it has been tried when those who left are gone, one way or another.
    await within(Promise.all(left), 10000, 'those who left to be gone');
    pod.signal('SIGUSR2');
    deaf.reset();
}

/** Each connection ended or can be closed, and had nothing but good frames. */
async function assertGoodFrames(listeners) {
    const codes = {};
    for (const { client, fault } of listeners) {
        assert.equal(fault, null);
        client.sendClose(1000);
        const code = await client.waitClose(10000).then(
            (close) => close.code,
            (error) => {
                if (error instanceof ServerFault) throw error;
                return 'lost';
            },
        );
        codes[code] = (codes[code] ?? 0) + 1;
    }
    return codes;
}

/** Where the process asked in vain: [{key: file:line, failed: how often}]. */
function failedPlaces(pod) {
    const { metadata } = pod.logs.find(({ event }) => event === 'starve:places');
    const failed = metadata.places.filter(([, , count]) => count > 0);
    // The call stands before the address to which it returns.
    const addresses = failed.map(([address]) => (address - 1).toString(16));
    const { stdout } = spawnSync('addr2line', ['-e', STARVED, ...addresses], { encoding: 'utf8' });
    return stdout.trim().split('\n').map((text, i) => {
        // Nothing where the caller is a library: zlib asks by way of a jump.
        const [, file, line] = /^(.*\.c):(\d+)/.exec(text) ?? [];
        const key = file ? `${path.relative(ROOT, file)}:${line}` : 'a library';
        return { key, failed: failed[i][2] };
    });
}

describe('memory that runs out', () => {
    let redis;
    const hit = new Map();
    before(async () => {
        redis = await startRedis();
    });
    after(() => redis?.stop());

    for (const every of [1, 2, 3, 7]) {
        it(`at every ${every}. request of each place: what a peer sees is a close`, async (t) => {
            const pod = await serviceFor(t, {
                binary: STARVED,
                env: {
                    STARVE_EVERY: String(every), REDIS_URL: redis.url, CONNECTION_THREADS: '2',
                    WS_SEND_QUEUE_BYTES: '1000000',
                },
            });
            const wire = await redis.client();
            t.after(() => wire.close());
            await pod.statsWhere('nobody', ({ connections }) => connections === 0);
            const [files, memory] = [openFiles(pod.pid), residentBytes(pod.pid)];
            const crowd = await gatherCrowd(pod);
            await within(goThrough(pod, wire, crowd), 60000, 'all rounds');
            // Memory is there again: so is the service.
            await eventually('an echo', () => hearsItself(pod), 10000);
            const codes = await assertGoodFrames(crowd);
            await pod.statsWhere('nobody', ({ connections, room_count: rooms, redis: at }) =>
                connections === 0 && rooms === 0 && at.connected, 15000);
            await eventually('descriptors as before', () => openFiles(pod.pid) <= files, 12000);
            t.diagnostic(`closes ${JSON.stringify(codes)}; memory ${mebibytes(memory)} MiB before, `
                + `${mebibytes(residentBytes(pod.pid))} MiB after`);
            await pod.stop();
            for (const { key, failed } of failedPlaces(pod)) {
                hit.set(key, (hit.get(key) ?? 0) + failed);
            }
        });
    }

    it('a foreign origin stays out', async (t) => {
        const [own, foreign] = ['https://example.org', 'https://evil.example'];
        const env = { STARVE_EVERY: '7', ALLOWED_ORIGINS: own };
        const pod = await serviceFor(t, { binary: STARVED, env });
        const statusOf = async (Origin) => {
            const { status, client } = await attempt(pod, { room: 'x', headers: { Origin } });
            client?.hangUp();
            return status;
        };
        assert.equal(await statusOf(own), 101);
        pod.signal('SIGUSR1');
        const seen = {};
        for (let i = 0; i < 40; i++) {
            for (const origin of [foreign, [foreign, foreign], [own, foreign]]) {
                const status = await statusOf(origin).catch(() => 'closed');
                seen[status] = (seen[status] ?? 0) + 1;
            }
        }
        t.diagnostic(JSON.stringify(seen));
        assert.equal(seen[101], undefined);
    });

    it('has been short wherever a chat asks for it', (t) => {
        t.diagnostic([...hit].map(([place, count]) => `${place} ${count}`).sort().join(', '));
        const files = [...hit.keys()].map((place) => place.split(':')[0]);
        assert.deepEqual(SHORT_AT_LEAST.filter((file) => !files.includes(file)), []);
    });
});
