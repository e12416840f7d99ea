// A WebSocket client of our own, because the tests must be able to break every rule: arbitrary
// handshakes and frames, bytes cut or joined anywhere, a peer that does not read, answer or close.
// What the server sends is held to RFC 6455 and RFC 7692 while it is read.

import { createHash, randomBytes } from 'node:crypto';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';

import { within } from './deadline.js';
import { RawConnection, requestText } from './http.js';
import { WaitQueue } from './queue.js';

export const OP = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

const ACCEPT_SALT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const SYNC_TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
const WINDOW = 32768;

/**
 * The bytes of one frame. All parts can be wrong on purpose: `lengthForm` 7, 16 or 64 forces how
 * the length is written, `length` what it says, `mask: false` leaves the mask out.
 */
export function encodeFrame({
    opcode = OP.TEXT,
    payload = '',
    fin = true,
    rsv1 = false,
    rsv2 = false,
    rsv3 = false,
    mask = true,
    maskKey = randomBytes(4),
    length,
    lengthForm,
} = {}) {
    const bytes = Buffer.from(payload);
    const says = BigInt(length ?? bytes.length);
    const form = lengthForm ?? (says < 126n ? 7 : says < 65536n ? 16 : 64);
    const head = Buffer.alloc(form === 7 ? 2 : form === 16 ? 4 : 10);
    head[0] = (fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | (rsv2 ? 0x20 : 0) | (rsv3 ? 0x10 : 0) | opcode;
    head[1] = (mask ? 0x80 : 0) | (form === 7 ? Number(says) : form === 16 ? 126 : 127);
    if (form === 16) head.writeUInt16BE(Number(says), 2);
    if (form === 64) head.writeBigUInt64BE(says, 2);
    if (!mask) return Buffer.concat([head, bytes]);
    const masked = Buffer.from(bytes);
    for (let i = 0; i < masked.length; i++) masked[i] ^= maskKey[i & 3];
    return Buffer.concat([head, maskKey, masked]);
}

/** The payload of a close frame. */
export function closePayload(code, reason = '') {
    if (code === undefined) return Buffer.alloc(0);
    const bytes = Buffer.from(reason);
    const payload = Buffer.alloc(2 + bytes.length);
    payload.writeUInt16BE(code, 0);
    bytes.copy(payload, 2);
    return payload;
}

/** Compresses one message as RFC 7692 7.2.1 says, with no memory of earlier ones. */
export function compress(payload, windowBits = 15) {
    const bytes = deflateRawSync(Buffer.from(payload), {
        finishFlush: constants.Z_SYNC_FLUSH,
        windowBits,
    });
    return bytes.subarray(0, -4);
}

/** "permessage-deflate; a; b=10" as {a: true, b: '10'}; null when it is not there. */
export function deflateParameters(header) {
    const [name, ...parameters] = (header ?? '').split(';').map((part) => part.trim());
    if (name.toLowerCase() !== 'permessage-deflate') return null;
    return Object.fromEntries(
        parameters.map((parameter) => {
            const [key, value] = parameter.split('=').map((part) => part.trim());
            return [key, value === undefined ? true : value.replace(/^"(.*)"$/, '$1')];
        }),
    );
}

/** What the server did wrong. */
export class ServerFault extends Error {}

/** The upgrade was refused; `response` is the HTTP answer. */
export class Refused extends Error {
    constructor(response) {
        super(`upgrade refused with ${response.status}: ${response.body.toString().slice(0, 300)}`);
        this.response = response;
    }
}

function checkHandshake(response, key) {
    const accept = createHash('sha1')
        .update(key + ACCEPT_SALT)
        .digest('base64');
    const { headers } = response;
    if (headers['sec-websocket-accept'] !== accept) throw new ServerFault('Sec-WebSocket-Accept');
    if (headers.upgrade?.toLowerCase() !== 'websocket') throw new ServerFault('Upgrade');
    if (!/(^|,)\s*upgrade\s*(,|$)/i.test(headers.connection ?? '')) {
        throw new ServerFault('Connection');
    }
}

/** Reads frames out of bytes that come in any pieces. */
class FrameReader {
    #buffer = Buffer.alloc(0);

    feed(chunk) {
        this.#buffer = this.#buffer.length ? Buffer.concat([this.#buffer, chunk]) : chunk;
    }

    next() {
        const bytes = this.#buffer;
        if (bytes.length < 2) return null;
        let length = bytes[1] & 0x7f;
        let at = 2;
        if (length === 126) {
            if (bytes.length < 4) return null;
            length = bytes.readUInt16BE(2);
            at = 4;
            if (length < 126) throw new ServerFault('length not in its shortest form');
        } else if (length === 127) {
            if (bytes.length < 10) return null;
            length = Number(bytes.readBigUInt64BE(2));
            at = 10;
            if (length < 65536) throw new ServerFault('length not in its shortest form');
        }
        if (bytes[1] & 0x80) throw new ServerFault('masked frame from the server');
        if (bytes.length < at + length) return null;
        this.#buffer = bytes.subarray(at + length);
        return {
            fin: (bytes[0] & 0x80) !== 0,
            rsv1: (bytes[0] & 0x40) !== 0,
            rsv: (bytes[0] & 0x30) !== 0,
            opcode: bytes[0] & 0x0f,
            payload: bytes.subarray(at, at + length),
        };
    }
}

export class WebSocketClient {
    /** Every frame as it came, control frames included. */
    frames = new WaitQueue();
    /** Whole data messages: {opcode, data, text, compressed}. */
    messages = new WaitQueue();
    pings = 0;
    #connection;
    #reader = new FrameReader();
    #parts = null;
    #inflateWindow = Buffer.alloc(0);
    #close = { code: 1006, reason: '', clean: false };
    #fault = null;
    #gotClose = false;
    #sentClose = false;
    #options;

    constructor(connection, response, options) {
        this.#connection = connection;
        this.#options = { autoPong: true, autoClose: true, ...options };
        this.response = response;
        this.protocol = response.headers['sec-websocket-protocol'];
        this.deflate = deflateParameters(response.headers['sec-websocket-extensions']);
        this.closed = this.#watchEnd();
        connection.takeOver((chunk) => this.#read(chunk));
    }

    // ---- receiving

    async #watchEnd() {
        const { reset } = await this.#connection.closed;
        this.#close.reset = reset;
        this.#close.clean = this.#gotClose && !reset && !this.#fault;
        // Nobody closes his side of the TCP connection for us.
        this.#connection.end();
        const { code, reason } = this.#close;
        const error = this.#fault ?? new Error(`connection closed (${code} ${reason})`);
        this.frames.end(error);
        this.messages.end(error);
        return this.#close;
    }

    #read(chunk) {
        if (this.#fault) return;
        try {
            this.#reader.feed(chunk);
            for (let frame = this.#reader.next(); frame; frame = this.#reader.next()) {
                this.#onFrame(frame);
            }
        } catch (error) {
            this.#fault = error;
            this.#connection.destroy();
        }
    }

    #onFrame(frame) {
        if (this.#gotClose) throw new ServerFault('frame after the close frame');
        if (frame.rsv) throw new ServerFault('reserved bits');
        if (frame.opcode >= 8) this.#onControl(frame);
        else this.#onData(frame);
        this.frames.push(frame);
    }

    #onControl(frame) {
        if (!frame.fin || frame.payload.length > 125 || frame.rsv1) {
            throw new ServerFault('malformed control frame');
        }
        if (frame.opcode === OP.PING) {
            this.pings += 1;
            if (this.#options.autoPong) this.sendFrame({ opcode: OP.PONG, payload: frame.payload });
        } else if (frame.opcode === OP.CLOSE) {
            this.#onClose(frame.payload);
        } else if (frame.opcode !== OP.PONG) {
            throw new ServerFault(`opcode ${frame.opcode}`);
        }
    }

    #onClose(payload) {
        if (payload.length === 1) throw new ServerFault('close frame with one byte');
        this.#gotClose = true;
        this.#close.code = payload.length ? payload.readUInt16BE(0) : 1005;
        this.#close.reason = decodeUtf8(payload.subarray(2));
        if (this.#options.autoClose && !this.#sentClose) {
            this.sendFrame({ opcode: OP.CLOSE, payload: payload.subarray(0, 2) });
            this.#sentClose = true;
        }
    }

    #onData(frame) {
        const first = frame.opcode !== OP.CONTINUATION;
        if (first === (this.#parts !== null)) throw new ServerFault('fragments out of order');
        if (frame.opcode > OP.BINARY) throw new ServerFault(`opcode ${frame.opcode}`);
        if (frame.rsv1 && !(first && this.deflate)) throw new ServerFault('RSV1');
        if (first) this.#parts = { opcode: frame.opcode, compressed: frame.rsv1, payloads: [] };
        this.#parts.payloads.push(frame.payload);
        if (!frame.fin) return;
        const { opcode, compressed, payloads } = this.#parts;
        this.#parts = null;
        const joined = Buffer.concat(payloads);
        const data = compressed ? this.#inflate(joined) : joined;
        const text = opcode === OP.TEXT ? decodeUtf8(data) : null;
        this.messages.push({ opcode, data, text, compressed });
    }

    #inflate(payload) {
        const keeps = !this.deflate.server_no_context_takeover;
        const dictionary = keeps && this.#inflateWindow.length ? this.#inflateWindow : undefined;
        const data = inflateRawSync(Buffer.concat([payload, SYNC_TAIL]), {
            finishFlush: constants.Z_SYNC_FLUSH,
            windowBits: Number(this.deflate.server_max_window_bits ?? 15),
            dictionary,
        });
        if (keeps)
            this.#inflateWindow = Buffer.concat([this.#inflateWindow, data]).subarray(-WINDOW);
        return data;
    }

    nextFrame(ms = 5000) {
        return this.frames.next(ms, 'a frame');
    }

    nextMessage(ms = 5000) {
        return this.messages.next(ms, 'a message');
    }

    /** The text of the next message, which must be one. */
    async nextText(ms) {
        const { opcode, text } = await this.nextMessage(ms);
        if (opcode !== OP.TEXT) throw new ServerFault(`message of opcode ${opcode}`);
        return text;
    }

    async nextJson(ms) {
        return JSON.parse(await this.nextText(ms));
    }

    /** How the connection ended: {code, reason, clean, reset}. */
    async waitClose(ms = 5000) {
        const result = await within(this.closed, ms, 'the server to close the connection');
        if (this.#fault) throw this.#fault;
        return result;
    }

    // ---- sending

    sendRaw(bytes) {
        this.#connection.write(bytes);
    }

    sendFrame(frame) {
        this.sendRaw(encodeFrame(frame));
    }

    sendText(text) {
        this.sendFrame({ opcode: OP.TEXT, payload: text });
    }

    sendJson(value) {
        this.sendText(JSON.stringify(value));
    }

    sendCompressed(text) {
        const windowBits = Number(this.deflate.client_max_window_bits ?? 15);
        this.sendFrame({ rsv1: true, payload: compress(text, windowBits) });
    }

    /** One message in several frames. */
    sendFragments(payloads, { opcode = OP.TEXT, rsv1 = false } = {}) {
        payloads.forEach((payload, i) => {
            this.sendFrame({
                opcode: i === 0 ? opcode : OP.CONTINUATION,
                rsv1: rsv1 && i === 0,
                fin: i === payloads.length - 1,
                payload,
            });
        });
    }

    sendClose(code, reason) {
        this.#sentClose = true;
        this.sendFrame({ opcode: OP.CLOSE, payload: closePayload(code, reason) });
    }

    /** The closing handshake from our side. */
    async close(code = 1000, reason = '') {
        this.sendClose(code, reason);
        return this.waitClose();
    }

    /** Answers pings and closes no more, or again. */
    setAnswering(answering) {
        Object.assign(this.#options, { autoPong: answering, autoClose: answering });
    }

    pause() {
        this.#connection.pause();
    }

    resume() {
        this.#connection.resume();
    }

    /** Ends the TCP connection with an RST. */
    reset() {
        this.#connection.reset();
    }

    /** Ends the TCP connection with a FIN and no close frame. */
    hangUp() {
        this.#connection.end();
        this.#connection.destroy();
    }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes) {
    try {
        return utf8.decode(bytes);
    } catch {
        throw new ServerFault('text that is not UTF-8');
    }
}

/** The bytes of an upgrade request; see `attempt` for the options. */
export function upgradeText(
    target,
    { path, room, key, method, version, protocol, deflate, headers } = {},
) {
    const where = path ?? (room === undefined ? '/ws' : `/ws/${encodeURIComponent(room)}`);
    const defaults = {
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Key': key ?? randomBytes(16).toString('base64'),
        'Sec-WebSocket-Version': '13',
    };
    if (protocol) defaults['Sec-WebSocket-Protocol'] = protocol;
    if (deflate) {
        defaults['Sec-WebSocket-Extensions'] = deflate === true ? 'permessage-deflate' : deflate;
    }
    return requestText(target, where, { method, version, headers, defaults });
}

/**
 * Asks for an upgrade and returns the answer; after a 101 its `client` is the open connection.
 * Options: room or path, headers, protocol, deflate (true or the offer's text), key, method,
 * version, behind (bytes sent in one write with the request), autoPong, autoClose, connection (an
 * open one to use), ms.
 */
export async function attempt(target, options = {}) {
    const key = options.key ?? randomBytes(16).toString('base64');
    const connection = options.connection ?? (await RawConnection.open(target));
    const text = upgradeText(target, { ...options, key });
    connection.write(
        Buffer.concat([Buffer.from(text, 'latin1'), Buffer.from(options.behind ?? '')]),
    );
    const { method, ms } = options;
    const response = await connection.readResponse({ method, ms }).catch((error) => {
        if (!options.connection) connection.destroy();
        throw error;
    });
    if (response.status === 101) {
        checkHandshake(response, key);
        response.client = new WebSocketClient(connection, response, options);
    } else if (!options.connection) {
        connection.destroy();
    }
    return response;
}

/** An open client, or the error Refused. */
export async function connect(target, options) {
    const response = await attempt(target, options);
    if (!response.client) throw new Refused(response);
    return response.client;
}
