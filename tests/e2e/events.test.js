// EVENTS.md sections 2, 3 and 6 without authentication: the subprotocol, several rooms on one
// connection, events and their replies, edits, resends, and the status of messages.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import { API_KEY, accepted } from '../support/api.js';
import {
    RFC3339_MS,
    assertEnvelope,
    assertErrorEnvelope,
    assertFreshTimestamp,
    assertFreshUuid,
    assertOnlyMarkerComes,
    clientFor,
    freshRoom,
} from '../support/chat.js';
import { ask, askOk, askRefused, eventsClientFor as loudClientFor, nextEvent, PROTOCOL } from '../support/events.js';
import { serviceFor, startRedis, startService } from '../support/service.js';
import { SECRET, bearer, token } from '../support/tokens.js';
import { attempt } from '../support/websocket.js';

/** An events client that does not hear who comes and goes: these tests are about all else. */
async function eventsClientFor(...args) {
    const client = await loudClientFor(...args);
    const next = client.nextJson.bind(client);
    client.nextJson = async (ms) => {
        for (;;) {
            const envelope = await next(ms);
            if (!envelope.event?.startsWith('presence:')) return envelope;
        }
    };
    return client;
}

let service;
before(async () => {
    service = await startService({ env: { MESSAGE_WINDOW: '8', MAX_ROOMS_PER_CLIENT: '4' } });
});
after(() => service.stop());

describe('the subprotocol', () => {
    it('is answered, among others, and hello comes first', async (t) => {
        for (const protocol of [PROTOCOL, `x, ${PROTOCOL}`, `${PROTOCOL},y`]) {
            const client = await clientFor(t, service, { room: 'lobby', protocol });
            assert.equal(client.protocol, PROTOCOL);
            const hello = assertEnvelope(await client.nextJson(), {
                type: 'system',
                event: 'hello',
                from: 'server',
                room: undefined,
            });
            assert.deepEqual(Object.keys(hello.data).sort(), [
                'client_id',
                'heartbeat_ms',
                'max_message_bytes',
                'max_rooms',
                'pod',
                'server_time',
                'user',
                'version',
            ]);
            assertFreshUuid(hello.data.client_id);
            assert.equal(hello.data.user, hello.data.client_id);
            assert.equal(hello.data.pod, (await service.stats()).pod);
            assert.equal(hello.data.heartbeat_ms, 25000);
            assert.equal(hello.data.max_message_bytes, 65536);
            assert.equal(hello.data.max_rooms, 4);
            assertFreshTimestamp(hello.data.server_time);
        }
    });

    it('is not answered when it was not offered, and nothing is said', async (t) => {
        for (const protocol of [undefined, 'chat', 'CHAT.EVENTS.V1', 'chat.events.v1x']) {
            const client = await clientFor(t, service, { room: freshRoom(), protocol });
            assert.equal(client.protocol, undefined);
            await assertOnlyMarkerComes(client, [client]);
        }
    });

    it('comes before all that was published meanwhile', async (t) => {
        const room = freshRoom();
        const talker = await clientFor(t, service, { room });
        for (let i = 0; i < 10; i += 1) {
            const joining = clientFor(t, service, { room, protocol: PROTOCOL });
            for (let n = 0; n < 20; n += 1) talker.sendJson({ data: n });
            assert.equal((await (await joining).nextJson()).event, 'hello');
        }
    });
});

