// Well-behaved clients beside those who are not, and what an attack may cost: bounds, and figures
// that each case prints.

import assert from 'node:assert/strict';

import { eventually, Stopwatch, stretched } from './deadline.js';
import { Company, measureUpgrades } from './latency.js';
import {
    isSanitized,
    mebibytes,
    openFiles,
    threads,
    watchMemory,
    watchSlowdown,
} from './process.js';
import { connect } from './websocket.js';

export const THREADS = { CONNECTION_THREADS: '2' };
export const MIB = 1 << 20;
const P99 = process.env.HOSTILE_STRICT ? 50 : 1000;

/** Runs `work` and asserts how much memory the service took for it at most. */
export async function assertMemory(t, pod, mib, work) {
    const { result, before, peak } = await watchMemory(pod.pid, work);
    t.diagnostic(`memory: ${mebibytes(before)} MiB before, ${mebibytes(peak)} MiB at most`);
    if (!isSanitized(pod.pid)) {
        assert.ok(peak - before < mib * MIB, `${mebibytes(peak - before)} MiB more at most`);
    }
    return result;
}

export function report(t, what, { count, p50, p99, max, failed, late }) {
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
export async function assertUnmoved(t, company, attackers, { ms = 800, p50 = 25, p99 = P99 } = {}) {
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
export async function assertComeIn(t, pod) {
    const watch = new Stopwatch();
    const upgrades = await measureUpgrades(pod, 600);
    watch.stop();
    report(t, 'upgrades during', upgrades);
    assert.equal(upgrades.failed, 0);
    const bound = stretched(2000) + watch.late();
    assert.ok(upgrades.p99 < bound, `p99 of an upgrade: ${upgrades.p99} of ${bound} ms`);
}

export async function companyFor(t, pod, { room = 'good company', count = 10 } = {}) {
    const company = await Company.gather(pod, room, count);
    t.after(() => company.close());
    return company;
}

/** Once everybody is gone: nobody is counted, and descriptors and threads are as they were. */
export async function assertNothingLeft(t, pod, before) {
    await eventually(
        'descriptors as before',
        async () => {
            const now = openFiles(pod.pid);
            if (now <= before.files) return true;
            throw new Error(`${now} open files, ${before.files} before`);
        },
        12000,
    );
    // Of the last one the descriptor goes a moment before it is off the books.
    const isEmpty = ({ connections, room_count: rooms }) => connections === 0 && rooms === 0;
    await pod.statsWhere('nobody', isEmpty);
    assert.equal(threads(pod.pid), before.threads);
    t.diagnostic(`descriptors: ${before.files} before, ${openFiles(pod.pid)} after`);
}

export async function countsOf(pod) {
    await pod.statsWhere('nobody', ({ connections }) => connections === 0);
    return { files: openFiles(pod.pid), threads: threads(pod.pid) };
}

export async function assertServes(pod, room = 'still serving') {
    const client = await connect(pod, { room });
    client.sendJson({ data: 'well?' });
    assert.equal((await client.nextJson()).data, 'well?');
    client.hangUp();
}
