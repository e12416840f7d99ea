// Peers that mean harm, or know no better. They run on a thread of their own, so that what they do
// costs the clients that are measured beside them none of their own time. Every attack has an end:
// `ms` bounds it, and only loopback addresses are used, 127.0.0.2 and up, so that ports last.

import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import { compress, encodeFrame, upgradeText } from './websocket.js';

const THIS_FILE = fileURLToPath(import.meta.url);
const SOURCES = 100;
// What is to go on until it is stopped must not end by itself on a slow machine.
const HOUR = 3600000;
const NO_MASK = Buffer.alloc(4);

/**
 * Starts an attack. `begun` is fulfilled once it is under way, `enough` when `closes` of its peers
 * were closed, `ended` with its figures; `stop` ends it before its time and returns them.
 */
export function attack(name, pod, options) {
    const worker = new Worker(THIS_FILE, {
        workerData: { name, port: pod.port, options: { ms: HOUR, ...options } },
    });
    const started = Promise.withResolvers?.() ?? withResolvers();
    const satisfied = Promise.withResolvers?.() ?? withResolvers();
    const finished = Promise.withResolvers?.() ?? withResolvers();
    worker.on('message', ({ begun, enough, figures }) => {
        if (begun) started.resolve();
        if (enough) satisfied.resolve();
        if (figures) finished.resolve(figures);
    });
    worker.on('error', (error) => {
        started.reject(error);
        finished.reject(error);
    });
    worker.on('exit', () => finished.reject(new Error(`${name} ended without figures`)));
    finished.promise.catch(() => {});
    return {
        begun: started.promise,
        enough: satisfied.promise,
        ended: finished.promise,
        async stop() {
            worker.postMessage('stop');
            return finished.promise;
        },
    };
}

/** The same for one test, which ends it if nobody else does. */
export function attackFor(test, name, pod, options) {
    const running = attack(name, pod, options);
    test.after(() => running.stop().catch(() => {}));
    return running;
}

function withResolvers() {
    const parts = {};
    parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
}

// ---- on the attacker's thread

let over = false;
let sources = 0;
const sockets = new Set();

function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

function open(target, { read = true } = {}) {
    const socket = net.connect({
        host: '127.0.0.1',
        port: target.port,
        localAddress: `127.0.0.${2 + (sources++ % SOURCES)}`,
        allowHalfOpen: true,
        // A peer that does not read has a small window, as real ones do.
        highWaterMark: 16384,
    });
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    if (!read) socket.pause();
    return socket;
}

function settled(socket, event, ms) {
    if (socket.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => {
        const end = (came) => {
            socket.off(event, yes);
            socket.off('close', no);
            resolve(came);
        };
        const yes = () => end(true);
        const no = () => end(false);
        socket.once(event, yes);
        socket.once('close', no);
        if (ms) setTimeout(no, ms);
    });
}

/** What opens a connection and has it upgraded: the socket and what came behind the head. */
async function join(target, { room, deflate } = {}) {
    const socket = open(target);
    socket.write(upgradeText(target, { room, deflate }));
    let seen = Buffer.alloc(0);
    return new Promise((resolve) => {
        const onData = (chunk) => {
            seen = Buffer.concat([seen, chunk]);
            const end = seen.indexOf('\r\n\r\n');
            if (end < 0) return;
            socket.off('data', onData);
            const ok = seen.subarray(0, 12).toString('latin1') === 'HTTP/1.1 101';
            resolve({ socket, ok, rest: seen.subarray(end + 4) });
        };
        socket.on('data', onData);
        socket.once('end', () => resolve({ socket, ok: false }));
        socket.once('close', () => resolve({ socket, ok: false }));
    });
}

