// EVENTS.md sections 4 and 5: who is where, on one pod and on several, status, typing.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { API_KEY, call } from '../support/api.js';
import { assertEnvelope, assertErrorResponse, clientFor, freshRoom } from '../support/chat.js';
import { SLOW, eventually, sleep, stretched } from '../support/deadline.js';
import { PROTOCOL, askOk, askRefused, eventsClientFor, nextEvent } from '../support/events.js';
import { request } from '../support/http.js';
import { redisFor } from '../support/redis.js';
import { serviceFor } from '../support/service.js';
import { SECRET, bearer, token } from '../support/tokens.js';

const GRACE_MS = 400 * SLOW;
const GRACE = { PRESENCE_GRACE: `${GRACE_MS}ms` };
const GLOBAL = 'presence:global';

/** The next presence event about this user; others are put aside. */
async function told(client, event, user, ms) {
    for (;;) {
        const envelope = await nextEvent(client, event, ms);
        if (envelope.data.user === user) return envelope;
        (client.aside ??= []).push(envelope);
    }
}

const user = (client) => client.hello.user;

/** Events of this name about this user that came until now, the ones put aside included. */
async function allTold(client, event, about) {
    await askOk(client, { event: 'ping' });
    return (client.aside ?? []).filter(
        (envelope) => envelope.event === event && envelope.data.user === about,
    );
}

/** Who is in the room as `room:join` of a member tells it. */
async function listed(client, room) {
    const { presence } = await askOk(client, { event: 'room:join', room });
    return presence;
}

const names = (presence) => presence.map((one) => one.user).sort();

async function podsFor(t, count, env = {}) {
    const redis = await redisFor(t);
    const start = () => serviceFor(t, { env: { REDIS_URL: redis.url, ...GRACE, ...env } });
    const pods = await Promise.all(Array.from({ length: count }, start));
    for (const pod of pods) await pod.statsWhere('Redis', (stats) => stats.redis.connected);
    return { redis, pods };
}

