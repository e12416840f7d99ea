// Section 2 of the events document as far as tokens decide: rooms by right, whose name messages bear,
// and the end of a connection with its token.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import {
    assertEnvelope,
    assertErrorEnvelope,
    assertErrorResponse,
    assertOnlyMarkerComes,
    clientFor,
    freshRoom,
} from '../support/chat.js';
import { within } from '../support/deadline.js';
import { askOk, askRefused, eventsClientFor, nextEvent } from '../support/events.js';
import { request } from '../support/http.js';
import { serviceFor, startService } from '../support/service.js';
import { SECRET, bearer, inSeconds, token } from '../support/tokens.js';
import { attempt } from '../support/websocket.js';

const ENV = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET, RATE_LIMIT_ENABLED: 'false' };

let pod;
before(async () => {
    pod = await startService({ env: ENV });
});
after(() => pod.stop());

function clientOf(t, changes, options = {}) {
    return clientFor(t, options.pod ?? pod, { headers: bearer(token(changes)), ...options });
}

async function statusOf(t, changes, options, target = pod) {
    const response = await attempt(target, { headers: bearer(token(changes)), ...options });
    if (response.client) t.after(() => response.client.hangUp());
    else if (response.status === 403) assertErrorResponse(response, 403, 'CHANNEL_ERROR');
    return response.status;
}

describe('the user of a token', () => {
    it('is whom messages are from, on every connection', async (t) => {
        const room = freshRoom();
        const [one, two] = [await clientOf(t, {}, { room }), await clientOf(t, {}, { room })];
        const ben = await clientOf(t, { sub: 'ben ü' }, { room });
        one.sendJson({ data: 1, from: 'somebody' });
        for (const client of [one, two, ben]) {
            assertEnvelope(await client.nextJson(), { from: 'anna', room, data: 1 });
        }
        ben.sendJson({ data: 2 });
        for (const client of [one, two, ben]) {
            assertEnvelope(await client.nextJson(), { from: 'ben ü', room, data: 2 });
        }
    });

    it('is in the log', async (t) => {
        const room = freshRoom();
        const client = await clientOf(t, { sub: 'carla' }, { room });
        const came = await pod.waitForLog((line) => line.channelId === room);
        assert.equal(came.event, 'client:connected');
        assert.equal(came.userId, 'carla');
        client.hangUp();
        const went = (line) => line.channelId === room && line.event === 'client:disconnected';
        assert.equal((await pod.waitForLog(went)).userId, 'carla');
    });
});