describe('an event', () => {
    it('may name itself, or is what its type says', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        const rows = [
            [{ event: 'message:send' }, 'chat', 'message:send'],
            [{ event: 'message:send', type: 'chat' }, 'chat', 'message:send'],
            [{ event: 'notification:send' }, 'notification', 'notification:send'],
            [{ type: 'chat' }, 'chat', undefined],
            [{ type: 'notification' }, 'notification', undefined],
            [{ type: 'system' }, 'system', undefined],
            [{}, 'chat', undefined],
        ];
        for (const [message, type, event] of rows) {
            client.sendJson({ ...message, data: 7 });
            assertEnvelope(await client.nextJson(), { type, event, data: 7 });
        }
    });

    it('that is not there, or not for clients, is refused', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        for (const event of ['order:paid', 'message:status', 'hello:there', 'presence:join']) {
            await askRefused(client, { event }, 'INVALID_PAYLOAD', 'event');
        }
    });

    it('with another type than its own is refused', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        await askRefused(
            client,
            { event: 'message:send', type: 'system' },
            'INVALID_PAYLOAD',
            'type',
        );
        await askRefused(client, { event: 'room:join', type: 'chat' }, 'INVALID_PAYLOAD', 'type');
    });

    it('with a ref gets one reply, plain clients too', async (t) => {
        for (const protocol of [undefined, PROTOCOL]) {
            const room = freshRoom();
            const make = protocol ? eventsClientFor : clientFor;
            const client = await make(t, service, { room });
            const id = randomUUID();
            client.sendJson({ id, data: 1, ref: 'r-1' });
            const message = assertEnvelope(await client.nextJson(), { id, data: 1 });
            const reply = assertEnvelope(await client.nextJson(), {
                type: 'system',
                event: 'reply',
                from: 'server',
            });
            assert.deepEqual(reply.data, {
                ref: 'r-1',
                status: 'ok',
                id,
                timestamp: message.timestamp,
            });
            assert.match(reply.data.timestamp, RFC3339_MS);
            await assertOnlyMarkerComes(client, [client]);
        }
    });

    it('takes a ref of 1 to 64 bytes, a string', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        for (const ref of ['r', 'r'.repeat(63), 'r'.repeat(64), 'ü'.repeat(32)]) {
            client.sendJson({ event: 'ping', ref });
            assert.equal((await nextEvent(client, 'reply')).data.ref, ref);
        }
        for (const ref of ['', 'r'.repeat(65), 'ü'.repeat(33), 7, null, {}, ['r']]) {
            client.sendJson({ event: 'ping', ref });
            const error = assertErrorEnvelope(await client.nextJson(), 'INVALID_PAYLOAD');
            assert.equal(error.data.data.field, 'ref');
        }
    });

    it('ping is answered without a ref', async (t) => {
        const client = await eventsClientFor(t, service);
        client.sendJson({ event: 'ping', data: { any: 'thing' } });
        const { data } = await nextEvent(client, 'reply');
        assert.deepEqual(Object.keys(data), ['status', 'time']);
        assertFreshTimestamp(data.time);
    });
});

