#!/usr/bin/env node
// A long run of the real binary: two pods and a real Redis, clients that come and go without end,
// rooms by the hundred, slow and hostile peers, Redis killed and frozen again and again, and all
// the while members who check that each message comes once and in order.
//
//   CHAT_API_BIN=build/chat-api node tests/bench/soak.js [minutes]      10 unless told
//
// A first phase (a fifth of the time, at most two minutes) shows what the process keeps once it has
// seen everything: buffers in its pools, what the allocator holds. Then all leave, and once the
// service has had the time to give memory back (app/heap.h), memory, descriptors and threads are
// noted; when all have left at the end, descriptors and threads must be the same and memory within
// 24 MiB of it: less than 16 MiB are not worth a trim. Ends with 1 when the figures are not back, or
// when a message was doubled, out of order, or lost on its own pod; what other pods missed while
// Redis was away is counted.

import { attack } from '../support/attack.js';
import { eventually, sleep } from '../support/deadline.js';
import { request } from '../support/http.js';
import { metricSum, parseMetrics } from '../support/metrics.js';
import { mebibytes, openFiles, residentBytes, threads } from '../support/process.js';
import { startRedis } from '../support/redis.js';
import { startService } from '../support/service.js';
import { connect } from '../support/websocket.js';

const MINUTES = Number(process.argv[2]) || 10;
const MEMORY_TOLERANCE = 24 << 20;
/** Two looks at the memory are 5 s apart, and the first may have seen what was busy. */
const SETTLE_MS = 16000;
const SAMPLE_MS = 30000;
const EPISODE_MS = 5000;
const STEADY_ROOMS = 5;

const faults = [];

function fault(text) {
    faults.push(text);
    console.log(`FAULT: ${text}`);
}

/** A speaker and members on both pods who hold each other to order. */
class SteadyRoom {
    said = 0;
    heard = { own: 0, other: 0 };
    missed = { own: 0, other: 0 };
    #clients = [];
    #timer;
    #over = false;