describe('rooms', () => {
    it('are all open without a claim, but for those of other users', async (t) => {
        assert.equal(await statusOf(t, {}, { room: freshRoom() }), 101);
        assert.equal(await statusOf(t, {}, { room: 'user:anna' }), 101);
        for (const room of ['user:ben', 'user:', 'user:annaa', 'user:Anna']) {
            assert.equal(await statusOf(t, {}, { room }), 403, room);
        }
        assert.equal(await statusOf(t, {}, { path: '/ws?room=user%3Aben' }), 403);
    });

    it('are those that some entry of the claim allows', async (t) => {
        const rooms = [
            { match: 'channel:*' },
            { match: 'news', can: ['join'] },
            { match: 'box', can: ['publish'] },
            { match: '*:open:*' },
            { match: 'user:*' },
        ];
        const rows = {
            'channel:1': 101,
            'channel:': 101,
            news: 101,
            'a:open:b': 101,
            'user:anna': 101,
            box: 403,
            channel: 403,
            xnews: 403,
            News: 403,
            open: 403,
            'user:ben': 403,
        };
        for (const [room, status] of Object.entries(rows)) {
            assert.equal(await statusOf(t, { rooms }, { room }), status, room);
        }
        assert.equal(await statusOf(t, { rooms: [] }, { room: 'any' }), 403);
        assert.equal(await statusOf(t, { rooms: [] }, {}), 101);
    });

    it('of users are closed to others without authentication as well', async (t) => {
        const open = await serviceFor(t, {});
        assert.equal(await statusOf(t, {}, { room: 'user:anna' }, open), 403);
        const client = await clientFor(t, open, { room: 'lobby' });
        client.sendJson({ room: 'user:anna', data: 1 });
        assertErrorEnvelope(await client.nextJson(), 'CHANNEL_ERROR', { field: 'room' });
    });

    it('take messages of members only', async (t) => {
        const [here, there] = [freshRoom(), freshRoom()];
        const member = await clientOf(t, {}, { room: there });
        const stranger = await clientOf(t, {}, { room: here });
        const id = '0190a000-0000-7000-8000-000000000000';
        for (const room of [there, freshRoom()]) {
            stranger.sendJson({ room, data: 'no', id });
            assertErrorEnvelope(await stranger.nextJson(), 'CHANNEL_ERROR', { field: 'room', id });
        }
        await assertOnlyMarkerComes(stranger, [member, stranger]);
    });

    it('take no messages for users from clients, not even for oneself', async (t) => {
        const anna = await clientOf(t, {}, { room: 'user:anna' });
        const other = await clientOf(t, {}, { protocol: 'chat.events.v1' });
        anna.sendJson({ data: 'to the own room' });
        assertErrorEnvelope(await anna.nextJson(), 'CHANNEL_ERROR');
        anna.sendJson({ room: 'user:anna', data: 1 });
        assertErrorEnvelope(await anna.nextJson(), 'CHANNEL_ERROR');
        anna.sendJson({ room: 'user:ben', data: 1 });
        assertErrorEnvelope(await anna.nextJson(), 'CHANNEL_ERROR');
        other.hangUp();
    });

    it('that one may only join are for reading', async (t) => {
        const room = freshRoom();
        const reader = await clientOf(
            t,
            { sub: 'reader', rooms: [{ match: room, can: ['join'] }] },
            { room },
        );
        const writer = await clientOf(t, { sub: 'writer', rooms: [{ match: room }] }, { room });
        reader.sendJson({ data: 'no' });
        assertErrorEnvelope(await reader.nextJson(), 'CHANNEL_ERROR', { field: 'room' });
        writer.sendJson({ data: 'yes' });
        assertEnvelope(await reader.nextJson(), { from: 'writer', data: 'yes' });
        assertEnvelope(await writer.nextJson(), { from: 'writer', data: 'yes' });
    });

    it('that one may only join show nobody typing there, nor do rooms of users', async (t) => {
        const room = freshRoom();
        const rooms = [{ match: '*', can: ['join'] }];
        const events = (changes) =>
            eventsClientFor(t, pod, { headers: bearer(token(changes)), room });
        const writer = await events({ sub: 'typist' });
        const reader = await events({ sub: 'reader', rooms });
        const typing = { event: 'user:typing', data: { typing: true } };
        await askRefused(reader, { ...typing, room }, 'CHANNEL_ERROR', 'room');
        await askRefused(writer, { ...typing, room: 'user:typist' }, 'CHANNEL_ERROR', 'room');
        await askOk(reader, { event: 'room:join', room: 'presence:global' });
        await askRefused(reader, { ...typing, room: 'presence:global' }, 'CHANNEL_ERROR', 'room');
        await askOk(writer, { ...typing, room });
        assert.equal((await nextEvent(reader, 'user:typing')).data.user, 'typist');
        await askOk(writer, { event: 'ping' });
        const told = (writer.aside ?? []).filter(({ event }) => event === 'user:typing');
        assert.deepEqual(told, []);
    });

    it('everybody is published to only by who may publish everywhere', async (t) => {
        const free = await clientOf(t, { sub: 'free' });
        const bound = await clientOf(t, { sub: 'bound', rooms: [{ match: 'channel:*' }] });
        const all = await clientOf(t, { sub: 'all', rooms: [{ match: '*' }] });
        bound.sendJson({ room: '', data: 'no' });
        assertErrorEnvelope(await bound.nextJson(), 'CHANNEL_ERROR');
        all.sendJson({ room: '', data: 'yes' });
        for (const client of [free, bound, all]) {
            assertEnvelope(await client.nextJson(), { from: 'all', room: undefined });
        }
    });
});

