// Section 3 of the contract, below the envelope: fragments, compression, the size limit, and the
// close codes that end a connection for what it sent.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { assertEnvelope, assertOnlyMarkerComes, clientFor, freshRoom } from '../support/chat.js';
import { serviceFor, startService } from '../support/service.js';
import { OP, closePayload, compress, encodeFrame } from '../support/websocket.js';

let pod;
before(async () => {
    pod = await startService();
});
after(() => pod.stop());

/** A client alone in a room of its own, which hears what it says. */
const soloist = (t, options) => clientFor(t, pod, { room: freshRoom(), ...options });

describe('framing', () => {
    it('a message may come in fragments, pings in between', async (t) => {
        const client = await soloist(t, { autoPong: true });
        client.sendFrame({ opcode: OP.TEXT, fin: false, payload: '{"da' });
        client.sendFrame({ opcode: OP.PING, payload: 'between' });
        client.sendFrame({ opcode: OP.CONTINUATION, fin: false, payload: '' });
        const pong = await client.nextFrame();
        assert.equal(pong.opcode, OP.PONG);
        assert.equal(pong.payload.toString(), 'between');
        client.sendFrame({ opcode: OP.CONTINUATION, payload: 'ta":"whole"}' });
        assertEnvelope(await client.nextJson(), { data: 'whole' });
    });

    it('a character may be cut anywhere', async (t) => {
        const client = await soloist(t);
        const bytes = Buffer.from('{"data":"é€😀"}');
        for (let cut = 9; cut < bytes.length; cut++) {
            client.sendFragments([bytes.subarray(0, cut), bytes.subarray(cut)]);
            assertEnvelope(await client.nextJson(), { data: 'é€😀' });
        }
    });

    it('frames may come byte by byte', async (t) => {
        const client = await soloist(t);
        for (const byte of encodeFrame({ payload: '{"data":"slow"}' })) {
            client.sendRaw(Buffer.from([byte]));
            await new Promise(setImmediate);
        }
        assertEnvelope(await client.nextJson(), { data: 'slow' });
    });

    it('compressed messages may come in fragments, plain ones in between', async (t) => {
        const client = await soloist(t, { deflate: true });
        const packed = compress('{"data":"packed and cut"}');
        client.sendFragments([packed.subarray(0, 5), packed.subarray(5)], { rsv1: true });
        client.sendJson({ data: 'plain' });
        client.sendCompressed('{"data":"packed again"}');
        for (const data of ['packed and cut', 'plain', 'packed again']) {
            assertEnvelope(await client.nextJson(), { data });
        }
    });
});

