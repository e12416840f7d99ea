// Section 4 of the contract but for shutdown: heartbeat, send queues, slow consumers, closing.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { assertOnlyMarkerComes, clientFor, clientsFor } from '../support/chat.js';
import { Stopwatch, eventually, sleep, stretched } from '../support/deadline.js';
import { request } from '../support/http.js';
import { metricSum, parseMetrics } from '../support/metrics.js';
import { serviceFor, startService } from '../support/service.js';
import { OP, closePayload, encodeFrame } from '../support/websocket.js';

describe('heartbeat', { concurrency: true }, () => {
    // The service's own times stretch with ours, or a busy machine would look like a dead peer.
    const env = { WS_PING_INTERVAL: `${stretched(150)}ms`, WS_PONG_TIMEOUT: `${stretched(700)}ms` };

    // For those who must stay: what they have to do in time, they do on any machine.
    const patient = { ...env, WS_PONG_TIMEOUT: `${stretched(3000)}ms` };

    it('pings a silent client, and keeps one that answers', async (t) => {
        const pod = await serviceFor(t, { env: patient });
        const client = await clientFor(t, pod, { room: 'quiet' });
        const end = Date.now() + stretched(3500);
        let pings = 0;
        while (Date.now() < end) {
            const { opcode } = await client.nextFrame();
            assert.equal(opcode, OP.PING);
            pings += 1;
        }
        assert.ok(pings > 1);
        client.sendJson({ data: 'still here' });
        assert.equal((await client.nextJson()).data, 'still here');
    });

    it('closes 4004 when nothing is received for WS_PONG_TIMEOUT, not before', async (t) => {
        const pod = await serviceFor(t, { env });
        const begin = Date.now();
        const client = await clientFor(t, pod, { autoPong: false });
        const close = await client.waitClose();
        assert.equal(close.code, 4004);
        assert.ok(close.clean);
        assert.ok(client.pings >= 1, 'a ping came first');
        assert.ok(
            Date.now() - begin >= stretched(700) - 10,
            `closed after ${Date.now() - begin} ms`,
        );
    });

    it('takes whatever is received for a sign of life', async (t) => {
        const pod = await serviceFor(t, { env: patient });
        const client = await clientFor(t, pod, { room: 'chatty', autoPong: false });
        const end = Date.now() + stretched(3500);
        while (Date.now() < end) {
            client.sendJson({ data: 1 });
            await client.nextJson();
            await sleep(50);
        }
        // The same connection dies as soon as it falls silent.
        assert.equal((await client.waitClose()).code, 4004);
    });

    it('does not ping who is talking', async (t) => {
        const pod = await serviceFor(t, {
            env: { WS_PING_INTERVAL: '1s', WS_PONG_TIMEOUT: '10s' },
        });
        const client = await clientFor(t, pod, { room: 'chatty' });
        const end = Date.now() + 1500;
        while (Date.now() < end) {
            const asked = Date.now();
            client.sendJson({ data: 1 });
            await client.nextJson();
            await sleep(20);
            // A machine that stood still for so long proves nothing.
            if (Date.now() - asked > 500) return;
        }
        assert.equal(client.pings, 0);
        await eventually('a ping once it is silent', () => client.pings === 1);
    });

    it('pings who only listens', async (t) => {
        const pod = await serviceFor(t, { env });
        const talker = await clientFor(t, pod, { room: 'lecture' });
        const listener = await clientFor(t, pod, { room: 'lecture', autoPong: false });
        const talk = setInterval(() => talker.sendJson({ data: 1 }), 30);
        try {
            assert.equal((await listener.waitClose()).code, 4004);
            assert.ok(listener.pings >= 1);
        } finally {
            clearInterval(talk);
        }
    });
});

describe('pings of the client', () => {
    let pod;
    before(async () => {
        pod = await startService();
    });
    after(() => pod.stop());

    for (const payload of ['', 'hello', 'x'.repeat(125), Buffer.from([0, 255, 128])]) {
        it(`are answered with their ${payload.length} bytes`, async (t) => {
            const client = await clientFor(t, pod);
            client.sendFrame({ opcode: OP.PING, payload });
            const pong = await client.nextFrame();
            assert.equal(pong.opcode, OP.PONG);
            assert.deepEqual(pong.payload, Buffer.from(payload));
        });
    }

    it('are answered in order', async (t) => {
        const client = await clientFor(t, pod);
        for (let i = 0; i < 20; i++) {
            client.sendFrame({ opcode: OP.PING, payload: String(i) });
            assert.equal((await client.nextFrame()).payload.toString(), String(i));
        }
    });

    it('and pongs that nobody asked for are ignored', async (t) => {
        const client = await clientFor(t, pod, { room: 'pongs' });
        client.sendFrame({ opcode: OP.PONG, payload: 'unasked' });
        await assertOnlyMarkerComes(client, [client]);
        assert.equal(client.frames.size, 1);
    });
});

