// Peers that send what they should not, or do not send, read or leave as they should. Each case
// asserts a bound for what that costs the service or its other clients, and prints its figure.
//
//   HOSTILE_FULL=1      a million names of rooms, where otherwise it is 100,000
//   HOSTILE_ROOMS=5000  so many
//   HOSTILE_STRICT=1    on a machine that does nothing else: 99 of 100 messages of well-behaved
//                       clients take 50 ms longer at most, where otherwise it is a second

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';

import { attackFor } from '../support/attack.js';
import { assertErrorEnvelope, assertErrorResponse, clientFor } from '../support/chat.js';
import { Stopwatch, eventually, stretched, within } from '../support/deadline.js';
import { RawConnection, request, requestText } from '../support/http.js';
import { Company, measureUpgrades } from '../support/latency.js';
import { metricSum, parseMetrics } from '../support/metrics.js';
import {
    fileLimit,
    isSanitized,
    mebibytes,
    openFiles,
    residentBytes,
    threads,
    watchMemory,
    watchSlowdown,
} from '../support/process.js';
import { redisFor } from '../support/redis.js';
import { serviceFor } from '../support/service.js';
import { OP, attempt, compress, connect, encodeFrame, upgradeText } from '../support/websocket.js';

const ROOMS = Number(process.env.HOSTILE_ROOMS) || (process.env.HOSTILE_FULL ? 1000000 : 100000);
const THREADS = { CONNECTION_THREADS: '2' };
const MIB = 1 << 20;
const P99 = process.env.HOSTILE_STRICT ? 50 : 1000;

/** Runs `work` and asserts how much memory the service took for it at most. */
async function assertMemory(t, pod, mib, work) {
    const { result, before, peak } = await watchMemory(pod.pid, work);
    t.diagnostic(`memory: ${mebibytes(before)} MiB before, ${mebibytes(peak)} MiB at most`);
    if (!isSanitized(pod.pid)) {
        assert.ok(peak - before < mib * MIB, `${mebibytes(peak - before)} MiB more at most`);
    }
    return result;
}

function report(t, what, { count, p50, p99, max, failed, late }) {
    const failures = failed === undefined ? '' : `, ${failed} failed`;
    const machine = late === undefined ? '' : `, own timers late by ${late.p50} and ${late.p99}`;
    const times = `${count} times, p50 ${p50}, p99 ${p99}, max ${max} ms`;
    t.diagnostic(`${what}: ${times}${failures}${machine}`);
}

/**
 * Well-behaved clients talk before an attack and during it. `bound` says how many milliseconds
 * half of all messages, and 99 of 100, may take longer than before. A message is on its way through
 * three threads (who says it, the loop, who hears it) and each of them waits for a processor as
 * long as our own timers do; and what the service does meanwhile takes so many times longer as it
 * has to share its processors. Both are the machine's, and allowed for.
 */
async function assertUnmoved(t, company, attackers, { ms = 800, p50 = 25, p99 = P99 } = {}) {
    const before = await company.talk(300);
    report(t, 'messages before', before);
    const begun = await attackers();
    const slowdown = watchSlowdown(company.pod.pid);
    const during = await company.talk(ms);
    const slow = slowdown();
    report(t, 'messages during', during);
    assert.equal(company.fault, null, 'each message came once and in order');
    const figures = JSON.stringify({ before, during, slow });
    const { late } = during;
    const half = before.p50 + stretched(p50) * slow + 3 * late.p50;
    const nearlyAll = before.p99 + stretched(p99) * slow + 3 * late.p99;
    assert.ok(during.p50 <= half, `p50 over ${half}: ${figures}`);
    assert.ok(during.p99 <= nearlyAll, `p99 over ${nearlyAll}: ${figures}`);
    return begun;
}

/** New clients are let in, and soon, but for what the machine is late by itself. */
async function assertComeIn(t, pod) {
    const watch = new Stopwatch();
    const upgrades = await measureUpgrades(pod, 600);
    watch.stop();
    report(t, 'upgrades during', upgrades);
    assert.equal(upgrades.failed, 0);
    const bound = stretched(2000) + watch.late();
    assert.ok(upgrades.p99 < bound, `p99 of an upgrade: ${upgrades.p99} of ${bound} ms`);
}