describe('the size limit', () => {
    const LIMIT = 65536;
    const wrap = (size, fill = 'x') => `{"data":"${fill.repeat(size - 11)}"}`;
    // Text that compression cannot shrink below the limit is as much a case as text that it can.
    const noise = (size) => {
        let state = 1;
        let text = '';
        while (text.length < size) {
            state = (state * 48271) % 2147483647;
            text += state.toString(36);
        }
        return text.slice(0, size);
    };
    const ways = {
        'in one frame': [{}, (client, text) => client.sendText(text)],
        'in two fragments': [
            {},
            (client, text) => client.sendFragments([text.slice(0, 40000), text.slice(40000)]),
        ],
        'in 100 fragments': [
            {},
            (client, text) => {
                const step = Math.ceil(text.length / 100);
                client.sendFragments(
                    Array.from({ length: 100 }, (_, i) => text.slice(i * step, (i + 1) * step)),
                );
            },
        ],
        compressed: [{ deflate: true }, (client, text) => client.sendCompressed(text)],
        'compressed in fragments': [
            { deflate: true },
            (client, text) => {
                const packed = compress(text);
                const half = packed.length >> 1;
                client.sendFragments([packed.subarray(0, half), packed.subarray(half)], {
                    rsv1: true,
                });
            },
        ],
    };
    for (const [name, [options, send]] of Object.entries(ways)) {
        for (const size of [LIMIT - 1, LIMIT]) {
            it(`${size} bytes ${name} pass`, async (t) => {
                const client = await soloist(t, options);
                const text = wrap(size);
                send(client, text);
                assertEnvelope(await client.nextJson(), { data: JSON.parse(text).data });
            });
        }

        it(`${LIMIT + 1} bytes ${name} close 1009`, async (t) => {
            const room = freshRoom();
            const client = await clientFor(t, pod, { room, ...options });
            const other = await clientFor(t, pod, { room });
            send(client, wrap(LIMIT + 1));
            const close = await client.waitClose();
            assert.equal(close.code, 1009);
            assert.ok(close.clean, 'with a closing handshake');
            await assertOnlyMarkerComes(other, [other]);
        });
    }

    it('counts bytes, not characters', async (t) => {
        const client = await soloist(t);
        const fits = `{"data":"${'é'.repeat((LIMIT - 12) / 2)}x"}`;
        assert.equal(Buffer.byteLength(fits), LIMIT);
        client.sendText(fits);
        assert.equal((await client.nextJson()).data, JSON.parse(fits).data);
        client.sendText(fits.replace('x', 'é'));
        assert.equal((await client.waitClose()).code, 1009);
    });

    it('holds for text that does not compress', async (t) => {
        const client = await soloist(t, { deflate: true });
        client.sendCompressed(`{"data":"${noise(LIMIT - 11)}"}`);
        assert.equal((await client.nextJson()).data, noise(LIMIT - 11));
        client.sendCompressed(`{"data":"${noise(LIMIT - 10)}"}`);
        assert.equal((await client.waitClose()).code, 1009);
    });

    it('stops a compression bomb', async (t) => {
        const client = await soloist(t, { deflate: true });
        client.sendCompressed(' '.repeat(30_000_000));
        assert.equal((await client.waitClose()).code, 1009);
    });

    it('is not fooled by an announced length', async (t) => {
        for (const length of [LIMIT + 1, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
            const client = await soloist(t);
            client.sendFrame({ payload: wrap(70000), length, lengthForm: 64 });
            assert.equal((await client.waitClose()).code, 1009, `announced ${length}`);
        }
    });

    it('is WS_MAX_MESSAGE_SIZE', async (t) => {
        const own = await serviceFor(t, { env: { WS_MAX_MESSAGE_SIZE: '1000' } });
        const client = await clientFor(t, own, { room: 'small' });
        client.sendText(wrap(1000));
        assertEnvelope(await client.nextJson(), {});
        client.sendText(wrap(1001));
        assert.equal((await client.waitClose()).code, 1009);
    });
});

describe('what ends a connection', () => {
    /** Sends, expects the close code, and that nobody else was bothered. */
    async function assertCloses(t, send, codes, options = {}) {
        const room = freshRoom();
        const client = await clientFor(t, pod, { room, ...options });
        const other = await clientFor(t, pod, { room });
        send(client);
        const close = await client.waitClose();
        assert.ok([codes].flat().includes(close.code), `close code ${close.code} ${close.reason}`);
        assert.ok(Buffer.byteLength(close.reason) <= 123);
        assert.ok(close.clean, 'the close frame must arrive, then FIN and no RST');
        await assertOnlyMarkerComes(other, [other]);
    }

    const binary = {
        'a binary message': [{ opcode: OP.BINARY, payload: '{"data":1}' }],
        'an empty binary message': [{ opcode: OP.BINARY }],
        'a binary message in fragments': [
            { opcode: OP.BINARY, fin: false, payload: 'a' },
            { opcode: OP.CONTINUATION, payload: 'b' },
        ],
    };
    for (const [name, frames] of Object.entries(binary)) {
        it(`${name}: 1003`, (t) =>
            assertCloses(t, (client) => frames.forEach((frame) => client.sendFrame(frame)), 1003));
    }

    const notUtf8 = {
        'a stray byte': [0xff],
        'a stray continuation byte': [0x80],
        'an overlong character': [0xc0, 0xaf],
        'a surrogate': [0xed, 0xa0, 0x80],
        'a character beyond Unicode': [0xf4, 0x90, 0x80, 0x80],
        'a cut character': [0xe2, 0x82],
    };
    for (const [name, bytes] of Object.entries(notUtf8)) {
        const payload = Buffer.concat([
            Buffer.from('{"data":"'),
            Buffer.from(bytes),
            Buffer.from('"}'),
        ]);
        it(`${name}: 1007`, (t) => assertCloses(t, (client) => client.sendText(payload), 1007));
    }

    it('a character cut by the end of the message: 1007', (t) =>
        assertCloses(t, (client) => client.sendText(Buffer.from([0xe2, 0x82])), 1007));

    it('invalid UTF-8 across fragments: 1007', (t) =>
        assertCloses(
            t,
            (client) => client.sendFragments([Buffer.from([0xe2, 0x82]), Buffer.from([0x41])]),
            1007,
        ));

    it('invalid UTF-8 inside compression: 1007', (t) =>
        assertCloses(
            t,
            (client) =>
                client.sendFrame({
                    rsv1: true,
                    payload: compress(Buffer.from([0x22, 0xff, 0x22])),
                }),
            1007,
            { deflate: true },
        ));

    const protocolErrors = {
        'an unmasked frame': [{ payload: '{}', mask: false }],
        'RSV1 without compression': [{ payload: '{}', rsv1: true }],
        RSV2: [{ payload: '{}', rsv2: true }],
        RSV3: [{ payload: '{}', rsv3: true }],
        'a reserved data opcode': [{ opcode: 3, payload: '{}' }],
        'a reserved control opcode': [{ opcode: 11 }],
        'a continuation of nothing': [{ opcode: OP.CONTINUATION, payload: '{}' }],
        'a new message within another': [{ fin: false, payload: '{' }, { payload: '{}' }],
        'a ping in fragments': [{ opcode: OP.PING, fin: false }],
        'a ping of 126 bytes': [{ opcode: OP.PING, payload: 'x'.repeat(126) }],
        'a length of 16 bits that fits in 7': [{ payload: '{}', lengthForm: 16 }],
        'a length of 64 bits that fits in 16': [{ payload: '{}', lengthForm: 64 }],
        'a close frame of one byte': [{ opcode: OP.CLOSE, payload: 'x' }],
        'a close frame with code 0': [{ opcode: OP.CLOSE, payload: closePayload(0) }],
        'a close frame with code 999': [{ opcode: OP.CLOSE, payload: closePayload(999) }],
        'a close frame with code 1004': [{ opcode: OP.CLOSE, payload: closePayload(1004) }],
        'a close frame with code 1005': [{ opcode: OP.CLOSE, payload: closePayload(1005) }],
        'a close frame with code 1006': [{ opcode: OP.CLOSE, payload: closePayload(1006) }],
        'a close frame with code 1015': [{ opcode: OP.CLOSE, payload: closePayload(1015) }],
        'a close frame with code 2999': [{ opcode: OP.CLOSE, payload: closePayload(2999) }],
        'a close frame with code 5000': [{ opcode: OP.CLOSE, payload: closePayload(5000) }],
    };
    for (const [name, frames] of Object.entries(protocolErrors)) {
        it(`${name}: 1002`, (t) =>
            assertCloses(t, (client) => frames.forEach((frame) => client.sendFrame(frame)), 1002));
    }

    it('a length with its top bit set: 1002', (t) =>
        assertCloses(
            t,
            (client) =>
                client.sendRaw(
                    Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0x7b, 0x7d]),
                ),
            1002,
        ));

    it('RSV1 on a continuation: 1002', (t) =>
        assertCloses(
            t,
            (client) => {
                client.sendFrame({ fin: false, rsv1: true, payload: compress('{}') });
                client.sendFrame({ opcode: OP.CONTINUATION, rsv1: true });
            },
            1002,
            { deflate: true },
        ));

    it('RSV1 on a control frame: 1002', (t) =>
        assertCloses(t, (client) => client.sendFrame({ opcode: OP.PING, rsv1: true }), 1002, {
            deflate: true,
        }));

    it('a reason that is not UTF-8: 1007 or 1002', (t) =>
        assertCloses(
            t,
            (client) =>
                client.sendFrame({
                    opcode: OP.CLOSE,
                    payload: Buffer.from([0x03, 0xe8, 0xff]),
                }),
            [1007, 1002],
        ));

    it('compressed data that is none: 1002, 1003 or 1007', (t) =>
        assertCloses(
            t,
            (client) =>
                client.sendFrame({ rsv1: true, payload: Buffer.from([0xff, 0xff, 0xff, 0xff]) }),
            [1002, 1003, 1007],
            { deflate: true },
        ));

    it('what came whole before the fault is delivered', async (t) => {
        const room = freshRoom();
        const client = await clientFor(t, pod, { room });
        const other = await clientFor(t, pod, { room });
        client.sendRaw(
            Buffer.concat([
                encodeFrame({ payload: '{"data":"good"}' }),
                encodeFrame({ payload: '{}', rsv3: true }),
            ]),
        );
        assertEnvelope(await other.nextJson(), { data: 'good' });
        assertEnvelope(await client.nextJson(), { data: 'good' });
        assert.equal((await client.waitClose()).code, 1002);
    });
});
