// Two pods: whoever is told that it is connected is reached from then on, in its own room, too, over
// the HTTP API of the other pod. The way from its own pod to Redis takes time, so that what is said
// too early is said for nothing.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { API_KEY, accepted } from '../support/api.js';
import { clientFor, freshRoom } from '../support/chat.js';
import { eventsClientFor } from '../support/events.js';
import { startProxy, startRedis, startService } from '../support/service.js';
import { SECRET, bearer, token } from '../support/tokens.js';

const AUTH = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET, RATE_LIMIT_ENABLED: 'false' };
const ROUNDS = 12;
const LATE_MS = 60; // well below what a pod waits for Redis at most

/** The next message that somebody published. */
async function nextMessage(client) {
    for (;;) {
        const envelope = await client.nextJson();
        if (!/^(presence|system):/.test(envelope.event ?? '')) return envelope;
    }
}

describe('the first client of a user', () => {
    let redis;
    before(async () => {
        redis = await startRedis();
    });
    after(() => redis.stop());

    async function podsFor(t, env) {
        const proxy = await startProxy(redis, { lateMs: LATE_MS });
        const start = (url) => startService({ env: { REDIS_URL: url, API_KEY, ...env } });
        const pods = await Promise.all([proxy.url, redis.url].map(start));
        t.after(async () => {
            for (const pod of pods) await pod.stop();
            proxy.stop();
        });
        for (const pod of pods) await pod.statsWhere('Redis', (stats) => stats.redis.connected);
        return pods;
    }

    it('is reached as soon as it has its hello', async (t) => {
        const [near, far] = await podsFor(t, AUTH);
        for (let i = 0; i < ROUNDS; i += 1) {
            const sub = `user-${i}`;
            const room = i % 2 === 0 ? freshRoom() : undefined;
            const client = await clientFor(t, near, {
                room,
                protocol: 'chat.events.v1',
                headers: bearer(token({ sub })),
            });
            assert.equal((await client.nextJson()).event, 'hello');
            await accepted(far, '/messages', { users: [sub], data: i });
            assert.equal((await nextMessage(client)).data, i);
            client.hangUp();
        }
    });

    it('is reached as soon as a plain one is connected', async (t) => {
        const [near, far] = await podsFor(t, AUTH);
        for (let i = 0; i < ROUNDS; i += 1) {
            const sub = `plain-${i}`;
            const room = [freshRoom(), undefined, `user:${sub}`][i % 3];
            const client = await clientFor(t, near, { room, headers: bearer(token({ sub })) });
            await accepted(far, `/rooms/${encodeURIComponent(`user:${sub}`)}/messages`, { data: i });
            assert.equal((await nextMessage(client)).data, i);
            client.hangUp();
        }
    });

    it('is reached without authentication, by the id that hello tells', async (t) => {
        const [near, far] = await podsFor(t, {});
        for (let i = 0; i < ROUNDS; i += 1) {
            const client = await eventsClientFor(t, near);
            await accepted(far, '/messages', { users: [client.hello.client_id], data: i });
            assert.equal((await nextMessage(client)).data, i);
            client.hangUp();
        }
    });
});