    static async open(pods, number) {
        const room = new SteadyRoom();
        const [near, far] = number % 2 ? pods : [...pods].reverse();
        const options = { room: `steady-${number}`, deflate: number % 3 === 0 };
        const speaker = await connect(near, options);
        room.#clients.push(speaker);
        room.#listen(speaker, 'own');
        for (const [pod, where] of [
            [near, 'own'],
            [far, 'other'],
            [far, 'other'],
        ]) {
            const client = await connect(pod, options);
            room.#clients.push(client);
            room.#listen(client, where);
        }
        const fill = 'steady '.repeat(number * 60);
        room.#timer = setInterval(() => {
            room.said += 1;
            speaker.sendJson({ data: { number: room.said, fill } });
        }, 20);
        return room;
    }

    async #listen(client, where) {
        let last = 0;
        try {
            for (;;) {
                const { text } = await client.messages.next(3600000, 'a message');
                client.frames.drain();
                const { room, data } = JSON.parse(text);
                if (data.number <= last) fault(`${room} (${where}): ${data.number} after ${last}`);
                if (data.number > last + 1) {
                    const count = data.number - last - 1;
                    this.missed[where] += count;
                    const what = `${room} (${where} pod): ${count} missing after ${last}`;
                    // Between pods, what Redis had taken and not handed on dies with it.
                    if (where === 'own') fault(what);
                    else console.log(`${new Date().toISOString()} gap: ${what}`);
                }
                last = data.number;
                this.heard[where] += 1;
            }
        } catch (error) {
            if (!this.#over) fault(`a steady member lost its connection: ${error.message}`);
        }
    }

    async close() {
        clearInterval(this.#timer);
        await sleep(2000);
        this.#over = true;
        if (this.heard.own + this.missed.own !== this.said * 2) {
            fault(`${this.heard.own} of ${this.said * 2} heard on the own pod`);
        }
        for (const client of this.#clients) client.hangUp();
    }
}

/** Slow peers are made by somebody who talks to them. */
async function talkToTheDeaf(pod, room, ms) {
    const talker = await connect(pod, { room });
    const fill = 'x'.repeat(8000);
    const timer = setInterval(() => {
        talker.sendJson({ data: { fill } });
        talker.messages.drain();
        talker.frames.drain();
    }, 10);
    await sleep(ms);
    clearInterval(timer);
    talker.hangUp();
}

/** What goes on at once, in turn: [name, options] of an attack, for each pod in its turn. */
function episodes(pod) {
    const head = `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${pod.port}\r\n`;
    const assets = 'GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(60);
    return [
        ['storm', { how: 'joined', width: 8, rooms: 500, polite: true }],
        ['flood', { kind: 'ping', most: 0, clients: 30, room: 'deaf', read: false, stay: true }],
        ['storm', { how: 'request', width: 8 }],
        ['linger', { count: 500, together: 20, head }],
        ['flood', { kind: 'rooms', clients: 2, together: 50 }],
        ['flood', { kind: 'invalid', clients: 5, together: 50 }],
        ['linger', { count: 300, together: 5, read: false, again: false, head: assets }],
        ['flood', { kind: 'ping', clients: 5, together: 500, read: false }],
        ['flood', { kind: 'fragments', clients: 20, before: '{', most: 2000, stay: true }],
        ['flood', { kind: 'chat', clients: 2, room: 'loud', size: 3000, together: 20 }],
        ['flood', { kind: 'ping', most: 0, before: 'x'.repeat(60000), clients: 50, stay: true }],
        ['storm', { how: 'joined', width: 8, rooms: 5 }],
    ];
}

async function disturbRedis(redis, state) {
    for (let round = 0; !state.over; round++) {
        for (let waited = 0; waited < 20000 && !state.over; waited += 250) await sleep(250);
        if (state.over) return;
        if (round % 2 === 0) {
            await redis.kill();
            await sleep(2000);
            await redis.restart();
        } else {
            redis.pause();
            await sleep(3000);
            redis.resume();
        }
        state.disturbed += 1;
    }
}

async function phase(pods, redis, ms, totals) {
    const end = Date.now() + ms;
    const state = { over: false, disturbed: 0 };
    const rooms = [];
    for (let i = 1; i <= STEADY_ROOMS; i++) rooms.push(await SteadyRoom.open(pods, i));
    const redisEnds = disturbRedis(redis, state);
    // Each pod gets each episode: the lanes begin apart, and change pods after each round.
    const lane = async (first, shift) => {
        for (let i = first; Date.now() < end; i++) {
            const { length } = episodes(pods[0]);
            const pod = pods[(i + Math.floor(i / length) + shift) % pods.length];
            const list = episodes(pod);
            const [name, options] = list[i % list.length];
            const episodeMs = Math.min(EPISODE_MS, Math.max(0, end - Date.now()));
            const peers = attack(name, pod, { ...options, ms: episodeMs });
            if (options.room === 'deaf') {
                await talkToTheDeaf(pod, 'deaf', episodeMs).catch(() => {});
            }
            const figures = await peers.ended;
            totals.connections += figures.rounds ?? figures.opened ?? options.clients;
            totals.sent += figures.sent ?? 0;
            totals.episodes += 1;
        }
    };
    await Promise.all([lane(0, 0), lane(6, 1)]);
    state.over = true;
    await redisEnds;
    await sleep(3000);
    for (const room of rooms) {
        await room.close();
        totals.said += room.said;
        totals.heard += room.heard.own + room.heard.other;
        totals.missedElsewhere += room.missed.other;
    }
    totals.disturbed += state.disturbed;
}

function sample(pods) {
    return pods.map(({ pid }) => ({
        memory: residentBytes(pid),
        files: openFiles(pid),
        threads: threads(pid),
    }));
}

function describeSample(samples) {
    return samples
        .map((of) => `${mebibytes(of.memory)} MiB, ${of.files} files, ${of.threads} threads`)
        .join(' | ');
}

/** All have left: the figures once the service has taken notice. */
async function settled(pods) {
    for (const pod of pods) {
        await pod.statsWhere(
            'nobody and nothing left',
            (stats) => stats.connections === 0 && stats.room_count === 0 && stats.redis.connected,
            30000,
        );
    }
    console.log(`all left: ${describeSample(sample(pods))}`);
    await sleep(SETTLE_MS);
    return sample(pods);
}

function compare(before, after) {
    before.forEach((was, i) => {
        const is = after[i];
        const grown = is.memory - was.memory;
        if (grown > MEMORY_TOLERANCE) fault(`pod ${i}: ${mebibytes(grown)} MiB more memory`);
        if (is.files > was.files) fault(`pod ${i}: ${is.files} open files, ${was.files} before`);
        if (is.threads !== was.threads) fault(`pod ${i}: ${is.threads} threads, ${was.threads}`);
    });
}

const began = Date.now();
const redis = await startRedis();
const env = {
    REDIS_URL: redis.url,
    CONNECTION_THREADS: '2',
    WS_MESSAGE_TIMEOUT: '5s',
    HTTP_HEADER_TIMEOUT: '3s',
};
const pods = [await startService({ env }), await startService({ env })];
for (const pod of pods) {
    // Hours of logs are not kept.
    const trim = setInterval(() => {
        pod.logs.length = 0;
        pod.stderr = pod.stderr.slice(-10000);
    }, 1000);
    trim.unref();
}
console.log(`fresh:   ${describeSample(sample(pods))}`);
const sampler = setInterval(() => {
    const seconds = Math.round((Date.now() - began) / 1000);
    console.log(`${String(seconds).padStart(5)} s: ${describeSample(sample(pods))}`);
}, SAMPLE_MS);
const totals = {
    connections: 0,
    sent: 0,
    episodes: 0,
    said: 0,
    heard: 0,
    missedElsewhere: 0,
    disturbed: 0,
    outboxDropped: 0,
    slowConsumers: 0,
};
let code = 1;
try {
    const total = MINUTES * 60000;
    const warm = Math.min(total / 5, 120000);
    await phase(pods, redis, warm, totals);
    const before = await settled(pods);
    console.log(`warm:    ${describeSample(before)}`);
    await phase(pods, redis, total - warm, totals);
    const after = await settled(pods);
    console.log(`end:     ${describeSample(after)}`);
    compare(before, after);
    for (const pod of pods) {
        const families = parseMetrics((await request(pod, '/metrics')).text);
        totals.outboxDropped += metricSum(families, /^chat_redis_outbox_dropped_total$/);
        totals.slowConsumers += metricSum(families, /^chat_slow_consumers_total$/);
    }
    console.log(JSON.stringify(totals));
    for (const pod of pods) await pod.stop();
    await eventually('both to have ended', () => pods.every((pod) => pod.child.exitCode === 0));
    code = faults.length === 0 ? 0 : 1;
} catch (error) {
    fault(error.stack);
} finally {
    clearInterval(sampler);
    await redis.stop();
}
console.log(`${faults.length} faults in ${((Date.now() - began) / 60000).toFixed(1)} minutes`);
process.exit(code);
