// Hostile peers (see hostile.test.js): floods of what is right or wrong, and too much of everything.
//
//   HOSTILE_STRICT=1    on a machine that does nothing else: 99 of 100 messages of well-behaved
//                       clients take 50 ms longer at most, where otherwise it is a second

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';

import { attackFor } from '../support/attack.js';
import { assertErrorEnvelope, assertErrorResponse, clientFor } from '../support/chat.js';
import { SLOW, within } from '../support/deadline.js';
import {
    assertMemory,
    assertNothingLeft,
    assertUnmoved,
    companyFor,
    countsOf,
    MIB,
    THREADS,
} from '../support/hostile.js';
import { serviceFor } from '../support/service.js';
import { attempt, compress, connect, encodeFrame, OP } from '../support/websocket.js';

// A build with sanitizers takes some ten times as long for what came before anybody was held back.
const FLOOD = SLOW > 1 ? { p50: 500, p99: 1500 } : {};

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
                const { sent } = await (await assertUnmoved(t, company, begin, FLOOD)).stop();
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

describe('messages that were compressed 170 to one', () => {
    it('of 20 peers, as fast as they can: others do not wait', async (t) => {
        const pod = await serviceFor(t, { env: THREADS });
        const company = await companyFor(t, pod);
        await assertMemory(t, pod, 48, async () => {
            const flood = await assertUnmoved(t, company, async () => {
                const options = { kind: 'compressed', clients: 20, together: 50 };
                const senders = attackFor(t, 'flood', pod, options);
                await senders.begun;
                return senders;
            });
            // They break off: what they left is not everybody's burden either.
            const { sent } = await assertUnmoved(t, company, () => flood.stop());
            t.diagnostic(`${sent} messages sent`);
            assert.ok(sent > 0);
        });
        company.close();
    });
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
