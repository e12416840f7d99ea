// Section 7 of the events document: pods behind one Redis share the buckets.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { clientFor, freshRoom } from '../support/chat.js';
import { eventually, sleep } from '../support/deadline.js';
import { ask } from '../support/events.js';
import { freePort, redisFor, startProxy, startRedis } from '../support/redis.js';
import { LIMITS_OFF, asUser, flood, outcome, say } from '../support/limits.js';
import { serviceFor } from '../support/service.js';
import { attempt } from '../support/websocket.js';

async function podsFor(t, count, env, urls = []) {
    const redis = urls.length === 0 ? await redisFor(t) : null;
    const start = (_, i) =>
        serviceFor(t, { env: { REDIS_URL: urls[i] ?? redis.url, ...LIMITS_OFF, ...env } });
    const pods = await Promise.all(Array.from({ length: count }, start));
    for (const pod of pods) await pod.statsWhere('Redis', (stats) => stats.redis.connected);
    await awaitSharing(t, pods);
    return pods;
}

let probes = 0;

/** Waits until each pod hears what the others let pass; messages are limited to 60 or less. */
async function awaitSharing(t, pods) {
    for (const from of pods) {
        for (const to of pods) {
            if (from !== to) await eventually('buckets to be shared', () => isShared(t, from, to));
        }
    }
}

/** One takes all that a new user may have; whether the other refuses before it gave as much. */
async function isShared(t, from, to) {
    const probe = asUser(`probe-${++probes}`);
    const [near, far] = [await clientFor(t, from, probe), await clientFor(t, to, probe)];
    await flood([near], 60);
    let refused = false;
    for (let i = 0; i < 10 && !refused; i++) {
        refused = outcome(await ask(far, say(i))) === 'refused';
    }
    near.hangUp();
    far.hangUp();
    return refused;
}

const TWENTY = { RATE_LIMIT_MESSAGES: '20/1m' };

const clientsOf = (t, pods, sub) =>
    Promise.all(pods.map((pod) => clientFor(t, pod, { room: freshRoom(), ...asUser(sub) })));

/**
 * One message after the other for so long, again at once when one was taken, and when the service
 * says so when it was refused. How many were taken.
 */
async function hammer(client, endMs) {
    let taken = 0;
    while (performance.now() < endMs) {
        const { event, data } = await ask(client, say('x'));
        if (event === 'reply') taken++;
        else await sleep(Math.min(data.data.retry_after_ms, endMs - performance.now()));
    }
    return taken;
}

/** A user who goes from pod to pod has what one of them would give, and a tenth more at most. */
async function assertTogether(t, count) {
    const pods = await podsFor(t, count, { RATE_LIMIT_MESSAGES: '60/10m' });
    const clients = await clientsOf(t, pods, 'anna');
    let taken = 0;
    for (let i = 0; i < 60 * count; i++) {
        taken += outcome(await ask(clients[i % count], say(i))) === 'taken';
    }
    t.diagnostic(`${taken} of 60`);
    assert.ok(taken >= 60 && taken <= 66, String(taken));
}

