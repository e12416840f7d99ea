// EVENTS.md section 3: system:degraded and system:restored.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertEnvelope, assertOnlyMarkerComes, clientFor } from '../support/chat.js';
import { askOk, eventsClientFor, nextEvent } from '../support/events.js';
import { freePort, redisFor } from '../support/redis.js';
import { serviceFor, startProxy } from '../support/service.js';

const connected = (stats) => stats.redis.connected === true;
const away = (stats) => stats.redis.connected === false;
const WAIT_MS = 30000;

async function behindProxy(t) {
    const server = await redisFor(t);
    const proxy = await startProxy(server);
    t.after(() => proxy.stop());
    const pod = await serviceFor(t, { env: { REDIS_URL: proxy.url } });
    await pod.statsWhere('Redis', connected);
    return { proxy, pod };
}

function assertTold(envelope, event) {
    assertEnvelope(envelope, { type: 'system', event, from: 'server', room: undefined });
    assert.deepEqual(Object.keys(envelope.data), ['reason']);
    assert.match(envelope.data.reason, /Redis/);
}

/** What of this came until now. */
async function countTold(client, event) {
    await askOk(client, { event: 'ping' });
    return (client.aside ?? []).filter((envelope) => envelope.event === event).length;
}

describe('Redis away', { concurrency: true }, () => {
    it('is told to events clients once, and once that it is back', async (t) => {
        const { proxy, pod } = await behindProxy(t);
        const clients = [await eventsClientFor(t, pod), await eventsClientFor(t, pod, { room: 'lobby' })];
        const plain = await clientFor(t, pod, { room: 'lobby' });
        for (let round = 0; round < 2; round += 1) {
            proxy.cut();
            for (const client of clients)
                assertTold(await nextEvent(client, 'system:degraded', WAIT_MS), 'system:degraded');
            await pod.statsWhere('no Redis', away);
            proxy.restore();
            for (const client of clients)
                assertTold(await nextEvent(client, 'system:restored', WAIT_MS), 'system:restored');
            await pod.statsWhere('Redis', connected);
        }
        for (const client of clients) {
            assert.equal(await countTold(client, 'system:degraded'), 0);
            assert.equal(await countTold(client, 'system:restored'), 0);
        }
        await assertOnlyMarkerComes(plain, [plain]);
        await pod.waitForLog(({ event, level }) => event === 'system:degraded' && level === 'warn');
        await pod.waitForLog(({ event }) => event === 'system:restored');
    });

    it('is told to who comes meanwhile, behind hello, and not to who comes later', async (t) => {
        const { proxy, pod } = await behindProxy(t);
        const first = await eventsClientFor(t, pod);
        proxy.cut();
        await nextEvent(first, 'system:degraded', WAIT_MS);
        const late = await eventsClientFor(t, pod);
        assertTold(await late.nextJson(), 'system:degraded');
        const plain = await clientFor(t, pod);
        await assertOnlyMarkerComes(plain, [plain]);
        proxy.restore();
        for (const client of [first, late]) await nextEvent(client, 'system:restored', WAIT_MS);
        const latest = await eventsClientFor(t, pod);
        assert.equal(await countTold(latest, 'system:degraded'), 0);
        assert.equal(await countTold(latest, 'system:restored'), 0);
    });

    it('from the start is told, too', async (t) => {
        const url = `redis://127.0.0.1:${await freePort()}`;
        const pod = await serviceFor(t, { env: { REDIS_URL: url }, waitReady: false });
        const client = await eventsClientFor(t, pod);
        assertTold(await nextEvent(client, 'system:degraded', WAIT_MS), 'system:degraded');
    });

    it('is nothing where there is none', async (t) => {
        const pod = await serviceFor(t, {});
        const client = await eventsClientFor(t, pod);
        assert.equal(await countTold(client, 'system:degraded'), 0);
    });
});
