// Managing over HTTP: the list of rooms over all pods, closing a room, disconnecting a user.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { API_KEY, accepted, call, post } from '../support/api.js';
import {
    assertErrorEnvelope,
    assertErrorResponse,
    assertOnlyMarkerComes,
    clientFor,
    clientsFor,
    freshRoom,
} from '../support/chat.js';
import { eventually } from '../support/deadline.js';
import { redisFor } from '../support/redis.js';
import { serviceFor, startRedis, startService } from '../support/service.js';

const DEFAULT_REASON = 'put out by the API';
const EVENTS = { headers: { 'Sec-WebSocket-Protocol': 'chat.events.v1' } };

/** The answer to a list of rooms, its form checked. */
async function list(pod, query = '') {
    const response = await call(pod, 'GET', `/rooms${query}`);
    assert.equal(response.status, 200, response.text);
    const page = response.json;
    assert.deepEqual(Object.keys(page), ['rooms', 'cursor', 'pods', 'complete']);
    for (const room of page.rooms) assert.deepEqual(Object.keys(room), ['room', 'members']);
    return page;
}

/** A signal that stops a process reaches its threads one by one. */
function isStopped(pid) {
    return fs
        .readdirSync(`/proc/${pid}/task`)
        .map((thread) => fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'))
        .every((stat) => /\) T /.test(stat));
}

const counts = ({ rooms }) => rooms.map(({ room, members }) => [room, members]);

