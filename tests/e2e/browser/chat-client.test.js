// The JavaScript client by itself: a scripted socket, a clock that is turned by hand.

import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';

const SOURCE = new URL('../../../app/web/chat-client.js', import.meta.url);
const BASE = 'http://chat.example/';

// What browsers have and Node 18 lacks.
globalThis.crypto ??= webcrypto;
globalThis.CustomEvent ??= class extends Event {
    constructor(type, { detail }) {
        super(type);
        this.detail = detail;
    }
};

// The page's folder has no package.json that would tell Node that its files are modules.
const { ChatClient, SendError, roomProblem, roomUrl, uuid } = await import(
    `data:text/javascript,${encodeURIComponent(fs.readFileSync(SOURCE, 'utf8'))}`
);

/** Stands in for the timers; time goes by in `tick` alone. */
class Clock {
    now = 0;
    #timers = new Map();
    #last = 0;

    setTimeout = (callback, ms) => {
        this.#last += 1;
        this.#timers.set(this.#last, { callback, at: this.now + ms });
        return this.#last;
    };

    clearTimeout = (id) => this.#timers.delete(id);

    tick(ms) {
        this.now += ms;
        for (const [id, { callback, at }] of this.#timers) {
            if (at <= this.now) {
                this.#timers.delete(id);
                callback();
            }
        }
    }
}

class ScriptedSocket extends EventTarget {
    static made = [];
    readyState = 0;
    bufferedAmount = 0;
    sent = [];

    constructor(url) {
        super();
        this.url = url;
        ScriptedSocket.made.push(this);
    }

    send(text) {
        this.sent.push(JSON.parse(text));
    }

    open() {
        this.readyState = 1;
        this.dispatchEvent(new Event('open'));
    }

    receive(value) {
        const data = typeof value === 'string' ? value : JSON.stringify(value);
        this.dispatchEvent(Object.assign(new Event('message'), { data }));
    }

    close(code = 1006, reason = '') {
        this.readyState = 3;
        this.dispatchEvent(Object.assign(new Event('close'), { code, reason }));
    }
}

