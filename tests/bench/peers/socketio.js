// A room server as one writes it with Socket.IO: node socketio.js PORT [REDIS_PORT].

import http from 'node:http';

import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const [port, redisPort] = process.argv.slice(2);
const server = http.createServer();
const io = new Server(server, { transports: ['websocket'], perMessageDeflate: false });

if (redisPort) {
    const publisher = createClient({ url: `redis://127.0.0.1:${redisPort}` });
    const subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);
    io.adapter(createAdapter(publisher, subscriber));
}

io.on('connection', (socket) => {
    const { room } = socket.handshake.query;
    socket.join(room);
    socket.on('m', (message) => io.to(room).emit('m', message));
});

server.listen(Number(port), '127.0.0.1', 4096);
