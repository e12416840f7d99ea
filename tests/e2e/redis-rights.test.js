// EVENTS.md section 8: a Redis user whose rights do not reach to every room. What Redis refuses
// concerns that room, and those who want it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
    assertEnvelope,
    assertErrorEnvelope,
    assertErrorResponse,
    assertOnlyMarkerComes,
    clientFor,
} from '../support/chat.js';
import { ask, askOk, askRefused, eventsClientFor, nextEvent } from '../support/events.js';
import { request } from '../support/http.js';
import { redisFor } from '../support/redis.js';
import { serviceFor, startProxy } from '../support/service.js';
import { attempt } from '../support/websocket.js';

const connected = (stats) => stats.redis.connected === true;
const away = (stats) => stats.redis.connected === false;

const RIGHTS = [
    '&realtime:global',
    '&realtime-control*',
    '&realtime-events*',
    '&realtime:room:user:*',
    '&realtime:room:open*',
];

/** A pod whose Redis user may hear of rooms that begin with open, behind a proxy. */
async function boundedPod(t, rights = RIGHTS) {
    const redis = await redisFor(t);
    const admin = await redis.client();
    await admin.command(
        ...['ACL', 'SETUSER', 'chat', 'on', '>word', '~*', '+@all', 'resetchannels', ...rights],
    );
    const proxy = await startProxy(redis);
    t.after(() => proxy.stop());
    const env = { REDIS_URL: `redis://chat:word@127.0.0.1:${proxy.port}` };
    const pod = await serviceFor(t, { env });
    await pod.statsWhere('Redis', connected);
    return { admin, proxy, pod };
}

async function refusedTotal(pod) {
    const { text } = await request(pod, '/metrics');
    return Number(/^chat_redis_refused_total (\d+)$/m.exec(text)[1]);
}

async function assertNeverAway(pod) {
    const stats = await pod.stats();
    assert.equal(stats.redis.connected, true);
    assert.ok(!pod.logs.some(({ event }) => event === 'redis:away'));
}