describe('chat-client.js', () => {
    const { setTimeout, clearTimeout, WebSocket } = globalThis;
    let clock;
    beforeEach(() => {
        clock = new Clock();
        ScriptedSocket.made = [];
        Object.assign(globalThis, {
            WebSocket: ScriptedSocket, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout,
        });
    });
    afterEach(() => Object.assign(globalThis, { WebSocket, setTimeout, clearTimeout }));

    const lastSocket = () => ScriptedSocket.made.at(-1);

    function started(options) {
        const client = new ChatClient({ url: 'ws://chat.example/ws', random: () => 1, ...options });
        const events = [];
        for (const type of ['state', 'sent', 'message', 'error']) {
            client.addEventListener(type, ({ detail }) => events.push([type, detail]));
        }
        client.connect();
        return { client, events };
    }

    describe('reconnecting', () => {
        it('waits at random below a ceiling that doubles up to its limit', () => {
            const { events } = started({ backoffMs: 100, backoffMaxMs: 500, random: () => 0.5 });
            const delays = [];
            for (let i = 0; i < 5; i++) {
                lastSocket().close(1006);
                const { state, retryInMs } = events.at(-1)[1];
                assert.equal(state, 'waiting');
                delays.push(retryInMs);
                clock.tick(retryInMs - 1);
                assert.equal(ScriptedSocket.made.length, i + 1, 'not before its time');
                clock.tick(1);
                assert.equal(ScriptedSocket.made.length, i + 2);
            }
            assert.deepEqual(delays, [50, 100, 200, 250, 250]);
        });

        it('begins anew after a connection that lasted, and not after one that did not', () => {
            for (const [stableMs, second] of [[0, 100], [3_600_000, 200]]) {
                const { client, events } = started({ backoffMs: 100, stableMs });
                lastSocket().close();
                clock.tick(100);
                lastSocket().open();
                lastSocket().close();
                assert.equal(events.at(-1)[1].retryInMs, second);
                client.close();
            }
        });

        for (const code of [1000, 1001, 1005, 1006, 1009, 1011, 4000, 4002, 4003, 4004, 4005, 4499]) {
            it(`comes back after ${code}`, () => {
                const { client } = started();
                lastSocket().open();
                lastSocket().close(code);
                assert.equal(client.state, 'waiting');
                clock.tick(30_000);
                assert.equal(ScriptedSocket.made.length, 2);
            });
        }

        for (const code of [4500, 4501, 4999]) {
            it(`stops after ${code}, until connect() is called`, () => {
                const { client, events } = started();
                lastSocket().open();
                lastSocket().close(code, 'why');
                assert.deepEqual(events.at(-1), ['state', { state: 'stopped', code, reason: 'why' }]);
                clock.tick(3_600_000);
                assert.equal(ScriptedSocket.made.length, 1);
                assert.throws(() => client.send({}), { code: 'NOT_CONNECTED' });
                client.connect();
                assert.equal(ScriptedSocket.made.length, 2);
            });
        }

        it('gives a handshake up that takes too long', () => {
            const { client } = started({ connectTimeoutMs: 1000 });
            clock.tick(1000);
            assert.equal(client.state, 'waiting');
        });

        it('does not wait any longer when connect() is called', () => {
            const { client } = started();
            lastSocket().close();
            client.connect();
            client.connect();
            assert.equal(ScriptedSocket.made.length, 2);
            clock.tick(10_000);
            assert.equal(ScriptedSocket.made.length, 2, 'the timer must be off');
        });

        it('is over for good after close()', () => {
            const { client, events } = started();
            const socket = lastSocket();
            socket.open();
            client.close();
            assert.deepEqual(events.at(-1), ['state', { state: 'closed' }]);
            socket.receive({ type: 'chat' });
            clock.tick(3_600_000);
            assert.equal(events.at(-1)[0], 'state', 'nothing comes afterwards');
            assert.equal(ScriptedSocket.made.length, 1);
        });
    });

    describe('sending', () => {
        it('returns the id that is in the envelope, and leaves out what is not given', () => {
            const { client } = started();
            lastSocket().open();
            const id = client.send({ data: { text: 'hi' } });
            client.send({ id, room: null, type: 'notification', event: 'a:b', data: 1 });
            assert.deepEqual(lastSocket().sent, [
                { id, data: { text: 'hi' } },
                { id, type: 'notification', event: 'a:b', room: null, data: 1 },
            ]);
        });

        it('keeps messages for the connection, in order, and tells when they go', () => {
            const { client, events } = started();
            const ids = [client.send({ data: 1 }), client.send({ data: 2 })];
            assert.ok(ids.every((id) => client.isQueued(id)));
            lastSocket().open();
            assert.deepEqual(lastSocket().sent.map(({ data }) => data), [1, 2]);
            assert.deepEqual(events.slice(-2), ids.map((id) => ['sent', { id }]));
            assert.ok(!client.isQueued(ids[0]));
        });

        it('refuses one message more than the queue holds', () => {
            const { client } = started({ queueMax: 2 });
            client.send({ data: 1 });
            client.send({ data: 2 });
            assert.throws(() => client.send({ data: 3 }), (error) => error instanceof SendError
                && error.code === 'QUEUE_FULL');
            lastSocket().open();
            assert.equal(lastSocket().sent.length, 2);
        });

        it('refuses when the connection does not take any more', () => {
            const { client } = started({ bufferedMaxBytes: 100 });
            lastSocket().open();
            lastSocket().bufferedAmount = 100;
            client.send({ data: 1 });
            lastSocket().bufferedAmount = 101;
            assert.throws(() => client.send({ data: 2 }), { code: 'QUEUE_FULL' });
        });

        it('refuses before connect()', () => {
            const client = new ChatClient({ url: 'ws://chat.example/ws' });
            assert.throws(() => client.send({}), { code: 'NOT_CONNECTED' });
        });
    });

    describe('receiving', () => {
        it('tells messages and errors apart, and passes over what is no envelope', () => {
            const { events } = started();
            lastSocket().open();
            const before = events.length;
            const message = { type: 'system', event: 'user:joined', data: {} };
            const error = { type: 'system', event: 'error', data: { code: 'INVALID_PAYLOAD' } };
            for (const value of ['{', '[]', 'null', '7', message, error]) lastSocket().receive(value);
            assert.deepEqual(events.slice(before), [['message', message], ['error', error]]);
        });
    });

    describe('names', () => {
        it('leads into rooms by the path, or by the query where a path cannot', () => {
            const expected = {
                lobby: '/lobby', 'a b#c?d%': '/a%20b%23c%3Fd%25', 'käse': '/k%C3%A4se',
                stats: '?room=stats', '.': '?room=.', '..': '?room=..', '': '',
            };
            for (const [room, end] of Object.entries(expected)) {
                assert.equal(roomUrl(room, BASE), `ws://chat.example/api/chat-api/ws${end}`);
            }
            assert.equal(roomUrl('x', 'https://chat.example/y?z'), 'wss://chat.example/api/chat-api/ws/x');
        });

        it('knows which rooms there can be', () => {
            for (const room of ['a', 'a'.repeat(128), 'ü'.repeat(64), '😀', ' ', 'a b']) {
                assert.equal(roomProblem(room), null, room);
            }
            for (const room of ['', 'a/b', 'a\n', '\u007f', '\u0085', '\ud800', 'a'.repeat(129), 'ü'.repeat(65)]) {
                assert.equal(typeof roomProblem(room), 'string', JSON.stringify(room));
            }
        });

        it('makes a UUID of version 4', () => {
            const ids = new Set(Array.from({ length: 100 }, uuid));
            assert.equal(ids.size, 100);
            for (const id of ids) {
                assert.match(id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
            }
        });
    });
});