/** Keeps `count` connections open that sent `head` and no more; a dropped one is opened anew. */
async function linger(
    target,
    { ms, count, head, read = true, again = true, drip = 0, together = 250 },
    begun,
) {
    const figures = { opened: 0, dropped: 0, most: 0, answers: 0 };
    const end = performance.now() + ms;
    let alive = 0;
    const one = () => {
        const socket = open(target, { read });
        figures.opened += 1;
        alive += 1;
        figures.most = Math.max(figures.most, alive);
        socket.once('connect', () => socket.write(head));
        if (read) {
            socket.once('data', () => (figures.answers += 1));
            socket.once('end', () => socket.destroy());
        }
        const timer = drip && setInterval(() => socket.write('a'), drip);
        socket.on('close', () => {
            clearInterval(timer);
            alive -= 1;
            figures.dropped += 1;
        });
    };
    while (!over && performance.now() < end) {
        const room = again || figures.opened < count ? Math.min(count - alive, together) : 0;
        for (let i = 0; i < room; i++) one();
        if (figures.opened >= count) begun();
        await pause(10);
    }
    return { ...figures, alive };
}

/**
 * Connects and leaves without end, `width` at a time. How far each goes: `tcp`, `head` (part of
 * a request), `request` (whole, gone before the answer), `joined` (gone once it is in). So long
 * that it comes to `least` of them, unless it is to be exactly `most`.
 */
async function storm(target, { ms, width, how, rooms = 1, least = 0, most, polite }, begun) {
    const figures = { rounds: 0, refused: 0 };
    const beginning = performance.now();
    let number = 0;
    const once = async () => {
        const room = `storm-${number++ % rooms}`;
        if (how === 'joined') {
            const { socket, ok } = await join(target, { room });
            if (!ok) figures.refused += 1;
            if (polite && ok) socket.write(encodeFrame({ opcode: 8, payload: '\x03\xe8' }));
            socket.resetAndDestroy();
        } else {
            const socket = open(target);
            const connected = await settled(socket, 'connect');
            const text = upgradeText(target, { room });
            if (connected && how === 'head') socket.write(text.slice(0, 40));
            if (connected && how === 'request') socket.write(text);
            if (how !== 'tcp') await pause(0);
            socket.resetAndDestroy();
        }
        figures.rounds += 1;
    };
    const inTime = () => !over && performance.now() - beginning < ms;
    const goOn = () => (most ? !over && number < most : number < least || inTime());
    const lane = async () => {
        while (goOn()) await once();
    };
    const lanes = Array.from({ length: width }, lane);
    begun();
    await Promise.all(lanes);
    const seconds = (performance.now() - beginning) / 1000;
    return { ...figures, perSecond: Math.round(figures.rounds / seconds) };
}

/** With a mask of zeros the payload stands as it is: nothing to compute for each frame. */
function encodeFast(number, options) {
    const payload = JSON.stringify({ data: { number, fill: options.fill } });
    return encodeFrame({ payload, maskKey: NO_MASK });
}

/** Frames that are always the same are encoded once, `together` of them. */
function repeated(frame) {
    const encoded = encodeFrame({ maskKey: NO_MASK, ...frame });
    let block = Buffer.alloc(0);
    return (number, count) => {
        if (block.length !== encoded.length * count) {
            block = Buffer.alloc(encoded.length * count, encoded);
        }
        return block;
    };
}

function numbered(encode) {
    return (number, count, options) =>
        Buffer.concat(Array.from({ length: count }, (_, i) => encode(number + i, options)));
}

/** A few hundred bytes that become 60,000. */
const COMPRESSED = compress(JSON.stringify({ room: 'of nobody', data: 'x'.repeat(60000) }));

const FLOODS = {
    ping: repeated({ opcode: 9, payload: '' }),
    pong: repeated({ opcode: 10, payload: '' }),
    invalid: repeated({ payload: '1' }),
    notJson: repeated({ payload: '{"data"' }),
    fragments: repeated({ opcode: 0, fin: false, payload: 'x' }),
    chat: numbered(encodeFast),
    compressed: repeated({ rsv1: true, payload: COMPRESSED }),
    rooms: numbered((number) =>
        encodeFrame({ payload: `{"room":"name ${number}","data":1}`, maskKey: NO_MASK }),
    ),
};

/**
 * Each of `clients` writes frames of a kind as fast as the service takes them. `read: false`: it
 * reads nothing. `most` bounds the frames of each, `together` go in one write, `before` is sent as
 * the beginning of a fragmented message, `stay` keeps those that have sent it all. `answer` is how
 * many bytes each frame brings back: all of a write have come before the next one.
 * `closes`: it says when so many of the peers were closed.
 */
