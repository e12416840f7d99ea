#!/usr/bin/env node
// Runs the end-to-end suites against the binary and ends with one line "N passed, N failed".
//
//   node tests/e2e/run.js [file ...]      all suites, or the given ones
//   E2E_ONLY=redis,http                   the suites whose names begin so
//   CHAT_API_BIN=build/asan/chat-api      another binary
//   E2E_SLOW=4                            deadlines for slow builds (sanitizers)
//   E2E_JOBS=3                            suites at once
//   E2E_LOGS=1                            the services' logs as they are written
//   E2E_STRICT=1                          no second chance
//
// A suite that failed beside others runs once more by itself. What passes then is unsteady: it is
// named at the end, and is a defect to mend, but does not fail the run.
//
// The suites also run one by one: node --test tests/e2e/http.test.js

import { once, setMaxListeners } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

import { patient } from '../support/deadline.js';

const FOLDER = path.dirname(fileURLToPath(import.meta.url));
const SUITE_DEADLINE = 120000;
const AGAIN = 3; // suites that get a second chance: more than that is no accident
const LISTED = 60; // failures at the end: who reads the last lines only shall see them all

function chosenFiles() {
    if (process.argv.length > 2) return process.argv.slice(2).map((file) => path.resolve(file));
    const only = process.env.E2E_ONLY?.split(',')
        .map((name) => name.trim())
        .filter(Boolean);
    const isChosen = (name) => !only?.length || only.some((wanted) => name.startsWith(wanted));
    return ['', 'browser/']
        .flatMap((folder) => fs.readdirSync(path.join(FOLDER, folder)).map((name) => folder + name))
        .filter((name) => name.endsWith('.test.js'))
        .filter(isChosen)
        .sort()
        .map((name) => path.join(FOLDER, name));
}

/** What went wrong, in lines, without the runner's own frames. */
function linesOf(error) {
    const cause = error?.cause ?? error;
    const text = cause?.stack ?? cause?.message ?? String(cause);
    return text.split('\n').filter((line) => !line.includes('node:internal'));
}

function describeError(error) {
    return linesOf(error)
        .map((line) => `      ${line}`)
        .join('\n');
}

/** The same in one line: what it says first, and where in a suite that was. */
function summarizeError(error) {
    const lines = linesOf(error).map((line) => line.trim());
    const frame = lines.findIndex((line) => line.startsWith('at '));
    const said = (frame < 0 ? lines : lines.slice(0, frame)).filter(Boolean).join(' ');
    const where = /[\w./-]+\.test\.js:\d+/.exec(lines.slice(frame).join(' '))?.[0];
    return `${said.slice(0, 300)}${where ? ` (${path.basename(where)})` : ''}`;
}

/** Tests that never ran, or were broken off, since what they belong to failed. */
function isCancelled({ details }) {
    return /^(cancelledByParent|parentAlreadyFinished)$/.test(details?.error?.failureType);
}

/** A suite or file is only counted when it failed by itself, not by the tests within it. */
function counts({ name, details }, files) {
    const file = name.startsWith('file:') ? fileURLToPath(name) : path.resolve(name);
    const isContainer = details?.type === 'suite' || files.includes(file);
    return !isContainer || (details?.error && details.error.failureType !== 'subtestsFailed');
}

const files = chosenFiles();
if (files.length === 0) {
    console.log('no suite has that name');
    console.log('0 passed, 0 failed');
    process.exit(1);
}

// Most of a suite's time is waiting, so a few may wait at once.
const JOBS = Number(process.env.E2E_JOBS) || 3;
const abort = new AbortController();
setMaxListeners(0, abort.signal); // one for each suite
// The suites' processes end their services when they are told to end.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => abort.abort());

/** Runs suites, tells each failure at once, and returns what came of it. */
async function runSuites(suites, jobs) {
    const result = { passed: 0, failed: 0, failures: [], cancelled: new Map(), files: new Set() };
    const timeout = patient(SUITE_DEADLINE);
    const stream = run({ files: suites, concurrency: jobs, timeout, signal: abort.signal });
    stream.on('test:pass', (event) => {
        if (event.skip !== undefined || !counts(event, suites)) return;
        result.passed += 1;
    });
    stream.on('test:fail', (event) => {
        if (!counts(event, suites)) return;
        result.failed += 1;
        const file = path.basename(event.file ?? '');
        result.files.add(event.file);
        if (isCancelled(event)) {
            result.cancelled.set(file, (result.cancelled.get(file) ?? 0) + 1);
            return;
        }
        const { error } = event.details ?? {};
        result.failures.push(`${file}: ${event.name}: ${summarizeError(error)}`);
        console.log(`not ok: ${file}: ${event.name}\n${describeError(error)}`);
    });
    stream.on('test:stderr', ({ message }) => process.stderr.write(message));
    stream.resume();
    await once(stream, 'end');
    return result;
}

function list(title, { failures, cancelled }) {
    const lines = failures.slice(0, LISTED);
    if (failures.length > LISTED) lines.push(`and ${failures.length - LISTED} more`);
    for (const [file, count] of cancelled) {
        lines.push(`${file}: ${count} tests were cancelled, for what stands above`);
    }
    console.log(`\n${title}:\n  ${lines.join('\n  ')}\n`);
}

const began = Date.now();
let result = await runSuites(files, JOBS);
const again = files.filter((file) => result.files.has(file));
const isFew = again.length > 0 && again.length <= AGAIN && again.length === result.files.size;
if (isFew && process.env.E2E_STRICT !== '1' && !abort.signal.aborted) {
    console.log(`once more, by themselves: ${again.map((file) => path.basename(file)).join(', ')}`);
    const second = await runSuites(again, 1);
    if (second.failed === 0) list('unsteady, to be mended', result);
    const passed = result.passed + Math.max(result.failed - second.failed, 0);
    result = { ...second, passed };
}
const { passed, failed } = result;
if (failed > 0) list('failed', result);
console.log(`${files.length} suites in ${((Date.now() - began) / 1000).toFixed(1)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
