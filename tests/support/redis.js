// A real Redis of the tests' own, a small client that sees what the pods write, and a TCP proxy
// that can cut the way between the two without touching Redis.

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { start } from './children.js';
import { eventually, within } from './deadline.js';
import { WaitQueue } from './queue.js';

const SERVER = process.env.REDIS_SERVER_BIN ?? 'redis-server';
const FIRST_PORT = 10240;

const folders = new Set();

process.on('exit', () => {
    for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});

function makeScratchFolder() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chat-e2e-'));
    folders.add(folder);
    return folder;
}

function removeScratchFolder(folder) {
    fs.rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
}

/** The first port that the kernel may give to any connection, as long as nobody says otherwise. */
function firstEphemeralPort() {
    try {
        const range = fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
        return Number(range.split('\t')[0]);
    } catch {
        return 32768;
    }
}

/**
 * A port for a server that comes later, or comes again. One of those that the kernel gives to
 * connections would be taken meanwhile, now and then, even by who tries to reach that very server.
 */
export async function freePort() {
    const first = firstEphemeralPort();
    for (let attempt = 1; ; attempt++) {
        const server = net.createServer();
        const wanted = first - FIRST_PORT > 1000 ? randomInt(FIRST_PORT, first) : 0;
        try {
            server.listen(wanted, '127.0.0.1');
            await once(server, 'listening');
            const { port } = server.address();
            server.close();
            await once(server, 'close');
            return port;
        } catch (error) {
            if (attempt === 100) throw error;
        }
    }
}

/** Takes whole RESP2 replies out of a growing buffer. */
class ReplyReader {
    #buffer = Buffer.alloc(0);

    feed(chunk) {
        this.#buffer = Buffer.concat([this.#buffer, chunk]);
    }

    /** The next whole reply as {value}, or null. */
    next() {
        const reply = this.#parse(0);
        if (reply) this.#buffer = this.#buffer.subarray(reply.end);
        return reply;
    }

    #parse(at) {
        const lineEnd = this.#buffer.indexOf('\r\n', at);
        if (lineEnd < 0) return null;
        const line = this.#buffer.toString('utf8', at + 1, lineEnd);
        const end = lineEnd + 2;
        switch (String.fromCharCode(this.#buffer[at])) {
            case '+':
                return { value: line, end };
            case '-':
                return { value: new Error(line), end };
            case ':':
                return { value: Number(line), end };
            case '$':
                return this.#parseBulk(end, Number(line));
            case '*':
                return this.#parseArray(end, Number(line));
            default:
                throw new Error(`not a RESP reply: ${line}`);
        }
    }

    #parseBulk(at, length) {
        if (length < 0) return { value: null, end: at };
        if (this.#buffer.length < at + length + 2) return null;
        return { value: this.#buffer.toString('utf8', at, at + length), end: at + length + 2 };
    }

    #parseArray(at, count) {
        const value = [];
        let end = at;
        for (let i = 0; i < count; i++) {
            const item = this.#parse(end);
            if (!item) return null;
            value.push(item.value);
            end = item.end;
        }
        return { value, end };
    }
}

export class RedisClient {
    /** `target`: {port} and, if needed, {password}. */
    static async open({ port, password }) {
        const socket = net.connect({ host: '127.0.0.1', port });
        await within(once(socket, 'connect'), 5000, 'connection to Redis');
        const client = new RedisClient(socket);
        if (password) await client.command('AUTH', password);
        return client;
    }

    /** What arrives on subscribed channels: {channel, payload}. */
    messages = new WaitQueue();
    #replies = new WaitQueue();
    #reader = new ReplyReader();

    constructor(socket) {
        this.socket = socket;
        socket.on('data', (chunk) => {
            this.#reader.feed(chunk);
            for (let reply = this.#reader.next(); reply; reply = this.#reader.next()) {
                this.#sort(reply.value);
            }
        });
        socket.on('error', () => {});
        socket.on('close', () => {
            const error = new Error('Redis closed the connection');
            this.#replies.end(error);
            this.messages.end(error);
        });
    }

