// Rooms of many members, which are written to by io_uring where the kernel lets the service, and
// must notice nothing of it.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { assertOnlyMarkerComes, clientsFor, freshRoom } from '../support/chat.js';
import { eventually } from '../support/deadline.js';
import { openRings } from '../support/process.js';
import { startService } from '../support/service.js';
import { connect } from '../support/websocket.js';

const THREADS = 2;
const MEMBERS = 280; // more than one burst on each thread

for (const wanted of [true, false]) {
    describe(`a large room, IO_URING=${wanted}`, () => {
        let pod;
        before(async () => {
            pod = await startService({
                env: { IO_URING: String(wanted), CONNECTION_THREADS: String(THREADS) },
            });
        });
        after(() => pod.stop());

        it('has a ring for each thread where one is wanted and allowed', async () => {
            const refused = () =>
                pod.logs.filter(({ event }) => event === 'io_uring:unavailable').length;
            if (wanted)
                await eventually(
                    'rings, or a word on why there are none',
                    () => openRings(pod.pid) === THREADS || refused() === 1,
                );
            else assert.equal(openRings(pod.pid) + refused(), 0);
        });

        it('hears all, in order, while members break off and others do not read', async (t) => {
            const room = freshRoom();
            const members = await clientsFor(t, MEMBERS, pod, { room });
            const senders = members.slice(0, 4);
            const slow = members.slice(10, 15);
            const guests = await Promise.all(Array.from({ length: 30 }, () => connect(pod, { room })));
            for (const member of slow) member.pause();
            const count = 50;
            for (let i = 0; i < count; i++) {
                const pad = 'x'.repeat(i % 3 === 0 ? 3000 : 0);
                senders.forEach((sender, number) => sender.sendJson({ data: { number, i, pad } }));
                if (i % 5 === 4) await new Promise(setImmediate);
                if (i === 20) for (const guest of guests) guest.reset();
            }
            for (const member of slow) member.resume();
            for (const member of members) {
                const next = senders.map(() => 0);
                for (let n = 0; n < senders.length * count; n++) {
                    const { number, i } = (await member.nextJson()).data;
                    assert.equal(i, next[number]++);
                }
            }
            await pod.statsWhere('the members alone', ({ rooms }) => rooms[room] === MEMBERS);
            await assertOnlyMarkerComes(members[0], members);
        });
    });
}
