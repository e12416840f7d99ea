// Peers that send what they should not, or do not send, read or leave as they should. Each case
// asserts a bound for what that costs the service or its other clients, and prints its figure.
// Here: coming in, joining, leaving, not reading.
//
//   HOSTILE_FULL=1      a million names of rooms, where otherwise it is 100,000
//   HOSTILE_ROOMS=5000  so many
//   HOSTILE_STRICT=1    on a machine that does nothing else: 99 of 100 messages of well-behaved
//                       clients take 50 ms longer at most, where otherwise it is a second

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { attackFor } from '../support/attack.js';
import { clientFor } from '../support/chat.js';
import { eventually, within } from '../support/deadline.js';
import {
    assertComeIn,
    assertMemory,
    assertNothingLeft,
    assertServes,
    assertUnmoved,
    companyFor,
    countsOf,
    MIB,
    THREADS,
} from '../support/hostile.js';
import { RawConnection, request, requestText } from '../support/http.js';
import { metricSum, parseMetrics } from '../support/metrics.js';
import { fileLimit, isSanitized, mebibytes, residentBytes } from '../support/process.js';
import { redisFor } from '../support/redis.js';
import { serviceFor } from '../support/service.js';
import { upgradeText } from '../support/websocket.js';

const ROOMS = Number(process.env.HOSTILE_ROOMS) || (process.env.HOSTILE_FULL ? 1000000 : 100000);

