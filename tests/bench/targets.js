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

const PEERS = path.join(BUILD, 'npm/tests/bench/peers');

/** Node looks for packages beside the file that asks for them, so it is put beside them. */
function nodeServer(file) {
    return ({ port, redis }) => {
        const copy = path.join(PEERS, file);
        fs.copyFileSync(path.join(ROOT, 'tests/bench/peers', file), copy);
        const argv = ['node', copy, port, ...(redis ? [redis] : [])];
        return { argv, env: { NODE_ENV: 'production' } };
    };
}

/** The program itself, not the script of the package, which would have to run at installation. */
function bunServer({ port }) {
    const bun = path.join(PEERS, `node_modules/@oven/bun-linux-${process.arch}/bin/bun`);
    const argv = [bun, path.join(ROOT, 'tests/bench/peers/bun.js'), port];
    return { argv, env: { NODE_ENV: 'production' } };
}

function goHub(mode) {
    return ({ port, redis }) => ({
        argv: [path.join(OUT, 'hub'), port, mode, ...(redis ? [redis] : [])],
        env: {},
    });
}

function nginx({ index, port, redis }) {
    const folder = path.join(OUT, `nginx-${index}`);
    fs.mkdirSync(folder, { recursive: true });
    const template = fs.readFileSync(path.join(ROOT, 'tests/bench/peers/nginx.conf'), 'utf8');
    const upstream = `upstream redis { nchan_redis_server redis://127.0.0.1:${redis}; }`;
    const text = template
        .replaceAll('@FOLDER@', folder)
        .replace('@PORT@', port)
        .replace('@REDIS@', redis ? upstream : '')
        .replace('@USE_REDIS@', redis ? 'nchan_redis_pass redis;' : '');
    fs.writeFileSync(path.join(folder, 'nginx.conf'), text);
    return { argv: ['nginx', '-p', folder, '-c', path.join(folder, 'nginx.conf')], env: {} };
}

/** Each takes {index, port, redis, threads} and says what to run; `redis` is a port or undefined. */
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
    ws: { title: 'Node ws', flavour: 'echo', pods: true, command: nodeServer('ws.js') },
    socketio: {
        title: 'Socket.IO',
        flavour: 'socketio',
        pods: true,
        command: nodeServer('socketio.js'),
    },
    bun: { title: 'uWebSockets (Bun)', flavour: 'echo', pods: false, command: bunServer },
    go: {
        title: 'Go gorilla, several in a frame',
        flavour: 'lines',
        pods: true,
        command: goHub('lines'),
    },
    'go-frames': {
        title: 'Go gorilla, a frame each',
        flavour: 'echo',
        pods: true,
        command: goHub('frames'),
    },
    nchan: {
        title: 'nginx + nchan',
        flavour: 'echo',
        pods: true,
        forks: true,
        command: nginx,
    },
};

/** BENCH_OTHER="NAME FLAVOUR COMMAND..." is any server; its port is put behind the command. */
const [other, flavour, ...argv] = (process.env.BENCH_OTHER ?? '').split(/\s+/).filter(Boolean);
if (other) {
    TARGETS[other] = {
        title: other,
        flavour,
        pods: false,
        command: ({ port }) => ({ argv: [...argv, port], env: {} }),
    };
}

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

async function startOne(name, { index, core, redis, threads }) {
    const target = TARGETS[name];
    const port = await freePort();
    const { argv, env } = target.command({ index, port, redis, threads });
    const log = fs.openSync(path.join(OUT, `${name}-${index}.log`), 'w');
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
    // A server that only watches over others is not what is measured.
    const workers = () => (target.forks ? children(child.pid) : [child.pid]);
    const isUp = async () => ended || ((await takesConnections(port)) && workers().length > 0);
    await eventually(`${name} to listen`, isUp, 20000);
    if (ended) throw new Error(`${name} does not start; see ${OUT}/${name}-${index}.log`);
    return { child, port, pids: workers() };
}

/** {urls, pids, redisPid, stop()} of as many servers as the scenario has pods. */
export async function startTarget(name, { pods, core, threads }) {
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
        for (let index = 0; index < pods; index++) {
            servers.push(await startOne(name, { index, core, redis: redis?.port, threads }));
        }
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
