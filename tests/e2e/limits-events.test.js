// Section 7 of the events document: how often a user may say what, on one pod.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertErrorEnvelope, assertOnlyMarkerComes, clientFor, freshRoom } from '../support/chat.js';
import { sleep } from '../support/deadline.js';
import { PROTOCOL, ask, askOk, eventsClientFor } from '../support/events.js';
import { request } from '../support/http.js';
import { AUTH, LIMITS_OFF, asUser, flood, outcome, say } from '../support/limits.js';
import { serviceFor } from '../support/service.js';

const ID = '019c2b1e-7b02-7d19-8a35-0c4f6e2d9b17';

/** What is counted in each class: a client's events, and what plain clients send without one. */
const CLASSES = {
    messages: [
        { event: 'message:send', data: 'x' },
        { event: 'message:edit', data: { id: ID, data: 'y' } },
        { event: 'message:delete', data: { id: ID } },
        { event: 'message:delivered', data: { ids: [ID] } },
        { event: 'message:read', data: { ids: [ID] } },
        { event: 'notification:send', data: 'x' },
        { event: 'system:send', data: 'x' },
        { data: 'x' },
        { type: 'chat', data: 'x' },
        { type: 'notification', data: 'x' },
        { type: 'system', data: 'x' },
    ],
    typing: [{ event: 'user:typing', data: { typing: true } }],
    presence: [
        { event: 'presence:update', data: { status: 'busy' } },
        { event: 'room:join', room: 'elsewhere' },
        { event: 'room:leave', room: 'elsewhere' },
        { type: 'presence', data: 'x' },
    ],
};

const ONE_OF_EACH = {
    ...LIMITS_OFF,
    RATE_LIMIT_MESSAGES: '1/1m',
    RATE_LIMIT_TYPING: '1/1m',
    RATE_LIMIT_PRESENCE: '1/1m',
};

function assertLimited(envelope, name, limit, longestMs) {
    const { data } = assertErrorEnvelope(envelope, 'RATE_LIMITED').data;
    assert.deepEqual([data.class, data.limit], [name, limit]);
    assert.ok(Number.isInteger(data.retry_after_ms), String(data.retry_after_ms));
    assert.ok(data.retry_after_ms > 0 && data.retry_after_ms <= longestMs);
    return data;
}

const metric = async (pod, line) => (await request(pod, '/metrics')).text.split('\n').includes(line);

