// Tokens over an open connection (EVENTS.md sections 1 and 2): auth:expiring, auth:refresh, and what
// a new token changes at once.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import {
    assertEnvelope,
    assertErrorEnvelope,
    clientFor,
    freshRoom,
} from '../support/chat.js';
import { within } from '../support/deadline.js';
import { PROTOCOL, ask, askOk, askRefused, eventsClientFor, nextEvent } from '../support/events.js';
import { request } from '../support/http.js';
import { serviceFor, startService } from '../support/service.js';
import {
    Keys,
    SECRET,
    bearer,
    claims,
    forge,
    inSeconds,
    joseToken,
    opensslToken,
    token,
} from '../support/tokens.js';
import { attempt } from '../support/websocket.js';

const ENV = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET, RATE_LIMIT_ENABLED: 'false' };
const LEEWAY_S = 30;
const WARNING_S = 60;

let keys;
let pod;
before(async () => {
    keys = new Keys();
    pod = await startService({
        env: { ...ENV, AUTH_JWT_KEYS: keys.jwksFile, PRESENCE_GRACE: '50ms', LOG_LEVEL: 'debug' },
    });
});
after(async () => {
    await pod.stop();
    keys.remove();
});

const eventsOf = (t, changes, options = {}) =>
    eventsClientFor(t, options.pod ?? pod, { headers: bearer(token(changes)), ...options });

const plainOf = (t, changes, options = {}) =>
    clientFor(t, pod, { headers: bearer(token(changes)), ...options });

/** A token whose end, leeway included, is so many seconds away. */
const endingIn = (seconds) => Date.now() / 1000 - LEEWAY_S + seconds;

/**
 * Does what must be done before a token is over. Where the machine was too slow for that it is done
 * anew, with more time; what fails before the end fails.
 */
async function beforeTheEnd(attempt) {
    for (let seconds = 4; ; seconds *= 2) {
        const exp = endingIn(seconds);
        try {
            return await attempt(exp);
        } catch (error) {
            if (seconds > 30 || Date.now() < (exp + LEEWAY_S) * 1000) throw error;
        }
    }
}

const refresh = (value) => ({ event: 'auth:refresh', data: { token: value } });
const isoOf = (seconds) => new Date(Math.floor(seconds * 1000)).toISOString();

async function assertNothingCame(client) {
    await askOk(client, { event: 'ping' });
    assert.deepEqual(client.aside ?? [], []);
}

async function assertEnded(client) {
    const { code, reason, clean } = await within(client.closed, 15000, 'the end of the connection');
    assert.deepEqual([code, reason, clean], [4500, 'authentication ended', true]);
}

describe('auth:expiring', { concurrency: true }, () => {
    it('comes 60 s before the end, to events clients', async (t) => {
        const exp = inSeconds(WARNING_S + 3);
        const plain = await plainOf(t, { exp });
        const client = await eventsOf(t, { exp });
        const told = assertEnvelope(await nextEvent(client, 'auth:expiring', 15000), {
            type: 'system',
            from: 'server',
            room: undefined,
            data: { expires_at: isoOf(exp) },
        });
        assert.ok(Date.parse(told.timestamp) >= (exp - WARNING_S) * 1000, 'not too early');
        await assertNothingCame(plain);
    });

    it('comes at once, and once, when less is left', async (t) => {
        for (const left of [WARNING_S - 5, 5, 10 - LEEWAY_S]) {
            const exp = inSeconds(left);
            const client = await eventsOf(t, { exp });
            const { data } = await client.nextJson();
            assert.deepEqual(data, { expires_at: isoOf(exp) });
            if (left > 0) await assertNothingCame(client);
        }
    });

    it('comes anew for a new token, and not again for the same one', async (t) => {
        const same = token({ exp: inSeconds(20) });
        const client = await eventsOf(t, {}, { headers: bearer(same) });
        await nextEvent(client, 'auth:expiring');
        await askOk(client, refresh(same));
        await assertNothingCame(client);
        const exp = inSeconds(WARNING_S + 2);
        await askOk(client, refresh(token({ exp })));
        const { data } = await nextEvent(client, 'auth:expiring', 60000);
        assert.equal(data.expires_at, isoOf(exp));
    });
});