describe('one pod', () => {
    let pod;
    before(async () => {
        pod = await startService({ env: { API_KEY } });
    });
    after(() => pod.stop());

    describe('the list of rooms', () => {
        it('is empty without rooms', async (t) => {
            const own = await serviceFor(t, { env: { API_KEY } });
            const page = await list(own);
            assert.deepEqual(page, { rooms: [], cursor: null, pods: 1, complete: true });
        });

        it('has rooms in the order of their names, with their members', async (t) => {
            const own = await serviceFor(t, { env: { API_KEY } });
            await clientsFor(t, 2, own, { room: 'b' });
            for (const room of ['ab', 'a', 'ä', 'C']) await clientFor(t, own, { room });
            await clientFor(t, own);
            assert.deepEqual(counts(await list(own)), [
                ['C', 1],
                ['a', 1],
                ['ab', 1],
                ['b', 2],
                ['ä', 1],
            ]);
            assert.deepEqual(counts(await list(own, '?prefix=a')), [
                ['a', 1],
                ['ab', 1],
            ]);
            assert.deepEqual(counts(await list(own, '?prefix=%C3%A4')), [['ä', 1]]);
            assert.deepEqual(counts(await list(own, '?prefix=nothing')), []);
        });

        it('comes in pages', async (t) => {
            const own = await serviceFor(t, { env: { API_KEY } });
            const rooms = ['a', 'b', 'c & d', 'd', 'e'];
            for (const room of rooms) {
                await clientFor(t, own, { path: `/ws/${encodeURIComponent(room)}` });
            }
            for (const limit of [1, 2, 4, 5, 6]) {
                const seen = [];
                let cursor = null;
                do {
                    const behind = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
                    const page = await list(own, `?limit=${limit}${behind}`);
                    seen.push(...page.rooms.map(({ room }) => room));
                    assert.ok(page.rooms.length <= limit);
                    cursor = page.cursor;
                } while (cursor !== null);
                assert.deepEqual(seen, rooms, `limit ${limit}`);
            }
        });

        it('shows no room that is not for people to join', async (t) => {
            const own = await serviceFor(t, { env: { API_KEY } });
            await clientFor(t, own, { room: 'seen', ...EVENTS });
            await own.statsWhere('the client', ({ connections }) => connections === 1);
            assert.deepEqual(counts(await list(own)), [['seen', 1]]);
        });

        for (const [field, query] of [
            ['limit', '?limit=0'],
            ['limit', '?limit=1001'],
            ['limit', '?limit='],
            ['limit', '?limit=x'],
            ['limit', '?limit=-1'],
            ['limit', '?limit=99999999999'],
            ['prefix', `?prefix=${'x'.repeat(129)}`],
            ['prefix', '?prefix=%ff'],
            ['prefix', '?prefix=%zz'],
            ['cursor', '?cursor=%ff'],
        ]) {
            it(`refuses ${query.slice(0, 20)}`, async () => {
                const response = await call(pod, 'GET', `/rooms${query}`);
                const { data } = assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
                assert.deepEqual(data, { field });
            });
        }

        it('works for HEAD, and needs the key', async () => {
            assert.equal((await call(pod, 'HEAD', '/rooms')).status, 200);
            assertErrorResponse(await call(pod, 'GET', '/rooms', { key: null }), 401, 'AUTH_FAILED');
        });
    });

    describe('closing a room', () => {
        it('tells its members, and closes those that are in no other', async (t) => {
            const room = freshRoom();
            const members = await clientsFor(t, 2, pod, { room });
            const outsider = await clientFor(t, pod, { room: freshRoom() });
            const response = await call(pod, 'DELETE', `/rooms/${room}`);
            assert.equal(response.status, 202);
            assert.deepEqual(response.json, { room });
            for (const member of members) {
                const notice = await member.nextJson();
                assertErrorEnvelope(notice, 'CHANNEL_ERROR', { field: 'room' });
                assert.equal(notice.room, room);
                const { code, reason } = await member.waitClose();
                assert.deepEqual([code, reason], [4501, DEFAULT_REASON]);
            }
            await pod.statsWhere('the room gone', ({ rooms }) => !(room in rooms));
            await assertOnlyMarkerComes(outsider, [outsider]);
        });

        it('comes behind what was published before', async (t) => {
            const room = freshRoom();
            const member = await clientFor(t, pod, { room });
            for (let i = 0; i < 20; i++) await accepted(pod, `/rooms/${room}/messages`, { data: i });
            await call(pod, 'DELETE', `/rooms/${room}`);
            for (let i = 0; i < 20; i++) assert.equal((await member.nextJson()).data, i);
            assertErrorEnvelope(await member.nextJson(), 'CHANNEL_ERROR');
        });

        it('leaves the name free for who comes next', async (t) => {
            const room = freshRoom();
            const before = await clientFor(t, pod, { room });
            await call(pod, 'DELETE', `/rooms/${room}`);
            await before.nextJson();
            const member = await clientFor(t, pod, { room });
            await accepted(pod, `/rooms/${room}/messages`, { data: 'anew' });
            assert.equal((await member.nextJson()).data, 'anew');
        });

        it('that nobody is in is done, too', async () => {
            assert.equal((await call(pod, 'DELETE', '/rooms/nobody-is-here')).status, 202);
        });

        for (const name of ['a%2Fb', '%ff', 'x'.repeat(129), 'user:ada', 'user%3Aada']) {
            it(`named ${name.slice(0, 20)}: 400`, async () => {
                const response = await call(pod, 'DELETE', `/rooms/${name}`);
                assertErrorResponse(response, 400, 'CHANNEL_ERROR');
            });
        }
    });

    describe('disconnecting a user', () => {
        /** A client's id, as its own messages show it. */
        async function idOf(client) {
            client.sendJson({ data: 'who am I' });
            return (await client.nextJson()).from;
        }

        it('closes the client of that id, and no other', async (t) => {
            const room = freshRoom();
            const [target, other] = [
                await clientFor(t, pod, { room }),
                await clientFor(t, pod, { room: freshRoom() }),
            ];
            const id = await idOf(target);
            const answer = await accepted(pod, `/users/${id}/disconnect`, '');
            assert.deepEqual(answer, { user: id });
            const { code, reason } = await target.waitClose();
            assert.deepEqual([code, reason], [4501, DEFAULT_REASON]);
            await assertOnlyMarkerComes(other, [other]);
        });

        for (const [body, code, reason] of [
            [{}, 4501, DEFAULT_REASON],
            [{ code: 4500 }, 4500, DEFAULT_REASON],
            [{ code: 4000, reason: 'back soon' }, 4000, 'back soon'],
            [{ code: 4999, reason: 'ü'.repeat(61) }, 4999, 'ü'.repeat(61)],
            [{ reason: '' }, 4501, ''],
        ]) {
            it(`with ${JSON.stringify(body).slice(0, 40)} closes so`, async (t) => {
                const target = await clientFor(t, pod, { room: freshRoom() });
                const id = await idOf(target);
                await accepted(pod, `/users/${id}/disconnect`, body);
                const close = await target.waitClose();
                assert.deepEqual([close.code, close.reason], [code, reason]);
            });
        }

        for (const [field, body] of [
            ['code', { code: 3999 }],
            ['code', { code: 5000 }],
            ['code', { code: 1000 }],
            ['code', { code: '4500' }],
            ['code', { code: 4500.5 }],
            ['code', { code: null }],
            ['reason', { reason: 7 }],
            ['reason', { reason: 'x'.repeat(124) }],
            ['reason', { reason: 'ü'.repeat(62) }],
        ]) {
            it(`refuses ${JSON.stringify(body).slice(0, 40)}`, async () => {
                const response = await post(pod, `/users/${randomUUID()}/disconnect`, body);
                const { data } = assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
                assert.deepEqual(data, { field });
            });
        }

        for (const body of ['[]', '"x"', 'x', '{"reason":"\\ud800"}']) {
            it(`refuses ${body}`, async () => {
                const response = await post(pod, '/users/ada/disconnect', body);
                assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
            });
        }

        it('refuses what is no user', async () => {
            for (const user of ['a%2Fb', '%ff', 'x'.repeat(124)]) {
                const response = await post(pod, `/users/${user}/disconnect`, '');
                const { data } = assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
                assert.deepEqual(data, { field: 'user' });
            }
        });

        it('that is not there is done, too', async () => {
            await accepted(pod, '/users/nobody/disconnect', '');
        });
    });
});