describe('rooms', () => {
    it('are joined and left on one connection', async (t) => {
        const [first, second] = [freshRoom(), freshRoom()];
        const client = await eventsClientFor(t, service, { room: first });
        const other = await clientFor(t, service, { room: second });
        const reply = await askOk(client, { event: 'room:join', room: second });
        assert.equal(reply.room, second);
        assert.equal(reply.members, 2);
        other.sendJson({ data: 'to second' });
        assertEnvelope(await client.nextJson(), { room: second, data: 'to second' });
        client.sendJson({ room: second, data: 'from both' });
        assertEnvelope(await client.nextJson(), { room: second, data: 'from both' });
        client.sendJson({ data: 'home' });
        assertEnvelope(await client.nextJson(), { room: first, data: 'home' });
        assert.equal((await askOk(client, { event: 'room:leave', room: second })).members, 1);
        other.sendJson({ data: 'alone' });
        assert.equal((await other.nextJson()).data, 'to second');
        assert.equal((await other.nextJson()).data, 'from both');
        assert.equal((await other.nextJson()).data, 'alone');
        await assertOnlyMarkerComes(other, [client, other]);
    });

    it('may be joined twice and left when not joined', async (t) => {
        const room = freshRoom();
        const client = await eventsClientFor(t, service);
        await askOk(client, { event: 'room:leave', room });
        await askOk(client, { event: 'room:join', room });
        assert.equal((await askOk(client, { event: 'room:join', room })).members, 1);
        client.sendJson({ room, data: 'once' });
        assert.equal((await client.nextJson()).data, 'once');
        await assertOnlyMarkerComes(client, [client]);
    });

    it("keep a client's own messages in place: before a leave, not behind it", async (t) => {
        const room = freshRoom();
        const client = await eventsClientFor(t, service);
        for (let round = 0; round < 20; round += 1) {
            client.sendJson({ room, data: 'too early' });
            client.sendJson({ event: 'room:join', room });
            client.sendJson({ room, data: round });
            client.sendJson({ event: 'room:leave', room });
            client.sendJson({ room, data: 'too late' });
        }
        for (let round = 0; round < 20; round += 1) {
            assert.equal((await nextEvent(client, undefined)).data, round);
        }
        client.sendJson({ room: '', data: 'marker' });
        assert.equal((await nextEvent(client, undefined)).data, 'marker');
    });

    it('of the path may be left and joined again; it stays where messages go', async (t) => {
        const room = freshRoom();
        const client = await eventsClientFor(t, service, { room });
        const other = await clientFor(t, service, { room });
        await askOk(client, { event: 'room:leave', room });
        client.sendJson({ data: 'from outside' });
        assertEnvelope(await other.nextJson(), { room, data: 'from outside' });
        await assertOnlyMarkerComes(other, [client, other]);
        await askOk(client, { event: 'room:join', room });
        other.sendJson({ data: 'back' });
        assert.equal((await client.nextJson()).data, 'back');
    });

    it('are at most MAX_ROOMS_PER_CLIENT', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        for (let i = 2; i <= 4; i += 1) {
            await askOk(client, { event: 'room:join', room: freshRoom() });
        }
        const last = freshRoom();
        await askRefused(client, { event: 'room:join', room: last }, 'CHANNEL_ERROR', 'room');
        await askOk(client, { event: 'room:leave', room: client.hello.client_id });
        assert.equal((await service.stats()).rooms[last], undefined);
    });

    it('must be named, by a name that may be', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        for (const room of [undefined, null, '']) {
            await askRefused(client, { event: 'room:join', room }, 'INVALID_PAYLOAD', 'room');
        }
        for (const room of ['a/b', 'x'.repeat(129)]) {
            await askRefused(client, { event: 'room:join', room }, 'CHANNEL_ERROR', 'room');
        }
    });

    it('end with the client, all of them', async (t) => {
        const room = freshRoom();
        const client = await eventsClientFor(t, service);
        const other = await eventsClientFor(t, service);
        await askOk(client, { event: 'room:join', room });
        assert.equal((await askOk(other, { event: 'room:join', room })).members, 2);
        await client.close();
        assert.equal((await askOk(other, { event: 'room:join', room })).members, 1);
        other.sendJson({ room, data: 'alone' });
        assert.equal((await other.nextJson()).data, 'alone');
    });
});

describe("a user's own room", () => {
    it('is not shown, and nobody else joins it or publishes to it', async (t) => {
        const ann = await eventsClientFor(t, service, { room: freshRoom() });
        const bob = await eventsClientFor(t, service, { room: freshRoom() });
        const room = `user:${ann.hello.user}`;
        const stats = await service.stats();
        assert.deepEqual(
            Object.keys(stats.rooms).filter((name) => !name.startsWith('room-')),
            [],
        );
        assert.equal(stats.room_count, Object.keys(stats.rooms).length);
        await askRefused(bob, { event: 'room:join', room }, 'CHANNEL_ERROR', 'room');
        for (const client of [ann, bob]) {
            await askRefused(client, { room, data: 1 }, 'CHANNEL_ERROR', 'room');
        }
        await askOk(ann, { event: 'room:join', room });
        const refused = await attempt(service, { room: 'user:bob' });
        assert.equal(refused.status, 403);
        assert.equal(refused.json.code, 'CHANNEL_ERROR');
    });

    it('presence:global is for events clients', async (t) => {
        assert.equal((await attempt(service, { room: 'presence:global' })).status, 403);
        const client = await eventsClientFor(t, service, { room: 'presence:global' });
        await client.close();
    });
});