describe('auth:refresh', { concurrency: true }, () => {
    it('carries on behind the end of the old token, for plain clients, too', async (t) => {
        const later = inSeconds(600);
        const { left, kept } = await beforeTheEnd(async (exp) => {
            const clients = {
                left: [await eventsOf(t, { exp }), await plainOf(t, { exp })],
                kept: [await eventsOf(t, { exp }), await plainOf(t, { exp })],
            };
            for (const client of clients.kept) {
                const reply = await askOk(client, refresh(token({ exp: later })));
                assert.equal(reply.expires_at, isoOf(later));
                assert.deepEqual(Object.keys(reply).sort(), ['expires_at', 'ref', 'status']);
            }
            return clients;
        });
        for (const client of left) await assertEnded(client);
        for (const client of kept) assert.ok((await askOk(client, { event: 'ping' })).time);
    });

    it('may shorten the time', async (t) => {
        const client = await eventsOf(t, { exp: inSeconds(600) });
        await beforeTheEnd((exp) => askOk(client, refresh(token({ exp }))));
        await assertEnded(client);
    });

    it('takes every token that an upgrade takes', async (t) => {
        const client = await eventsOf(t, {});
        const tokens = [
            token(),
            await joseToken('EdDSA', keys),
            await joseToken('RS256', keys),
            opensslToken('ES256', keys),
            opensslToken('HS512', keys),
        ];
        for (const value of tokens) await askOk(client, refresh(value));
        const escaped = `\\u0065${tokens[0].slice(1)}`;
        client.sendText(`{"event":"auth:refresh","ref":"e","data":{"token":"${escaped}"}}`);
        assert.equal((await nextEvent(client, 'reply')).data.ref, 'e');
    });

    it('needs no ref, and says nothing then', async (t) => {
        const client = await eventsOf(t, {});
        client.sendJson(refresh(token()));
        await assertNothingCame(client);
    });

    it('refuses what an upgrade refuses, and tokens of others; the old one counts on', async (t) => {
        const room = freshRoom();
        const client = await eventsOf(t, { rooms: [{ match: room }] }, { room });
        const bad = {
            'another secret': forge({ alg: 'HS256' }, claims(), { key: 'x'.repeat(40) }),
            'no signature': `${token().split('.').slice(0, 2).join('.')}.`,
            over: token({ exp: endingIn(-1) }),
            'not yet': token({ nbf: inSeconds(600) }),
            'another user': token({ sub: 'ben' }),
            'another case': token({ sub: 'Anna' }),
            'the service': token({ sub: 'server' }),
            'no token': 'x',
            'too long': token({ filler: 'x'.repeat(9000) }),
        };
        for (const [name, value] of Object.entries(bad)) {
            const error = await askRefused(client, refresh(value), 'AUTH_FAILED', 'token');
            assert.ok(!JSON.stringify(error).includes(value) || value === 'x', name);
        }
        await askOk(client, { room, data: 'still a member' });
        await askRefused(client, { event: 'room:join', room: freshRoom() }, 'CHANNEL_ERROR');
    });

    it('needs a token', async (t) => {
        const client = await eventsOf(t, {});
        for (const data of [undefined, null, {}, [], 'x', { token: '' }, { token: 1 }, { token: null }])
            await askRefused(client, { event: 'auth:refresh', data }, 'INVALID_PAYLOAD', 'data.token');
    });

    it('is refused when authentication is off', async (t) => {
        const open = await serviceFor(t, {});
        for (const client of [await eventsClientFor(t, open), await clientFor(t, open)]) {
            await askRefused(client, refresh(token()), 'AUTH_FAILED', 'token');
            await askOk(client, { event: 'ping' });
        }
    });

    it('is in log and metrics, the tokens are not', async (t) => {
        const own = await serviceFor(t, { env: { ...ENV, LOG_LEVEL: 'debug' } });
        const client = await eventsOf(t, { sub: 'carla' }, { pod: own });
        const [good, bad] = [token({ sub: 'carla' }), token({ sub: 'dan' })];
        await askOk(client, refresh(good));
        await askRefused(client, refresh(bad), 'AUTH_FAILED');
        for (const event of ['auth:refreshed', 'auth:failed', 'message:refused']) {
            const line = await own.waitForLog((entry) => entry.event === event);
            assert.equal(line.userId, 'carla', event);
        }
        assert.match((await request(own, '/metrics')).text, /^chat_auth_failures_total 1$/m);
        await own.stop();
        for (const value of [good, bad])
            for (const part of value.split('.').slice(1)) assert.ok(!own.stderr.includes(part));
    });
});