for (const where of ['one pod without Redis', 'two pods']) {
    describe(`presence on ${where}`, () => {
        let near;
        let far;
        let stop;
        before(async (t) => {
            const cleanup = [];
            const scope = { after: (fn) => cleanup.unshift(fn) };
            stop = async () => {
                for (const fn of cleanup) await fn();
            };
            if (where === 'two pods') [near, far] = (await podsFor(scope, 2, { API_KEY })).pods;
            else near = far = await serviceFor(scope, { env: { ...GRACE, API_KEY } });
        });
        after(() => stop());

        it('tells of a join to those who are there, with all that is known', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const comer = await eventsClientFor(t, far, { room });
            const join = await told(watcher, 'presence:join', user(comer));
            assertEnvelope(join, { type: 'presence', room, from: 'server' });
            assert.deepEqual(join.data, {
                user: user(comer),
                name: null,
                status: 'online',
                text: '',
                clients: 1,
            });
        });

        it('tells of plain clients, and plain clients of nothing', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const plain = await clientFor(t, far, { room });
            plain.sendJson({ room, data: 'who am I' });
            const id = (await nextEvent(watcher, undefined)).from;
            // The word of its coming takes another way than what it says.
            if ((await allTold(watcher, 'presence:join', id)).length === 0) {
                await told(watcher, 'presence:join', id);
            }
            assert.equal((await plain.nextJson()).data, 'who am I');
            const second = await eventsClientFor(t, near, { room });
            await told(watcher, 'presence:join', user(second));
            watcher.sendJson({ room, data: 'over' });
            assert.equal((await plain.nextJson()).data, 'over');
        });

        it('tells of a leave only after the time of grace', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const comer = await eventsClientFor(t, far, { room });
            await told(watcher, 'presence:join', user(comer));
            const began = Date.now();
            comer.hangUp();
            const leave = await told(watcher, 'presence:leave', user(comer));
            assert.ok(Date.now() - began >= GRACE_MS - 50);
            assert.equal(leave.data.clients, 0);
            assert.equal(leave.data.status, 'offline');
        });

        it('tells nothing of one who comes back in time', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const comer = await eventsClientFor(t, far);
            await askOk(comer, { event: 'room:join', room });
            await told(watcher, 'presence:join', user(comer));
            await askOk(comer, { event: 'room:leave', room });
            await askOk(comer, { event: 'room:join', room });
            await sleep(GRACE_MS * 1.5);
            assert.equal((await allTold(watcher, 'presence:leave', user(comer))).length, 0);
            assert.equal((await allTold(watcher, 'presence:join', user(comer))).length, 0);
        });

        it('lists who is there with the reply to room:join', async (t) => {
            const room = freshRoom();
            const plain = await clientFor(t, far, { room });
            const first = await eventsClientFor(t, far, { room });
            const second = await eventsClientFor(t, near);
            await eventually('all three', async () => {
                const presence = await listed(second, room);
                return presence.length === 3 && presence;
            });
            const presence = await listed(second, room);
            assert.ok(names(presence).includes(user(first)));
            assert.ok(names(presence).includes(user(second)));
            for (const one of presence) {
                assert.deepEqual(Object.keys(one), [
                    'user',
                    'name',
                    'status',
                    'text',
                    'clients',
                    'since',
                ]);
                assert.ok(Math.abs(Date.now() - Date.parse(one.since)) < stretched(60000));
            }
            plain.hangUp();
        });

        it('counts members and lists users of all pods with the replies to joins and leaves', async (t) => {
            const room = freshRoom();
            const plain = await clientFor(t, far, { room });
            const hidden = await eventsClientFor(t, far, { room });
            await askOk(hidden, { event: 'presence:update', data: { status: 'offline' } });
            const client = await eventsClientFor(t, near);
            await eventually('all three', async () => {
                const { members, presence } = await askOk(client, { event: 'room:join', room });
                return members === 3 && presence.length === 2;
            });
            const left = await askOk(client, { event: 'room:leave', room });
            assert.equal(left.members, 2);
            assert.equal(left.presence.length, 1);
            assert.notEqual(left.presence[0].user, user(client));
            const again = await askOk(client, { event: 'room:leave', room });
            assert.deepEqual({ ...again, ref: 0 }, { ...left, ref: 0 });
            const strange = await askOk(client, { event: 'room:leave', room: `user:${user(hidden)}` });
            assert.deepEqual([strange.members, strange.presence], [0, []]);
            plain.hangUp();
        });

        it('tells a status to every room of the user, and only a new one', async (t) => {
            const [one, two] = [freshRoom(), freshRoom()];
            const inOne = await eventsClientFor(t, near, { room: one });
            const inTwo = await eventsClientFor(t, near, { room: two });
            const busy = await eventsClientFor(t, far, { room: one });
            await askOk(busy, { event: 'room:join', room: two });
            await told(inOne, 'presence:join', user(busy));
            await told(inTwo, 'presence:join', user(busy));
            const update = { event: 'presence:update', data: { status: 'busy', text: 'hélas' } };
            await askOk(busy, update);
            for (const [client, room] of [
                [inOne, one],
                [inTwo, two],
            ]) {
                const { data } = await told(client, 'presence:update', user(busy));
                assert.deepEqual(data, {
                    user: user(busy),
                    name: null,
                    status: 'busy',
                    text: 'hélas',
                    clients: 1,
                });
                const found = (await listed(client, room)).find((who) => who.user === user(busy));
                assert.equal(found.status, 'busy');
            }
            await askOk(busy, update);
            await askOk(busy, { event: 'presence:update', data: { status: 'away' } });
            const next = await told(inOne, 'presence:update', user(busy));
            assert.equal(next.data.status, 'away');
            assert.equal(next.data.text, '');
        });

        it('shows who is offline to nobody', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const ghost = await eventsClientFor(t, far, { room });
            await told(watcher, 'presence:join', user(ghost));
            await askOk(ghost, { event: 'presence:update', data: { status: 'offline' } });
            await told(watcher, 'presence:leave', user(ghost));
            assert.deepEqual(names(await listed(watcher, room)), [user(watcher)]);
            ghost.sendJson({ event: 'user:typing', room, data: { typing: true } });
            await askOk(ghost, { event: 'presence:update', data: { status: 'online' } });
            await told(watcher, 'presence:join', user(ghost));
            assert.equal((await allTold(watcher, 'user:typing', user(ghost))).length, 0);
        });

        it('tells who is in a room over HTTP, members or not', async (t) => {
            const room = `${freshRoom()} é`;
            const ask = async (pod) => {
                const path = `/api/chat-api/rooms/${encodeURIComponent(room)}/presence`;
                const response = await request(pod, path);
                assert.equal(response.status, 200);
                return response.json;
            };
            assert.deepEqual(await ask(near), { room, count: 0, users: [] });
            const plain = await clientFor(t, far, { room });
            const first = await eventually('one', async () => {
                const answer = await ask(near);
                return answer.count === 1 && answer;
            });
            assert.equal(first.users[0].status, 'online');
            assert.equal(first.users[0].clients, 1);
            const member = await eventsClientFor(t, near, { room });
            for (const pod of [near, far]) {
                const { count, users } = await ask(pod);
                assert.equal(count, 2);
                assert.deepEqual(users[0], first.users[0], 'in the order of their coming');
                assert.equal(users[1].user, user(member));
            }
            plain.hangUp();
            await eventually('gone at once', async () => (await ask(far)).count === 1);
            await eventually('gone at once', async () => (await ask(near)).count === 1);
        });

        it('lists nobody whom the API put out of the room, but in their other rooms', async (t) => {
            const room = freshRoom();
            const other = freshRoom();
            const count = async (pod, name) => {
                const path = `/api/chat-api/rooms/${name}/presence`;
                return (await request(pod, path)).json.count;
            };
            const isGone = async () => (await count(near, room)) + (await count(far, room)) === 0;
            const [one, two] = [
                await eventsClientFor(t, near, { room }),
                await eventsClientFor(t, far, { room }),
            ];
            const plain = await clientFor(t, far, { room });
            await askOk(two, { event: 'room:join', room: other });
            await eventually('all three', async () => (await count(near, room)) === 3);
            assert.equal((await call(near, 'DELETE', `/rooms/${room}`)).status, 202);
            for (const client of [one, two]) {
                assert.equal((await nextEvent(client, 'error')).room, room);
            }
            assert.equal((await plain.waitClose()).code, 4501);
            await eventually('nobody in the room', isGone);
            assert.equal(await count(near, other), 1);
            assert.deepEqual(names(await listed(two, other)), [user(two)]);

            // Who comes back comes anew, and finds only who came back, too.
            assert.deepEqual(names(await listed(one, room)), [user(one)]);
            await askOk(two, { event: 'room:join', room });
            await eventually('both on both pods', async () =>
                (await count(near, room)) + (await count(far, room)) === 4);
            two.hangUp();
            await told(one, 'presence:leave', user(two));
        });

        it('refuses a list of what is no room', async () => {
            const get = (name) => request(near, `/api/chat-api/rooms/${name}/presence`);
            assertErrorResponse(await get('%zz'), 400, 'CHANNEL_ERROR');
            assertErrorResponse(await get('a%2Fb'), 400, 'CHANNEL_ERROR');
            assertErrorResponse(await get('user:ann'), 403, 'CHANNEL_ERROR');
        });

        it('refuses what is no status', async (t) => {
            const client = await eventsClientFor(t, near, { room: freshRoom() });
            const refused = (data, field) =>
                askRefused(client, { event: 'presence:update', data }, 'INVALID_PAYLOAD', field);
            await refused({}, 'data.status');
            await refused({ status: 'gone' }, 'data.status');
            await refused({ status: 1 }, 'data.status');
            await refused('busy', 'data.status');
            await refused({ status: 'busy', text: 7 }, 'data.text');
            await refused({ status: 'busy', text: 'x'.repeat(141) }, 'data.text');
            await refused({ status: 'busy', text: 'a\u0000b' }, 'data.text');
            const longest = { status: 'busy', text: 'x'.repeat(140) };
            await askOk(client, { event: 'presence:update', data: longest });
        });

        it('takes a message of type presence for an update, from an events client', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const client = await eventsClientFor(t, far, { room });
            client.sendJson({ type: 'presence', data: { status: 'busy', text: 'at work' } });
            const { data } = await told(watcher, 'presence:update', user(client));
            assert.deepEqual([data.status, data.text], ['busy', 'at work']);
            const bad = { type: 'presence', data: { status: 'gone' } };
            await askRefused(client, bad, 'INVALID_PAYLOAD', 'data.status');
        });

        it('passes a plain client\'s message of type presence on, and updates by it', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const plain = await clientFor(t, far, { room });
            plain.sendJson({ type: 'presence', data: { status: 'busy' } });
            const passed = await plain.nextJson();
            assertEnvelope(passed, { type: 'presence', room, data: { status: 'busy' } });
            assert.equal(passed.event, undefined);
            const { data } = await told(watcher, 'presence:update', passed.from);
            assert.equal(data.status, 'busy');
        });

        it('tells presence:global of everybody who comes online and goes', async (t) => {
            const watcher = await eventsClientFor(t, near, { room: GLOBAL });
            const comer = await eventsClientFor(t, far);
            const online = await told(watcher, 'presence:update', user(comer));
            assertEnvelope(online, { type: 'presence', room: GLOBAL, from: 'server' });
            assert.equal(online.data.status, 'online');
            await askOk(comer, { event: 'presence:update', data: { status: 'busy' } });
            await askOk(comer, { event: 'presence:update', data: { status: 'offline' } });
            const hidden = await told(watcher, 'presence:update', user(comer));
            assert.equal(hidden.data.status, 'offline', 'busy is not told here');
            await askOk(comer, { event: 'presence:update', data: { status: 'online' } });
            assert.equal(
                (await told(watcher, 'presence:update', user(comer))).data.status,
                'online',
            );
            comer.hangUp();
            const gone = await told(watcher, 'presence:update', user(comer));
            assert.equal(gone.data.status, 'offline');
        });

        it('passes typing on, not too often, and ends it', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const typist = await eventsClientFor(t, far, { room });
            await told(watcher, 'presence:join', user(typist));
            const type = (typing) => askOk(typist, { event: 'user:typing', room, data: { typing } });
            await type(true);
            const begun = await told(watcher, 'user:typing', user(typist));
            assertEnvelope(begun, { type: 'presence', room, from: 'server' });
            assert.deepEqual(begun.data, { user: user(typist), typing: true });
            await type(true);
            await type(false);
            assert.equal(
                (await told(watcher, 'user:typing', user(typist))).data.typing,
                false,
                'the second true came within 3 s of the first',
            );
            await type(true);
            await type(false);
            await sleep(3000);
            await type(true);
            assert.equal((await told(watcher, 'user:typing', user(typist))).data.typing, true);
            typist.sendJson({ room, data: 'what I typed' });
            assert.equal((await told(watcher, 'user:typing', user(typist))).data.typing, false);
            assert.equal((await allTold(typist, 'user:typing', user(typist))).length, 0);
        });

        it('ends typing in each room with the message to that room', async (t) => {
            const rooms = [freshRoom(), freshRoom()];
            const watcher = await eventsClientFor(t, near);
            const typist = await eventsClientFor(t, far);
            for (const room of rooms) {
                for (const client of [watcher, typist]) {
                    await askOk(client, { event: 'room:join', room });
                }
                await told(watcher, 'presence:join', user(typist));
            }
            // What took so long that it may have ended by itself tells nothing: once more then.
            let took = Infinity;
            for (let tries = 0; took >= 5000 && tries < 5; tries++) {
                for (const room of rooms) {
                    await askOk(typist, { event: 'user:typing', room, data: { typing: true } });
                    await told(watcher, 'user:typing', user(typist));
                }
                const began = Date.now();
                for (const room of rooms) {
                    await askOk(typist, { room, data: 'what I typed' });
                    const over = await told(watcher, 'user:typing', user(typist), 10000);
                    assert.deepEqual([over.room, over.data.typing], [room, false]);
                }
                took = Date.now() - began;
            }
            assert.ok(took < 5000, 'not by itself');
        });

        it('ends typing of one who says no more, and of one who leaves', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const typist = await eventsClientFor(t, far, { room });
            const leaver = await eventsClientFor(t, far, { room });
            await told(watcher, 'presence:join', user(typist));
            await told(watcher, 'presence:join', user(leaver));
            const message = { event: 'user:typing', room, data: { typing: true } };
            await askOk(leaver, message);
            assert.equal((await told(watcher, 'user:typing', user(leaver))).data.typing, true);
            leaver.hangUp();
            assert.equal((await told(watcher, 'user:typing', user(leaver))).data.typing, false);
            await askOk(typist, message);
            await told(watcher, 'user:typing', user(typist));
            const began = Date.now();
            assert.equal(
                (await told(watcher, 'user:typing', user(typist), 10000)).data.typing,
                false,
            );
            assert.ok(Date.now() - began >= 5500);
        });

        it('ends typing of one who goes offline, before that is told', async (t) => {
            const room = freshRoom();
            const watcher = await eventsClientFor(t, near, { room });
            const typist = await eventsClientFor(t, far, { room });
            await told(watcher, 'presence:join', user(typist));
            await askOk(typist, { event: 'user:typing', room, data: { typing: true } });
            await told(watcher, 'user:typing', user(typist));
            await askOk(typist, { event: 'presence:update', data: { status: 'offline' } });
            await told(watcher, 'presence:leave', user(typist));
            assert.deepEqual(
                (await allTold(watcher, 'user:typing', user(typist))).map(({ data }) => data.typing),
                [false],
            );
        });

        it('refuses typing where one is not', async (t) => {
            const client = await eventsClientFor(t, near, { room: freshRoom() });
            const refused = (message, code, field) =>
                askRefused(client, { event: 'user:typing', ...message }, code, field);
            await refused({ room: freshRoom(), data: { typing: true } }, 'CHANNEL_ERROR', 'room');
            await refused({ room: '', data: { typing: true } }, 'CHANNEL_ERROR', 'room');
            await refused({ data: {} }, 'INVALID_PAYLOAD', 'data.typing');
            await refused({ data: { typing: 1 } }, 'INVALID_PAYLOAD', 'data.typing');
        });
    });
}

