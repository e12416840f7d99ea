// The echo build of the connection layer, and how a protocol case is played against it: bytes go
// in, cut as the case wants them; what must come back is compared to the last frame, and so is how
// the connection ends.

import assert from 'node:assert/strict';
import path from 'node:path';

import { start } from './children.js';
import { within } from './deadline.js';
import { RawConnection } from './http.js';
import { BINARY } from './service.js';
import { OP, attempt, closePayload, encodeFrame } from './websocket.js';

export const ECHO_BINARY = path.resolve(
    process.env.WS_ECHO_BIN ?? path.join(path.dirname(BINARY), 'ws-echo'),
);
const SANITIZER_REPORT = /Sanitizer|runtime error:/;

class EchoServer {
    stderr = '';

    constructor(args) {
        // A room's messages go out together at the end of a turn, so a pong may overtake them.
        this.throughRoom = args.includes('--through-room');
        this.child = start(ECHO_BINARY, ['--port', '0', ...args], {
            stdio: ['ignore', 'ignore', 'pipe'],
        });
    }

    /** Only the end is kept, or all from a sanitizer's report on: each connection has its lines. */
    #read(text) {
        this.stderr += text;
        if (!SANITIZER_REPORT.test(this.stderr)) this.stderr = this.stderr.slice(-4000);
    }

    async listening() {
        const { child } = this;
        const port = new Promise((resolve, reject) => {
            child.stderr.setEncoding('utf8').on('data', (text) => {
                this.#read(text);
                const found = /"server:listening","metadata":\{"port":(\d+)/.exec(this.stderr);
                if (found) resolve(Number(found[1]));
            });
            child.ended.then((how) => {
                reject(new Error(`${ECHO_BINARY}: ${how.error ?? this.stderr}`));
            });
        });
        this.port = await within(port, 10000, `${ECHO_BINARY} to listen`);
        return this;
    }

    async stop() {
        this.child.kill('SIGTERM');
        const { code, signal } = await within(this.child.ended, 15000, 'end of ws-echo');
        assert.doesNotMatch(this.stderr, SANITIZER_REPORT);
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, this.stderr);
    }
}

export async function startEcho(...args) {
    return new EchoServer(args).listening();
}

// ---- frames

export const text = (payload, rest) => encodeFrame({ payload, ...rest });
export const binary = (payload, rest) => encodeFrame({ opcode: OP.BINARY, payload, ...rest });
export const ping = (payload, rest) => encodeFrame({ opcode: OP.PING, payload, ...rest });
export const pong = (payload, rest) => encodeFrame({ opcode: OP.PONG, payload, ...rest });
export const close = (code, reason, rest) =>
    encodeFrame({ opcode: OP.CLOSE, payload: closePayload(code, reason), ...rest });
/** A message's first frame, one in the middle, its last. */
export const first = (payload, rest) => text(payload, { fin: false, ...rest });
export const middle = (payload, rest) =>
    encodeFrame({ opcode: OP.CONTINUATION, fin: false, payload, ...rest });
export const last = (payload, rest) => encodeFrame({ opcode: OP.CONTINUATION, payload, ...rest });

/** One message in several frames. */
export const fragments = (payloads, { opcode = OP.TEXT, rsv1 = false } = {}) =>
    payloads.map((payload, i) =>
        encodeFrame({
            opcode: i === 0 ? opcode : OP.CONTINUATION,
            rsv1: rsv1 && i === 0,
            fin: i === payloads.length - 1,
            payload,
        }),
    );

/** Bytes in pieces of `size`. */
export function pieces(bytes, size) {
    const all = Buffer.from(bytes);
    return Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
        all.subarray(i * size, (i + 1) * size),
    );
}

// ---- what may come back

export const gotText = (payload = '') => ({ opcode: OP.TEXT, payload: Buffer.from(payload) });
export const gotBinary = (payload = '') => ({ opcode: OP.BINARY, payload: Buffer.from(payload) });
export const gotPong = (payload = '') => ({ opcode: OP.PONG, payload: Buffer.from(payload) });

const describeFrames = (frames) =>
    frames.map(({ opcode, payload }) => {
        const shown = payload.toString('latin1', 0, 40);
        return `${opcode}:${payload.length}:${JSON.stringify(shown)}`;
    });

/** Data messages and pongs in the order in which they came. */
function whatCame(client) {
    const messages = client.messages.drain();
    return client.frames.drain().flatMap(({ opcode, payload }) => {
        if (opcode === OP.PONG) return [{ opcode, payload }];
        if (opcode >= OP.CLOSE) return [];
        const message = messages.shift();
        return [{ opcode: message.opcode, payload: message.data }];
    });
}

const pongsLast = (frames) => [
    ...frames.filter(({ opcode }) => opcode !== OP.PONG),
    ...frames.filter(({ opcode }) => opcode === OP.PONG),
];

function assertCame(server, client, receive) {
    const order = server.throughRoom ? pongsLast : (frames) => frames;
    const came = order(whatCame(client));
    const expected = order(receive);
    assert.deepEqual(describeFrames(came), describeFrames(expected));
    came.forEach(({ payload }, i) => {
        assert.ok(payload.equals(expected[i].payload), `the bytes of answer ${i}`);
    });
}

const OCTETS_ONE_BY_ONE = 600;

/** Writes in pieces of `cut` bytes, each a segment; of much, only the start octet by octet. */
async function writeCut(connection, bytes, cut) {
    if (cut === 0) return void connection.write(bytes);
    const start = cut < 997 && bytes.length > OCTETS_ONE_BY_ONE ? 32 : bytes.length;
    const rest = bytes.subarray(start);
    for (const piece of [...pieces(bytes.subarray(0, start), cut), ...pieces(rest, 997)]) {
        if (connection.ended) return;
        connection.write(piece);
        await new Promise(setImmediate);
    }
}

/**
 * Plays one case on a connection of its own.
 *
 *   send      frames, joined and written at once, or in pieces of `cut` bytes
 *   receive   all data messages and pongs that must come, in this order (through a room, the
 *             messages in theirs and the pongs in theirs)
 *   close     the code that the server must close with; without one the connection must still be
 *             open behind all this, and our Close 1000 is answered
 *   closing   `send` has our Close, so none is sent as an answer
 *
 * In every case the server's Close must be the last that comes, and be followed by FIN, not RST.
 */
export async function play(server, { send, receive = [], close: code, closing, cut = 0 }, options) {
    const connection = await RawConnection.open(server.port);
    try {
        const autoClose = !closing;
        const { client } = await attempt(server, { path: '/', autoClose, ...options, connection });
        assert.ok(client, 'the upgrade must be answered with 101');
        await writeCut(connection, Buffer.concat([send].flat(Infinity)), cut);
        // Behind a Close of ours that is on its way already, everything must still come.
        if (code === undefined) client.sendClose(1000);
        const end = await client.waitClose(10000);
        assertCame(server, client, receive);
        assert.equal(end.code, code ?? 1000, `close code, reason "${end.reason}"`);
        assert.ok(Buffer.byteLength(end.reason) <= 123, 'length of the reason');
        assert.ok(end.clean && !end.reset, 'Close, then FIN and no RST');
        return client;
    } finally {
        connection.destroy();
    }
}
