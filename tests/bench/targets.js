// The servers that are compared. Each is started on a port of its choosing, pinned to a core, and
// ended by its own id.

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { start } from '../support/children.js';
import { eventually } from '../support/deadline.js';
import { freePort, startRedis } from '../support/redis.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const BUILD = path.resolve(ROOT, process.env.BUILD ?? 'build');
const OUT = path.join(BUILD, 'bench');
const CHAT_API = path.resolve(process.env.CHAT_API_BIN ?? path.join(BUILD, 'chat-api'));

/** Each takes {port, redis, threads} and says what to run; `redis` is a port, or undefined. */
export const TARGETS = {
    'chat-api': {
        title: 'chat-api',
        flavour: 'chat-api',
        pods: true,
        command: ({ port, redis, threads }) => ({
            argv: [CHAT_API],
            env: {
                HOST: '127.0.0.1',
                PORT: port,
                // The others log nothing of their clients either.
                LOG_LEVEL: 'warn',
                CONNECTION_THREADS: threads,
                REDIS_URL: redis ? `redis://127.0.0.1:${redis}` : '',
                ...settings(),
            },
        }),
    },
    floor: {
        title: 'floor',
        flavour: 'echo',
        pods: false,
        command: ({ port }) => ({ argv: [path.join(OUT, 'floor'), port], env: {} }),
    },
};

/** BENCH_ENV="WS_COMPRESSION=false ..." changes the service's own settings. */
function settings() {
    const pairs = (process.env.BENCH_ENV ?? '').split(/\s+/).filter(Boolean);
    return Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
}

/** All descriptors that the system allows, and one core for it and what it starts. */
export function command(argv, core) {
    const pin = core === undefined ? '' : `taskset -c ${core}`;
    return ['sh', '-c', `ulimit -n "$(ulimit -Hn)"; exec ${pin} "$0" "$@"`, ...argv.map(String)];
}

function children(pid) {
    return fs
        .readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number);
}

function takesConnections(port) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('connect', () => resolve(socket.destroy()));
        socket.on('error', reject);
    }).then(() => true);
}

async function startOne(name, target, { core, redis, threads }) {
    const port = await freePort();
    const { argv, env } = target.command({ port, redis, threads });
    const log = fs.openSync(path.join(OUT, `${name}.log`), 'w');
    const [program, ...args] = command(argv, core);
    const child = start(program, args, {
        env: { PATH: process.env.PATH, ...env },
        stdio: ['ignore', log, log],
    });
    fs.closeSync(log);
    let ended = false;
    child.ended.then(() => {
        ended = true;
    });
    await eventually(`${name} to listen`, () => ended || takesConnections(port), 20000);
    if (ended) throw new Error(`${name} does not start; see ${OUT}/${name}.log`);
    // A server that only watches over others is not what is measured.
    const pids = target.forks ? children(child.pid) : [child.pid];
    return { child, port, pids };
}

/** {urls, pids, redisPid, stop()} of as many servers as the scenario has pods. */
export async function startTarget(name, { pods, core, threads }) {
    const target = TARGETS[name];
    const redis = pods > 1 ? await startRedis() : undefined;
    if (redis && core !== undefined) {
        const pin = start('taskset', ['-acp', String(core), String(redis.child.pid)], {
            stdio: 'ignore',
        });
        await pin.ended;
    }
    const servers = [];
    const stop = async () => {
        for (const { child } of servers) child.kill('SIGTERM');
        await Promise.all(servers.map(({ child }) => child.ended));
        await redis?.stop();
    };
    try {
        for (let i = 0; i < pods; i++)
            servers.push(await startOne(name, target, { core, redis: redis?.port, threads }));
    } catch (error) {
        await stop();
        throw error;
    }
    return {
        urls: servers.map(({ port }) => `127.0.0.1:${port}`),
        pids: servers.flatMap(({ pids }) => pids),
        redisPid: redis?.child.pid,
        stop,
    };
}