describe('a silent user', () => {
    it('is away, and online with the next message', async (t) => {
        const { pods } = await podsFor(t, 2, { PRESENCE_AWAY: '700ms' });
        const room = freshRoom();
        const watcher = await eventsClientFor(t, pods[0], { room });
        const silent = await eventsClientFor(t, pods[1], { room });
        await told(watcher, 'presence:join', user(silent));
        const beat = setInterval(() => watcher.sendJson({ event: 'ping' }), 100);
        t.after(() => clearInterval(beat));
        assert.equal((await told(watcher, 'presence:update', user(silent))).data.status, 'away');
        await askOk(silent, { event: 'ping' });
        assert.equal((await told(watcher, 'presence:update', user(silent))).data.status, 'online');
        await askOk(silent, { event: 'presence:update', data: { status: 'busy' } });
        assert.equal((await told(watcher, 'presence:update', user(silent))).data.status, 'busy');
        await sleep(1200);
        const updates = await allTold(watcher, 'presence:update', user(silent));
        assert.equal(updates.length, 0, 'who is busy does not become away');
    });
});

describe('pods', () => {
    it('tell each other within 200 ms', async (t) => {
        const { pods } = await podsFor(t, 2);
        const room = freshRoom();
        const watcher = await eventsClientFor(t, pods[0], { room });
        const comer = await eventsClientFor(t, pods[1], { room });
        await told(watcher, 'presence:join', user(comer));
        const taken = [];
        for (let i = 0; i < 20; i += 1) {
            const status = i % 2 === 0 ? 'busy' : 'online';
            const began = performance.now();
            comer.sendJson({ event: 'presence:update', data: { status } });
            await told(watcher, 'presence:update', user(comer));
            taken.push(performance.now() - began);
        }
        taken.sort((a, b) => a - b);
        t.diagnostic(`median ${taken[10].toFixed(1)} ms, longest ${taken[19].toFixed(1)} ms`);
        assert.ok(taken[10] < stretched(200), `median of ${taken}`);
    });

    it('that are killed take their users with them, once', async (t) => {
        const { pods, redis } = await podsFor(t, 3);
        const room = freshRoom();
        const [a, b, c] = await Promise.all(
            pods.map((pod) => eventsClientFor(t, pod, { room })),
        );
        const plain = await clientFor(t, pods[2], { room });
        for (const watcher of [a, b]) {
            await eventually('all', async () => (await listed(watcher, room)).length === 4);
        }
        await pods[2].kill();
        plain.hangUp();
        const keep = await eventsClientFor(t, pods[1], { room });
        await told(a, 'presence:leave', user(c), 40000);
        await told(b, 'presence:leave', user(c), 40000);
        for (const watcher of [a, b]) {
            await eventually('the rest', async () =>
                assert.deepEqual(names(await listed(watcher, room)), [a, b, keep].map(user).sort()) ||
                true,
            );
            assert.equal((await allTold(watcher, 'presence:leave', user(c))).length, 0);
            assert.equal((await allTold(watcher, 'presence:leave', user(a))).length, 0);
        }
        const client = await redis.client();
        await eventually('a clean hash', async () => {
            const fields = await client.command('HKEYS', `realtime:presence:${room}`);
            return fields.length === 3;
        });
        client.close();
    });

    it('that end in order take their users back at once', async (t) => {
        const { pods, redis } = await podsFor(t, 2);
        const room = freshRoom();
        const watcher = await eventsClientFor(t, pods[0], { room });
        const other = await eventsClientFor(t, pods[1], { room });
        await told(watcher, 'presence:join', user(other));
        await pods[1].stop();
        const client = await redis.client();
        const fields = await client.command('HKEYS', `realtime:presence:${room}`);
        client.close();
        assert.equal(fields.length, 1);
        await told(watcher, 'presence:leave', user(other));
    });

    it('hold nobody gone while Redis is away, and agree when it is back', async (t) => {
        const { pods, redis } = await podsFor(t, 2);
        const room = freshRoom();
        const a = await eventsClientFor(t, pods[0], { room });
        const b = await eventsClientFor(t, pods[1], { room });
        const leaver = await eventsClientFor(t, pods[1], { room });
        await eventually('all', async () => (await listed(a, room)).length === 3);
        await redis.kill();
        for (const pod of pods) await pod.statsWhere('no Redis', (s) => !s.redis.connected);
        leaver.hangUp();
        const comer = await eventsClientFor(t, pods[1], { room });
        await told(b, 'presence:leave', user(leaver));
        assert.equal((await allTold(a, 'presence:leave', user(b))).length, 0);
        assert.ok(names(await listed(a, room)).includes(user(b)));
        await redis.restart();
        for (const pod of pods) await pod.statsWhere('Redis', (s) => s.redis.connected, 20000);
        await told(a, 'presence:join', user(comer), 20000);
        await told(a, 'presence:leave', user(leaver), 40000);
        const truth = [a, b, comer].map(user).sort();
        for (const client of [a, b]) {
            await eventually('the truth', async () => {
                const presence = await listed(client, room);
                assert.deepEqual(names(presence), truth);
                return presence.every((one) => one.clients === 1);
            }, 30000);
        }
        assert.equal((await allTold(a, 'presence:leave', user(b))).length, 0);
        assert.equal((await allTold(b, 'presence:leave', user(a))).length, 0);
    });
});