describe('what a user says', () => {
    it('over the limit is refused with all that one needs to know, and goes nowhere', async (t) => {
        const pod = await serviceFor(t, { env: { ...LIMITS_OFF, RATE_LIMIT_MESSAGES: '3/1m' } });
        const room = freshRoom();
        const anna = await clientFor(t, pod, { room, ...asUser('anna') });
        const ben = await clientFor(t, pod, { room, ...asUser('ben') });
        for (let i = 0; i < 3; i++) await askOk(anna, say(i));
        const data = assertLimited(await ask(anna, say(3)), 'messages', '3/1m', 20000);
        assert.deepEqual(Object.keys(data).sort(), ['class', 'limit', 'ref', 'retry_after_ms']);
        anna.sendJson({ id: ID, data: 'refused, too' });
        let answer;
        do answer = await anna.nextJson();
        while (answer.event !== 'error');
        assert.equal(assertLimited(answer, 'messages', '3/1m', 20000).id, ID);
        for (let i = 0; i < 3; i++) assert.equal((await ben.nextJson()).data, i);
        await assertOnlyMarkerComes(ben, [ben, anna]);
        assert.ok(await metric(pod, 'chat_rate_limited_total{class="messages"} 2'));
        assert.ok(await metric(pod, 'chat_errors_total{code="RATE_LIMITED"} 2'));
    });

    for (const [name, messages] of Object.entries(CLASSES)) {
        for (const message of messages) {
            const title = message.event ?? `a message of type ${message.type ?? 'none'}`;
            it(`counts among ${name}: ${title}`, async (t) => {
                const pod = await serviceFor(t, { env: ONE_OF_EACH });
                const room = freshRoom();
                const anna = await clientFor(t, pod, { room, ...asUser('anna') });
                // Of its class it is the only one, whatever comes of it.
                const first = await ask(anna, message);
                assert.notEqual(first.data.code, 'RATE_LIMITED');
                for (const [other, [canonical]] of Object.entries(CLASSES)) {
                    const answer = await ask(anna, canonical);
                    if (other === name) assertLimited(answer, name, '1/1m', 60000);
                    else assert.notEqual(answer.data.code, 'RATE_LIMITED', other);
                }
                assertLimited(await ask(anna, message), name, '1/1m', 60000);
            });
        }
    }

    it('is not limited where it is a ping, or no event at all', async (t) => {
        const pod = await serviceFor(t, { env: ONE_OF_EACH });
        const anna = await clientFor(t, pod, { room: freshRoom(), ...asUser('anna') });
        for (let i = 0; i < 150; i++) await askOk(anna, { event: 'ping' });
        for (const wrong of [{ event: 'hello' }, { event: 'no:such' }, { event: 'ping', type: 'chat' }]) {
            assertErrorEnvelope(await ask(anna, wrong), 'INVALID_PAYLOAD');
        }
        await askOk(anna, say('the first'));
    });

    it('is without effect when it is refused', async (t) => {
        const pod = await serviceFor(t, { env: ONE_OF_EACH });
        const room = freshRoom();
        const anna = await eventsClientFor(t, pod, { room, ...asUser('anna') });
        await askOk(anna, { event: 'presence:update', data: { status: 'busy' } });
        const refused = [
            { event: 'presence:update', data: { status: 'away' } },
            { event: 'room:join', room: 'elsewhere' },
            { event: 'room:leave', room },
        ];
        for (const message of refused) {
            assertLimited(await ask(anna, message), 'presence', '1/1m', 60000);
        }
        assert.deepEqual((await pod.stats()).rooms, { [room]: 1 });
        const { users } = (await request(pod, `/api/chat-api/rooms/${room}/presence`, asUser('anna')))
            .json;
        assert.deepEqual([users[0].user, users[0].status], ['anna', 'busy']);
    });

    it('is taken again after the time that the refusal told', async (t) => {
        const pod = await serviceFor(t, { env: { ...LIMITS_OFF, RATE_LIMIT_MESSAGES: '4/1s' } });
        const anna = await clientFor(t, pod, { room: freshRoom(), ...asUser('anna') });
        for (let round = 0; round < 3; round++) {
            let answer;
            do answer = await ask(anna, say(round));
            while (answer.event === 'reply');
            const { retry_after_ms: wait } = assertLimited(answer, 'messages', '4/1s', 250);
            await sleep(wait + 1); // a timer may be early by a fraction of a millisecond
            await askOk(anna, say('again'));
        }
    });
});

describe('a bucket', () => {
    const env = { ...LIMITS_OFF, RATE_LIMIT_MESSAGES: '10/1m' };

    it('is one for all connections of a user, those that come later too', async (t) => {
        const pod = await serviceFor(t, { env });
        const room = freshRoom();
        const [one, two] = [
            await clientFor(t, pod, { room, ...asUser('anna') }),
            await clientFor(t, pod, { room, protocol: PROTOCOL, ...asUser('anna') }),
        ];
        assert.deepEqual(await flood([one, two], 8), { taken: 10, refused: 6 });
        one.hangUp();
        const late = await clientFor(t, pod, { room, ...asUser('anna') });
        assert.deepEqual(await flood([late], 3), { taken: 0, refused: 3 });
        const ben = await clientFor(t, pod, { room, ...asUser('ben') });
        assert.deepEqual(await flood([ben], 11), { taken: 10, refused: 1 });
    });

    it("is each connection's own when nobody signs in", async (t) => {
        const env = {
            RATE_LIMIT_ENABLED: 'true',
            RATE_LIMIT_MESSAGES: '10/1m',
            RATE_LIMIT_CONNECTS: 'off',
            TRUSTED_PROXIES: '127.0.0.0/8',
        };
        const pod = await serviceFor(t, { env });
        const from = (address) => ({ headers: { 'X-Forwarded-For': address } });
        for (const options of [{}, {}, from('192.0.2.1'), from('192.0.2.1')]) {
            const client = await clientFor(t, pod, { room: freshRoom(), ...options });
            assert.deepEqual(await flood([client], 11), { taken: 10, refused: 1 });
        }
    });
});

