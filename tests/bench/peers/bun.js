// A room server as one writes it with Bun, whose WebSockets and topics are those of uWebSockets:
// bun bun.js PORT.

const [port] = process.argv.slice(2);

const server = Bun.serve({
    hostname: '127.0.0.1',
    port: Number(port),
    fetch(request, self) {
        const room = request.url.split('/').pop();
        if (self.upgrade(request, { data: { room } })) return undefined;
        return new Response('Upgrade Required', { status: 426 });
    },
    websocket: {
        perMessageDeflate: false,
        sendPings: false,
        maxPayloadLength: 65536,
        open: (socket) => socket.subscribe(socket.data.room),
        message: (socket, text) => server.publish(socket.data.room, text),
    },
});