async function companyFor(t, pod, { room = 'good company', count = 10 } = {}) {
    const company = await Company.gather(pod, room, count);
    t.after(() => company.close());
    return company;
}

/** Once everybody is gone: nobody is counted, and descriptors and threads are as they were. */
async function assertNothingLeft(t, pod, before) {
    await eventually(
        'descriptors as before',
        async () => {
            const now = openFiles(pod.pid);
            if (now <= before.files) return true;
            throw new Error(`${now} open files, ${before.files} before`);
        },
        12000,
    );
    const { connections, room_count: rooms } = await pod.stats();
    assert.deepEqual({ connections, rooms }, { connections: 0, rooms: 0 });
    assert.equal(threads(pod.pid), before.threads);
    t.diagnostic(`descriptors: ${before.files} before, ${openFiles(pod.pid)} after`);
}

async function countsOf(pod) {
    await pod.statsWhere('nobody', ({ connections }) => connections === 0);
    return { files: openFiles(pod.pid), threads: threads(pod.pid) };
}

async function assertServes(pod, room = 'still serving') {
    const client = await connect(pod, { room });
    client.sendJson({ data: 'well?' });
    assert.equal((await client.nextJson()).data, 'well?');
    client.hangUp();
}

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
        // What waits for a Redis that is late has a bound of its own, and is no room.
        const env = { ...THREADS, REDIS_URL: redis.url, REDIS_OUTBOX: '500' };
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
        const grown = residentBytes(pod.pid) - settled;
        t.diagnostic(`memory: ${mebibytes(settled)} MiB, then ${mebibytes(grown)} MiB more`);
        if (!isSanitized(pod.pid)) assert.ok(grown < 8 * MIB, `${mebibytes(grown)} MiB more`);
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

});

describe('floods', () => {
    it('200,000 pings that are read: each is answered', async (t) => {
        const pod = await serviceFor(t, { env: THREADS });
        const company = await companyFor(t, pod);
        const most = 200000;
        const figures = await assertMemory(t, pod, 24, async () => {
            const pings = await assertUnmoved(t, company, async () => {
                // So few pongs at once fit in the kernel. Of more, if we read too late, only the
                // latest would come.
                const options = { kind: 'ping', most, together: 4000, answer: 2 };
                const peer = attackFor(t, 'flood', pod, options);
                await peer.begun;
                return peer;
            });
            return pings.ended;
        });
        t.diagnostic(`${figures.sent} pings, ${figures.bytesRead / 2} pongs`);
        const { bytesRead, closed, codes } = figures;
        assert.deepEqual({ bytesRead, closed, codes }, { bytesRead: 2 * most, closed: 0, codes: {} });
    });

    for (const kind of ['ping', 'pong']) {
        it(`${kind}s of 300 peers that read nothing: memory is bounded`, async (t) => {
            const pod = await serviceFor(t, { env: THREADS });
            const company = await companyFor(t, pod);
            await assertMemory(t, pod, 48, async () => {
                const options = { kind, clients: 300, together: 5000, read: false };
                const begin = async () => {
                    const peers = attackFor(t, 'flood', pod, options);
                    await within(peers.begun, 20000, 'the flood');
                    return peers;
                };
                const { sent } = await (await assertUnmoved(t, company, begin)).stop();
                t.diagnostic(`${sent} ${kind}s`);
            });
        });
    }

    it('20,000 messages that are none: each gets its error, the connection stays', async (t) => {
        const pod = await serviceFor(t);
        const client = await clientFor(t, pod, { room: 'nonsense' });
        const bad = ['1', '[]', '{', '{"type":"x"}', '{"id":"x"}', '', '{"room":"/"}'];
        const count = 20000;
        const begin = performance.now();
        const all = Array.from({ length: count }, (_, i) =>
            encodeFrame({ payload: bad[i % bad.length] }),
        );
        client.sendRaw(Buffer.concat(all));
        for (let i = 0; i < count; i++) {
            const envelope = await client.nextJson(15000);
            const code = i % bad.length === 6 ? 'CHANNEL_ERROR' : 'INVALID_PAYLOAD';
            if (i < 100) assertErrorEnvelope(envelope, code);
            else assert.equal(envelope.event, 'error');
        }
        const seconds = (performance.now() - begin) / 1000;
        t.diagnostic(`${count} errors, ${(count / seconds).toFixed()} a second`);
        client.sendJson({ data: 'sense' });
        assert.equal((await client.nextJson()).data, 'sense');
    });

    it('nonsense of 200 peers that read no errors: they are cut, memory is bounded', async (t) => {
        const pod = await serviceFor(t, { env: THREADS });
        const before = await countsOf(pod);
        await assertMemory(t, pod, 96, async () => {
            const options = { kind: 'invalid', clients: 200, together: 5000, read: false };
            const { sent } = await attackFor(t, 'flood', pod, { ...options, ms: 1500 }).ended;
            t.diagnostic(`${sent} messages that are none`);
        });
        await assertNothingLeft(t, pod, before);
    });

    for (const size of [200, 60000]) {
        it(`a sender of ${size} bytes without pause: other rooms do not wait`, async (t) => {
            const pod = await serviceFor(t, { env: THREADS });
            const company = await companyFor(t, pod);
            const members = attackFor(t, 'members', pod, { room: 'flooded', clients: 8 });
            await within(members.begun, 10000, 'members');
            await assertMemory(t, pod, 96, async () => {
                const flood = await assertUnmoved(
                    t,
                    company,
                    async () => {
                        const together = Math.ceil(200000 / size);
                        const options = { kind: 'chat', room: 'flooded', size, together };
                        const sender = attackFor(t, 'flood', pod, options);
                        await sender.begun;
                        return sender;
                    },
                    { p50: 50 },
                );
                const { sent } = await flood.stop();
                const kept = (await pod.stats()).rooms.flooded ?? 0;
                const { heard, faults } = await members.stop();
                t.diagnostic(`${sent} messages sent, ${heard} heard; ${kept} of 8 members stayed`);
                assert.equal(faults, 0, 'whoever stayed missed nothing, in order');
                assert.ok(heard > 0);
            });
        });
    }
});