describe('limits', () => {
    it('are 60, 10 and 30 a minute with authentication', async (t) => {
        const pod = await serviceFor(t, { env: AUTH });
        const anna = await clientFor(t, pod, { room: freshRoom(), ...asUser('anna') });
        const rows = Object.entries({ messages: 60, typing: 10, presence: 30 });
        for (const [name, count] of rows) {
            const [message] = CLASSES[name];
            for (let i = 0; i < count; i++) {
                assert.equal((await ask(anna, message)).event, 'reply', `${name} ${i}`);
            }
            assertLimited(await ask(anna, message), name, `${count}/1m`, 60000 / count);
        }
    });

    it('hold for nobody without authentication, nor where RATE_LIMIT_ENABLED is false', async (t) => {
        for (const env of [{}, { ...AUTH, RATE_LIMIT_ENABLED: 'false' }]) {
            const pod = await serviceFor(t, { env });
            const options = env.AUTH_ENABLED ? asUser('anna') : {};
            const anna = await clientFor(t, pod, { room: freshRoom(), ...options });
            assert.deepEqual(await flood([anna], 150), { taken: 150, refused: 0 });
        }
    });

    it('hold class by class', async (t) => {
        for (const [name, [message]] of Object.entries(CLASSES)) {
            const off = { [`RATE_LIMIT_${name.toUpperCase()}`]: 'off' };
            const pod = await serviceFor(t, { env: { ...ONE_OF_EACH, ...off } });
            const anna = await clientFor(t, pod, { room: freshRoom(), ...asUser('anna') });
            for (let i = 0; i < 5; i++) await askOk(anna, message);
            for (const [other, [canonical]] of Object.entries(CLASSES)) {
                if (other === name) continue;
                await ask(anna, canonical);
                assertLimited(await ask(anna, canonical), other, '1/1m', 60000);
            }
        }
    });
});

describe('a client that does not stop', () => {
    const env = { ...LIMITS_OFF, RATE_LIMIT_MESSAGES: '1/1m' };

    it('is closed with 4003 at the hundredth refusal, not before', async (t) => {
        const pod = await serviceFor(t, { env });
        const room = freshRoom();
        const anna = await clientFor(t, pod, { room, ...asUser('anna') });
        const other = await clientFor(t, pod, { room, ...asUser('anna') });
        assert.deepEqual(await flood([anna], 100), { taken: 1, refused: 99 });
        await askOk(anna, { event: 'ping' });
        // The other one's refusals are its own.
        assert.deepEqual(await flood([other], 99), { taken: 0, refused: 99 });
        assertLimited(await ask(anna, say('the hundredth')), 'messages', '1/1m', 60000);
        const { code, clean } = await anna.closed;
        assert.deepEqual([code, clean], [4003, true]);
        await askOk(other, { event: 'ping' });
        assert.ok(await metric(pod, 'chat_rate_limit_ended_total 1'));
        assert.ok(await metric(pod, 'chat_rate_limited_total{class="messages"} 199'));
    });

    it('is told nothing of what comes behind that', async (t) => {
        const pod = await serviceFor(t, { env });
        const anna = await clientFor(t, pod, { room: freshRoom(), ...asUser('anna') });
        for (let i = 0; i < 150; i++) anna.sendJson(say(i));
        const { code } = await anna.closed;
        assert.equal(code, 4003);
        const answers = anna.messages.drain().map(({ text }) => JSON.parse(text));
        assert.equal(answers.filter((answer) => outcome(answer) === 'refused').length, 100);
    });

    it('is logged, one line for many', async (t) => {
        const pod = await serviceFor(t, { env });
        const anna = await clientFor(t, pod, { room: freshRoom(), ...asUser('anna') });
        await flood([anna], 50);
        const line = await pod.waitForLog((entry) => entry.event === 'limits:refused');
        assert.deepEqual([line.level, line.userId], ['warn', 'anna']);
        assert.equal(line.metadata.class, 'messages');
        assert.equal(pod.logs.filter((entry) => entry.event === 'limits:refused').length, 1);
    });
});
