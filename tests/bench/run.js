// Measures chat-api beside the floor and, with PEERS, other servers: every scenario with each in
// turn, round after round, so that what the machine does to one it does to all. README.md says how
// to read it. From the root:
//
//     node tests/bench/run.js [scenario or group...]      `table` unless named; `growth`
//
//     PEERS           further servers: nchan,ws,socketio,bun,go,go-frames
//     BENCH_OTHER     one more, not known here: "NAME FLAVOUR COMMAND..."; it gets its port as the
//                     last argument, the flavours are those of load/flavour.c
//     BENCH_ONLY      just these servers instead (chat-api,floor)
//     BENCH_ROUNDS    rounds; the table has the medians  (3)
//     BENCH_SECONDS   of each measurement                (5)
//     BENCH_THREADS   CONNECTION_THREADS of the service  (1: the generator needs a core, too)
//     BENCH_ENV       further settings of the service, as NAME=value
//
// Every measurement stays in build/bench/results.json, with `growth` in growth.json. Ends with 1 when the service lost, doubled
// or reordered a message, or threw a client out.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { start } from '../support/children.js';
import { faults, overFloor, resultRows, summarize, textTable } from './results.js';
import { GROUPS, SCENARIOS } from './scenarios.js';
import { BUILD, command, startTarget, TARGETS } from './targets.js';

const OUT = path.join(BUILD, 'bench');
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 5);
const THREADS = Number(process.env.BENCH_THREADS ?? 1);
const NO_MEASUREMENT = 2; // and above: the generator's exit codes

/** A core for the servers, another for the generator, where there are so many. */
function cores(threads) {
    return os.cpus().length > 1 && threads === 1 ? [0, 1] : [];
}

function list(text) {
    return (text ?? '').split(',').filter(Boolean);
}

function chosenTargets() {
    const only = list(process.env.BENCH_ONLY);
    const other = (process.env.BENCH_OTHER ?? '').split(' ', 1);
    const names = only.length
        ? only
        : ['chat-api', 'floor', ...list(process.env.PEERS), ...other.filter(Boolean)];
    for (const name of names) {
        if (!TARGETS[name]) {
            throw new Error(`no server ${name}; there are ${Object.keys(TARGETS).join(', ')}`);
        }
    }
    return names;
}

function chosenScenarios() {
    const names = process.argv.slice(2);
    return (names.length ? names : ['table']).flatMap((name) => {
        const found = GROUPS[name] ?? SCENARIOS.filter((scenario) => scenario.name === name);
        if (found.length) return found;
        const all = SCENARIOS.map((scenario) => scenario.name).join(' ');
        throw new Error(`no scenario ${name}; there are ${all}, table and growth`);
    });
}

/** The generator's figures. */
async function runLoad(args, core) {
    const [program, ...rest] = command([path.join(OUT, 'load'), ...args], core);
    const child = start(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (err += text));
    const { code } = await child.ended;
    if (code === null || code >= NO_MEASUREMENT) throw new Error(`load ended with ${code}: ${err}`);
    return JSON.parse(out);
}

async function measure(scenario, name) {
    const threads = scenario.threads ?? THREADS;
    const [core, loadCore] = cores(threads);
    const options = { pods: scenario.pods, core, threads };
    const servers = await startTarget(name, options);
    try {
        const args = ['--name', `${scenario.name} ${name}`, '--seconds', SECONDS];
        args.push('--flavour', TARGETS[name].flavour, ...scenario.args);
        args.push(...servers.urls.flatMap((url) => ['--url', url]));
        args.push(...servers.pids.flatMap((pid) => ['--pid', pid]));
        if (servers.redisPid) args.push('--helper-pid', servers.redisPid);
        return await runLoad(args, loadCore);
    } finally {
        await servers.stop();
    }
}

function applies(scenario, name) {
    if (scenario.without?.includes(name)) return false;
    return scenario.pods === 1 || TARGETS[name].pods;
}

async function measureAll(scenarios, names) {
    const rounds = new Map(scenarios.map((scenario) => [scenario, {}]));
    for (let round = 0; round < ROUNDS; round++) {
        for (const scenario of scenarios) {
            for (const name of names.filter((each) => applies(scenario, each))) {
                try {
                    const figures = await measure(scenario, name);
                    (rounds.get(scenario)[name] ??= []).push(figures);
                    process.stderr.write('.');
                } catch (error) {
                    // A peer that cannot stand a scenario is a result, too.
                    process.stderr.write(`\n${scenario.name} ${name}: ${error.message}\n`);
                    if (name === 'chat-api') throw error;
                }
            }
        }
    }
    process.stderr.write('\n');
    return rounds;
}

function conclude(rounds) {
    return [...rounds].map(([scenario, byTarget]) => {
        const targets = {};
        for (const [name, list] of Object.entries(byTarget)) {
            targets[name] = summarize(list);
            if (byTarget.floor && name !== 'floor') {
                targets[name].over_floor = overFloor(list, byTarget.floor);
            }
        }
        return { scenario, targets, rounds: byTarget };
    });
}

function machine() {
    let commit = null;
    try {
        commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
    } catch {
        // Measured from an archive.
    }
    const { model } = os.cpus()[0];
    return { model, cores: os.cpus().length, kernel: os.release().split('-')[0], commit };
}

const names = chosenTargets();
const results = conclude(await measureAll(chosenScenarios(), names));
const settings = { rounds: ROUNDS, seconds: SECONDS, threads: THREADS };
const report = { machine: machine(), settings, names, results };
// The other group has its own file, so that one is not lost for the other.
const file = process.argv[2] === 'growth' ? 'growth.json' : 'results.json';
fs.writeFileSync(path.join(OUT, file), JSON.stringify(report, null, 1));
console.log(`Deliveries/s, or latency p50/p99/p99.9 in ms; in brackets CPU seconds per million
deliveries (pods + Redis). Medians of ${ROUNDS} rounds of ${SECONDS} s; CONNECTION_THREADS=${THREADS}.\n`);
console.log(textTable(resultRows(results, names)));
const own = results.reduce((sum, { rounds }) => sum + faults(rounds['chat-api'] ?? []), 0);
process.exitCode = own ? 1 : 0;