describe('a new token', { concurrency: true }, () => {
    it('opens rooms at once', async (t) => {
        const [first, second] = [freshRoom(), freshRoom()];
        const client = await eventsOf(t, { rooms: [{ match: first }] }, { room: first });
        await askRefused(client, { event: 'room:join', room: second }, 'CHANNEL_ERROR');
        const rooms = [{ match: first }, { match: second, can: ['join'] }];
        await askOk(client, refresh(token({ rooms })));
        await askOk(client, { event: 'room:join', room: second });
        await askRefused(client, { room: second, data: 1 }, 'CHANNEL_ERROR', 'room');
        await askOk(client, refresh(token()));
        await askOk(client, { room: second, data: 1 });
    });

    for (const protocol of [PROTOCOL, undefined]) {
        const kind = protocol ? 'an events' : 'a plain';
        it(`puts ${kind} client out of the rooms that it does not allow`, async (t) => {
            const [first, second, kept] = [freshRoom(), freshRoom(), freshRoom()];
            const make = protocol ? eventsOf : plainOf;
            const client = await make(t, { sub: 'anna' }, { room: first });
            const witness = await eventsOf(t, { sub: 'wit' }, { room: first });
            for (const room of [second, kept]) await askOk(client, { event: 'room:join', room });
            await askOk(witness, { event: 'room:join', room: kept });

            client.sendJson({ ...refresh(token({ rooms: [{ match: kept }] })), ref: 'r' });
            assert.equal((await nextEvent(client, 'reply')).data.ref, 'r');
            const lost = [await nextEvent(client, 'error'), await nextEvent(client, 'error')];
            for (const envelope of lost) {
                assertErrorEnvelope(envelope, 'CHANNEL_ERROR', { field: 'room' });
            }
            assert.deepEqual(lost.map(({ room }) => room).sort(), [first, second].sort());
            let gone;
            do gone = await nextEvent(witness, 'presence:leave');
            while (gone.data.user !== 'anna');
            assert.equal(gone.room, first);

            await askOk(witness, { room: first, data: 'unheard' });
            await askRefused(client, { room: first, data: 1 }, 'CHANNEL_ERROR', 'room');
            await askRefused(client, { data: 'to the room of the path' }, 'CHANNEL_ERROR', 'room');
            await askOk(client, { event: 'room:leave', room: first });
            await askOk(witness, { room: kept, data: 'heard' });
            const heard = (envelope) => envelope.event === undefined && envelope.room;
            const said = (client.aside ?? []).filter(heard);
            while (!said.some(({ data }) => data === 'heard')) {
                const envelope = await client.nextJson();
                if (heard(envelope)) said.push(envelope);
            }
            assert.deepEqual(said.map(({ data }) => data), ['heard']);
            const put = (line) => line.event === 'room:put_out' && line.channelId === second;
            assert.equal((await pod.waitForLog(put)).userId, 'anna');
        });
    }

    it('leaves the own room and presence of all as they are', async (t) => {
        const sub = 'eve';
        const client = await eventsOf(t, { sub, scope: 'publish' });
        await askOk(client, { event: 'room:join', room: 'presence:global' });
        const reply = await ask(client, refresh(token({ sub, rooms: [] })));
        assert.equal(reply.event, 'reply');
        const sent = await request(pod, '/api/chat-api/messages', {
            method: 'POST',
            headers: { ...bearer(token({ scope: 'publish' })), 'Content-Type': 'application/json' },
            body: JSON.stringify({ users: [sub], data: 'for you' }),
        });
        assert.equal(sent.status, 202);
        let envelope;
        do {
            envelope = await client.nextJson();
            assert.notEqual(envelope.event, 'error');
        } while (envelope.data !== 'for you');
    });

    it('tells others of a new name', async (t) => {
        const room = freshRoom();
        const client = await eventsOf(t, { sub: 'fay', name: 'Fay' }, { room });
        const witness = await eventsOf(t, { sub: 'wit' }, { room });
        await askOk(client, refresh(token({ sub: 'fay', name: 'Fay Ü' })));
        let told;
        do told = await nextEvent(witness, 'presence:update');
        while (told.data.user !== 'fay');
        assert.equal(told.data.name, 'Fay Ü');
        await askOk(client, refresh(token({ sub: 'fay' })));
        assert.equal((await nextEvent(witness, 'presence:update')).data.name, null);
    });
});

describe('leaving', () => {
    it('is refused to nobody, whatever the token allows', async (t) => {
        const client = await eventsOf(t, { rooms: [{ match: 'mine' }] });
        for (const room of ['another', 'user:ben', 'mine', 'presence:global'])
            await askOk(client, { event: 'room:leave', room });
        const plain = await plainOf(t, { rooms: [] });
        await askOk(plain, { event: 'room:leave', room: 'presence:global' });
        await askRefused(client, { event: 'room:leave', room: 'a/b' }, 'CHANNEL_ERROR');
        await askRefused(client, { event: 'room:leave' }, 'INVALID_PAYLOAD', 'room');
    });
});

describe("the service's own name", () => {
    const upgrade = (value) => attempt(pod, { headers: bearer(value) });

    it('is nobody else\'s, however it is written', async (t) => {
        const exp = inSeconds(600);
        for (const value of [
            token({ sub: 'server' }),
            forge({ alg: 'HS256' }, `{"sub":"\\u0073erv\\u0065r","exp":${exp}}`),
        ]) {
            const response = await upgrade(value);
            assert.equal(response.status, 401);
            assert.equal(response.json.code, 'AUTH_FAILED');
        }
        for (const sub of ['Server', 'SERVER', 'server ', 'servers', 'ѕerver']) {
            const response = await upgrade(token({ sub }));
            assert.equal(response.status, 101, sub);
            t.after(() => response.client.hangUp());
        }
    });
});