describe('a room that Redis refuses', { concurrency: true }, () => {
    it('is refused at the upgrade, and nobody else notices', async (t) => {
        const { admin, pod } = await boundedPod(t);
        const other = await clientFor(t, pod, { room: 'open' });
        for (const options of [{ room: 'shut' }, { room: 'shut', protocol: 'chat.events.v1' }]) {
            const body = assertErrorResponse(await attempt(pod, options), 403, 'CHANNEL_ERROR');
            assert.equal(body.data.field, 'room');
            assert.match(body.message, /Redis/);
        }
        await admin.publish('realtime:room:open', { data: 'still there' });
        assertEnvelope(await other.nextJson(), { room: 'open', data: 'still there' });
        const another = await clientFor(t, pod, { room: 'open-too' });
        await admin.publish('realtime:room:open-too', { data: 'new ones, too' });
        assertEnvelope(await another.nextJson(), { room: 'open-too', data: 'new ones, too' });
        assert.deepEqual((await pod.stats()).rooms, { open: 1, 'open-too': 1 });
        assert.equal(await refusedTotal(pod), 2);
        await assertNeverAway(pod);
    });

    it('is in the log once, by name, as a warning', async (t) => {
        const { pod } = await boundedPod(t);
        for (let i = 0; i < 3; i++)
            assertErrorResponse(await attempt(pod, { room: 'shut' }), 403, 'CHANNEL_ERROR');
        assert.equal(await refusedTotal(pod), 3);
        const lines = pod.logs.filter(({ event }) => event === 'redis:room_refused');
        assert.equal(lines.length, 1);
        assert.equal(lines[0].level, 'warn');
        assert.equal(lines[0].channelId, 'shut');
        assert.match(lines[0].metadata.reason, /^NOPERM/);
    });

    it('is refused to who joins it, who is in no room by that', async (t) => {
        const { pod } = await boundedPod(t);
        const client = await eventsClientFor(t, pod, { room: 'open' });
        await askRefused(client, { event: 'room:join', room: 'shut' }, 'CHANNEL_ERROR', 'room');
        await pod.statsWhere('the room gone', ({ rooms }) => rooms.shut === undefined);
        assert.equal((await askOk(client, { event: 'room:leave', room: 'shut' })).members, 0);
        await askOk(client, { event: 'room:join', room: 'open-too' });
        const plain = await clientFor(t, pod, { room: 'open' });
        plain.sendJson({ event: 'room:join', room: 'shut' });
        assertErrorEnvelope(await plain.nextJson(), 'CHANNEL_ERROR');
        await assertOnlyMarkerComes(plain, [plain]);
        await assertNeverAway(pod);
    });

    it('answers each message once, however joins and leaves follow each other', async (t) => {
        const { pod } = await boundedPod(t);
        const client = await eventsClientFor(t, pod, { room: 'open' });
        const asked = [];
        for (let i = 0; i < 40; i++) {
            const event = i % 3 === 2 ? 'room:leave' : 'room:join';
            asked.push(`${i}`);
            client.sendJson({ event, room: 'shut', ref: `${i}` });
        }
        const answered = new Map();
        while (answered.size < asked.length) {
            const { event, data } = await client.nextJson();
            if (!['reply', 'error'].includes(event)) continue;
            const ref = event === 'reply' ? data.ref : data.data.ref;
            assert.ok(asked.includes(ref) && !answered.has(ref), `an answer to ${ref}`);
            answered.set(ref, event);
        }
        for (const ref of asked) if (ref % 3 === 2) assert.equal(answered.get(ref), 'reply');
        await askRefused(client, { event: 'room:join', room: 'shut' }, 'CHANNEL_ERROR', 'room');
        await pod.statsWhere('the room gone', ({ rooms }) => rooms.shut === undefined);
        await assertNeverAway(pod);
    });

    it('tells those who were let in while Redis was away, and keeps them', async (t) => {
        const { proxy, pod } = await boundedPod(t);
        const outsider = await clientFor(t, pod, { room: 'open' });
        proxy.cut();
        await pod.statsWhere('no Redis', away);
        const plain = await clientFor(t, pod, { room: 'shut' });
        const events = await eventsClientFor(t, pod, { room: 'open' });
        await askOk(events, { event: 'room:join', room: 'shut' });
        proxy.restore();
        for (const client of [plain, events]) {
            const told = await nextEvent(client, 'error', 30000);
            assertErrorEnvelope(told, 'CHANNEL_ERROR', { field: 'room' });
            assert.equal(told.room, 'shut');
        }
        assert.equal((await pod.stats()).rooms.shut, 2);
        await askRefused(outsider, { event: 'room:join', room: 'shut' }, 'CHANNEL_ERROR', 'room');
        plain.sendJson({ data: 'between us' });
        assertEnvelope(await plain.nextJson(), { room: 'shut', data: 'between us' });
        assertEnvelope(await nextEvent(events, undefined), { room: 'shut', data: 'between us' });
        await assertOnlyMarkerComes(outsider, [outsider, plain]);
    });

    it("may be the user's own, without which no events client is let in", async (t) => {
        const rights = RIGHTS.filter((right) => !right.includes('user'));
        const { pod } = await boundedPod(t, rights);
        const options = { room: 'open', protocol: 'chat.events.v1' };
        assertErrorResponse(await attempt(pod, options), 403, 'CHANNEL_ERROR');
        const line = await pod.waitForLog(({ event }) => event === 'client:refused');
        assert.match(line.channelId, /^user:/);
        await clientFor(t, pod, { room: 'open' });
        await assertNeverAway(pod);
    });

    it("may be that of its events clients alone, who go on without other pods' news", async (t) => {
        const rights = RIGHTS.filter((right) => !right.includes('events'));
        const { admin, pod } = await boundedPod(t, rights);
        const clients = await Promise.all([0, 1].map(() => eventsClientFor(t, pod, { room: 'open' })));
        await admin.publish('realtime:room:open', { data: 'from elsewhere' });
        for (const client of clients)
            assertEnvelope(await nextEvent(client, undefined), { data: 'from elsewhere' });
        await askOk(clients[0], { event: 'user:typing', room: 'open', data: { typing: true } });
        assert.equal((await nextEvent(clients[1], 'user:typing')).data.typing, true);
        assert.ok((await refusedTotal(pod)) > 0);
        await assertNeverAway(pod);
    });

    it('is tried again by its next first member', async (t) => {
        const { admin, pod } = await boundedPod(t);
        const client = await eventsClientFor(t, pod);
        await askRefused(client, { event: 'room:join', room: 'shut' }, 'CHANNEL_ERROR', 'room');
        await admin.command('ACL', 'SETUSER', 'chat', '&realtime:room:shut');
        await pod.statsWhere('the room gone', ({ rooms }) => rooms.shut === undefined);
        assert.equal((await ask(client, { event: 'room:join', room: 'shut' })).event, 'reply');
        await admin.publish('realtime:room:shut', { data: 'open now' });
        assertEnvelope(await nextEvent(client, undefined), { room: 'shut', data: 'open now' });
        await assertNeverAway(pod);
    });
});
