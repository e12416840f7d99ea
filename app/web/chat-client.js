/**
 * A client of chat-api: one WebSocket that comes back by itself.
 *
 *     import { ChatClient } from './chat-client.js';
 *
 *     const client = new ChatClient({ room: 'lobby' });
 *     client.addEventListener('message', ({ detail }) => console.log(detail.from, detail.data));
 *     client.connect();
 *     client.send({ data: { text: 'hi' } });
 *
 * Events, each with its value in `detail`:
 *
 *     state    { state, code, reason, retryInMs }; the state is one of
 *              closed      not started yet, or ended by close()
 *              connecting  the handshake is under way
 *              open        messages go both ways
 *              waiting     lost; the next try is in `retryInMs`
 *              stopped     the server said not to come back (close code 4500 to 4999)
 *     sent     { id }: a message that waited for the connection went out
 *     message  an envelope of type chat, presence, notification or system
 *     error    an error envelope: what it is about is in `detail.data`, which message in
 *              `detail.data.data.id`
 *
 * With `events: true` it speaks chat.events.v1: the first message of every connection is `hello`,
 * and request() sends a message and promises the reply. Several rooms on one connection:
 *
 *     const { members, presence } = await client.request({ event: 'room:join', room: 'tea' });
 *
 * It runs in browsers, and wherever else WebSocket, EventTarget and CustomEvent exist.
 */

const BASE_PATH = '/api/chat-api/ws';
const ROOM_MAX_BYTES = 128;
const SOCKET_OPEN = 1;
const EVENTS_PROTOCOL = 'chat.events.v1';

// Names that a path cannot carry: URL parsers resolve the dots, and `stats` is another route.
const QUERY_ONLY_ROOMS = new Set(['.', '..', 'stats']);

const DEFAULTS = {
    backoffMs: 500,
    backoffMaxMs: 30_000,
    // A connection that lasted this long was good: the backoff begins anew after it.
    stableMs: 10_000,
    connectTimeoutMs: 15_000,
    queueMax: 50,
    bufferedMaxBytes: 1 << 20,
    replyTimeoutMs: 10_000,
};

/** What stands against `room` as a room's name, as a sentence; null when nothing does. */
export function roomProblem(room) {
    if (room === '') {
        return 'A room needs a name.';
    }
    if (room.includes('/')) {
        return 'A room\u2019s name has no slash.';
    }
    if (/[\p{Cc}\p{Cs}]/u.test(room)) {
        return 'A room\u2019s name has no control characters.';
    }
    if (new TextEncoder().encode(room).length > ROOM_MAX_BYTES) {
        return `A room\u2019s name has at most ${ROOM_MAX_BYTES} bytes.`;
    }
    return null;
}

/** The WebSocket URL of a room on the server that served `base`; without a room, of none. */
export function roomUrl(room, base = globalThis.location.href) {
    const url = new URL(BASE_PATH, base);
    url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
    if (QUERY_ONLY_ROOMS.has(room)) {
        url.searchParams.set('room', room);
    } else if (room) {
        url.pathname += `/${encodeURIComponent(room)}`;
    }
    return url.href;
}

/** A random UUID, also on pages without TLS, where crypto.randomUUID is missing. */
export function uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * A message that send() could not take, or a request that failed; `code` is NOT_CONNECTED,
 * QUEUE_FULL, NO_REPLY, or what the server said (`data` is then what else it said).
 */
export class SendError extends Error {
    constructor(code, message, data) {
        super(message);
        this.name = 'SendError';
        this.code = code;
        this.data = data;
    }
}

function isStopCode(code) {
    return code >= 4500 && code <= 4999;
}

function isErrorEnvelope(envelope) {
    return envelope.type === 'system' && envelope.event === 'error';
}

function parseEnvelope(text) {
    try {
        const value = JSON.parse(text);
        return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : null;
    } catch {
        return null;
    }
}

export class ChatClient extends EventTarget {
    #options;
    #url;
    #state = 'closed';
    #socket = null;
    #timer = null;
    #queue = [];
    #attempt = 0;
    #openedAt = null;
    #requests = new Map(); // ref -> { resolve, reject, timer }

    /**
     * @param {object} options `room`, or a whole `url` (a function is asked at every try); `events`
     *        and `token` (a JWT, or a function that gives one) as above; and any of DEFAULTS. `random`
     *        stands in for Math.random.
     */
    constructor({ room, url = roomUrl(room), random = Math.random, ...options } = {}) {
        super();
        this.#url = typeof url === 'function' ? url : () => url;
        this.#options = { ...DEFAULTS, random, ...options };
    }

    get state() {
        return this.#state;
    }

    /** Connects; while waiting for the next try, tries at once. */
    connect() {
        if (this.#socket === null) {
            this.#open();
        }
    }

