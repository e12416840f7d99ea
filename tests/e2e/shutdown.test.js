// Section 4 of the contract, shutdown: what SIGTERM and SIGINT do to clients, routes and Redis.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertErrorResponse, clientFor, clientsFor } from '../support/chat.js';
import { Stopwatch, stretched } from '../support/deadline.js';
import { RawConnection, request, requestText } from '../support/http.js';
import { redisFor, startProxy } from '../support/redis.js';
import { serviceFor, startService } from '../support/service.js';
import { encodeFrame, upgradeText } from '../support/websocket.js';

/** Waits for the end and judges it; returns how long it took by the watch, if there is one. */
async function assertEndsWell(pod, watch, ms = 12000) {
    const { code, signal } = await pod.waitForExit(ms);
    const took = watch?.stop();
    pod.assertCleanOutput();
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, pod.tail());
    return took;
}

describe('shutdown', { concurrency: true }, () => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
        it(`on ${signal} closes every client with 1001 and exits 0 at once`, async (t) => {
            const pod = await serviceFor(t);
            const clients = await clientsFor(t, 20, pod, { room: 'last' });
            clients.push(await clientFor(t, pod));
            const watch = new Stopwatch();
            pod.signal(signal);
            for (const client of clients) {
                const close = await client.waitClose();
                assert.equal(close.code, 1001);
                assert.ok(close.clean);
            }
            const took = await assertEndsWell(pod, watch);
            assert.ok(took < stretched(4000), `took ${took} ms`);
        });
    }

    it('without clients takes no time', async (t) => {
        const pod = await serviceFor(t);
        const watch = new Stopwatch();
        pod.signal('SIGTERM');
        const took = await assertEndsWell(pod, watch);
        assert.ok(took < stretched(2000), `took ${took} ms`);
    });

    it('refuses new clients and is unready while it drains', async (t) => {
        const pod = await serviceFor(t);
        // This one does not answer the close frame, which keeps the drain going for 5 s.
        const stuck = await clientFor(t, pod, { autoClose: false });
        const witness = await clientFor(t, pod);
        const [probe, upgrade] = await Promise.all([1, 2].map(() => RawConnection.open(pod)));
        for (const connection of [probe, upgrade]) {
            connection.write(requestText(pod, '/readyz'));
            assert.equal((await connection.readResponse()).status, 200);
        }
        pod.signal('SIGTERM');
        assert.equal((await witness.waitClose()).code, 1001);

        probe.write(requestText(pod, '/readyz'));
        const response = await probe.readResponse();
        assertErrorResponse(response, 503, 'UNAVAILABLE');
        assert.match(response.text, /"unready"/);
        assert.match(response.text, /drain|shut/i, 'it says why');
        upgrade.write(upgradeText(pod, { room: 'late' }));
        const refused = await upgrade.readResponse();
        assertErrorResponse(refused, 503, 'UNAVAILABLE');
        assert.match(refused.headers['retry-after'] ?? '', /^\d+$/);
        // A new connection is turned away, or told the same.
        const fresh = await request(pod, '/readyz').catch(() => ({ status: 503 }));
        assert.equal(fresh.status, 503);
        stuck.hangUp();
        for (const connection of [probe, upgrade]) connection.destroy();
        await assertEndsWell(pod);
    });

    it('does not wait for HTTP connections that stay open', async (t) => {
        const pod = await serviceFor(t);
        const idle = await RawConnection.open(pod);
        const half = await RawConnection.open(pod);
        half.write('GET /healthz HTTP/1.1\r\nHo');
        await request(pod, '/healthz');
        const watch = new Stopwatch();
        pod.signal('SIGTERM');
        const took = await assertEndsWell(pod, watch);
        assert.ok(took < stretched(5000), `took ${took} ms`);
        for (const connection of [idle, half]) connection.destroy();
    });

    it('drops a peer that never answers after 5 s', async (t) => {
        const pod = await serviceFor(t);
        await clientFor(t, pod, { autoClose: false });
        const begin = Date.now();
        const watch = new Stopwatch();
        pod.signal('SIGTERM');
        const took = await assertEndsWell(pod, watch);
        assert.ok(Date.now() - begin > 4000 && took < stretched(9000), `took ${took} ms`);
    });

    it('is over within SHUTDOWN_TIMEOUT, whoever does not answer or read', async (t) => {
        const pod = await serviceFor(t, { env: { SHUTDOWN_TIMEOUT: '1s' } });
        const sender = await clientFor(t, pod, { room: 'stuck' });
        await clientFor(t, pod, { autoClose: false });
        const deaf = await clientFor(t, pod, { room: 'stuck' });
        deaf.pause();
        for (let i = 0; i < 30; i++) {
            sender.sendJson({ data: 'x'.repeat(60000) });
            await sender.nextJson();
        }
        const watch = new Stopwatch();
        pod.signal('SIGTERM');
        const took = await assertEndsWell(pod, watch);
        assert.ok(took < 1000 + stretched(1000), `took ${took} ms`);
    });

    it('ends at once on a second signal', async (t) => {
        const pod = await startService();
        try {
            await clientFor(t, pod, { autoClose: false });
            const witness = await clientFor(t, pod);
            pod.signal('SIGTERM');
            await witness.waitClose();
            const watch = new Stopwatch();
            pod.signal('SIGTERM');
            await pod.waitForExit(2000);
            const took = watch.stop();
            assert.ok(took < stretched(1500), `took ${took} ms`);
        } finally {
            pod.signal('SIGKILL');
        }
    });

    it('flushes what is queued first', async (t) => {
        const pod = await serviceFor(t);
        const sender = await clientFor(t, pod, { room: 'flush' });
        const slow = await clientFor(t, pod, { room: 'flush' });
        slow.pause();
        const count = 30;
        for (let i = 0; i < count; i++) {
            sender.sendJson({ data: { i, pad: 'x'.repeat(60000) } });
            assert.equal((await sender.nextJson()).data.i, i);
        }
        pod.signal('SIGTERM');
        await sender.waitClose();
        slow.resume();
        for (let i = 0; i < count; i++) assert.equal((await slow.nextJson()).data.i, i);
        assert.equal((await slow.waitClose()).code, 1001);
        await assertEndsWell(pod);
    });

    it('tells other pods what was said before', async (t) => {
        const redis = await redisFor(t);
        const pod = await serviceFor(t, { env: { REDIS_URL: redis.url } });
        const wire = await redis.client();
        await wire.subscribe('realtime:room:words');
        const client = await clientFor(t, pod, { room: 'words' });
        const count = 500;
        client.sendRaw(
            Buffer.concat(
                Array.from({ length: count }, (_, i) =>
                    encodeFrame({ payload: JSON.stringify({ data: i }) }),
                ),
            ),
        );
        for (let i = 0; i < count; i++) assert.equal((await client.nextJson()).data, i);
        const watch = new Stopwatch();
        pod.signal('SIGTERM');
        for (let i = 0; i < count; i++) {
            assert.equal(JSON.parse((await wire.nextMessage()).payload).data, i);
        }
        assert.equal((await client.waitClose()).code, 1001);
        await assertEndsWell(pod, watch);
    });

    const troubles = {
        'a Redis that hangs': async (t, use) => {
            const redis = await redisFor(t);
            return use(redis.url, () => redis.pause());
        },
        'a Redis that died': async (t, use) => {
            const redis = await redisFor(t);
            return use(redis.url, () => redis.kill());
        },
        'a Redis that turns it away': async (t, use) => {
            const redis = await redisFor(t);
            const proxy = await startProxy(redis);
            t.after(() => proxy.stop());
            return use(proxy.url, () => proxy.cut());
        },
    };
    for (const [name, arrange] of Object.entries(troubles)) {
        it(`with ${name} ends well and in time`, (t) =>
            arrange(t, async (REDIS_URL, strike) => {
                const pod = await serviceFor(t, { env: { REDIS_URL, SHUTDOWN_TIMEOUT: '3s' } });
                const clients = await clientsFor(t, 3, pod, { room: 'troubled' });
                await strike();
                for (let i = 0; i < 20; i++) clients[0].sendJson({ data: i });
                for (const client of clients) {
                    for (let i = 0; i < 20; i++) assert.equal((await client.nextJson()).data, i);
                }
                const watch = new Stopwatch();
                pod.signal('SIGTERM');
                for (const client of clients) assert.equal((await client.waitClose()).code, 1001);
                const took = await assertEndsWell(pod, watch);
                assert.ok(took < 3000 + stretched(1000), `took ${took} ms`);
            }));
    }

    const unreachable = {
        'that refuses': '127.0.0.1:1',
        'whose name is unknown': 'no-such-host.invalid:6379',
        'that does not answer': '192.0.2.1:6379', // set aside for documentation, routed nowhere
    };
    for (const [name, host] of Object.entries(unreachable)) {
        it(`with a Redis ${name} ends well, too`, async (t) => {
            const env = { REDIS_URL: `redis://${host}`, SHUTDOWN_TIMEOUT: '3s' };
            const pod = await serviceFor(t, { env, waitReady: false });
            const client = await clientFor(t, pod, { room: 'alone' });
            const watch = new Stopwatch();
            pod.signal('SIGTERM');
            assert.equal((await client.waitClose()).code, 1001);
            const took = await assertEndsWell(pod, watch);
            assert.ok(took < 3000 + stretched(1000), `took ${took} ms`);
        });
    }
});
