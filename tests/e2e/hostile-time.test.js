// Hostile peers (see hostile.test.js): what does not end is ended in time, descriptors used up.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { attackFor } from '../support/attack.js';
import { clientFor } from '../support/chat.js';
import { eventually, Stopwatch, stretched, within } from '../support/deadline.js';
import {
    assertMemory,
    assertNothingLeft,
    assertServes,
    companyFor,
    countsOf,
    MIB,
    report,
    THREADS,
} from '../support/hostile.js';
import { RawConnection, requestText } from '../support/http.js';
import { fileLimit, openFiles } from '../support/process.js';
import { serviceFor } from '../support/service.js';
import { attempt, connect, upgradeText } from '../support/websocket.js';

// A message of nearly 64 KiB that is begun by each peer, and never finished.
const UNFINISHED = { kind: 'ping', most: 0, before: 'x'.repeat(65000), stay: true };

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
                const peers = attackFor(t, 'flood', pod, { ...UNFINISHED, clients: 200 });
                const { closed, codes } = await within(peers.ended, 20000, 'the closes');
                const took = (performance.now() - begin).toFixed();
                t.diagnostic(`${closed} closed within ${took} ms, codes ${JSON.stringify(codes)}`);
                assert.deepEqual({ closed, codes }, { closed: 200, codes: { 4005: 200 } });
            });
            await assertNothingLeft(t, pod, before);
        });

        it('more than WS_RECEIVE_TOTAL_BYTES of them: 4005 for the oldest', async (t) => {
            const most = 4 * MIB;
            const env = { WS_RECEIVE_TOTAL_BYTES: String(most), WS_MESSAGE_TIMEOUT: '1440m' };
            const pod = await serviceFor(t, { env: { ...THREADS, ...env } });
            const before = await countsOf(pod);
            const clients = 300;
            await assertMemory(t, pod, 24, async () => {
                // Each holds what its buffer has doubled to.
                const least = clients - most / 65536;
                const options = { ...UNFINISHED, clients, closes: least };
                const peers = attackFor(t, 'flood', pod, options);
                await within(peers.enough, 20000, 'the closes');
                const client = await connect(pod, { room: 'heard' });
                const data = 'y'.repeat(60000);
                client.sendFragments([`{"data":"${data}`, '"}']);
                assert.equal((await client.nextJson()).data, data);
                client.hangUp();
                const { closed, codes } = await peers.stop();
                t.diagnostic(`${closed} of ${clients} closed, codes ${JSON.stringify(codes)}`);
                assert.ok(closed >= least && closed < clients, `${closed} closed`);
                assert.deepEqual(codes, { 4005: closed });
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
