// Section 9 of the contract: one JSON object a line, the fields, and what is never in a log.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { API_KEY, call } from '../support/api.js';
import { assertFreshTimestamp, clientFor } from '../support/chat.js';
import { askOk, askRefused, eventsClientFor, nextEvent } from '../support/events.js';
import { request } from '../support/http.js';
import { redisFor } from '../support/redis.js';
import { serviceFor } from '../support/service.js';
import { SECRET, bearer, token } from '../support/tokens.js';
import { attempt } from '../support/websocket.js';

const MEMBERS = ['timestamp', 'level', 'event', 'userId', 'channelId', 'metadata'];

describe('logs', { concurrency: true }, () => {
    for (const LOG_LEVEL of ['debug', 'info']) {
        it(`at ${LOG_LEVEL} are JSON lines with the contract's fields`, async (t) => {
            const pod = await serviceFor(t, { env: { LOG_LEVEL } });
            const client = await clientFor(t, pod, { room: 'logged' });
            client.sendJson({ data: 'hello' });
            await client.nextJson();
            client.sendText('broken');
            await client.nextJson();
            await client.close();
            await request(pod, '/nowhere');
            await pod.stop();
            assert.ok(pod.logs.length >= 3);
            for (const entry of pod.logs) {
                assertFreshTimestamp(entry.timestamp);
                assert.match(entry.level, /^(debug|info|warn|error)$/);
                assert.match(entry.event, /^[a-z0-9_.-]+:[a-z0-9_.:-]+$/);
                for (const member of Object.keys(entry))
                    assert.ok(MEMBERS.includes(member), member);
                for (const member of ['userId', 'channelId']) {
                    if (member in entry) assert.equal(typeof entry[member], 'string');
                }
                if ('metadata' in entry) assert.equal(typeof entry.metadata, 'object');
            }
            if (LOG_LEVEL === 'info') assert.ok(pod.logs.every(({ level }) => level !== 'debug'));
        });
    }

    it('tell who connected to which room', async (t) => {
        const pod = await serviceFor(t);
        const client = await clientFor(t, pod, { room: 'whereabouts' });
        client.sendJson({ data: 1 });
        const { from } = await client.nextJson();
        const entry = await pod.waitForLog(({ event }) => event === 'client:connected');
        assert.equal(entry.level, 'info');
        assert.equal(entry.userId, from);
        assert.equal(entry.channelId, 'whereabouts');
    });

    it('tell who joined, left, was refused or put out, and where', async (t) => {
        const pod = await serviceFor(t, { env: { API_KEY } });
        const client = await eventsClientFor(t, pod, { room: 'first' });
        const userId = client.hello.user;
        await askOk(client, { event: 'room:join', room: 'second' });
        await askOk(client, { event: 'room:join', room: 'second' }); // is there already
        await askOk(client, { event: 'room:leave', room: 'second' });
        await askRefused(client, { event: 'room:join', room: 'user:other' }, 'CHANNEL_ERROR');
        await askRefused(client, { event: 'message:edit', data: 1 }, 'INVALID_PAYLOAD');
        await call(pod, 'DELETE', '/rooms/first');
        await nextEvent(client, 'error');
        await pod.waitForLog(({ event }) => event === 'room:put_out');
        const concerning = pod.logs
            .filter((entry) => entry.userId === userId)
            .map(({ event, channelId, level, metadata }) => [
                event,
                channelId,
                level,
                metadata?.code,
            ]);
        assert.deepEqual(concerning, [
            ['client:connected', 'first', 'info', undefined],
            ['room:joined', 'second', 'info', undefined],
            ['room:left', 'second', 'info', undefined],
            ['message:refused', 'user:other', 'info', 'CHANNEL_ERROR'],
            ['message:refused', 'first', 'info', 'INVALID_PAYLOAD'],
            ['room:put_out', 'first', 'info', undefined],
        ]);
    });

    it('tell who was not let in, and where', async (t) => {
        const env = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET, RATE_LIMIT_CONNECTS: '1/1m' };
        const pod = await serviceFor(t, { env });
        const headers = bearer(token({ sub: 'gil', rooms: [{ match: 'mine' }] }));
        assert.equal((await attempt(pod, { room: 'theirs', headers })).status, 403);
        await clientFor(t, pod, { room: 'mine', headers });
        assert.equal((await attempt(pod, { room: 'mine', headers })).status, 429);
        await pod.waitForLog(({ metadata }) => metadata?.status === 429);
        const refused = pod.logs.filter(({ event }) => event === 'client:refused');
        assert.deepEqual(
            refused.map(({ userId, channelId, metadata }) => [userId, channelId, metadata.status]),
            [
                ['gil', 'theirs', 403],
                ['gil', 'mine', 429],
            ],
        );
    });

    it('name no channel where there is none', async (t) => {
        const pod = await serviceFor(t);
        await clientFor(t, pod);
        const entry = await pod.waitForLog(({ event }) => event === 'client:connected');
        assert.ok(!entry.channelId);
        assert.equal(typeof entry.userId, 'string');
    });

    it('stay JSON whatever a room is called', async (t) => {
        const pod = await serviceFor(t);
        const room = '"},{"level":"error","x":"\\ é😀\u2028';
        await clientFor(t, pod, { room });
        const entry = await pod.waitForLog(({ event }) => event === 'client:connected');
        assert.equal(entry.channelId, room);
    });

    it('stay short and whole when somebody sends long names', async (t) => {
        const pod = await serviceFor(t, { env: { LOG_LEVEL: 'debug' } });
        const long = '\u0001"\\'.repeat(5000);
        const client = await clientFor(t, pod, { room: 'long' });
        for (const message of [{ type: long }, { room: long }, { id: long }, { event: long }]) {
            client.sendJson(message);
            assert.equal((await client.nextJson()).event, 'error');
        }
        await pod.stop();
        for (const line of pod.stderr.split('\n')) assert.ok(line.length < 16384);
    });

    it('never tell what was said, or what opens doors', async (t) => {
        const password = 'redis-pass-3141';
        const redis = await redisFor(t, { password });
        const pod = await serviceFor(t, { env: { LOG_LEVEL: 'debug', REDIS_URL: redis.url } });
        const secrets = {
            text: 'the-text-of-a-message-2718',
            brokenText: 'the-text-of-a-broken-message-1618',
            foreign: 'the-text-of-another-program-1414',
            token: 'token-in-the-query-1732',
            bearer: 'token-in-the-header-2236',
            subprotocol: 'token-in-the-subprotocol-2449',
        };
        const client = await clientFor(t, pod, {
            path: `/ws/secrets?token=${secrets.token}`,
            headers: { Authorization: `Bearer ${secrets.bearer}` },
            protocol: `chat.x, bearer.${secrets.subprotocol}`,
        });
        client.sendJson({ data: { text: secrets.text } });
        await client.nextJson();
        client.sendText(`{"data":"${secrets.brokenText}"`);
        await client.nextJson();
        client.sendJson({ type: secrets.brokenText });
        await client.nextJson();
        await request(pod, `/nowhere?token=${secrets.token}`);
        await attempt(pod, { path: `/ws/a%00b?token=${secrets.token}` });
        const wire = await redis.client();
        await wire.publish('realtime:room:secrets', `{"data":"${secrets.foreign}`);
        await wire.publish('realtime:room:secrets', { data: secrets.foreign });
        await client.nextJson();
        await client.close(1000, secrets.text);
        await pod.stop();
        for (const secret of [password, ...Object.values(secrets)]) {
            assert.ok(!pod.stderr.includes(secret), secret);
            assert.ok(!pod.stdout.includes(secret), secret);
        }
    });
});