describe('pods that Redis parted', () => {
    const KILLS = [
        ['CLIENT', 'KILL', 'TYPE', 'pubsub'],
        ['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'],
    ];

    it('count nobody twice when they are back', async (t) => {
        const { pods, redis } = await podsFor(t, 2);
        const room = freshRoom();
        const a = await eventsClientFor(t, pods[0], { room });
        const b = await eventsClientFor(t, pods[1], { room });
        await eventually('both', async () => (await listed(a, room)).length === 2);
        const client = await redis.client();
        for (const kill of KILLS) await client.command(...kill);
        for (const pod of pods) await pod.statsWhere('Redis', (s) => s.redis.connected, 20000);
        // What a pod says now comes behind what it said anew when it was back.
        for (const status of ['busy', 'online']) {
            await eventually('news of the other pod', async () => {
                await askOk(b, { event: 'presence:update', data: { status, text: `${Math.random()}` } });
                const update = await told(a, 'presence:update', user(b), 1000).catch(() => null);
                if (update !== null) assert.equal(update.data.clients, 1);
                return update !== null;
            }, 20000);
        }
        for (const one of [a, b]) {
            for (const { clients } of await listed(one, room)) assert.equal(clients, 1);
        }
        const fields = await client.command('HKEYS', `realtime:presence:${room}`);
        assert.equal(fields.length, 2, 'nothing of the leases before');
    });

    it('hold nobody gone when it was emptied', async (t) => {
        const { pods, redis } = await podsFor(t, 3);
        const room = freshRoom();
        const all = await Promise.all(pods.map((pod) => eventsClientFor(t, pod, { room })));
        for (const one of all) {
            await eventually('all', async () => (await listed(one, room)).length === 3);
        }
        const client = await redis.client();
        // Each pod finds out by itself, in its own time: whoever is first must not judge the others.
        for (let round = 0; round < 2; round++) {
            await client.command('FLUSHALL');
            await eventually('all leases anew', async () => {
                const leases = await client.command('KEYS', 'realtime:lease:*');
                const fields = await client.command('HKEYS', `realtime:presence:${room}`);
                return leases.length === 3 && fields.length === 3;
            }, 20000);
        }
        for (const one of all) {
            for (const other of all) {
                assert.deepEqual(await allTold(one, 'presence:leave', user(other)), []);
            }
            assert.deepEqual(names(await listed(one, room)), all.map(user).sort());
        }
    });
});