    /** Ends the connection for good; messages that still wait are dropped. */
    close() {
        const socket = this.#socket;
        this.#socket = null;
        clearTimeout(this.#timer);
        this.#queue = [];
        this.#attempt = 0;
        socket?.close(1000);
        this.#failRequests();
        this.#enter('closed');
    }

    /**
     * Sends a message and returns its id. While the connection is away, the message waits in a
     * bounded queue. `room` left out is the client's own room, null is everyone.
     * @throws {SendError} when it can neither go out nor wait
     */
    send({ id = uuid(), type, event, room, ref, data = {} } = {}) {
        const text = JSON.stringify({ id, type, event, room, ref, data });
        if (this.#state === 'closed' || this.#state === 'stopped') {
            throw new SendError('NOT_CONNECTED', 'There is no connection.');
        }
        if (this.#socket?.readyState === SOCKET_OPEN) {
            if (this.#socket.bufferedAmount > this.#options.bufferedMaxBytes) {
                throw new SendError('QUEUE_FULL', 'The connection is too slow for more.');
            }
            this.#socket.send(text);
            return id;
        }
        if (this.#queue.length >= this.#options.queueMax) {
            throw new SendError('QUEUE_FULL', 'Too many messages wait for the connection.');
        }
        this.#queue.push({ id, text });
        return id;
    }

    /**
     * Sends a message and promises what the server replies to it; rejects with a SendError when the
     * server refuses it, when the connection is away, and when no reply comes in time.
     */
    request(message) {
        return new Promise((resolve, reject) => {
            if (this.#state !== 'open') {
                reject(new SendError('NOT_CONNECTED', 'There is no connection.'));
                return;
            }
            const ref = uuid();
            this.send({ ...message, ref });
            const timer = setTimeout(() => {
                this.#requests.delete(ref);
                reject(new SendError('NO_REPLY', 'The server did not answer in time.'));
            }, this.#options.replyTimeoutMs);
            this.#requests.set(ref, { resolve, reject, timer });
        });
    }

    /** True while the message of this id waits for the connection. */
    isQueued(id) {
        return this.#queue.some((item) => item.id === id);
    }

    #open() {
        clearTimeout(this.#timer);
        const socket = new WebSocket(this.#url(), this.#protocols());
        this.#socket = socket;
        this.#openedAt = null;
        this.#timer = setTimeout(() => socket.close(), this.#options.connectTimeoutMs);
        this.#enter('connecting');

        // A socket that close() let go still reports; nobody asks it any more.
        const whileCurrent = (handler) => (event) => {
            if (this.#socket === socket) {
                handler(event);
            }
        };
        socket.addEventListener('open', whileCurrent(() => this.#opened()));
        socket.addEventListener('message', whileCurrent((event) => this.#received(event.data)));
        socket.addEventListener('close', whileCurrent((event) => this.#lost(event)));
    }

    // The token travels beside the protocol that is asked for; the server never repeats it.
    #protocols() {
        const { events, token: given } = this.#options;
        const token = typeof given === 'function' ? given() : given;
        return events ? [EVENTS_PROTOCOL, ...(token ? [`bearer.${token}`] : [])] : [];
    }

    #opened() {
        clearTimeout(this.#timer);
        this.#openedAt = performance.now();
        const socket = this.#socket;
        this.#enter('open');
        for (const { id, text } of this.#queue.splice(0)) {
            socket.send(text);
            this.#emit('sent', { id });
        }
    }

    #received(text) {
        const envelope = typeof text === 'string' ? parseEnvelope(text) : null;
        if (envelope === null) {
            return; // Not an envelope: nothing that this client could hand on.
        }
        const isError = isErrorEnvelope(envelope);
        if (!this.#answered(envelope, isError)) {
            this.#emit(isError ? 'error' : 'message', envelope);
        }
    }

    // Whether the envelope is the answer to a request.
    #answered({ event, data }, isError) {
        const ref = isError ? data?.data?.ref : data?.ref;
        const request = isError || event === 'reply' ? this.#requests.get(ref) : undefined;
        if (request === undefined) {
            return false;
        }
        this.#requests.delete(ref);
        clearTimeout(request.timer);
        if (isError) {
            request.reject(new SendError(data.code, data.message, data.data));
        } else {
            request.resolve(data);
        }
        return true;
    }

    #failRequests() {
        for (const { reject, timer } of this.#requests.values()) {
            clearTimeout(timer);
            reject(new SendError('NOT_CONNECTED', 'The connection was lost.'));
        }
        this.#requests.clear();
    }

    #lost({ code, reason }) {
        clearTimeout(this.#timer);
        this.#socket = null;
        this.#failRequests();
        if (isStopCode(code)) {
            this.#queue = [];
            this.#enter('stopped', { code, reason });
            return;
        }
        if (this.#openedAt !== null && performance.now() - this.#openedAt >= this.#options.stableMs) {
            this.#attempt = 0;
        }
        const retryInMs = this.#nextDelayMs();
        this.#timer = setTimeout(() => this.#open(), retryInMs);
        this.#enter('waiting', { code, reason, retryInMs });
    }

    // Full jitter: clients that lost the same server must not come back in the same moment.
    #nextDelayMs() {
        const { backoffMs, backoffMaxMs, random } = this.#options;
        const ceiling = Math.min(backoffMaxMs, backoffMs * 2 ** this.#attempt);
        this.#attempt += 1;
        return random() * ceiling;
    }

    #enter(state, detail = {}) {
        this.#state = state;
        this.#emit('state', { state, ...detail });
    }

    #emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}
