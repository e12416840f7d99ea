// 100,000 clients at once on this machine: six pods and one Redis, chat in 1,000 rooms whose
// members are on all pods. Six generators, because a process has one file limit. From the root:
//
//     node tests/bench/hundred.js
//
//     BENCH_CLIENTS   100000      BENCH_ROOMS     1000
//     BENCH_PODS      6           BENCH_RATE      messages a second, all rooms together (200)
//     BENCH_SECONDS   20
//
// Stays in build/bench/hundred.json. Ends with 1 when something was lost, doubled or thrown out, or
// when p99 is not under 100 ms.

import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';

import { start } from '../support/children.js';
import { processorSeconds, residentBytes } from '../support/process.js';
import { faults, quantile } from './results.js';
import { BUILD, command, startTarget } from './targets.js';

function setting(name, value) {
    return Number(process.env[name] ?? value);
}

const OUT = path.join(BUILD, 'bench');
const PODS = setting('BENCH_PODS', 6);
const CLIENTS = setting('BENCH_CLIENTS', 100000);
const ROOMS = setting('BENCH_ROOMS', 1000);
const RATE = setting('BENCH_RATE', 200);
const SECONDS = setting('BENCH_SECONDS', 20);
const GENERATORS = Math.ceil(CLIENTS / 18000);
const P99_MAX_US = 100000;

function mebibytes(bytes) {
    return `${(bytes / (1 << 20)).toFixed(0)} MiB`;
}

/** A generator of its own rooms, whose members are spread over all pods. */
function startGenerator(servers, first, rooms) {
    const args = ['--rooms', rooms, '--first-room', first, '--members', CLIENTS / ROOMS];
    args.push('--rate', (RATE * rooms) / ROOMS, '--seconds', SECONDS, '--warmup', 2, '--gate');
    args.push(...servers.urls.flatMap((url) => ['--url', url]));
    const [program, ...rest] = command([path.join(OUT, 'load'), ...args]);
    const child = start(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (text) => (out += text));
    let said = '';
    const connected = new Promise((resolve, reject) => {
        readline.createInterface({ input: child.stderr }).on('line', (line) => {
            said += `${line}\n`;
            if (line === 'load: connected') resolve();
        });
        child.ended.then(() => reject(new Error(`a generator ended: ${said}`)));
    });
    // Only looked at once the others are awaited, too.
    connected.catch(() => {});
    return {
        connected,
        go: () => child.stdin.end('\n'),
        figures: async () => {
            await child.ended;
            if (!out) throw new Error(`a generator found nothing: ${said}`);
            return JSON.parse(out);
        },
    };
}

function startGenerators(servers) {
    const generators = [];
    for (let i = 0; i < GENERATORS; i++) {
        const first = Math.floor((ROOMS * i) / GENERATORS);
        const end = Math.floor((ROOMS * (i + 1)) / GENERATORS);
        generators.push(startGenerator(servers, first, end - first));
    }
    return generators;
}

function sum(values) {
    return values.reduce((all, value) => all + value, 0);
}

/** Of all pods together. */
function usage(servers) {
    return { cpu: sum(servers.pids.map(processorSeconds)), rss: sum(servers.pids.map(residentBytes)) };
}

async function measure(servers) {
    const before = usage(servers);
    const began = Date.now();
    const generators = startGenerators(servers);
    await Promise.all(generators.map(({ connected }) => connected));
    const connect = { seconds: (Date.now() - began) / 1000, ...usage(servers) };
    for (const generator of generators) generator.go();
    const figures = await Promise.all(generators.map((generator) => generator.figures()));
    const end = usage(servers);
    const redisRss = residentBytes(servers.redisPid);
    const deliveries = sum(figures.map((each) => each.deliveries));
    return {
        clients: sum(figures.map((each) => each.connects)),
        pods: PODS,
        rooms: ROOMS,
        connect_s: connect.seconds,
        cpu_us_per_connect: ((connect.cpu - before.cpu) * 1e6) / CLIENTS,
        rss_connected: connect.rss,
        rss_per_client: (connect.rss - before.rss) / CLIENTS,
        rss_end: end.rss,
        redis_rss: redisRss,
        deliveries,
        deliveries_per_s: deliveries / SECONDS,
        p50_us: quantile(figures, 0.5),
        p99_us: quantile(figures, 0.99),
        p999_us: quantile(figures, 0.999),
        faults: faults(figures),
    };
}

function print(r) {
    console.log(`${r.clients} clients on ${r.pods} pods in ${r.rooms} rooms, connected in \
${r.connect_s.toFixed(1)} s (${r.cpu_us_per_connect.toFixed(0)} CPU us each)
all pods: ${mebibytes(r.rss_connected)} connected, ${r.rss_per_client.toFixed(0)} bytes a client; \
${mebibytes(r.rss_end)} at the end; Redis ${mebibytes(r.redis_rss)}
${r.deliveries_per_s.toFixed(0)} deliveries/s; p50/p99/p99.9 \
${[r.p50_us, r.p99_us, r.p999_us].map((us) => (us / 1000).toFixed(1)).join('/')} ms; \
${r.faults} faults`);
}

const servers = await startTarget('chat-api', { pods: PODS, threads: 1 });
try {
    const result = await measure(servers);
    fs.writeFileSync(path.join(OUT, 'hundred.json'), JSON.stringify(result, null, 1));
    print(result);
    process.exitCode = result.faults === 0 && result.p99_us < P99_MAX_US ? 0 : 1;
} finally {
    await servers.stop();
}