describe('a message with an id that came before', () => {
    it('is not given out again, and its reply is the first one', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        const id = randomUUID();
        const message = { id, data: { text: 'once' } };
        const first = await askOk(client, message);
        assert.equal(first.duplicate, undefined);
        for (const again of [message, { ...message, id: id.toUpperCase() }]) {
            const second = await askOk(client, again);
            assert.equal(second.duplicate, true);
            assert.equal(second.timestamp, first.timestamp);
        }
        client.sendJson(message);
        assert.deepEqual(
            client.aside.map((envelope) => envelope.data),
            [{ text: 'once' }],
        );
        await assertOnlyMarkerComes(client, [client]);
    });

    it('and other content is refused; another user may use it', async (t) => {
        const room = freshRoom();
        const client = await eventsClientFor(t, service, { room });
        const other = await eventsClientFor(t, service, { room });
        const id = randomUUID();
        await askOk(client, { id, data: 1 });
        await askRefused(client, { id, data: 2 }, 'INVALID_PAYLOAD', 'id');
        await askRefused(client, { id, room: freshRoom(), data: 1 }, 'INVALID_PAYLOAD', 'id');
        assert.equal((await askOk(other, { id, data: 2 })).duplicate, undefined);
    });

    it('is forgotten behind MESSAGE_WINDOW others', async (t) => {
        const room = freshRoom();
        const client = await eventsClientFor(t, service, { room });
        for (const others of [7, 8]) {
            const id = randomUUID();
            await askOk(client, { id, data: 1 });
            for (let i = 0; i < others; i += 1) await askOk(client, { data: i });
            assert.equal((await askOk(client, { id, data: 1 })).duplicate, others < 8 || undefined);
        }
    });
});

describe('an edit', () => {
    it("is passed on as it is, for the sender's own message alone", async (t) => {
        const room = freshRoom();
        const [ann, bob] = [
            await eventsClientFor(t, service, { room }),
            await eventsClientFor(t, service, { room }),
        ];
        const { id } = await askOk(ann, { data: 'first' });
        await bob.nextJson();
        const edit = { event: 'message:edit', data: { id, data: [1.1], more: true } };
        await askOk(ann, edit);
        assertEnvelope(await bob.nextJson(), {
            type: 'chat',
            event: 'message:edit',
            from: ann.hello.user,
            data: edit.data,
        });
        await askRefused(bob, edit, 'CHANNEL_ERROR', 'data.id');
        await askRefused(bob, { event: 'message:delete', data: { id } }, 'CHANNEL_ERROR');
        const elsewhere = { ...edit, room: freshRoom() };
        await askRefused(ann, elsewhere, 'CHANNEL_ERROR', 'data.id');
    });

    it('is refused once the message was deleted', async (t) => {
        const room = freshRoom();
        const ann = await eventsClientFor(t, service, { room });
        const bob = await clientFor(t, service, { room });
        const { id } = await askOk(ann, { data: 'first' });
        await bob.nextJson();
        await askOk(ann, { event: 'message:delete', data: { id } });
        assertEnvelope(await bob.nextJson(), { event: 'message:delete', data: { id } });
        for (const event of ['message:edit', 'message:delete']) {
            await askRefused(ann, { event, data: { id, data: 1 } }, 'CHANNEL_ERROR', 'data.id');
        }
    });

    it('of a message that nobody remembers is passed on', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        const data = { id: randomUUID(), data: 'late' };
        await askOk(client, { event: 'message:edit', data });
        assert.deepEqual(client.aside.at(-1).data, data);
    });

    it('has its form', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        const id = randomUUID();
        const bad = [undefined, 1, [], {}, { id }, { data: 1 }, { id: 'x', data: 1 }];
        for (const data of bad) {
            await askRefused(client, { event: 'message:edit', data }, 'INVALID_PAYLOAD', 'data');
        }
        for (const data of [undefined, 'x', {}, { id: 7 }, { ids: [id] }]) {
            await askRefused(client, { event: 'message:delete', data }, 'INVALID_PAYLOAD', 'data');
        }
    });
});