describe('the deadline of a message', { concurrency: true }, () => {
    const env = { WS_MESSAGE_TIMEOUT: `${stretched(400)}ms` };
    const begun = {
        'a frame that is not finished': [
            (client) => client.sendRaw(encodeFrame({ payload: '{"data":1}' }).subarray(0, -1)),
        ],
        'a frame that ends in its head': [(client) => client.sendRaw(Buffer.from([0x81]))],
        'a message whose last fragment does not come': [
            (client) => client.sendFrame({ fin: false, payload: '{' }),
        ],
        'fragments that never end': [
            (client) => client.sendFrame({ fin: false, payload: '{' }),
            (client) => client.sendFrame({ opcode: OP.CONTINUATION, fin: false, payload: ' ' }),
        ],
        'pings within an unfinished message': [
            (client) => client.sendFrame({ fin: false, payload: '{' }),
            (client) => client.sendFrame({ opcode: OP.PING }),
        ],
    };
    for (const [name, [first, again]] of Object.entries(begun)) {
        it(`ends ${name} with 4005`, async (t) => {
            const pod = await serviceFor(t, { env });
            const client = await clientFor(t, pod);
            const begin = Date.now();
            first(client);
            const drip = again && setInterval(() => again(client), 40);
            try {
                assert.equal((await client.waitClose()).code, 4005);
                assert.ok(
                    Date.now() - begin >= stretched(400) - 10,
                    `after ${Date.now() - begin} ms`,
                );
            } finally {
                clearInterval(drip);
            }
        });
    }

    it('does not touch whole messages, or silence', async (t) => {
        const pod = await serviceFor(t, { env: { WS_MESSAGE_TIMEOUT: `${stretched(2000)}ms` } });
        const client = await clientFor(t, pod, { room: 'calm' });
        const late = await clientFor(t, pod, { room: 'late' });
        client.sendFragments(['{"data"', ':1}']);
        assert.equal((await client.nextJson()).data, 1);
        late.sendFrame({ fin: false, payload: '{' });
        assert.equal((await late.waitClose()).code, 4005);
        client.sendJson({ data: 2 });
        assert.equal((await client.nextJson()).data, 2);
    });
});