describe('requests over the limits', () => {
    const headersOf = (count, size) =>
        Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-${i}`, 'y'.repeat(size)]));
    const requests = {
        'a target of 20 kB': { path: `/ws/${'r'.repeat(20000)}` },
        'a target of 1 MB': { path: `/healthz?${'q'.repeat(1000000)}` },
        'a query of 5,000 parameters': { path: `/ws?${'room=a&'.repeat(5000)}` },
        // libmicrohttpd has no memory left to answer with, and waits for the deadline of the head.
        'a query of 1,000 empty parameters': { path: `/ws?${'&'.repeat(1000)}` },
        'a header of 20 kB': { headers: { Cookie: 'c'.repeat(20000) } },
        'a header of 1 MB': { headers: { Cookie: 'c'.repeat(1000000) } },
        'a header name of 20 kB': { headers: { ['n'.repeat(20000)]: 'v' } },
        '2,000 headers': { headers: headersOf(2000, 1) },
        '100 headers of 1 kB': { headers: headersOf(100, 1000) },
        'a method of 20 kB': { method: 'M'.repeat(20000) },
        'a version of 20 kB': { version: `HTTP/1.${'1'.repeat(20000)}` },
        'an offer of 1,000 extensions': {
            headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate, '.repeat(1000) },
        },
    };

    it('are refused or cut, each of them, and the service goes on', async (t) => {
        const pod = await serviceFor(t, { env: { HTTP_HEADER_TIMEOUT: '3s' } });
        const before = await countsOf(pod);
        const answers = {};
        await assertMemory(t, pod, 16, async () => {
            for (const [name, options] of Object.entries(requests)) {
                const connection = await RawConnection.open(pod);
                connection.write(upgradeText(pod, { ...options }));
                const status = await connection
                    .readResponse()
                    .then((response) => response.status)
                    .catch(() => 'closed');
                connection.destroy();
                answers[name] = status;
                assert.ok([400, 414, 431, 'closed'].includes(status), `${name}: ${status}`);
                await assertServes(pod);
            }
        });
        t.diagnostic(JSON.stringify(answers));
        await assertNothingLeft(t, pod, before);
    });
});

describe('many who never come in', () => {
    const wanted = Math.min(5000, Math.floor((fileLimit() - 1000) / 2));

    it(`${wanted} upgrades that are never finished: others chat and come in`, async (t) => {
        const pod = await serviceFor(t, { env: THREADS });
        const before = await countsOf(pod);
        const company = await companyFor(t, pod);
        const head = `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${pod.port}\r\nUpgrade: webso`;
        await assertMemory(t, pod, 48, async () => {
            const crowd = await assertUnmoved(t, company, async () => {
                const many = attackFor(t, 'linger', pod, { count: wanted, head });
                await within(many.begun, 20000, 'the crowd');
                return many;
            });
            await assertComeIn(t, pod);
            t.diagnostic(`attacker: ${JSON.stringify(await crowd.stop())}`);
        });
        company.close();
        await assertNothingLeft(t, pod, before);
    });

    it('peers that take no answer: others come in, and little is held for them', async (t) => {
        const pod = await serviceFor(t, { env: THREADS });
        const before = await countsOf(pod);
        const company = await companyFor(t, pod);
        // More than the kernel takes for one connection, so that each answer is stuck.
        const head = requestText(pod, '/docs/swagger-ui-bundle.js').repeat(60);
        await assertMemory(t, pod, 48, async () => {
            const stuck = await assertUnmoved(t, company, async () => {
                const options = { count: 1200, together: 10, again: false, read: false, head };
                const many = attackFor(t, 'linger', pod, options);
                await within(many.begun, 20000, 'the crowd');
                return many;
            });
            await assertComeIn(t, pod);
            await stuck.stop();
        });
        company.close();
        await assertNothingLeft(t, pod, before);
    });

    for (const how of ['tcp', 'head', 'request', 'joined']) {
        it(`a storm of connections that are reset (${how})`, async (t) => {
            const pod = await serviceFor(t, { env: THREADS });
            const before = await countsOf(pod);
            const company = await companyFor(t, pod);
            const storm = await assertUnmoved(t, company, async () => {
                const options = { how, width: 50, ms: 4000, least: 250, rooms: 20 };
                const peers = attackFor(t, 'storm', pod, options);
                await peers.begun;
                return peers;
            });
            const { rounds, perSecond } = await storm.stop();
            t.diagnostic(`${rounds} connections, ${perSecond} a second`);
            assert.ok(rounds > 200, `${rounds} connections`);
            company.close();
            await assertNothingLeft(t, pod, before);
        });
    }
});

describe('joins and leaves', () => {
    it('thousands a second: members are not disturbed, nothing is left', async (t) => {
        const pod = await serviceFor(t, { env: THREADS });
        const before = await countsOf(pod);
        const company = await companyFor(t, pod, { room: 'storm-1' });
        const churn = await assertUnmoved(t, company, async () => {
            const options = { how: 'joined', polite: true, width: 64, rooms: 3 };
            const peers = attackFor(t, 'storm', pod, options);
            await peers.begun;
            return peers;
        });
        const { rounds, refused, perSecond } = await churn.stop();
        t.diagnostic(`${rounds} joins and as many leaves, ${perSecond} a second`);
        assert.equal(refused, 0);
        company.close();
        await assertNothingLeft(t, pod, before);
    });

    it(`${ROOMS} names of rooms said and 3,000 joined: memory does not grow`, async (t) => {
        const redis = await redisFor(t);
        // What waits for a Redis that is late has a bound of its own, and is no room; nor is what a
        // pod remembers of messages.
        const env = {
            ...THREADS,
            REDIS_URL: redis.url,
            REDIS_OUTBOX: '500',
            MESSAGE_WINDOW: '1000',
        };
        const pod = await serviceFor(t, { env });
        const before = await countsOf(pod);
        const say = (most) =>
            within(
                attackFor(t, 'flood', pod, { kind: 'rooms', most }).ended,
                120000,
                'all names to be said',
            );
        const enter = (most) =>
            attackFor(t, 'storm', pod, { how: 'joined', width: 32, rooms: most, most }).ended;
        // What the first of them need is kept for the next ones.
        await say(ROOMS / 10);
        await enter(1000);
        const settled = residentBytes(pod.pid);
        await say(ROOMS);
        const { rounds, refused } = await enter(3000);
        assert.deepEqual({ rounds, refused }, { rounds: 3000, refused: 0 });
        await pod.statsWhere('no rooms', ({ room_count: rooms }) => rooms === 0);
        // What the burst needed goes back in a quiet moment, as it may have before.
        const grown = await eventually('memory to come back', () => {
            const more = residentBytes(pod.pid) - settled;
            return (isSanitized(pod.pid) || more < 8 * MIB) && { more };
        });
        t.diagnostic(`memory: ${mebibytes(settled)} MiB, then ${mebibytes(grown.more)} MiB more`);
        const watcher = await redis.client();
        await eventually('no room subscribed in Redis', async () => {
            const channels = await watcher.command('PUBSUB', 'CHANNELS', 'realtime:room:*');
            return channels.length === 0;
        });
        await assertNothingLeft(t, pod, before);
    });
});

describe('peers that do not read', () => {
    it('in the middle of a fan-out: nobody else waits', async (t) => {
        const pod = await serviceFor(t, { env: { ...THREADS, WS_SEND_QUEUE: '64' } });
        const before = await countsOf(pod);
        const company = await companyFor(t, pod);
        const talker = await clientFor(t, pod, { room: 'good company' });
        await assertMemory(t, pod, 48, async () => {
            const deaf = await assertUnmoved(
                t,
                company,
                async () => {
                    const options = { kind: 'ping', most: 0, clients: 50, read: false, stay: true };
                    const peers = attackFor(t, 'flood', pod, { room: 'good company', ...options });
                    await peers.begun;
                    // Enough for their sockets to be full within the second.
                    const fill = 'x'.repeat(16000);
                    const talk = setInterval(() => talker.sendJson({ data: { fill } }), 5);
                    t.after(() => clearInterval(talk));
                    return { peers, talk };
                },
                { ms: 2000 },
            );
            const cut = await eventually('all of them to be cut', async () => {
                const families = parseMetrics((await request(pod, '/metrics')).text);
                const slow = metricSum(families, /^chat_slow_consumers_total$/);
                return slow >= 50 && slow;
            });
            clearInterval(deaf.talk);
            t.diagnostic(`${cut} slow consumers were cut`);
            assert.equal(cut, 50, 'none of those who read');
            await deaf.peers.stop();
        });
        talker.hangUp();
        company.close();
        await assertNothingLeft(t, pod, before);
    });

    it('60, each with much that waits for it alone: WS_SEND_TOTAL_BYTES is all they hold', async (t) => {
        const [deafs, messages, total] = [60, 30, 16 * MIB];
        const pod = await serviceFor(t, { env: { ...THREADS, WS_SEND_TOTAL_BYTES: String(total) } });
        const before = await countsOf(pod);
        const company = await companyFor(t, pod);
        const talker = await clientFor(t, pod, { deflate: true });
        const deaf = [];
        for (let i = 0; i < deafs; i++) {
            deaf.push(await clientFor(t, pod, { room: `deaf-${i}` }));
            deaf[i].pause();
        }
        const data = 'x'.repeat(60000); // some hundred bytes to send
        await assertMemory(t, pod, 48, async () => {
            await assertUnmoved(t, company, async () => {
                for (let i = 0; i < deafs * messages; i++) {
                    talker.sendCompressed(JSON.stringify({ room: `deaf-${i % deafs}`, data }));
                }
            });
            const all = deafs * messages;
            await pod.statsWhere('all', (stats) => stats.messages.received >= all, 30000);
        });
        const families = parseMetrics((await request(pod, '/metrics')).text);
        const cut = metricSum(families, /^chat_slow_consumers_total$/);
        t.diagnostic(`${cut} of ${deafs} were cut`);
        assert.ok(cut > deafs / 2 && cut < deafs, 'some may have as much as there is room for');
        for (const client of [...deaf, talker]) client.reset();
        company.close();
        await assertNothingLeft(t, pod, before);
    });
});