describe('too much of everything', () => {
    const header = (...bytes) => Buffer.from(bytes);
    const deep = (levels) => `{"data":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    const closes = {
        'a message of 65,537 bytes': [1009, encodeFrame({ payload: 'x'.repeat(65537) })],
        'an announced exabyte': [1009, encodeFrame({ length: 2n ** 60n, payload: 'x' })],
        'the largest length': [1009, encodeFrame({ length: 2n ** 63n - 1n, payload: 'x' })],
        'a length with its top bit': [1002, encodeFrame({ length: 2n ** 63n, lengthForm: 64 })],
        'a ping of 126 bytes': [1002, encodeFrame({ opcode: OP.PING, payload: 'x'.repeat(126) })],
        'an announced ping of 4 GB': [1002, encodeFrame({ opcode: OP.PING, length: 2n ** 32n })],
        'a close reason of 124 bytes': [
            1002,
            encodeFrame({ opcode: OP.CLOSE, payload: `\x03\xe8${'x'.repeat(124)}` }),
        ],
        'ones only': [1002, header(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    };
    const errors = {
        'a room of 129 bytes': JSON.stringify({ room: 'r'.repeat(129) }),
        'a room of 60,000 bytes': JSON.stringify({ room: 'r'.repeat(60000) }),
        'an id of 60,000 bytes': JSON.stringify({ id: '0'.repeat(60000) }),
        'an event of 60,000 bytes': JSON.stringify({ event: `a:${'b'.repeat(60000)}` }),
        'a type of 60,000 bytes': JSON.stringify({ type: 't'.repeat(60000) }),
        '30,000 levels': deep(30000),
        '65 levels': deep(65),
    };

    it('closes, or an error: the service goes on, its memory does not grow', async (t) => {
        const pod = await serviceFor(t);
        const before = await countsOf(pod);
        await assertMemory(t, pod, 16, async () => {
            for (const [name, [code, bytes]] of Object.entries(closes)) {
                const client = await connect(pod, { room: 'much' });
                client.sendRaw(bytes);
                assert.equal((await client.waitClose()).code, code, name);
            }
            const client = await connect(pod, { room: 'much' });
            for (const [name, text] of Object.entries(errors)) {
                client.sendText(text);
                const envelope = assertErrorEnvelope(await client.nextJson());
                assert.ok(JSON.stringify(envelope).length < 66000, name);
            }
            // Members that do not count, as many as fit, and numbers of any length, are no harm.
            client.sendText(`{${'"a":1,'.repeat(9000)}"data":1}`);
            assert.equal((await client.nextJson()).data, 1);
            client.sendText(`{"data":1${'0'.repeat(60000)}}`);
            assert.match(await client.nextText(), /"data":10{60000}[,}]/);
            client.hangUp();
            const response = await attempt(pod, { room: 'r'.repeat(129) });
            assertErrorResponse(response, 400, 'CHANNEL_ERROR');
        });
        t.diagnostic(`${Object.keys(closes).length} closes, ${Object.keys(errors).length} errors`);
        await assertNothingLeft(t, pod, before);
    });

    it('compression bombs: 1009, inflated no further than the limit', async (t) => {
        const pod = await serviceFor(t, { env: THREADS });
        const before = await countsOf(pod);
        const company = await companyFor(t, pod);
        const bomb = compress(Buffer.alloc(60 * MIB, 'x'));
        const nested = compress(deflateRawSync(Buffer.alloc(60 * MIB)));
        t.diagnostic(`${bomb.length} bytes that become ${60 * MIB}`);
        assert.ok(bomb.length < 65536 * 8);
        await assertMemory(t, pod, 32, async () => {
            const bombed = await assertUnmoved(t, company, async () => {
                const clients = await Promise.all(
                    Array.from({ length: 60 }, () => clientFor(t, pod, { deflate: true })),
                );
                const codes = clients.map(async (client, i) => {
                    const half = bomb.length >> 1;
                    if (i % 3 === 0) {
                        client.sendFragments([bomb.subarray(0, half), bomb.subarray(half)], {
                            rsv1: true,
                        });
                    } else client.sendFrame({ rsv1: true, payload: i % 3 === 1 ? bomb : nested });
                    return (await client.waitClose(10000)).code;
                });
                return { codes: Promise.all(codes) };
            });
            for (const code of await bombed.codes) {
                // What is packed twice is no text once it is unpacked.
                assert.ok([1009, 1007].includes(code), `code ${code}`);
            }
        });
        company.close();
        await assertNothingLeft(t, pod, before);
    });
});

// These mostly wait, so they wait together.
describe('in time', { concurrency: true }, () => {
    describe('requests that do not end', { concurrency: true }, () => {
        const timeout = stretched(2500);
        const env = { HTTP_HEADER_TIMEOUT: `${timeout}ms` };
        const upgrade = (pod) => upgradeText(pod, { room: 'slow' });
        const ways = {
            'nothing at all': () => ({ first: '' }),
            'half a line': () => ({ first: 'GET /ws HT' }),
            'a head that wants its last byte': (pod) => ({ first: upgrade(pod).slice(0, -1) }),
            'a head byte by byte': (pod) => ({ first: '', drip: [...upgrade(pod)] }),
            'header lines without end': (pod) => ({
                first: `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${pod.port}\r\n`,
                drip: Array.from({ length: 1000 }, (_, i) => `X-${i}: y\r\n`),
            }),
            'a second head byte by byte': (pod) => ({
                first: requestText(pod, '/healthz'),
                drip: [...upgrade(pod)],
            }),
        };
        for (const [name, way] of Object.entries(ways)) {
            it(`${name}: dropped after HTTP_HEADER_TIMEOUT`, async (t) => {
                const pod = await serviceFor(t, { env });
                const { first, drip = [] } = way(pod);
                const took = await Promise.all(
                    Array.from({ length: 20 }, async () => {
                        const begin = performance.now();
                        const watch = new Stopwatch();
                        const connection = await RawConnection.open(pod);
                        connection.write(first);
                        let at = 0;
                        // So slowly that no head is whole in time.
                        const drops = setInterval(
                            () => connection.write(drip[at++] ?? ''),
                            timeout / 50,
                        );
                        try {
                            await connection.waitClosed(timeout + 4000);
                            return [performance.now() - begin, watch.ms()];
                        } finally {
                            clearInterval(drops);
                            watch.stop();
                            connection.destroy();
                        }
                    }),
                );
                const soonest = Math.min(...took.map(([onTheWall]) => onTheWall));
                const latest = Math.max(...took.map(([, ofService]) => ofService));
                t.diagnostic(`dropped after ${soonest.toFixed()} to ${latest.toFixed()} ms`);
                assert.ok(soonest >= timeout - 20, `dropped after ${soonest} ms`);
                assert.ok(latest < timeout + stretched(1500), `dropped after ${latest} ms`);
                await assertServes(pod);
            });
        }

        it('a body that never ends: refused at once', async (t) => {
            const pod = await serviceFor(t);
            for (const path of ['/healthz', '/ws/room']) {
                const connection = await RawConnection.open(pod);
                const headers = { 'Content-Length': '1000000000' };
                const head = requestText(pod, path, { method: 'POST', headers });
                connection.write(head + 'x'.repeat(999));
                const begin = performance.now();
                const drops = setInterval(() => connection.write('x'), 20);
                try {
                    const { status } = await connection.readResponse();
                    assert.ok([400, 405, 413].includes(status), `status ${status}`);
                    await connection.waitClosed(4000);
                    t.diagnostic(`${path}: over after ${(performance.now() - begin).toFixed()} ms`);
                } finally {
                    clearInterval(drops);
                    connection.destroy();
                }
            }
            await assertServes(pod);
        });
    });

    describe('half-open peers', () => {
        it('that do not answer are gone after the heartbeat and the close', async (t) => {
            const env = { WS_PING_INTERVAL: '300ms', WS_PONG_TIMEOUT: `${stretched(900)}ms` };
            const pod = await serviceFor(t, { env: { ...THREADS, ...env } });
            const before = await countsOf(pod);
            const options = { kind: 'ping', most: 0, clients: 500, read: false, stay: true };
            const peers = attackFor(t, 'flood', pod, options);
            await within(peers.begun, 20000, 'half-open peers');
            const watch = new Stopwatch();
            const company = await companyFor(t, pod);
            report(t, 'messages during', await company.talk(500));
            assert.equal(company.fault, null);
            await eventually('only the company', async () => {
                const { connections } = await pod.stats();
                return connections === 10;
            });
            const uncounted = watch.ms();
            const most = before.files + 10;
            await eventually('their descriptors closed', () => openFiles(pod.pid) <= most);
            const gone = watch.stop();
            const times = [uncounted, gone].map((ms) => `${ms.toFixed()} ms`);
            t.diagnostic(`500 left after ${times[0]}, closed after ${times[1]}`);
            assert.ok(gone < stretched(900) + stretched(7500), `closed after ${gone} ms`);
            await peers.stop();
            company.close();
            await assertNothingLeft(t, pod, before);
        });

        it('that end their side only are gone at once', async (t) => {
            const pod = await serviceFor(t);
            const before = await countsOf(pod);
            const sockets = [];
            for (let i = 0; i < 100; i++) {
                const connection = await RawConnection.open(pod, { paused: true });
                connection.write(upgradeText(pod, { room: 'half' }));
                sockets.push(connection);
            }
            await pod.statsWhere('a hundred', ({ connections }) => connections === 100);
            const begin = performance.now();
            for (const connection of sockets) connection.end();
            await pod.statsWhere('nobody', ({ connections }) => connections === 0);
            t.diagnostic(`100 gone after ${(performance.now() - begin).toFixed()} ms`);
            for (const connection of sockets) connection.destroy();
            await assertNothingLeft(t, pod, before);
        });
    });

    describe('messages without end', () => {
        it('1,024 fragments are taken, the next one closes with 1009', async (t) => {
            const pod = await serviceFor(t);
            const client = await clientFor(t, pod, { room: 'bits' });
            const text = `{"data":"${'x'.repeat(1024 - 11)}"}`;
            assert.equal(text.length, 1024);
            client.sendFragments([...text]);
            assert.equal((await client.nextJson()).data.length, 1013);
            client.sendFragments([...text, ' ']);
            assert.equal((await client.waitClose()).code, 1009);
        });

        it('65,536 fragments of one byte, from 100 peers: 1009, little memory', async (t) => {
            const pod = await serviceFor(t);
            const before = await countsOf(pod);
            await assertMemory(t, pod, 16, async () => {
                const fragments = { kind: 'fragments', together: 65535, most: 65535 };
                const options = { before: '{', stay: true, ...fragments };
                const peers = attackFor(t, 'flood', pod, { clients: 100, ...options });
                const { closed, codes } = await within(peers.ended, 15000, 'the closes');
                t.diagnostic(`${closed} closed, codes ${JSON.stringify(codes)}`);
                assert.deepEqual({ closed, codes }, { closed: 100, codes: { 1009: 100 } });
            });
            await assertNothingLeft(t, pod, before);
        });

        it('200 messages of nearly 64 KiB never finished: 4005, little memory', async (t) => {
            const env = { WS_MESSAGE_TIMEOUT: `${stretched(1500)}ms` };
            const pod = await serviceFor(t, { env: { ...THREADS, ...env } });
            const before = await countsOf(pod);
            const begin = performance.now();
            await assertMemory(t, pod, 48, async () => {
                const options = { kind: 'ping', most: 0, before: 'x'.repeat(65000), stay: true };
                const peers = attackFor(t, 'flood', pod, { clients: 200, ...options });
                const { closed, codes } = await within(peers.ended, 20000, 'the closes');
                const took = (performance.now() - begin).toFixed();
                t.diagnostic(`${closed} closed within ${took} ms, codes ${JSON.stringify(codes)}`);
                assert.deepEqual({ closed, codes }, { closed: 200, codes: { 4005: 200 } });
            });
            await assertNothingLeft(t, pod, before);
        });
    });

    describe('descriptors used up', () => {
        for (const fileLimitOfPod of [64, 256]) {
            it(`${fileLimitOfPod} of them: 503 or waiting, nobody harmed, all back`, async (t) => {
                const env = { ...THREADS, HTTP_HEADER_TIMEOUT: `${stretched(3000)}ms` };
                // Sanitizers and their symbolizers want a few more.
                const pod = await serviceFor(t, { env, fileLimit: fileLimitOfPod });
                const before = await countsOf(pod);
                const company = await companyFor(t, pod, { count: 5 });
                const statuses = {};
                const inside = [];
                const comeIn = async () => {
                    const connection = await RawConnection.open(pod);
                    // Who is kept waiting leaves. With an answer under way that is a client more
                    // for a moment, and none in the end.
                    const leave = setTimeout(() => connection.destroy(), stretched(300));
                    let status;
                    try {
                        const response = await attempt(pod, { room: 'crowd', connection });
                        status = response.status;
                        if (response.client) inside.push(response.client);
                        else connection.destroy();
                        if (status === 503) assert.ok(response.headers['retry-after']);
                    } catch (error) {
                        if (error instanceof assert.AssertionError) throw error;
                        status = 'waiting or closed';
                    }
                    clearTimeout(leave);
                    statuses[status] = (statuses[status] ?? 0) + 1;
                };
                for (let i = 0; i < fileLimitOfPod; i += 16) {
                    await Promise.all(Array.from({ length: 16 }, comeIn));
                }
                // And idle connections on top, until nothing is left at all.
                const head = 'GET /ws HTTP/1.1\r\n';
                const crowd = attackFor(t, 'linger', pod, { count: 300, head, ms: 1500 });
                await crowd.begun;
                report(t, 'messages during', await company.talk(700));
                assert.equal(company.fault, null, 'those who are in are not harmed');
                t.diagnostic(`${JSON.stringify(statuses)}, ${openFiles(pod.pid)} open files`);
                assert.ok(statuses[503] > 0 || statuses['waiting or closed'] > 0);
                const all = inside.length + 5;
                await pod.statsWhere('all who got a 101', ({ connections: n }) => n === all);
                assert.ok(inside.length > fileLimitOfPod / 3, `${inside.length} came in`);
                await crowd.stop();
                // Who leaves makes room for another.
                inside.shift().reset();
                const next = await eventually('a place', () => connect(pod, { room: 'crowd' }));
                next.sendJson({ data: 'in' });
                await eventually('an echo', async () => (await next.nextJson()).data === 'in');
                for (const client of [next, ...inside]) client.reset();
                company.close();
                await assertNothingLeft(t, pod, before);
                await assertServes(pod);
            });
        }
    });
});