describe('the status of a message', () => {
    const mark = (event, ids) => ({ event: `message:${event}`, data: { ids } });

    it('goes to the sender, once for each mark', async (t) => {
        const room = freshRoom();
        const ann = await eventsClientFor(t, service, { room });
        const bob = await clientFor(t, service, { room });
        const ids = [];
        for (let i = 0; i < 3; i += 1) ids.push((await askOk(ann, { data: i })).id);
        for (let i = 0; i < 3; i += 1) await bob.nextJson();
        await askOk(bob, mark('delivered', ids));
        const status = assertEnvelope(await nextEvent(ann, 'message:status'), {
            type: 'chat',
            room: `user:${ann.hello.user}`,
            from: 'server',
        });
        const user = status.data.user;
        assert.deepEqual(status.data, { ids, status: 'delivered', user, room });
        await askOk(bob, mark('delivered', ids));
        await askOk(bob, mark('read', [ids[1], randomUUID()]));
        assert.deepEqual((await nextEvent(ann, 'message:status')).data, {
            ids: [ids[1]],
            status: 'read',
            user,
            room,
        });
        await askOk(bob, mark('read', ids));
        assert.deepEqual((await nextEvent(ann, 'message:status')).data.ids, [ids[0], ids[2]]);
        await askOk(bob, mark('delivered', ids));
        await assertOnlyMarkerComes(bob, [ann, bob]);
    });

    it('of several senders goes to each, of plain senders to nobody', async (t) => {
        const room = freshRoom();
        const senders = [
            await eventsClientFor(t, service, { room }),
            await eventsClientFor(t, service, { room }),
            await clientFor(t, service, { room }),
        ];
        const reader = await eventsClientFor(t, service, { room });
        const ids = [];
        for (const sender of senders) ids.push((await askOk(sender, { data: 'hi' })).id);
        await askOk(reader, mark('read', ids));
        for (const i of [0, 1]) {
            const { data } = await nextEvent(senders[i], 'message:status');
            assert.deepEqual(data.ids, [ids[i]]);
            assert.equal(data.user, reader.hello.user);
        }
    });

    it('is not asked for from outside the room, nor for messages of other rooms', async (t) => {
        const room = freshRoom();
        const ann = await eventsClientFor(t, service, { room });
        const bob = await eventsClientFor(t, service, { room: freshRoom() });
        const { id } = await askOk(ann, { data: 1 });
        await askRefused(bob, { ...mark('read', [id]), room }, 'CHANNEL_ERROR', 'room');
        await askOk(bob, mark('read', [id]));
        await assertOnlyMarkerComes(bob, [bob]);
    });

    it('takes at most 100 ids', async (t) => {
        const client = await eventsClientFor(t, service, { room: freshRoom() });
        const many = (count) => Array.from({ length: count }, () => randomUUID());
        for (const count of [0, 1, 99, 100]) await askOk(client, mark('read', many(count)));
        for (const ids of [many(101), undefined, 'x', [1], ['x'], {}]) {
            await askRefused(client, mark('read', ids), 'INVALID_PAYLOAD', 'data.ids');
        }
    });
});

describe('across pods', () => {
    let redis;
    let pods;
    before(async () => {
        redis = await startRedis();
        pods = await Promise.all(
            [1, 2].map(() => startService({ env: { REDIS_URL: redis.url } })),
        );
    });
    after(async () => {
        for (const pod of pods) await pod.stop();
        await redis.stop();
    });

    it('what is published right behind the reply to a join is not missed', async (t) => {
        const talker = await clientFor(t, pods[1]);
        for (let i = 0; i < 20; i += 1) {
            const room = freshRoom();
            const client = await eventsClientFor(t, pods[0]);
            await askOk(client, { event: 'room:join', room });
            talker.sendJson({ room, data: i });
            assertEnvelope(await client.nextJson(), { room, data: i });
        }
    });

    it('edits are judged, and marks reach the sender', async (t) => {
        const room = freshRoom();
        const ann = await eventsClientFor(t, pods[0], { room });
        const bob = await eventsClientFor(t, pods[1], { room });
        const { id } = await askOk(ann, { data: 'hi' });
        await bob.nextJson();
        await askRefused(
            bob,
            { event: 'message:edit', data: { id, data: 1 } },
            'CHANNEL_ERROR',
            'data.id',
        );
        await askOk(bob, { event: 'message:read', data: { ids: [id] } });
        assert.deepEqual((await nextEvent(ann, 'message:status')).data, {
            ids: [id],
            status: 'read',
            user: bob.hello.user,
            room,
        });
        await askOk(ann, { event: 'message:delete', data: { id } });
        assert.equal((await bob.nextJson()).event, 'message:delete');
        const late = await ask(bob, { event: 'message:edit', data: { id, data: 1 } });
        assertErrorEnvelope(late, 'CHANNEL_ERROR');
    });

    it('a program has no way into the groups of events clients', async (t) => {
        const room = freshRoom();
        const client = await eventsClientFor(t, pods[0], { room });
        const commands = await redis.client();
        t.after(() => commands.close());
        await commands.publish(`realtime-events/${room}`, JSON.stringify({ data: 'forged' }));
        await commands.publish(`realtime:room:${room}`, JSON.stringify({ data: 'good' }));
        assert.equal((await client.nextJson()).data, 'good');
    });
});

