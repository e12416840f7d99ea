// Section 6 of the contract: the ways to reach Redis, and Redis being away, late or hanging.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';

import { clientFor, clientsFor } from '../support/chat.js';
import { Stopwatch, eventually, stretched } from '../support/deadline.js';
import { request } from '../support/http.js';
import { metricSum, parseMetrics } from '../support/metrics.js';
import { isSanitized, mebibytes, residentBytes } from '../support/process.js';
import { assertReadiness, readiness } from '../support/readiness.js';
import { freePort, redisFor } from '../support/redis.js';
import { runToExit, serviceFor, startProxy } from '../support/service.js';

const connected = (stats) => stats.redis.connected === true;
const away = (stats) => stats.redis.connected === false;

describe('the way to Redis', { concurrency: true }, () => {
    /** The service's own connections as Redis lists them. */
    async function connections(server) {
        const client = await server.client();
        const list = await client.command('CLIENT', 'LIST');
        const own = await client.command('CLIENT', 'ID');
        client.close();
        return list
            .trim()
            .split('\n')
            .map((line) => Object.fromEntries(line.split(' ').map((pair) => pair.split('='))))
            .filter(({ id }) => Number(id) !== own);
    }

    it('takes a password and a database', async (t) => {
        const password = 'p@ss:w/rd%';
        const server = await redisFor(t, { password });
        const pod = await serviceFor(t, { env: { REDIS_URL: `${server.url}/3` } });
        await pod.statsWhere('Redis', connected);
        const found = (await connections(server)).filter(({ db }) => db === '3');
        assert.ok(found.length >= 1, 'the database is selected');
        assert.ok(
            !pod.stderr.includes(password) && !pod.stderr.includes(encodeURIComponent(password)),
        );
    });

    it('takes a user', async (t) => {
        const server = await redisFor(t);
        const admin = await server.client();
        await admin.command('ACL', 'SETUSER', 'chat@user', 'on', '>sécret', '~*', '&*', '+@all');
        const url = `redis://chat%40user:s%C3%A9cret@127.0.0.1:${server.port}`;
        const pod = await serviceFor(t, { env: { REDIS_URL: url } });
        await pod.statsWhere('Redis', connected);
        assert.ok((await connections(server)).some(({ user }) => user === 'chat@user'));
    });

    it('with a wrong password stays closed, which is said without the password', async (t) => {
        const server = await redisFor(t, { password: 'right' });
        const env = { REDIS_URL: `redis://:wrong-secret@127.0.0.1:${server.port}` };
        const pod = await serviceFor(t, { env, waitReady: false });
        await pod.waitForLog((entry) => ['warn', 'error'].includes(entry.level));
        await assertReadiness(pod, 503, 'unready');
        assert.ok(!pod.stderr.includes('wrong-secret'));
    });

    it('may be a socket in the file system', async (t) => {
        const server = await redisFor(t);
        assert.ok(fs.existsSync(server.socketPath));
        for (const [query, db] of [
            ['', '0'],
            ['?db=2', '2'],
        ]) {
            const pod = await serviceFor(t, {
                env: { REDIS_URL: `unix://${server.socketPath}${query}` },
            });
            await pod.statsWhere('Redis', connected);
            const found = (await connections(server)).filter((entry) => entry.db === db);
            assert.ok(found.length >= 1);
        }
    });

    it('may be named by a host name', async (t) => {
        const server = await redisFor(t);
        const pod = await serviceFor(t, {
            env: { REDIS_URL: `redis://localhost:${server.port}/` },
        });
        await pod.statsWhere('Redis', connected);
    });

    it('has no TLS, and the refusal names a way', async () => {
        const { code, stderr } = await runToExit({
            env: { REDIS_URL: 'rediss://:s3cret@redis.example:6380' },
        });
        assert.equal(code, 2);
        assert.match(stderr, /TLS/);
        assert.match(stderr, /stunnel/);
        assert.match(stderr, /REDIS_URL/);
        assert.ok(!stderr.includes('s3cret'));
    });

    it('is left at the end', async (t) => {
        const server = await redisFor(t);
        const pod = await serviceFor(t, { env: { REDIS_URL: server.url } });
        assert.ok((await connections(server)).length >= 1);
        await pod.stop();
        await eventually('no connection', async () => (await connections(server)).length === 0);
    });
});