    #sort(value) {
        if (Array.isArray(value) && value[0] === 'message') {
            this.messages.push({ channel: value[1], payload: value[2] });
        } else if (Array.isArray(value) && value[0] === 'pmessage') {
            this.messages.push({ channel: value[2], payload: value[3] });
        } else {
            this.#replies.push(value);
        }
    }

    async command(...words) {
        const parts = [Buffer.from(`*${words.length}\r\n`)];
        for (const word of words) {
            const bytes = Buffer.isBuffer(word) ? word : Buffer.from(String(word));
            parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
        }
        this.socket.write(Buffer.concat(parts));
        const reply = await this.#replies.next(5000, `Redis' reply to ${words[0]}`);
        if (reply instanceof Error) throw reply;
        return reply;
    }

    /** Publishes; an object goes as JSON. Returns how many subscribers got it. */
    publish(channel, payload) {
        const plain = typeof payload === 'string' || Buffer.isBuffer(payload);
        return this.command('PUBLISH', channel, plain ? payload : JSON.stringify(payload));
    }

    subscribe(channel) {
        return this.command('SUBSCRIBE', channel);
    }

    psubscribe(pattern) {
        return this.command('PSUBSCRIBE', pattern);
    }

    /** How many connections are subscribed to the channel. */
    async subscribers(channel) {
        return (await this.command('PUBSUB', 'NUMSUB', channel))[1];
    }

    nextMessage(ms = 5000) {
        return this.messages.next(ms, 'a message from Redis');
    }

    close() {
        this.socket.destroy();
    }
}

class RedisServer {
    #clients = [];
    #paused = false;

    constructor(options) {
        Object.assign(this, options);
        this.folder = makeScratchFolder();
        this.socketPath = path.join(this.folder, 'redis.sock');
    }

    get url() {
        const credentials = this.password ? `:${encodeURIComponent(this.password)}@` : '';
        return `redis://${credentials}127.0.0.1:${this.port}`;
    }

    async launch() {
        const args = ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.folder];
        args.push('--save', '', '--appendonly', 'no', '--unixsocket', this.socketPath);
        if (this.password) args.push('--requirepass', this.password);
        this.child = start(SERVER, [...args.map(String), ...this.args], {
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        let output = '';
        for (const stream of [this.child.stdout, this.child.stderr]) {
            stream.on('data', (chunk) => {
                output += chunk;
            });
        }
        let ended = null;
        this.child.ended.then((end) => {
            ended = end;
        });
        await eventually(
            'Redis to answer',
            async () => {
                if (ended) return true;
                const client = await RedisClient.open(this);
                const pong = await client.command('PING');
                client.close();
                return pong === 'PONG';
            },
            10000,
        );
        if (ended) {
            throw new Error(`redis-server did not start: ${ended.error?.message ?? output}`);
        }
    }

    /** A client of this server; closed with it. */
    async client() {
        const client = await RedisClient.open(this);
        this.#clients.push(client);
        return client;
    }

    /** Freezes the process: connections stay, nothing is answered. */
    pause() {
        this.#paused = true;
        this.child.kill('SIGSTOP');
    }

    resume() {
        this.#paused = false;
        this.child.kill('SIGCONT');
    }

    async kill() {
        this.child.kill('SIGKILL');
        await within(this.child.ended, 5000, 'end of redis-server');
    }

    /** A new process on the same port. */
    async restart() {
        if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
        await this.launch();
    }

    async stop() {
        if (this.#paused) this.resume();
        for (const client of this.#clients) client.close();
        await this.kill();
        removeScratchFolder(this.folder);
    }
}

/** Starts a Redis on a free port (or the given one) that keeps nothing. */
export async function startRedis({ port, password, args = [] } = {}) {
    for (let attempt = 1; ; attempt++) {
        const server = new RedisServer({ port: port ?? (await freePort()), password, args });
        try {
            await server.launch();
            return server;
        } catch (error) {
            await server.stop();
            // Between the look and the start somebody else may have taken the port.
            if (port !== undefined || attempt === 5) throw error;
        }
    }
}

/** The same for one test; stopped when the test is over. */
export async function redisFor(test, options) {
    const redis = await startRedis(options);
    test.after(() => redis.stop());
    return redis;
}

function passLate(from, to, lateMs) {
    from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), lateMs));
}

/**
 * A proxy in front of a Redis: `cut` ends all its connections and turns new ones away until
 * `restore`. Redis itself lives on, so other subscribers see what is published at the return. What is
 * said to Redis is under way for `lateMs`.
 */
export async function startProxy(target, { lateMs = 0 } = {}) {
    const pairs = new Set();
    let open = true;
    const server = net.createServer((near) => {
        if (!open) {
            near.destroy();
            return;
        }
        const far = net.connect({ host: '127.0.0.1', port: target.port });
        const pair = [near, far];
        pairs.add(pair);
        for (const [from, to] of [pair, [far, near]]) {
            from.setNoDelay(true);
            if (from === near && lateMs > 0) passLate(from, to, lateMs);
            else from.pipe(to);
            from.on('error', () => {});
            from.on('close', () => {
                to.destroy();
                pairs.delete(pair);
            });
        }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endAll = () => {
        for (const pair of pairs) for (const socket of pair) socket.destroy();
    };
    const { port } = server.address();
    return {
        port,
        url: `redis://127.0.0.1:${port}`,
        cut() {
            open = false;
            endAll();
        },
        restore() {
            open = true;
        },
        stop() {
            endAll();
            server.close();
        },
    };
}