describe('two pods', () => {
    let redis;
    let pods;
    before(async () => {
        redis = await startRedis();
        const start = (POD_ID) => startService({ env: { REDIS_URL: redis.url, POD_ID, API_KEY } });
        pods = await Promise.all(['pod-a', 'pod-b'].map(start));
    });
    after(async () => {
        for (const pod of pods) await pod.stop();
        await redis.stop();
    });

    it('list the rooms of both, members added up', async (t) => {
        const name = freshRoom();
        await clientsFor(t, 2, pods[0], { room: `${name}-both` });
        await clientsFor(t, 3, pods[1], { room: `${name}-both` });
        await clientFor(t, pods[0], { room: `${name}-a` });
        await clientFor(t, pods[1], { room: `${name}-b` });
        for (const pod of pods) {
            const page = await list(pod, `?prefix=${name}-`);
            assert.deepEqual(counts(page), [
                [`${name}-a`, 1],
                [`${name}-b`, 1],
                [`${name}-both`, 5],
            ]);
            assert.deepEqual([page.pods, page.complete, page.cursor], [2, true, null]);
        }
        const first = await list(pods[0], `?prefix=${name}-&limit=2`);
        assert.deepEqual(first.rooms.map(({ room }) => room), [`${name}-a`, `${name}-b`]);
        const second = await list(pods[1], `?prefix=${name}-&cursor=${first.cursor}`);
        assert.deepEqual(counts(second), [[`${name}-both`, 5]]);
    });

    it('list names of any length and kind', async (t) => {
        const rooms = ['x'.repeat(128), '"\\ü\u00a0 😀', '%2F'];
        for (const room of rooms) {
            await clientFor(t, pods[1], { path: `/ws/${encodeURIComponent(room)}` });
        }
        const seen = (await list(pods[0])).rooms.map(({ room }) => room);
        for (const room of rooms) assert.ok(seen.includes(room), room);
    });

    it('are counted without those who only look on', async (t) => {
        const wire = await redis.client();
        await wire.psubscribe('realtime:*');
        t.after(() => wire.close());
        const page = await list(pods[0]);
        assert.deepEqual([page.pods, page.complete], [2, true]);
    });

    it('close a room together, behind what was said before', async (t) => {
        const room = freshRoom();
        const members = await Promise.all(pods.map((pod) => clientFor(t, pod, { room })));
        await accepted(pods[1], `/rooms/${room}/messages`, { data: 'last words' });
        assert.equal((await call(pods[1], 'DELETE', `/rooms/${room}`)).status, 202);
        for (const member of members) {
            assert.equal((await member.nextJson()).data, 'last words');
            assertErrorEnvelope(await member.nextJson(), 'CHANNEL_ERROR');
            assert.equal((await member.waitClose()).code, 4501);
        }
    });

    it('keep those connected that asked for events', async (t) => {
        const room = freshRoom();
        const plain = await Promise.all(pods.map((pod) => clientFor(t, pod, { room })));
        const client = await clientFor(t, pods[0], { room, ...EVENTS });
        await call(pods[1], 'DELETE', `/rooms/${room}`);
        for (let notice = null; notice?.event !== 'error';) notice = await client.nextJson();
        for (const other of plain) assert.equal((await other.waitClose()).code, 4501);
        await accepted(pods[1], `/rooms/${room}/messages`, { data: 'not for you' });
        await accepted(pods[1], '/messages', { data: 'for all' });
        // Who came before the room was closed may be told behind that.
        let heard = await client.nextJson();
        while (heard.type === 'presence') heard = await client.nextJson();
        assert.equal(heard.data, 'for all');
    });

    it("disconnect a user's clients, wherever they are", async (t) => {
        const client = await clientFor(t, pods[0], { room: freshRoom() });
        client.sendJson({ data: 1 });
        const { from } = await client.nextJson();
        await accepted(pods[1], `/users/${from}/disconnect`, { code: 4321, reason: 'far away' });
        const { code, reason } = await client.waitClose();
        assert.deepEqual([code, reason], [4321, 'far away']);
    });

    it('a pod that hangs is waited for half a second, and said to be missing', async (t) => {
        const room = freshRoom();
        await clientFor(t, pods[0], { room });
        process.kill(pods[1].pid, 'SIGSTOP');
        try {
            await eventually('every thread to stand still', () => isStopped(pods[1].pid));
            const page = await list(pods[0], `?prefix=${room}`);
            assert.deepEqual(counts(page), [[room, 1]]);
            assert.deepEqual([page.pods, page.complete], [1, false]);
        } finally {
            process.kill(pods[1].pid, 'SIGCONT');
        }
        await eventually('both again', async () => (await list(pods[0])).complete);
    });

    it('many questions at once get their own answers', async (t) => {
        const names = Array.from({ length: 10 }, () => freshRoom());
        for (const [i, room] of names.entries()) await clientFor(t, pods[i % 2], { room });
        const pages = await Promise.all(
            names.flatMap((room) => pods.map((pod) => list(pod, `?prefix=${room}&limit=1`))),
        );
        for (const [i, page] of pages.entries()) {
            assert.equal(page.rooms[0].room, names[Math.floor(i / 2)]);
        }
    });
});

