// A room server as one writes it with ws: node ws.js PORT [REDIS_PORT]. With Redis everything goes
// through it, so that one order holds on all pods.

import http from 'node:http';

import { createClient } from 'redis';
import { WebSocketServer } from 'ws';

const [port, redisPort] = process.argv.slice(2);
const rooms = new Map();
const server = http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
let publisher;
let subscriber;

function deliver(room, text) {
    for (const member of rooms.get(room) ?? []) member.send(text, { binary: false });
}

async function connectRedis() {
    publisher = createClient({ url: `redis://127.0.0.1:${redisPort}` });
    subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);
}

function join(room, socket) {
    let members = rooms.get(room);
    if (!members) {
        rooms.set(room, (members = new Set()));
        subscriber?.subscribe(room, (text) => deliver(room, text), true);
    }
    members.add(socket);
}

function leave(room, socket) {
    const members = rooms.get(room);
    members.delete(socket);
    if (members.size > 0) return;
    rooms.delete(room);
    subscriber?.unsubscribe(room);
}

sockets.on('connection', (socket, request) => {
    const room = request.url.split('/').pop();
    join(room, socket);
    socket.on('message', (text) => {
        if (publisher) publisher.publish(room, text);
        else deliver(room, text);
    });
    socket.on('close', () => leave(room, socket));
    socket.on('error', () => {});
});

if (redisPort) await connectRedis();
server.listen(Number(port), '127.0.0.1', 4096);