describe('two pods', () => {
    it('take as much from a user together as one would', async (t) => {
        await assertTogether(t, 2);
    });

    it('do so even when all of it comes at once', async (t) => {
        const pods = await podsFor(t, 2, { RATE_LIMIT_MESSAGES: '60/10m' });
        const { taken } = await flood(await clientsOf(t, pods, 'anna'), 60);
        t.diagnostic(`${taken} of 60`);
        assert.ok(taken >= 60 && taken <= 66, String(taken));
    });

    it('know what was taken before the user came', async (t) => {
        const pods = await podsFor(t, 2, TWENTY);
        const [near] = await clientsOf(t, pods, 'anna');
        const first = await flood([near], 20);
        assert.deepEqual(first, { taken: 20, refused: 0 });
        near.hangUp();
        await eventually('the other pod to know', async () => {
            const [, far] = await clientsOf(t, pods, 'anna');
            const { taken } = await flood([far], 1);
            return taken === 0;
        });
        const [, ben] = await clientsOf(t, pods, 'ben');
        assert.deepEqual(await flood([ben], 21), { taken: 20, refused: 1 });
    });

    it('keep the rate while a user tries all the time at both', async (t) => {
        const pods = await podsFor(t, 2, { RATE_LIMIT_MESSAGES: '20/2s' });
        const clients = await clientsOf(t, pods, 'anna');
        const start = performance.now();
        const floods = await flood(clients, 20);
        const ends = clients.map((client) => hammer(client, start + 6000));
        const [one, two] = await Promise.all(ends);
        const rest = await flood(clients, 10);
        const seconds = (performance.now() - start) / 1000;
        const taken = floods.taken + one + two + rest.taken;
        const allowed = 20 + 10 * seconds;
        t.diagnostic(`${taken} of ${allowed.toFixed(1)} in ${seconds.toFixed(1)} s`);
        assert.ok(Math.abs(taken - allowed) <= allowed / 10, `${taken} of ${allowed}`);
    });

    it('let a user have all of it at one of them', async (t) => {
        const pods = await podsFor(t, 2, TWENTY);
        const [one] = await clientsOf(t, pods, 'anna');
        assert.deepEqual(await flood([one], 30), { taken: 20, refused: 10 });
    });

    it('share what is typed, changed and connected, too', async (t) => {
        const env = {
            RATE_LIMIT_TYPING: '20/10m',
            RATE_LIMIT_PRESENCE: '30/10m',
            RATE_LIMIT_CONNECTS: '20/10m',
        };
        const pods = await podsFor(t, 2, { ...TWENTY, ...env });
        const clients = await clientsOf(t, pods, 'anna');
        const rows = [
            [20, { event: 'user:typing', data: { typing: false } }],
            [30, { event: 'presence:update', data: { status: 'busy' } }],
        ];
        for (const [limit, message] of rows) {
            let taken = 0;
            for (let i = 0; i < 2 * limit; i++) {
                taken += outcome(await ask(clients[i % 2], message)) === 'taken';
            }
            // That it is shared at all: how exactly, the tests above say of the same buckets.
            assert.ok(taken >= limit && taken <= limit * 1.5, `${taken} of ${limit}`);
        }
        let upgrades = 2; // those of the clients
        for (let i = 0; i < 40; i++) {
            const { status, client } = await attempt(pods[i % 2], asUser('anna'));
            client?.hangUp();
            upgrades += status === 101;
        }
        assert.ok(upgrades >= 20 && upgrades <= 30, String(upgrades));
    });
});

describe('three pods', () => {
    it('are one, too', async (t) => {
        await assertTogether(t, 3);
    });
});

describe('without Redis', () => {
    it('each pod has buckets of its own, and they are shared again when it is back', async (t) => {
        const port = await freePort();
        let redis = await startRedis({ port });
        t.after(() => redis.stop());
        const url = `redis://127.0.0.1:${port}`;
        const pods = await podsFor(t, 2, TWENTY, [url, url]);
        await redis.stop();
        for (const pod of pods) await pod.statsWhere('no Redis', (stats) => !stats.redis.connected);
        for (const client of await clientsOf(t, pods, 'anna')) {
            assert.deepEqual(await flood([client], 25), { taken: 20, refused: 5 });
        }
        redis = await startRedis({ port });
        for (const pod of pods) await pod.statsWhere('Redis', (stats) => stats.redis.connected);
        await awaitSharing(t, pods);
        // What either let pass meanwhile was told to the other: for a minute, nothing is there.
        for (const client of await clientsOf(t, pods, 'anna')) {
            assert.deepEqual(await flood([client], 5), { taken: 0, refused: 5 });
        }
    });

    it("tell nothing of connections that are nobody's but their own", async (t) => {
        const redis = await redisFor(t);
        const wire = await redis.client();
        t.after(() => wire.close());
        await wire.subscribe('realtime-control');
        const env = { ...TWENTY, RATE_LIMIT_ENABLED: 'true', REDIS_URL: redis.url };
        const pod = await serviceFor(t, { env });
        await pod.statsWhere('Redis', (stats) => stats.redis.connected);
        for (let i = 0; i < 2; i++) {
            const client = await clientFor(t, pod, { room: freshRoom() });
            assert.deepEqual(await flood([client], 25), { taken: 20, refused: 5 });
        }
        // The second upgrade was told behind what the first client said.
        for (let told = 0; told < 2;) {
            const { op, spent } = JSON.parse((await wire.nextMessage()).payload);
            if (op !== 'limits:spent') continue;
            assert.deepEqual(spent.messages, {});
            told += Object.values(spent.connects).reduce((sum, count) => sum + count, 0);
        }
    });

    it('a pod that is cut off decides by itself', async (t) => {
        const redis = await redisFor(t);
        const proxy = await startProxy(redis);
        t.after(() => proxy.stop());
        const pods = await podsFor(t, 2, TWENTY, [redis.url, proxy.url]);
        proxy.cut();
        await pods[1].statsWhere('no Redis', (stats) => !stats.redis.connected);
        for (const client of await clientsOf(t, pods, 'anna')) {
            assert.deepEqual(await flood([client], 25), { taken: 20, refused: 5 });
        }
    });
});
