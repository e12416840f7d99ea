// A raw HTTP/1.x client: the request is whatever bytes a test wants to send, one connection may
// carry several, and what follows an answer (WebSocket frames) stays readable.

import { once } from 'node:events';
import net from 'node:net';
import { gunzipSync, inflateSync } from 'node:zlib';

import { within } from './deadline.js';

/** One answer: status, reason, version, headers (lower-case names, repeats joined), body. */
export class Response {
    constructor(head) {
        const [statusLine, ...lines] = head.split('\r\n');
        const match = /^(HTTP\/1\.[01]) (\d{3})(?: (.*))?$/.exec(statusLine);
        if (!match) throw new Error(`not an HTTP status line: ${JSON.stringify(statusLine)}`);
        this.version = match[1];
        this.status = Number(match[2]);
        this.reason = match[3] ?? '';
        this.headers = {};
        for (const line of lines) {
            const at = line.indexOf(':');
            if (at <= 0) throw new Error(`not an HTTP header line: ${JSON.stringify(line)}`);
            const name = line.slice(0, at).toLowerCase();
            const value = line.slice(at + 1).trim();
            this.headers[name] = name in this.headers ? `${this.headers[name]}, ${value}` : value;
        }
        this.body = Buffer.alloc(0);
    }

    /** The body as text, its content coding undone. */
    get text() {
        const coding = this.headers['content-encoding'] ?? 'identity';
        if (coding === 'gzip') return gunzipSync(this.body).toString('utf8');
        if (coding === 'deflate') return inflateSync(this.body).toString('utf8');
        if (coding !== 'identity') throw new Error(`unexpected content coding ${coding}`);
        return this.body.toString('utf8');
    }

    get json() {
        return JSON.parse(this.text);
    }
}

export class RawConnection {
    /** Opens a TCP connection; with `paused`, nothing is read until `resume`. */
    static async open(target, { paused = false } = {}) {
        const port = typeof target === 'number' ? target : target.port;
        // Half-open stays possible: some tests play a peer that never closes its side.
        const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
        socket.setNoDelay(true);
        await within(once(socket, 'connect'), 5000, 'TCP connection');
        return new RawConnection(socket, paused);
    }

    #chunks = [];
    #sink = null;
    #wake = () => {};