describe('Redis away', { concurrency: true }, () => {
    /** A pod behind a proxy that can be cut, and a subscriber that stays with Redis. */
    async function behindProxy(t, env = {}) {
        const server = await redisFor(t);
        const proxy = await startProxy(server);
        t.after(() => proxy.stop());
        const pod = await serviceFor(t, { env: { REDIS_URL: proxy.url, ...env } });
        const wire = await server.client();
        await wire.psubscribe('realtime:*');
        return { server, proxy, pod, wire };
    }

    const dataOf = async (wire) => JSON.parse((await wire.nextMessage(15000)).payload).data;

    const BOUND = 5;
    for (const count of [BOUND - 1, BOUND, BOUND + 1, BOUND + 20]) {
        it(`keeps ${count} messages in a REDIS_OUTBOX of ${BOUND} as it should`, async (t) => {
            const { proxy, pod, wire } = await behindProxy(t, { REDIS_OUTBOX: String(BOUND) });
            const client = await clientFor(t, pod, { room: 'outbox' });
            proxy.cut();
            await pod.statsWhere('no Redis', away);
            for (let i = 0; i < count; i++) {
                client.sendJson({ data: i });
                assert.equal((await client.nextJson()).data, i, 'local delivery goes on');
            }
            if (count > BOUND) {
                const families = parseMetrics((await request(pod, '/metrics')).text);
                assert.equal(metricSum(families, /outbox.*_total$/), count - BOUND);
                await pod.waitForLog(
                    (entry) =>
                        ['warn', 'error'].includes(entry.level) &&
                        /outbox|drop/i.test(JSON.stringify(entry)),
                );
            }
            proxy.restore();
            for (let i = Math.max(0, count - BOUND); i < count; i++)
                assert.equal(await dataOf(wire), i);
            await pod.statsWhere('Redis', connected);
            client.sendJson({ data: 'after' });
            assert.equal(await dataOf(wire), 'after');
        });
    }

    it('gives the memory of a long outbox back when it is quiet', async (t) => {
        const { proxy, pod } = await behindProxy(t, { LOG_LEVEL: 'debug' });
        const client = await clientFor(t, pod);
        proxy.cut();
        await pod.statsWhere('no Redis', away);
        const before = residentBytes(pod.pid);
        // To a room of nobody, so that nothing comes back.
        const said = JSON.stringify({ room: 'empty', data: 'x'.repeat(8000) });
        for (let i = 0; i < 9000; i++) client.sendText(said);
        const outbox = async () => {
            const families = parseMetrics((await request(pod, '/metrics')).text);
            return metricSum(families, /^chat_redis_outbox_messages$/);
        };
        await eventually('9,000 messages to wait', async () => (await outbox()) === 9000, 15000);
        const peak = residentBytes(pod.pid);
        proxy.restore();
        await eventually('none to wait', async () => (await outbox()) === 0, 15000);
        if (isSanitized(pod.pid)) return;
        const after = await eventually('the memory to be back', async () => {
            const { metadata } = await pod.waitForLog(({ event }) => event === 'memory:trimmed');
            return residentBytes(pod.pid) < before + (16 << 20) && metadata.took_us;
        }, 20000);
        t.diagnostic(`${mebibytes(before)} MiB, ${mebibytes(peak)} MiB, then `
            + `${mebibytes(residentBytes(pod.pid))} MiB; a trim took ${after} us`);
    });

    it('rooms that came meanwhile are subscribed, rooms that went are not', async (t) => {
        const { server, proxy, pod } = await behindProxy(t);
        const goes = await clientFor(t, pod, { room: 'goes' });
        const stays = await clientFor(t, pod, { room: 'stays' });
        proxy.cut();
        await pod.statsWhere('no Redis', away);
        const comes = await clientFor(t, pod, { room: 'comes' });
        await goes.close();
        proxy.restore();
        const commands = await server.client();
        await eventually(
            'the subscriptions',
            async () => {
                const channels = await commands.command('PUBSUB', 'CHANNELS', 'realtime:*');
                const messages = channels.filter((name) => !name.startsWith('realtime:control'));
                return (
                    messages.sort().join() ===
                    'realtime:global,realtime:room:comes,realtime:room:stays'
                );
            },
            15000,
        );
        for (const [client, room] of [
            [comes, 'comes'],
            [stays, 'stays'],
        ]) {
            await commands.publish(`realtime:room:${room}`, { data: room });
            assert.equal((await client.nextJson()).data, room);
        }
    });

    it('is degraded, not unready, by default', async (t) => {
        const { proxy, pod } = await behindProxy(t);
        proxy.cut();
        await pod.statsWhere('no Redis', away);
        await assertReadiness(pod, 200, 'degraded');
        await pod.waitForLog((entry) => ['warn', 'error'].includes(entry.level));
        const up = parseMetrics((await request(pod, '/metrics')).text);
        assert.equal(metricSum(up, /redis.*(up|connected)$/), 0);
        proxy.restore();
        await pod.statsWhere('Redis', connected, 15000);
        await assertReadiness(pod, 200, 'ready');
        const families = parseMetrics((await request(pod, '/metrics')).text);
        assert.equal(metricSum(families, /redis.*(up|connected)$/), 1);
        assert.ok(metricSum(families, /reconnect.*_total$/) >= 1);
    });

    it('is unready after REDIS_READY_GRACE', async (t) => {
        const { proxy, pod } = await behindProxy(t, { REDIS_READY_GRACE: '1s' });
        await assertReadiness(pod, 200, 'ready');
        const begin = Date.now();
        proxy.cut();
        await pod.statsWhere('no Redis', away);
        const early = await readiness(pod);
        if (Date.now() - begin < 900)
            assert.deepEqual([early.status, early.word], [200, 'degraded']);
        await assertReadiness(pod, 503, 'unready');
        assert.ok(Date.now() - begin >= 990, 'not before the grace is over');
        const client = await clientFor(t, pod, { room: 'still' });
        client.sendJson({ data: 'served' });
        assert.equal((await client.nextJson()).data, 'served');
        proxy.restore();
        await assertReadiness(pod, 200, 'ready');
    });

    it('at the start: it starts, says so, serves, and finds Redis later', async (t) => {
        const port = await freePort();
        const env = { REDIS_URL: `redis://127.0.0.1:${port}` };
        const pod = await serviceFor(t, { env, waitReady: false });
        await pod.waitForLog(
            (entry) =>
                ['warn', 'error'].includes(entry.level) && /redis/i.test(JSON.stringify(entry)),
        );
        await assertReadiness(pod, 503, 'unready');
        assert.deepEqual((await pod.stats()).redis, { enabled: true, connected: false });
        const [one, two] = await clientsFor(t, 2, pod, { room: 'early' });
        one.sendJson({ data: 'local' });
        for (const client of [one, two]) assert.equal((await client.nextJson()).data, 'local');

        const server = await redisFor(t, { port });
        await pod.statsWhere('Redis', connected, 15000);
        await assertReadiness(pod, 200, 'ready');
        const commands = await server.client();
        await eventually(
            'the subscription',
            async () => (await commands.subscribers('realtime:room:early')) === 1,
        );
        await commands.publish('realtime:room:early', { data: 'found' });
        assert.equal((await one.nextJson()).data, 'found');
    });

    it('by a kill: two pods go on alone, and find each other again', async (t) => {
        const server = await redisFor(t);
        const pods = await Promise.all(
            [1, 2].map(() => serviceFor(t, { env: { REDIS_URL: server.url } })),
        );
        const room = 'survivors';
        const [near, mate] = await clientsFor(t, 2, pods[0], { room });
        const far = await clientFor(t, pods[1], { room });
        near.sendJson({ data: 'before' });
        for (const client of [near, mate, far])
            assert.equal((await client.nextJson()).data, 'before');

        for (let round = 0; round < 2; round++) {
            await server.kill();
            for (const pod of pods) await pod.statsWhere('no Redis', away);
            for (let i = 0; i < 10; i++) {
                near.sendJson({ data: { round, i } });
                for (const client of [near, mate])
                    assert.deepEqual((await client.nextJson()).data, { round, i });
            }
            await server.restart();
            for (const pod of pods) await pod.statsWhere('Redis', connected, 15000);
            const commands = await server.client();
            await eventually(
                'both subscribed',
                async () => (await commands.subscribers(`realtime:room:${room}`)) === 2,
            );
            near.sendJson({ data: 'together' });
            for (const client of [near, mate])
                assert.equal((await client.nextJson()).data, 'together');
            // What was kept comes first, in order; how much of it depends on who was back first.
            let last = -1;
            for (;;) {
                const { data } = await far.nextJson();
                if (data === 'together') break;
                assert.equal(data.round, round);
                assert.ok(data.i > last);
                last = data.i;
            }
        }
    });

    it('by hanging: local delivery does not notice, and new clients get in', async (t) => {
        const server = await redisFor(t);
        const pod = await serviceFor(t, { env: { REDIS_URL: server.url } });
        const [one, two] = await clientsFor(t, 2, pod, { room: 'hang' });
        server.pause();
        try {
            const watch = new Stopwatch();
            for (let i = 0; i < 200; i++) {
                const begin = watch.ms();
                one.sendJson({ data: i });
                assert.equal((await one.nextJson(3000)).data, i);
                assert.equal((await two.nextJson(3000)).data, i);
                assert.ok(watch.ms() - begin < stretched(2000));
            }
            watch.stop();
            const late = await clientFor(t, pod, { room: 'hang' });
            one.sendJson({ data: 'welcome' });
            for (const client of [one, two, late])
                assert.equal((await client.nextJson()).data, 'welcome');
            const fresh = await clientsFor(t, 2, pod, { room: 'fresh while hanging' });
            fresh[0].sendJson({ data: 'fresh' });
            for (const client of fresh) assert.equal((await client.nextJson()).data, 'fresh');
            assert.equal((await request(pod, '/healthz')).status, 200);
            await pod.stats();
        } finally {
            server.resume();
        }
        await pod.statsWhere('Redis', connected, 20000);
        const commands = await server.client();
        await eventually(
            'the subscription',
            async () => (await commands.subscribers('realtime:room:fresh while hanging')) === 1,
            20000,
        );
    });

    it('without Redis: nothing is missed', async (t) => {
        const pod = await serviceFor(t);
        await assertReadiness(pod, 200, 'ready');
        assert.deepEqual((await pod.stats()).redis, { enabled: false, connected: false });
    });
});