describe('slow consumers', { concurrency: true }, () => {
    const BIG = 'x'.repeat(60000);

    /** Says `count` large things to the room and waits until the sender has heard them all. */
    async function talk(sender, count, first = 0) {
        for (let i = first; i < first + count; i++) {
            sender.sendJson({ data: { i, BIG } });
            assert.equal((await sender.nextJson()).data.i, i);
        }
    }

    async function assertHears(client, count) {
        for (let i = 0; i < count; i++) assert.equal((await client.nextJson()).data.i, i);
    }

    const haveDropped = ({ messages }) => messages.dropped > 0;

    it('are closed with 4002 and counted, and nobody else waits', async (t) => {
        const pod = await serviceFor(t, { env: { WS_SEND_QUEUE: '10' } });
        const room = 'uneven';
        const [sender, ...members] = await clientsFor(t, 3, pod, { room });
        const slow = await clientFor(t, pod, { room });
        slow.pause();
        // Once it is cut it must hurry: who does not take the Close within 5 s never sees it.
        const reading = pod.statsWhere('drops', haveDropped).then(() => slow.resume());
        await talk(sender, 200);
        for (const member of members) await assertHears(member, 200);
        await reading;
        const families = parseMetrics((await request(pod, '/metrics')).text);
        assert.ok(metricSum(families, /(slow|drop|overflow).*_total$/) > 0);

        const close = await slow.waitClose(7000);
        assert.equal(close.code, 4002);
        const heard = slow.messages.drain().map(({ text }) => JSON.parse(text).data.i);
        assert.deepEqual(
            heard,
            heard.map((_, i) => i),
            'what came, came in order',
        );
        // The kernel's share is small: without a send buffer of its own it would hold about 4 MB.
        assert.ok(heard.length <= 10 + 50, `${heard.length} messages were held for a slow member`);
        await pod.statsWhere('the slow one gone', (stats) => stats.rooms[room] === 3);
    });

    it('may have WS_SEND_QUEUE messages waiting', async (t) => {
        const pod = await serviceFor(t, { env: { WS_SEND_QUEUE: '20' } });
        const sender = await clientFor(t, pod, { room: 'bound' });
        const slow = await clientFor(t, pod, { room: 'bound' });
        slow.pause();
        await talk(sender, 20);
        slow.resume();
        await assertHears(slow, 20);
        assert.equal((await pod.stats()).messages.dropped, 0);
    });

    it('are judged anew after they caught up', async (t) => {
        const pod = await serviceFor(t, { env: { WS_SEND_QUEUE: '10' } });
        const sender = await clientFor(t, pod, { room: 'again' });
        const slow = await clientFor(t, pod, { room: 'again' });
        for (let round = 0; round < 5; round++) {
            slow.pause();
            await talk(sender, 10);
            slow.resume();
            await assertHears(slow, 10);
        }
    });

    it('are also those with more than WS_SEND_QUEUE_BYTES waiting', async (t) => {
        const pod = await serviceFor(t, {
            env: { WS_SEND_QUEUE: '100000', WS_SEND_QUEUE_BYTES: '1048576' },
        });
        const sender = await clientFor(t, pod, { room: 'bytes' });
        const slow = await clientFor(t, pod, { room: 'bytes' });
        slow.pause();
        await talk(sender, 17);
        slow.resume();
        await assertHears(slow, 17);
        slow.pause();
        // How much its own kernel takes first depends on how well it has read until now.
        let said = 0;
        while (!haveDropped(await pod.stats())) {
            assert.ok(said < 1000, `${said} messages were held for a slow member`);
            await talk(sender, 10, said);
            said += 10;
        }
        slow.resume();
        assert.equal((await slow.waitClose(7000)).code, 4002);
    });

    const burst = (count) =>
        Buffer.concat(
            Array.from({ length: count }, (_, i) =>
                encodeFrame({ payload: JSON.stringify({ data: { i } }) }),
            ),
        );

    it('many small messages that the kernel takes make nobody slow', async (t) => {
        const pod = await serviceFor(t);
        const [sender, member] = await clientsFor(t, 2, pod, { room: 'kernel' });
        member.pause();
        sender.sendRaw(burst(350));
        await assertHears(sender, 350);
        member.resume();
        await assertHears(member, 350);
    });

    it('many small messages in a burst make nobody slow who reads', async (t) => {
        const pod = await serviceFor(t);
        const [sender, member] = await clientsFor(t, 2, pod, { room: 'burst' });
        const watch = new Stopwatch();
        t.after(() => watch.stop());
        sender.sendRaw(burst(2000));
        try {
            await assertHears(member, 2000);
            await assertHears(sender, 2000);
        } catch (error) {
            watch.stop();
            // Senders are slowed down for 200 ms for a member that falls behind. Who is kept from
            // running for longer does not read, and the contract closes it.
            if (!/closed \(4002/.test(error.message) || watch.latest < 100) throw error;
            t.diagnostic(`this machine stood still for ${watch.latest.toFixed()} ms`);
        }
    });

    it('are also those who only send, and take nothing for WS_PONG_TIMEOUT', async (t) => {
        const env = { WS_PING_INTERVAL: '200ms', WS_PONG_TIMEOUT: `${stretched(2000)}ms` };
        const pod = await serviceFor(t, { env });
        const sender = await clientFor(t, pod, { room: 'deaf' });
        const deaf = await clientFor(t, pod, { room: 'deaf' });
        deaf.pause();
        // From the beginning: on a busy machine the talk alone can take longer than silence may.
        const pongs = setInterval(() => deaf.sendFrame({ opcode: OP.PONG }), 100);
        try {
            await talk(sender, 40); // less than may wait
            await pod.statsWhere('drops', haveDropped, stretched(8000));
        } finally {
            clearInterval(pongs);
        }
        deaf.resume();
        assert.equal((await deaf.waitClose(7000)).code, 4002);
    });

    it('that never read again are dropped', async (t) => {
        const pod = await serviceFor(t, { env: { WS_SEND_QUEUE: '10' } });
        const sender = await clientFor(t, pod, { room: 'dead' });
        const slow = await clientFor(t, pod, { room: 'dead' });
        slow.pause();
        await talk(sender, 150);
        await pod.statsWhere('one client', (stats) => stats.connections === 1, 9000);
    });
});

describe('closing', () => {
    let pod;
    before(async () => {
        pod = await startService();
    });
    after(() => pod.stop());

    for (const code of [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ]) {
        it(`echoes code ${code}`, async (t) => {
            const client = await clientFor(t, pod);
            const close = await client.close(code, 'bye');
            assert.equal(close.code, code);
            assert.ok(close.clean);
        });
    }

    it('answers a close without a code', async (t) => {
        const client = await clientFor(t, pod);
        const close = await client.close(undefined);
        assert.ok([1000, 1005].includes(close.code), `code ${close.code}`);
        assert.ok(close.clean);
    });

    it('takes a reason of 123 bytes', async (t) => {
        const client = await clientFor(t, pod);
        assert.equal((await client.close(1000, 'é'.repeat(61) + 'x')).code, 1000);
    });

    it('ignores what comes after the close frame', async (t) => {
        const room = 'after-close';
        const other = await clientFor(t, pod, { room });
        const client = await clientFor(t, pod, { room });
        client.sendRaw(
            Buffer.concat([
                encodeFrame({ payload: '{"data":"before"}' }),
                encodeFrame({ opcode: OP.CLOSE, payload: closePayload(1000) }),
                encodeFrame({ payload: '{"data":"after"}' }),
            ]),
        );
        assert.equal((await client.waitClose()).code, 1000);
        assert.equal((await other.nextJson()).data, 'before');
        await assertOnlyMarkerComes(other, [other]);
    });

    it('happens within an unfinished message, too', async (t) => {
        const client = await clientFor(t, pod);
        client.sendFrame({ fin: false, payload: '{' });
        assert.equal((await client.close(1000)).code, 1000);
    });

    for (const [name, end] of [
        ['a clean close', (client) => client.close()],
        ['a FIN without a close frame', (client) => client.hangUp()],
        ['a reset', (client) => client.reset()],
        [
            'a reset within a frame',
            (client) => {
                client.sendRaw(Buffer.from([0x81, 0xfe]));
                client.reset();
            },
        ],
    ]) {
        it(`${name} leaves nothing behind`, async (t) => {
            const room = `gone by ${name}`;
            const stays = await clientFor(t, pod, { room });
            const [first, second] = await clientsFor(t, 2, pod, { room });
            await pod.statsWhere('three members', ({ rooms }) => rooms[room] === 3);
            const before = (await pod.stats()).connections;
            await end(first);
            await pod.statsWhere(
                'two members',
                ({ rooms, connections }) => rooms[room] === 2 && connections === before - 1,
            );
            await end(second);
            stays.sendJson({ data: 'alone' });
            assert.equal((await stays.nextJson()).data, 'alone');
            await stays.close();
            await pod.statsWhere('no such room', ({ rooms }) => !(room in rooms));
        });
    }
});

describe('a peer that does not answer the close frame', { concurrency: true }, () => {
    let pod;
    before(async () => {
        pod = await startService();
    });
    after(() => pod.stop());

    it('is dropped after 5 s', async (t) => {
        const client = await clientFor(t, pod, { autoClose: false });
        const begin = Date.now();
        const watch = new Stopwatch();
        client.sendFrame({ opcode: OP.BINARY });
        const close = await client.waitClose(9000);
        assert.equal(close.code, 1003);
        const [took, atLeast] = [Date.now() - begin, watch.stop()];
        assert.ok(took > 4000 && atLeast < stretched(8000), `dropped after ${took} ms`);
    });

    it('is dropped after 5 s though it goes on sending', async (t) => {
        const client = await clientFor(t, pod, { autoClose: false });
        client.sendFrame({ opcode: OP.BINARY });
        const talk = setInterval(() => client.sendJson({ data: 'I did not hear you' }), 100);
        try {
            assert.equal((await client.waitClose(9000)).code, 1003);
        } finally {
            clearInterval(talk);
        }
    });
});