    constructor(socket, paused) {
        this.socket = socket;
        this.ended = false; // the peer sent FIN
        this.wasReset = false;
        this.closed = new Promise((resolve) => {
            socket.on('end', () => {
                this.ended = true;
                this.#wake();
                resolve({ reset: false });
            });
            socket.on('error', (error) => {
                this.wasReset ||= error.code === 'ECONNRESET' || error.code === 'EPIPE';
            });
            socket.on('close', () => {
                this.ended = true;
                this.#wake();
                resolve({ reset: this.wasReset });
            });
        });
        socket.on('data', (chunk) => {
            if (this.#sink) this.#sink(chunk);
            else this.#chunks.push(chunk);
            this.#wake();
        });
        if (paused) socket.pause();
    }

    write(bytes) {
        this.socket.write(bytes);
    }

    pause() {
        this.socket.pause();
    }

    resume() {
        this.socket.resume();
    }

    /** Our FIN; the peer's bytes are still read. */
    end() {
        this.socket.end();
    }

    destroy() {
        this.socket.destroy();
    }

    /** An RST instead of a goodbye, as from a phone that lost its network. */
    reset() {
        // Node would wait for its own FIN first, which never ends after the peer's.
        if (this.ended) this.socket.destroy();
        else this.socket.resetAndDestroy();
    }

    /** From now on `sink` gets the bytes, beginning with those not read yet. */
    takeOver(sink) {
        const rest = Buffer.concat(this.#chunks.splice(0));
        this.#sink = sink;
        if (rest.length > 0) sink(rest);
    }

    async waitClosed(ms = 5000) {
        return within(this.closed, ms, 'the peer to close the TCP connection');
    }

    /** The next answer. `method` matters because an answer to HEAD has no body. */
    async readResponse({ method = 'GET', ms = 5000 } = {}) {
        const reading = this.#readResponse(method);
        return within(reading, ms, () => {
            const seen = Buffer.concat(this.#chunks).toString('latin1').slice(0, 300);
            return `an HTTP answer; so far: ${JSON.stringify(seen)}`;
        });
    }

    async #readResponse(method) {
        const head = await this.#readThrough('\r\n\r\n');
        const response = new Response(head.subarray(0, -4).toString('latin1'));
        const length = response.headers['content-length'];
        if (method === 'HEAD' || response.status < 200 || [204, 304].includes(response.status)) {
            return response;
        }
        if (/\bchunked\b/i.test(response.headers['transfer-encoding'] ?? '')) {
            response.body = await this.#readChunked();
        } else if (length !== undefined) {
            response.body = await this.#readExactly(Number(length));
        } else {
            while (!this.ended) await this.#more();
            response.body = Buffer.concat(this.#chunks.splice(0));
        }
        return response;
    }

    async #readChunked() {
        const parts = [];
        for (;;) {
            const size = parseInt((await this.#readThrough('\r\n')).toString('latin1'), 16);
            parts.push(await this.#readExactly(size));
            await this.#readThrough('\r\n');
            if (size === 0) return Buffer.concat(parts);
        }
    }

    #more() {
        return new Promise((resolve) => {
            this.#wake = resolve;
        });
    }

    async #take(howMany) {
        for (;;) {
            const all = Buffer.concat(this.#chunks.splice(0));
            const length = howMany(all);
            if (length >= 0 && all.length >= length) {
                if (all.length > length) this.#chunks.unshift(all.subarray(length));
                return all.subarray(0, length);
            }
            if (all.length > 0) this.#chunks.unshift(all);
            if (this.ended) {
                const seen = JSON.stringify(all.toString('latin1').slice(0, 300));
                throw new Error(`connection closed before a whole answer came; so far: ${seen}`);
            }
            await this.#more();
        }
    }

    #readThrough(marker) {
        return this.#take((all) => {
            const at = all.indexOf(marker);
            return at < 0 ? -1 : at + marker.length;
        });
    }

    #readExactly(length) {
        return this.#take(() => length);
    }
}

/**
 * The text of a request. `headers` override the defaults whatever their case; null leaves one out,
 * an array repeats the line.
 */
export function requestText(
    target,
    path,
    { method = 'GET', version = 'HTTP/1.1', headers = {}, defaults = {} } = {},
) {
    const fields = new Map();
    for (const [name, value] of [
        ['Host', `127.0.0.1:${target.port}`],
        ...Object.entries(defaults),
        ...Object.entries(headers),
    ]) {
        fields.set(name.toLowerCase(), [name, value]);
    }
    let text = `${method} ${path} ${version}\r\n`;
    for (const [name, value] of fields.values()) {
        for (const one of value === null ? [] : [value].flat()) text += `${name}: ${one}\r\n`;
    }
    return `${text}\r\n`;
}

/** One request on a connection of its own. */
export async function request(target, path, options = {}) {
    const { method = 'GET', body = '', headers = {} } = options;
    const connection = await RawConnection.open(target);
    try {
        const defaults = { Connection: 'close' };
        if (body.length > 0) defaults['Content-Length'] = Buffer.byteLength(body);
        connection.write(requestText(target, path, { ...options, headers, defaults }) + body);
        return await connection.readResponse({ method, ms: options.ms });
    } finally {
        connection.destroy();
    }
}

/** Any bytes on a connection of its own; what comes back until the peer closes, as latin1 text. */
export async function exchange(target, bytes, { ms = 5000 } = {}) {
    const connection = await RawConnection.open(target);
    let seen = '';
    connection.takeOver((chunk) => {
        seen += chunk.toString('latin1');
    });
    try {
        connection.write(bytes);
        await connection.waitClosed(ms);
        return seen;
    } finally {
        connection.destroy();
    }
}
