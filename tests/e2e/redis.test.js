// Section 6 of the contract: pods that share a Redis, the payload between them, the subscriptions,
// and messages of other programs.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import {
    RFC3339_MS,
    assertEnvelope,
    assertFreshTimestamp,
    assertFreshUuid,
    assertOnlyMarkerComes,
    clientFor,
    clientsFor,
    freshRoom,
    jsonMembers,
} from '../support/chat.js';
import { eventually } from '../support/deadline.js';
import { assertReadiness } from '../support/readiness.js';
import { serviceFor, startRedis, startService } from '../support/service.js';

let redis;
before(async () => {
    redis = await startRedis();
});
after(() => redis.stop());

describe('pods', () => {
    let pods;
    let wire;
    before(async () => {
        const start = (POD_ID) => startService({ env: { REDIS_URL: redis.url, POD_ID } });
        pods = await Promise.all(['pod-a', 'pod-b', 'pod-c'].map(start));
        wire = await redis.client();
        await wire.psubscribe('realtime:*');
    });
    after(async () => {
        for (const pod of pods) await pod.stop();
    });

    /** What went over Redis until now does not belong to the next test. */
    async function quietWire() {
        const commands = await redis.client();
        const end = `realtime:${freshRoom()}`;
        await commands.publish(end, 'x');
        while ((await wire.nextMessage()).channel !== end);
        commands.close();
    }

    it('know of Redis', async () => {
        for (const pod of pods) {
            assert.deepEqual((await pod.stats()).redis, { enabled: true, connected: true });
            await assertReadiness(pod, 200, 'ready');
        }
        assert.deepEqual(await Promise.all(pods.map(async (pod) => (await pod.stats()).pod)), [
            'pod-a',
            'pod-b',
            'pod-c',
        ]);
    });

    it("bring a room's message to its members everywhere, once, in order", async (t) => {
        const room = freshRoom();
        const members = [];
        for (const pod of pods) members.push(...(await clientsFor(t, 2, pod, { room })));
        const outsider = await clientFor(t, pods[1], { room: freshRoom() });
        for (const [number, sender] of members.entries()) {
            for (let i = 0; i < 20; i++) sender.sendJson({ data: [number, i] });
        }
        for (const member of members) {
            const next = members.map(() => 0);
            for (let i = 0; i < 20 * members.length; i++) {
                const [sender, number] = (await member.nextJson()).data;
                assert.equal(number, next[sender]++);
            }
        }
        await assertOnlyMarkerComes(members[0], [...members, outsider]);
    });

    it('show all members the same bytes', async (t) => {
        const room = freshRoom();
        const members = await Promise.all(pods.map((pod) => clientFor(t, pod, { room })));
        members[0].sendText('{"data":{"price":1.10,"big":1e400,"nul":"\\u0000","é":"😀"}}');
        const texts = new Set();
        for (const member of members) texts.add(await member.nextText());
        assert.equal(texts.size, 1);
        assert.ok(![...texts][0].includes('"pod"'));
    });

    it('bring a global message to every client', async (t) => {
        const clients = [];
        for (const pod of pods) {
            clients.push(await clientFor(t, pod), await clientFor(t, pod, { room: freshRoom() }));
        }
        for (const sender of [clients[0], clients[5]]) {
            sender.sendJson({ room: null, data: 'everywhere' });
            for (const client of clients) {
                assertEnvelope(await client.nextJson(), { room: undefined, data: 'everywhere' });
            }
        }
        await assertOnlyMarkerComes(clients[2], clients);
    });

    it('let a client publish to a room that has members elsewhere only', async (t) => {
        const room = freshRoom();
        const member = await clientFor(t, pods[1], { room });
        const sender = await clientFor(t, pods[0]);
        sender.sendJson({ room, data: 'from afar' });
        assertEnvelope(await member.nextJson(), { room, data: 'from afar' });
        await assertOnlyMarkerComes(member, [sender, member]);
    });

    it('bring messages of the full size', async (t) => {
        const room = freshRoom();
        const [near, far] = await Promise.all([0, 1].map((i) => clientFor(t, pods[i], { room })));
        const text = `{"data":"${'x'.repeat(65536 - 11)}"}`;
        near.sendText(text);
        for (const client of [near, far])
            assert.equal((await client.nextJson()).data.length, 65525);
    });

    it('keep errors to themselves', async (t) => {
        await quietWire();
        const client = await clientFor(t, pods[0], { room: freshRoom() });
        client.sendJson({ type: 'bogus' });
        assert.equal((await client.nextJson()).event, 'error');
        client.sendJson({ room: '', data: 'marker' });
        assert.equal(JSON.parse((await wire.nextMessage()).payload).data, 'marker');
    });

    it('publish the envelope with the pod as first member', async (t) => {
        await quietWire();
        const room = `wire ${freshRoom()} é:*`;
        const client = await clientFor(t, pods[0], { room });
        const id = randomUUID();
        client.sendJson({ id, type: 'notification', pod: 'forged', data: { b: 1, a: 2 } });
        const seen = await client.nextText();
        const { channel, payload } = await wire.nextMessage();
        assert.equal(channel, `realtime:room:${room}`);
        assert.deepEqual(jsonMembers(payload)[0], ['pod', '"pod-a"']);
        assert.deepEqual(jsonMembers(payload).slice(1), jsonMembers(seen));
        assert.equal(payload.trim()[0], '{');
        assertEnvelope(JSON.parse(seen), { id, type: 'notification', room, data: { b: 1, a: 2 } });
    });

    it('publish global messages to realtime:global, without a room', async (t) => {
        await quietWire();
        const client = await clientFor(t, pods[2]);
        client.sendJson({ data: 1 });
        const { channel, payload } = await wire.nextMessage();
        assert.equal(channel, 'realtime:global');
        const { pod, ...envelope } = JSON.parse(payload);
        assert.equal(pod, 'pod-c');
        assertEnvelope(envelope, { room: undefined, data: 1 });
    });

    it('drop what bears their own id, and deliver what bears another', async (t) => {
        const room = freshRoom();
        const [near, far] = await Promise.all([0, 1].map((i) => clientFor(t, pods[i], { room })));
        const envelope = {
            id: randomUUID(),
            type: 'chat',
            room,
            from: 'somebody',
            data: 'from pod-a?',
            timestamp: '2026-02-05T00:00:00.000Z',
        };
        const commands = await redis.client();
        await commands.publish(`realtime:room:${room}`, { pod: 'pod-a', ...envelope });
        assertEnvelope(await far.nextJson(), envelope);
        await assertOnlyMarkerComes(near, [near, far]);
        await commands.publish(`realtime:room:${room}`, { pod: 'pod-z', ...envelope });
        for (const client of [near, far]) assertEnvelope(await client.nextJson(), envelope);
        commands.close();
    });

    it('subscribe to what has members, and to nothing else', async (t) => {
        const room = freshRoom();
        const channel = `realtime:room:${room}`;
        const commands = await redis.client();
        t.after(() => commands.close());
        assert.equal(await commands.subscribers('realtime:global'), 3);
        assert.equal(await commands.subscribers(channel), 0);

        const first = await clientFor(t, pods[0], { room });
        assert.equal(
            await commands.subscribers(channel),
            1,
            'subscribed when the handshake is done',
        );
        const second = await clientFor(t, pods[0], { room });
        const elsewhere = await clientFor(t, pods[1], { room });
        assert.equal(await commands.subscribers(channel), 2, 'once a pod');

        await first.close();
        await elsewhere.close();
        await eventually(
            'one pod subscribed',
            async () => (await commands.subscribers(channel)) === 1,
        );
        second.reset();
        await eventually(
            'no pod subscribed',
            async () => (await commands.subscribers(channel)) === 0,
        );
        await eventually('rooms of earlier tests gone', async () => {
            const channels = await commands.command('PUBSUB', 'CHANNELS', 'realtime:*');
            return channels.length === 1 && channels[0] === 'realtime:global';
        });

        const publisher = await clientFor(t, pods[0]);
        publisher.sendJson({ room, data: 'no member' });
        await assertOnlyMarkerComes(publisher, [publisher]);
        assert.equal(await commands.subscribers(channel), 0, 'publishing does not subscribe');
    });

    it('reach a client as soon as its handshake is complete, 200 times', async (t) => {
        const publisher = await clientFor(t, pods[1]);
        for (let i = 0; i < 200; i++) {
            const room = freshRoom();
            const member = await clientFor(t, pods[0], { room });
            publisher.sendJson({ room, data: i });
            assertEnvelope(await member.nextJson(), { room, data: i });
            // Leaving behind the back of the pod makes subscriptions come and go all the time.
            member.hangUp();
        }
    });

    it('reach who joins a room that was just left', async (t) => {
        const room = freshRoom();
        const publisher = await clientFor(t, pods[1]);
        for (let i = 0; i < 100; i++) {
            const member = await clientFor(t, pods[0], { room });
            publisher.sendJson({ room, data: i });
            // A message of an earlier round may come late, but never this round's not at all.
            while ((await member.nextJson()).data !== i);
            member.hangUp();
        }
    });

    describe('and other programs', () => {
        let commands;
        before(async () => {
            commands = await redis.client();
        });
        after(() => commands.close());

        async function member(t) {
            const room = freshRoom();
            const client = await clientFor(t, pods[0], { room });
            return { room, client, channel: `realtime:room:${room}` };
        }

        it('get what is missing filled in', async (t) => {
            const { room, client, channel } = await member(t);
            await commands.publish(channel, { data: { text: 'from a backend' } });
            const envelope = await client.nextJson();
            assertEnvelope(envelope, {
                type: 'chat',
                event: undefined,
                room,
                data: { text: 'from a backend' },
            });
            assertFreshUuid(envelope.id);
            assertFreshTimestamp(envelope.timestamp);
            await commands.publish(channel, {});
            assertEnvelope(await client.nextJson(), { type: 'chat', room, data: {} });
        });

        it('keep what is valid', async (t) => {
            const { room, client, channel } = await member(t);
            const given = {
                id: randomUUID(),
                type: 'notification',
                event: 'order:paid',
                from: 'billing',
                data: [1],
                timestamp: '2026-02-05T00:00:00.000Z',
            };
            await commands.publish(channel, given);
            assertEnvelope(await client.nextJson(), { ...given, room });
        });

        it('may name every type', async (t) => {
            const { client, channel } = await member(t);
            for (const type of ['chat', 'presence', 'notification', 'system']) {
                await commands.publish(channel, { type });
                assertEnvelope(await client.nextJson(), { type });
            }
        });

        it('have the text of their data kept', async (t) => {
            const { client, channel } = await member(t);
            await commands.publish(channel, '{"data":{"z":1.10,"a":1e400,"s":"\\u0000"}}');
            const text = await client.nextText();
            assert.deepEqual(
                jsonMembers(text).find(([name]) => name === 'data')[1],
                '{"z":1.10,"a":1e400,"s":"\\u0000"}',
            );
        });

        it("cannot send to another room than the channel's, or smuggle members", async (t) => {
            const { room, client, channel } = await member(t);
            await commands.publish(channel, { room: 'elsewhere', secret: 1, data: 1 });
            assertEnvelope(await client.nextJson(), { room, data: 1 });
            // On every pod, so that none is still to deliver it when the next test begins.
            const all = await Promise.all(pods.map((pod) => clientFor(t, pod)));
            await commands.publish('realtime:global', { room, data: 2 });
            for (const each of [client, ...all]) {
                assertEnvelope(await each.nextJson(), { room: undefined, data: 2 });
            }
        });

        it('have invalid fields replaced', async (t) => {
            const { room, client, channel } = await member(t);
            const invalid = {
                id: 'no-uuid',
                type: 'bogus',
                from: 5,
                timestamp: 'yesterday',
                data: 'kept',
            };
            await commands.publish(channel, invalid);
            const envelope = await client.nextJson();
            assertEnvelope(envelope, { type: 'chat', room, data: 'kept' });
            assertFreshUuid(envelope.id);
            assert.match(envelope.timestamp, RFC3339_MS);
        });

        it('reach all pods with a global message', async (t) => {
            const clients = await Promise.all(
                pods.map((pod) => clientFor(t, pod, { room: freshRoom() })),
            );
            await commands.publish('realtime:global', { data: 'hear, hear' });
            for (const client of clients) {
                assertEnvelope(await client.nextJson(), { room: undefined, data: 'hear, hear' });
            }
        });

        for (const [name, payload] of Object.entries({
            text: 'hello',
            nothing: '',
            'an array': '[1]',
            'a number': '5',
            null: 'null',
            'a cut object': '{"data":1',
            'an object with more behind it': '{"data":1} x',
            'what is not UTF-8': Buffer.from([
                0x7b, 0x22, 0x64, 0x61, 0x74, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d,
            ]),
        })) {
            it(`are not heard with ${name}, which is one warning in the log`, async (t) => {
                // A pod of its own, because a warning may be held back when there are many.
                const pod = await serviceFor(t, { env: { REDIS_URL: redis.url } });
                const room = freshRoom();
                const client = await clientFor(t, pod, { room });
                await commands.publish(`realtime:room:${room}`, payload);
                await commands.publish(`realtime:room:${room}`, { data: 'marker' });
                assert.equal((await client.nextJson()).data, 'marker');
                await pod.waitForLog((entry) => entry.level === 'warn');
                await pod.stop();
                assert.equal(pod.logs.filter((entry) => entry.level === 'warn').length, 1);
            });
        }
    });
});
