// Section 9 of the contract: one JSON object a line, the fields, and what is never in a log.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertFreshTimestamp, clientFor } from '../support/chat.js';
import { request } from '../support/http.js';
import { redisFor } from '../support/redis.js';
import { serviceFor } from '../support/service.js';
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