async function flood(target, options, begun) {
    const { ms, clients = 1, room, kind, read = true, stay = false, before } = options;
    const { most = Infinity, together = 500, size = 200, answer = 0, closes } = options;
    const fill = 'x'.repeat(size);
    const figures = { sent: 0, bytesRead: 0, closed: 0, codes: {} };
    const end = performance.now() + ms;
    const joined = [];
    const deflate = kind === 'compressed';
    for (let i = 0; i < clients; i++) joined.push(await join(target, { room, deflate }));
    const goOn = (sent, socket) =>
        !over && !socket.destroyed && sent < most && performance.now() < end;
    let number = 0;
    const lane = async ({ socket }) => {
        if (!read) socket.pause();
        else {
            socket.on('data', (chunk) => {
                figures.bytesRead += chunk.length;
                // A Close is the last that comes, and short.
                const at = chunk.length - (chunk[chunk.lastIndexOf(0x88) + 1] ?? 0) - 2;
                if (at >= 0 && chunk[at] === 0x88 && chunk.length - at >= 4) {
                    socket.lastCode = chunk.readUInt16BE(at + 2);
                }
            });
            socket.once('end', () => socket.destroy());
        }
        if (before) socket.write(encodeFrame({ fin: false, payload: before }));
        let sent = 0;
        while (goOn(sent, socket)) {
            const count = Math.min(together, most - sent);
            const taken = socket.write(FLOODS[kind](number + 1, count, { fill }));
            number += count;
            sent += count;
            figures.sent += count;
            if (!taken) await settled(socket, 'drain', 100);
            else await pause(0);
            while (figures.bytesRead < figures.sent * answer && goOn(0, socket)) await pause(1);
            while (socket.writableLength > (1 << 20) && goOn(0, socket)) await pause(5);
        }
        while (stay && !over && !socket.destroyed && performance.now() < end) await pause(20);
        if (socket.destroyed) figures.closed += 1;
        if (socket.destroyed && figures.closed === closes) parentPort.postMessage({ enough: true });
        if (socket.lastCode) {
            figures.codes[socket.lastCode] = (figures.codes[socket.lastCode] ?? 0) + 1;
        }
    };
    begun();
    await Promise.all(joined.map(lane));
    return figures;
}

/** Members that read and look at nothing but the order of the numbers: {heard, faults, closed}. */
async function members(target, { ms, clients, room }, begun) {
    const figures = { heard: 0, faults: 0, closed: 0, slowest: 0 };
    const end = performance.now() + ms;
    const number = /"number":(\d+)/g;
    for (let i = 0; i < clients; i++) {
        const { socket, ok } = await join(target, { room });
        if (!ok) throw new Error('a member was not let in');
        let last = 0;
        let tail = '';
        socket.on('data', (chunk) => {
            const text = tail + chunk.toString('latin1');
            let at = 0;
            for (const match of text.matchAll(number)) {
                // A number at the very end may go on in the next piece.
                if (match.index + match[0].length === text.length) break;
                if (Number(match[1]) !== last + 1) figures.faults += 1;
                last = Number(match[1]);
                figures.heard += 1;
                at = match.index + match[0].length;
            }
            tail = text.slice(at).slice(-200);
        });
        socket.once('close', () => (figures.closed += over ? 0 : 1));
        socket.once('end', () => {
            figures.closed += over ? 0 : 1;
            socket.destroy();
        });
    }
    begun();
    // Stopped before anything came, they would say nothing of those who are heard.
    while ((!over || figures.heard === 0) && performance.now() < end) await pause(20);
    over = true;
    return figures;
}

const ATTACKS = { linger, storm, flood, members };

async function run() {
    const { name, port, options } = workerData;
    parentPort.on('message', () => {
        over = true;
    });
    let told = false;
    const begun = () => {
        if (!told) parentPort.postMessage({ begun: true });
        told = true;
    };
    const figures = await ATTACKS[name]({ port }, options, begun);
    begun();
    for (const socket of sockets) socket.resetAndDestroy();
    parentPort.postMessage({ figures });
    parentPort.close();
}

if (!isMainThread && workerData?.name in ATTACKS) await run();