describe('a signed-in user on two pods', () => {
    const ENV = {
        API_KEY,
        AUTH_ENABLED: 'true',
        AUTH_JWT_SECRET: SECRET,
        RATE_LIMIT_ENABLED: 'false',
    };
    let redis;
    let pods;
    before(async () => {
        redis = await startRedis();
        pods = await Promise.all(
            [1, 2].map(() => startService({ env: { ...ENV, REDIS_URL: redis.url } })),
        );
    });
    after(async () => {
        for (const pod of pods) await pod.stop();
        await redis.stop();
    });

    async function memberFor(t, pod, room, sub) {
        const client = await eventsClientFor(t, pod, { headers: bearer(token({ sub })) });
        await askOk(client, { event: 'room:join', room });
        return client;
    }

    it('that sends a message again to the other pod is told that it was there', async (t) => {
        const room = freshRoom();
        const near = await memberFor(t, pods[0], room, 'ann');
        const far = await memberFor(t, pods[1], room, 'ann');
        for (const message of [{ data: { text: 'hi' } }, {}]) {
            const id = randomUUID();
            const first = await askOk(near, { ...message, room, id });
            assert.equal((await far.nextJson()).id, id);
            const second = await askOk(far, { ...message, room, id });
            assert.deepEqual({ ...second, ref: 0 }, { ...first, ref: 0, duplicate: true });
            await askRefused(far, { room, id, data: 2 }, 'INVALID_PAYLOAD', 'id');
        }
        near.sendJson({ room, data: 'over' });
        assert.equal((await far.nextJson()).data, 'over');
    });

    it('marks a message once, whatever its pods', async (t) => {
        const room = freshRoom();
        const ann = [];
        const bob = [];
        for (const pod of pods) {
            ann.push(await memberFor(t, pod, room, 'ann'));
            bob.push(await memberFor(t, pod, room, 'bob'));
        }
        const ids = [];
        for (let i = 0; i < 3; i += 1) {
            ids.push((await askOk(ann[0], { room, data: i })).id);
            for (const client of [ann[1], ...bob]) await client.nextJson();
        }
        const mark = (client, status, ids) =>
            askOk(client, { event: `message:${status}`, room, data: { ids } });
        const next = async (ids, status) => {
            for (const client of ann) {
                const { data } = await nextEvent(client, 'message:status');
                assert.deepEqual(data, { ids, status, user: 'bob', room });
            }
        };
        await mark(bob[0], 'delivered', [ids[0]]);
        await next([ids[0]], 'delivered');
        await mark(bob[1], 'delivered', [ids[0], ids[1]]);
        await next([ids[1]], 'delivered');
        // At once on both pods: whichever is first.
        await Promise.all(bob.map((client) => mark(client, 'read', ids)));
        await next(ids, 'read');
        for (const client of bob) {
            await mark(client, 'delivered', ids);
            await mark(client, 'read', ids);
        }
        ann[0].sendJson({ room, data: 'over' });
        for (const client of ann) {
            assert.equal((await nextEvent(client, undefined)).data, 'over');
            assert.deepEqual((client.aside ?? []).filter((one) => one.event === 'message:status'), []);
        }
    });

    it('that sends what a backend sent for it is told that it was there', async (t) => {
        const room = freshRoom();
        const ann = await memberFor(t, pods[0], room, 'ann');
        const message = { id: randomUUID(), data: [1] };
        const taken = await accepted(pods[0], `/rooms/${room}/messages`, { ...message, from: 'ann' });
        const { id, timestamp, duplicate } = await askOk(ann, { ...message, room });
        assert.deepEqual({ id, timestamp, duplicate }, {
            id: message.id,
            timestamp: taken.timestamp,
            duplicate: true,
        });
    });
});

it('without a window nothing is remembered', async (t) => {
    const own = await serviceFor(t, { env: { MESSAGE_WINDOW: '0' } });
    const client = await eventsClientFor(t, own, { room: 'lobby' });
    const id = randomUUID();
    for (let i = 0; i < 2; i += 1) {
        assert.equal((await askOk(client, { id, data: i })).duplicate, undefined);
    }
    await askOk(client, { event: 'message:edit', data: { id: randomUUID(), data: 1 } });
});
