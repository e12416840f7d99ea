#!/usr/bin/env node
// A session under valgrind's memcheck: a thousand clients join, chat, misbehave and leave, Redis
// comes along, and the service is stopped while some are still there. The verdict is valgrind's:
// any read or write that is wrong, and any block that nobody has a pointer to at the end, is one.
//
//   CHAT_API_BIN=build/chat-api E2E_SLOW=20 node tests/bench/memcheck.js [clients]    1000
//
// First two small programs that leak and that read what was never written must be found out, so
// that a verdict of none means something. Ends with 1 for any error; the report stays beside the
// binary, in memcheck.log.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { eventually } from '../support/deadline.js';
import { request } from '../support/http.js';
import { startRedis } from '../support/redis.js';
import { BINARY, startService } from '../support/service.js';
import { OP, attempt, connect } from '../support/websocket.js';

const CLIENTS = Number(process.argv[2]) || 1000;
const ROOM_SIZE = 20;
const FOLDER = path.dirname(BINARY);
const LOG = path.join(FOLDER, 'memcheck.log');
const FOUND = 99;
const VALGRIND = [
    'valgrind', '--tool=memcheck', '--leak-check=full', '--show-leak-kinds=definite,indirect,possible',
    '--errors-for-leak-kinds=definite,indirect,possible', '--num-callers=30', '--fair-sched=yes',
    `--error-exitcode=${FOUND}`, `--log-file=${LOG}`,
];
const FAULTY = {
    'a leak': 'int main(void) { void *volatile p = malloc(10); p = 0; return p != 0; }',
    'an uninitialized read': 'int main(void) { int *p = malloc(40); int c = p[3] > 0; free(p); '
        + 'if (c) puts("x"); return 0; }',
};
const PAGES = ['/', '/docs', '/openapi.json', '/metrics', '/readyz', '/api/chat-api/ws/stats', '/none'];

/** What is wrong in these must be found, with the very options of the session. */
function proveThatItFinds() {
    const program = path.join(FOLDER, 'memcheck-faulty');
    for (const [what, main] of Object.entries(FAULTY)) {
        const input = `#include <stdio.h>\n#include <stdlib.h>\n${main}\n`;
        const cc = ['-x', 'c', '-O0', '-g', '-o', program, '-'];
        assert.equal(spawnSync(process.env.CC ?? 'cc', cc, { input }).status, 0);
        const { status } = spawnSync(VALGRIND[0], [...VALGRIND.slice(1), program]);
        assert.equal(status, FOUND, `valgrind must find ${what}`);
        console.log(`found, as it must be: ${what}`);
    }
    fs.rmSync(program);
}

/** Waits until each client has heard so many messages; returns how many that were. */
async function allHear(clients, count) {
    for (const client of clients) {
        for (let i = 0; i < count; i++) await client.nextMessage(30000);
    }
    return clients.length * count;
}

/** Twenty come, each in its way; each says something that all of them hear. */
async function gather(pod, number) {
    const room = `room-${number}`;
    const clients = [];
    for (let i = 0; i < ROOM_SIZE; i++) {
        const deflate = i % 3 === 0 && 'permessage-deflate; client_max_window_bits';
        clients.push(await connect(pod, { room, deflate, ms: 30000 }));
    }
    clients.forEach((client, i) => {
        const data = { number: i, fill: 'memory '.repeat(i * i) };
        if (client.deflate) client.sendCompressed(JSON.stringify({ data }));
        else if (i % 3 === 1) client.sendFragments(['{"data":', JSON.stringify(data), '}']);
        else client.sendJson({ data });
    });
    return clients;
}

/** What each does last: from a proper close to a frame that must not be. */
async function leave(client, i) {
    const ways = [
        () => client.close(1000, 'bye'),
        () => client.reset(),
        () => client.hangUp(),
        () => client.sendFrame({ opcode: OP.BINARY, payload: 'no' }),
        () => client.sendFrame({ opcode: 3, payload: 'no' }),
        () => client.sendFrame({ opcode: OP.TEXT, payload: Buffer.from([0xff]) }),
        () => client.sendText('x'.repeat(70000)),
        () => client.sendFrame({ opcode: OP.TEXT, fin: false, payload: '{"data":' }),
    ];
    await ways[i % ways.length]();
    // Whoever was put out by the service has gone by then; the others go now.
    if (i % ways.length < 3 || i % ways.length === 7) client.hangUp();
}

async function misbehave(pod) {
    for (const path of PAGES) await request(pod, path);
    for (const options of [
        { path: `/ws/${'r'.repeat(129)}` },
        { version: 'HTTP/1.0' },
        { key: 'short' },
        { headers: { Origin: 'https://evil.example' } },
        { headers: { Cookie: 'c'.repeat(20000) } },
    ]) {
        await attempt(pod, { ...options, ms: 30000 })
            .then(({ client }) => client?.hangUp())
            .catch(() => {});
    }
    const [talker, deaf] = [await connect(pod, { room: 'deaf' }), await connect(pod, { room: 'deaf' })];
    deaf.pause();
    for (let i = 0; i < 300; i++) talker.sendJson({ data: 'x'.repeat(30000) });
    talker.sendText('no JSON');
    talker.sendFrame({ opcode: OP.PING, payload: 'ping' });
    await allHear([talker], 301);
    deaf.reset();
    talker.hangUp();
}

async function session(pod, redis) {
    let heard = 0;
    const staying = [];
    for (let number = 0; number < CLIENTS / ROOM_SIZE; number++) {
        const clients = await gather(pod, number);
        heard += await allHear(clients, ROOM_SIZE);
        if (number % 10 === 0) staying.push(...clients);
        else await Promise.all(clients.map(leave));
        if (number === 10) await redis.kill();
        if (number === 15) await redis.restart();
    }
    await misbehave(pod);
    const watcher = await redis.client();
    await eventually('the service to be back at Redis', async () => {
        const [, count] = await watcher.command('PUBSUB', 'NUMSUB', 'realtime:global');
        return Number(count) === 1;
    }, 30000);
    await watcher.command('PUBLISH', 'realtime:global', '{"data":"from elsewhere"}');
    heard += await allHear(staying, 1);
    const left = await pod.statsWhere('those who stay', ({ connections }) =>
        connections === staying.length, 30000);
    return { clients: CLIENTS, heard, staying: left.connections };
}

proveThatItFinds();
const redis = await startRedis();
let code = 1;
try {
    const env = {
        REDIS_URL: redis.url, CONNECTION_THREADS: '2', ALLOWED_ORIGINS: 'https://example.org',
        WS_SEND_QUEUE: '64',
    };
    const pod = await startService({ env, wrapper: VALGRIND });
    console.log(JSON.stringify(await session(pod, redis)));
    pod.signal('SIGTERM');
    ({ code } = await pod.waitForExit(30000));
    pod.assertCleanOutput();
} finally {
    await redis.stop();
}
const report = fs.readFileSync(LOG, 'utf8');
if (code !== 0) console.log(report);
const summary = report.match(/^==\d+== (?:(?: +\w.* (?:lost|reachable):|ERROR SUMMARY|All heap| +total heap).*)$/gm);
console.log(summary.map((line) => line.replace(/^==\d+== +/, '')).join('\n'));
console.log(code === 0 ? 'no leak, no error' : `exit code ${code}: see ${LOG}`);
process.exit(code === 0 ? 0 : 1);