it('without Redis for a while a pod lists its own rooms and says so', async (t) => {
    const redis = await redisFor(t);
    const pod = await serviceFor(t, { env: { REDIS_URL: redis.url, API_KEY } });
    await clientFor(t, pod, { room: 'own' });
    await redis.kill();
    await pod.statsWhere('Redis away', (stats) => !stats.redis.connected);
    const page = await list(pod);
    assert.deepEqual(counts(page), [['own', 1]]);
    assert.deepEqual([page.pods, page.complete], [1, false]);
});

it('other programs and broken pods say nothing that pods obey', async (t) => {
    const redis = await redisFor(t);
    const pod = await serviceFor(t, { env: { REDIS_URL: redis.url, API_KEY } });
    const client = await clientFor(t, pod, { room: 'safe' });
    const wire = await redis.client();
    for (const payload of [
        'nonsense',
        '{"op":"room:close","room":"safe"}',
        '{"pod":"x","op":"room:close"',
        '{"pod":"x","op":"room:close","room":7}',
        '{"pod":"x","op":"room:close","room":"a/b"}',
        '{"pod":"x","op":"rooms","ask":1,"limit":0}',
        '{"pod":"x","op":"rooms","ask":1,"limit":99999999999999999999}',
        '{"pod":"x","op":"rooms:are","ask":1,"rooms":{"a":1}}',
        '{"pod":"x","op":"user:disconnect","user":"","code":1}',
        '{"pod":"x","op":"something:new","x":[[[[1]]]]}',
        `{"pod":"x","op":"${'x'.repeat(300)}"}`,
        '{"pod":"x","op":{}}',
        Buffer.from([0x7b, 0xff, 0x7d]),
    ]) {
        assert.equal(await wire.publish('realtime-control', payload), 1);
    }
    await accepted(pod, '/rooms/safe/messages', { data: 'still here' });
    assert.equal((await client.nextJson()).data, 'still here');
    assert.equal((await list(pod)).complete, true);
});