describe('a signed-in user', () => {
    const ENV = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET, RATE_LIMIT_ENABLED: 'false' };
    const as = (sub, claims = {}) => ({ headers: bearer(token({ sub, ...claims })) });

    it('is one, whatever its clients and pods', async (t) => {
        const { pods } = await podsFor(t, 2, ENV);
        const room = freshRoom();
        const watcher = await eventsClientFor(t, pods[0], { room, ...as('wendy') });
        const one = await eventsClientFor(t, pods[1], { room, ...as('ann', { name: 'Ann A.' }) });
        const join = await told(watcher, 'presence:join', 'ann');
        assert.equal(join.data.name, 'Ann A.');
        const two = await eventsClientFor(t, pods[0], as('ann', { name: 'Ann A.' }));
        await askOk(two, { event: 'room:join', room });
        await eventually('two clients', async () => {
            const found = (await listed(watcher, room)).find((who) => who.user === 'ann');
            return found.clients === 2;
        });
        one.hangUp();
        await sleep(GRACE_MS * 1.5);
        assert.equal((await allTold(watcher, 'presence:join', 'ann')).length, 0);
        assert.equal((await allTold(watcher, 'presence:leave', 'ann')).length, 0);
        two.hangUp();
        await told(watcher, 'presence:leave', 'ann');
    });

    it('has one status on all pods, which outlives a page that is loaded anew', async (t) => {
        const { pods } = await podsFor(t, 2, ENV);
        const [one, two] = [freshRoom(), freshRoom()];
        const inOne = await eventsClientFor(t, pods[0], { room: one, ...as('wendy') });
        const inTwo = await eventsClientFor(t, pods[0], { room: two, ...as('will') });
        const here = await eventsClientFor(t, pods[0], { room: one, ...as('ann') });
        const plain = await clientFor(t, pods[1], { room: two, ...as('ann') });
        await told(inOne, 'presence:join', 'ann');
        await told(inTwo, 'presence:join', 'ann');
        await askOk(here, { event: 'presence:update', data: { status: 'busy', text: 'x' } });
        assert.equal((await told(inOne, 'presence:update', 'ann')).data.status, 'busy');
        const far = await told(inTwo, 'presence:update', 'ann');
        assert.deepEqual([far.data.status, far.data.text], ['busy', 'x']);
        plain.hangUp();
        here.hangUp();
        /* Not told as a join: it came back in time. */
        await clientFor(t, pods[0], { protocol: PROTOCOL, room: one, ...as('ann') });
        const late = await clientFor(t, pods[1], { room: two, ...as('ann') });
        await sleep(GRACE_MS * 1.5);
        for (const [client, room] of [
            [inOne, one],
            [inTwo, two],
        ]) {
            const found = (await listed(client, room)).find((who) => who.user === 'ann');
            assert.equal(found.status, 'busy');
            assert.equal((await allTold(client, 'presence:leave', 'ann')).length, 0);
        }
        late.hangUp();
    });

    for (const status of ['busy', 'away', 'offline']) {
        it(`that is ${status} stays so on the way to another pod`, async (t) => {
            const { pods } = await podsFor(t, 2, ENV);
            const room = freshRoom();
            const watchers = [];
            for (const [i, pod] of pods.entries()) {
                watchers.push(await eventsClientFor(t, pod, { room, ...as(`watcher-${i}`) }));
            }
            const join = (pod) => clientFor(t, pod, { protocol: PROTOCOL, room, ...as('ann') });
            let ann = await join(pods[0]);
            await askOk(ann, { event: 'presence:update', data: { status } });
            await sleep(GRACE_MS * 1.5);
            for (const watcher of watchers) await allTold(watcher, 'presence:join', 'ann');
            for (const watcher of watchers) watcher.aside = [];
            for (const pod of [pods[1], pods[0], pods[1]]) {
                ann.hangUp();
                ann = await join(pod);
                await sleep(GRACE_MS / 4);
            }
            for (const watcher of watchers) {
                for (const event of ['presence:join', 'presence:leave', 'presence:update']) {
                    assert.deepEqual(await allTold(watcher, event, 'ann'), []);
                }
            }
        });
    }

    it('is away when it is silent everywhere', async (t) => {
        const { pods } = await podsFor(t, 2, { ...ENV, PRESENCE_AWAY: `${700 * SLOW}ms` });
        const room = freshRoom();
        const watcher = await eventsClientFor(t, pods[0], { room, ...as('wendy') });
        const silent = await eventsClientFor(t, pods[0], { room, ...as('ann') });
        const active = await eventsClientFor(t, pods[1], as('ann'));
        await told(watcher, 'presence:join', 'ann');
        const beats = [watcher, active].map((client) =>
            setInterval(() => client.sendJson({ event: 'ping' }), 100),
        );
        t.after(() => beats.forEach(clearInterval));
        await sleep(stretched(1500));
        assert.equal((await allTold(watcher, 'presence:update', 'ann')).length, 0);
        clearInterval(beats[1]);
        assert.equal((await told(watcher, 'presence:update', 'ann')).data.status, 'away');
        await askOk(active, { event: 'ping' });
        assert.equal((await told(watcher, 'presence:update', 'ann')).data.status, 'online');
        silent.hangUp();
    });

    it('types as one, whatever its pods', async (t) => {
        const { pods } = await podsFor(t, 2, ENV);
        const room = freshRoom();
        const watchers = [];
        for (const [i, pod] of pods.entries()) {
            watchers.push(await eventsClientFor(t, pod, { room, ...as(`watcher-${i}`) }));
        }
        const tabs = [];
        for (const pod of pods) {
            const tab = await eventsClientFor(t, pod, as('ann'));
            await askOk(tab, { event: 'room:join', room });
            tabs.push(tab);
        }
        const next = (watcher) => told(watcher, 'user:typing', 'ann');
        const type = (tab, typing) => askOk(tab, { event: 'user:typing', room, data: { typing } });
        await type(tabs[0], true);
        for (const watcher of watchers) assert.equal((await next(watcher)).data.typing, true);
        await type(tabs[1], true);
        await askOk(tabs[1], { room, data: 'what the other tab sent' });
        for (const watcher of watchers) {
            assert.equal((await next(watcher)).data.typing, false, 'no second true within 3 s');
        }
        await type(tabs[0], false);
        await sleep(3000);
        await type(tabs[0], true);
        for (const watcher of watchers) assert.equal((await next(watcher)).data.typing, true);
        await type(tabs[1], false);
        for (const watcher of watchers) assert.equal((await next(watcher)).data.typing, false);
    });

    it('may see over HTTP who is where it may go', async (t) => {
        const pod = await serviceFor(t, { env: { ...ENV, API_KEY } });
        const get = (room, headers) =>
            request(pod, `/api/chat-api/rooms/${room}/presence`, { headers });
        const rooms = [{ match: 'team:*', can: ['join'] }];
        const { headers } = as('ann', { rooms });
        assert.equal((await get('team:a', headers)).status, 200);
        assertErrorResponse(await get('other', headers), 403, 'CHANNEL_ERROR');
        assertErrorResponse(await get('team:a'), 401, 'AUTH_FAILED');
        assertErrorResponse(await get('team:a', { Authorization: 'Bearer x' }), 401, 'AUTH_FAILED');
        assert.equal((await get('other', { Authorization: `Bearer ${API_KEY}` })).status, 200);
        const scoped = as('ann', { rooms, scope: 'publish' }).headers;
        assert.equal((await get('other', scoped)).status, 200);
    });
});