describe('the own room of a user', () => {
    it('has each of its clients, once, and is not in the statistics', async (t) => {
        const target = await serviceFor(t, { env: ENV });
        await clientOf(t, {}, { pod: target });
        await clientOf(t, {}, { pod: target, room: 'lobby' });
        await clientOf(t, {}, { pod: target, protocol: 'chat.events.v1' });
        await clientOf(t, {}, { pod: target, room: 'user:anna', protocol: 'chat.events.v1' });
        const stats = await target.statsWhere('four clients', (all) => all.connections === 4);
        assert.deepEqual(stats.rooms, { lobby: 1 });
        assert.equal(stats.room_count, 1);
    });

    it('counts in no limit, also when the path names it', async (t) => {
        const own = await serviceFor(t, { env: { ...ENV, MAX_ROOMS_PER_CLIENT: '2' } });
        const join = (room) => ({ event: 'room:join', room });
        for (const options of [{}, { room: 'user:anna' }]) {
            for (const protocol of [undefined, 'chat.events.v1']) {
                const client = await clientOf(t, {}, { pod: own, protocol, ...options });
                for (const room of ['a', 'b']) await askOk(client, join(room));
                await askRefused(client, join('c'), 'CHANNEL_ERROR', 'room');
            }
        }
    });

    it('is not left, so that the user can always be put out', async (t) => {
        const leave = { event: 'room:leave', room: 'user:anna' };
        const disconnect = { method: 'POST', headers: bearer(token({ scope: 'admin' })) };
        const own = await serviceFor(t, { env: ENV });
        const clients = [
            await clientOf(t, {}, { pod: own }),
            await clientOf(t, {}, { pod: own, room: 'user:anna' }),
            await eventsClientFor(t, own, { headers: bearer(token()), room: 'lobby' }),
        ];
        for (const client of clients) await askRefused(client, leave, 'CHANNEL_ERROR', 'room');
        await request(own, '/api/chat-api/users/anna/disconnect', disconnect);
        for (const client of clients) assert.equal((await client.waitClose()).code, 4501);
    });

    it('is not left by events clients without authentication either', async (t) => {
        const open = await serviceFor(t, { env: {} });
        const client = await eventsClientFor(t, open);
        const leave = { event: 'room:leave', room: `user:${client.hello.user}` };
        await askRefused(client, leave, 'CHANNEL_ERROR', 'room');
        await askOk(client, { event: 'room:leave', room: 'user:somebody' });
    });
});

describe('a token that runs out', () => {
    it('closes the connection with 4500 once the leeway is over', async (t) => {
        const exp = Date.now() / 1000 - 27;
        const room = freshRoom();
        const plain = await clientOf(t, { exp }, { room });
        const events = await clientOf(t, { exp }, { room, protocol: 'chat.events.v1' });
        const other = await clientOf(t, { exp: inSeconds(3600) }, { room });
        for (const client of [plain, events]) {
            const { code, reason, clean } = await within(client.closed, 10000, 'the end of the connection');
            assert.equal(code, 4500);
            assert.equal(reason, 'authentication ended');
            assert.ok(clean);
        }
        assert.ok(Date.now() / 1000 >= exp + 30, 'not before the leeway is over');
        other.sendJson({ data: 'still here' });
        assert.equal((await other.nextJson()).data, 'still here');
        const { text } = await request(pod, '/metrics');
        assert.match(text, /^chat_auth_ended_total 2$/m);
    });
});
