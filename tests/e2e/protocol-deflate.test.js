// permessage-deflate (RFC 7692) against the echo build of the connection layer: every offer, and
// whatever a compressor may legally write or must never write. The server's messages are inflated
// with the window that it agreed to and with no memory of earlier ones, as it promised.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';

import {
    binary,
    close,
    first,
    fragments,
    gotBinary,
    gotPong,
    gotText,
    last,
    middle,
    ping,
    pieces,
    play,
    pong,
    startEcho,
    text,
} from '../support/echo.js';
import { OP, attempt, compress, deflateParameters, encodeFrame } from '../support/websocket.js';

const MAX_BYTES = 100000;
const NAMES = ['direct', 'room'];

const servers = {};
before(async () => {
    const limited = ['--max-message', String(MAX_BYTES)];
    const off = ['--compression', 'off'];
    [servers.direct, servers.room, servers.directLimited, servers.roomLimited] = await Promise.all([
        startEcho(),
        startEcho('--through-room'),
        startEcho(...limited),
        startEcho('--through-room', ...limited),
    ]);
    [servers.directOff, servers.roomOff] = await Promise.all([
        startEcho(...off),
        startEcho('--through-room', ...off),
    ]);
});
after(() => Promise.all(Object.values(servers).map((server) => server.stop())));

const PROTOCOL_ERROR = 1002;
const INVALID_PAYLOAD = 1007;
const TOO_BIG = 1009;

const packedText = (content, rest) => text(compress(content), { rsv1: true, ...rest });
const packedFragments = (packed, size, opcode = OP.TEXT) =>
    fragments(pieces(packed, size), { opcode, rsv1: true });
const raw = (...octets) => text(Buffer.from(octets), { rsv1: true });

/** Bytes that repeat only beyond `distance`: with a smaller window there is nothing to refer to. */
function repeating(distance, times) {
    const unit = Buffer.alloc(distance);
    let state = 7;
    for (let i = 0; i < distance; i++) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        unit[i] = state >>> 24;
    }
    return Buffer.concat(Array.from({ length: times }, () => unit));
}

// ---- negotiation (7.1)

/** Inflates with as small a window as was promised: output in steps too small to be one itself. */
function inflateWithin(payload, windowBits) {
    return inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), {
        finishFlush: constants.Z_SYNC_FLUSH,
        windowBits: Math.max(windowBits, 9),
        chunkSize: 64,
    });
}

/**
 * Messages there and back, each in as much compression as was agreed on. What a room compresses is
 * shared by all who take a full window; who wants a smaller one is sent plain frames.
 */
async function assertWorks(client, isRoom) {
    const clientBits = Number(client.deflate.client_max_window_bits ?? 15);
    const serverBits = Number(client.deflate.server_max_window_bits ?? 15);
    // Just beyond the agreed window there is something that a larger one would refer to.
    const beyond = repeating(2 ** serverBits + 100, 3);
    for (const payload of [Buffer.from('Hello'), Buffer.alloc(5000, 'a'), beyond, beyond]) {
        client.sendFrame({
            opcode: OP.BINARY,
            rsv1: true,
            payload: compress(payload, Math.max(clientBits, 9)),
        });
        const frame = await client.nextFrame();
        const content = frame.rsv1 ? inflateWithin(frame.payload, serverBits) : frame.payload;
        assert.ok(content.equals(payload), 'the message inflates within its window');
        if (payload.length === 5000) assert.equal(frame.rsv1, isRoom && serverBits === 15);
    }
    assert.equal((await client.close()).code, 1000);
}

/** Judges an answer to an offer, and returns the open client. */
async function negotiate(name, deflate) {
    const { client } = await attempt(servers[name], { path: '/', deflate });
    assert.ok(client, 'an offer never makes the upgrade fail');
    return client;
}

async function assertDeclined(name, deflate) {
    const client = await negotiate(name, deflate);
    assert.equal(client.response.headers['sec-websocket-extensions'], undefined);
    client.sendText('plain');
    assert.equal(await client.nextText(), 'plain');
    client.sendFrame({ rsv1: true, payload: compress('not agreed on') });
    assert.equal((await client.waitClose()).code, PROTOCOL_ERROR);
}

/** `expected` are the parameters that the answer must have, all of them. */
async function assertAccepted(name, deflate, expected) {
    const client = await negotiate(name, deflate);
    assert.deepEqual(
        deflateParameters(client.response.headers['sec-websocket-extensions']),
        expected,
    );
    await assertWorks(client, name === 'room');
}

const NO_TAKEOVER = { server_no_context_takeover: true, client_no_context_takeover: true };

describe('every offer of window bits and takeover', () => {
    const bits = [8, 9, 10, 11, 12, 13, 14, 15];
    for (const server of [null, ...bits]) {
        for (const client of [null, true, ...bits]) {
            for (const takeover of [[], ['server'], ['client'], ['client', 'server']]) {
                const offer = ['permessage-deflate'];
                if (server) offer.push(`server_max_window_bits=${server}`);
                if (client === true) offer.push('client_max_window_bits');
                else if (client) offer.push(`client_max_window_bits=${client}`);
                offer.push(...takeover.map((side) => `${side}_no_context_takeover`));
                const header = offer.join('; ');
                // zlib cannot compress within 256 bytes, so that cannot be promised.
                if (server === 8) {
                    it(`declined: ${header}`, () => assertDeclined('direct', header));
                    continue;
                }
                const expected = { ...NO_TAKEOVER };
                if (server) expected.server_max_window_bits = `${server}`;
                if (client !== true && client && client < 15) {
                    expected.client_max_window_bits = `${client}`;
                }
                it(header, () => assertAccepted('room', header, expected));
            }
        }
    }
});

describe('offers with something odd', () => {
    const declined = [
        'x-webkit-deflate-frame',
        'permessage-bzip2',
        'permessage-deflate2',
        'permessage-deflate; unknown',
        'permessage-deflate; unknown=1',
        'permessage-deflate; client_max_window_bits; unknown',
        'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
        'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
        'permessage-deflate; server_max_window_bits=10; server_max_window_bits=10',
        'permessage-deflate; client_max_window_bits; client_max_window_bits',
        'permessage-deflate; client_max_window_bits=10; client_max_window_bits',
        'permessage-deflate; server_no_context_takeover=1',
        'permessage-deflate; server_no_context_takeover=true',
        'permessage-deflate; client_no_context_takeover="x"',
        'permessage-deflate; server_max_window_bits',
        ...['server', 'client'].flatMap((side) =>
            ['0', '7', '16', '-1', '+9', '08', '010', '015', '9x', 'x', '1.5', '115', '99999999999']
                .concat(['"7"', '"16"', '"010"', '""', ''])
                .map((value) => `permessage-deflate; ${side}_max_window_bits=${value}`),
        ),
        'permessage-deflate; server_max_window_bits="10',
        'permessage-deflate; server_max_window_bits=10"',
        'permessage-deflate; server_max_window_bits=1 0',
        'permessage-deflate; =10',
        'permessage-deflate; ;',
        'permessage-deflate;',
        'permessage-deflate client_max_window_bits',
        '; client_max_window_bits',
        'permessage-deflate@',
        '"permessage-deflate"',
    ];
    for (const offer of declined) {
        it(`declined: ${offer}`, () => assertDeclined('direct', offer));
    }

    const server10 = { ...NO_TAKEOVER, server_max_window_bits: '10' };
    const client10 = { ...NO_TAKEOVER, client_max_window_bits: '10' };
    const accepted = {
        'permessage-deflate; server_max_window_bits="10"': server10,
        'permessage-deflate; client_max_window_bits="10"': client10,
        'permessage-deflate;server_max_window_bits=10': server10,
        'permessage-deflate ; server_max_window_bits = 10': server10,
        'permessage-deflate\t;\tserver_max_window_bits\t=\t"10"\t': server10,
        ', , permessage-deflate; server_max_window_bits=10, ,': server10,
        'x-other, permessage-deflate; server_max_window_bits=10': server10,
        'x-other; a=b; c="d", permessage-deflate; server_max_window_bits=10': server10,
        'permessage-deflate; unknown, permessage-deflate; server_max_window_bits=10': server10,
        'permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10':
            server10,
        'permessage-deflate; server_max_window_bits=10, permessage-deflate': server10,
        'permessage-deflate; server_max_window_bits=8, permessage-deflate': NO_TAKEOVER,
        'permessage-deflate; client_max_window_bits=10, permessage-deflate; server_max_window_bits=9':
            client10,
        'permessage-deflate, permessage-deflate': NO_TAKEOVER,
        'permessage-deflate; client_max_window_bits, permessage-deflate; bad=1': NO_TAKEOVER,
    };
    for (const [offer, expected] of Object.entries(accepted)) {
        it(`accepted: ${offer}`, () => assertAccepted('direct', offer, expected));
    }

    it('offers on several lines are one list', async () => {
        const { client } = await attempt(servers.direct, {
            path: '/',
            headers: {
                'Sec-WebSocket-Extensions': [
                    'permessage-deflate; unknown',
                    'permessage-deflate; server_max_window_bits=10',
                ],
            },
        });
        assert.deepEqual(client.deflate, server10);
        await assertWorks(client, false);
    });

    it('nothing offered, nothing answered', async () => {
        await assertDeclined('direct', undefined);
    });

    for (const name of ['directOff', 'roomOff']) {
        it(`declined where compression is off: ${name}`, async () => {
            await assertDeclined(name, 'permessage-deflate');
            await assertDeclined(name, 'permessage-deflate; client_max_window_bits');
        });
    }
});

// ---- messages (7.2)

/** Registers each row, [name, what play() takes], for both ways of the echo. */
function table(rows, { limited = false, options = { deflate: true } } = {}) {
    for (const name of NAMES) {
        describe(name === 'room' ? 'through a room' : 'direct', () => {
            for (const [what, row] of rows) {
                const short = [row.send]
                    .flat(Infinity)
                    .reduce((sum, { length }) => sum + length, 0);
                for (const cut of row.cut === undefined && short < 600 ? [0, 1] : [row.cut ?? 0]) {
                    it(`${what}${cut === 1 ? ', octet by octet' : ''}`, () =>
                        play(servers[limited ? `${name}Limited` : name], { ...row, cut }, options));
                }
            }
        });
    }
}

const kinds = {
    zeros: (size) => Buffer.alloc(size),
    noise: (size) => repeating(size, 1),
    'chat text': (size) =>
        Buffer.from('{"type":"chat","data":{"text":"hi \u20ac"}}'.repeat(size / 40 + 1)).subarray(
            0,
            size,
        ),
    'far repeats': (size) => repeating(32768 - 300, Math.ceil(size / 32468)).subarray(0, size),
};

describe('compressed messages', () => {
    const sizes = [1, 2, 16, 64, 125, 126, 127, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072];
    table(
        Object.entries(kinds).flatMap(([kind, make]) =>
            sizes.map((size) => [
                `${size} bytes of ${kind}`,
                {
                    send: binary(compress(make(size)), { rsv1: true }),
                    receive: [gotBinary(make(size))],
                },
            ]),
        ),
    );
    table(
        [1048576, 4194304].flatMap((size) => [
            [
                `${size} bytes of chat text`,
                {
                    send: binary(compress(kinds['chat text'](size)), { rsv1: true }),
                    receive: [gotBinary(kinds['chat text'](size))],
                    cut: 0,
                },
            ],
            [
                `${size} bytes of noise, cut by TCP`,
                {
                    send: binary(compress(kinds.noise(65521)), { rsv1: true }),
                    receive: [gotBinary(kinds.noise(65521))],
                    cut: 997,
                },
            ],
        ]),
    );

    // Whatever a compressor's settings, the result is deflate.
    const content = Buffer.concat([kinds['chat text'](9000), kinds.noise(500), kinds.zeros(9000)]);
    const settings = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((level) => ({ level }));
    for (const strategy of ['Z_FILTERED', 'Z_HUFFMAN_ONLY', 'Z_RLE', 'Z_FIXED']) {
        settings.push({ strategy: constants[strategy], level: 6 });
    }
    for (let memLevel = 1; memLevel <= 9; memLevel++) settings.push({ memLevel });
    for (let windowBits = 9; windowBits <= 15; windowBits++) settings.push({ windowBits });
    table(
        settings.map((setting) => {
            const flush = { finishFlush: constants.Z_SYNC_FLUSH };
            const packed = deflateRawSync(content, { ...flush, ...setting }).subarray(0, -4);
            return [
                JSON.stringify(setting),
                { send: packedFragments(packed, 4096, OP.BINARY), receive: [gotBinary(content)] },
            ];
        }),
    );

    const hundred = Array.from({ length: 100 }, (_, i) => `message ${i} \u00e9`.repeat(i));
    table([
        [
            '100 messages at once',
            {
                send: hundred.map((content) => packedText(content)),
                receive: hundred.map(gotText),
                cut: 0,
            },
        ],
        [
            'compressed and plain by turns',
            {
                send: hundred.map((content, i) => (i % 2 ? packedText : text)(content)),
                receive: hundred.map(gotText),
                cut: 0,
            },
        ],
        [
            'pings between',
            {
                send: [ping('1'), packedText('a'), ping('2'), packedText('b')],
                receive: [gotPong('1'), gotText('a'), gotPong('2'), gotText('b')],
            },
        ],
        [
            'a Close behind, not compressed',
            {
                send: [packedText('a'), close(3000, 'why not')],
                receive: [gotText('a')],
                close: 3000,
                closing: true,
            },
        ],
    ]);
});

describe('fragments of a compressed message (6.1)', () => {
    const content = 'cut wherever, \u00e9\u20ac\u{1f600} '.repeat(3);
    const packed = compress(content);
    const rows = [];
    for (let at = 0; at <= packed.length; at++) {
        rows.push([
            `cut behind octet ${at}`,
            {
                send: fragments([packed.subarray(0, at), packed.subarray(at)], { rsv1: true }),
                receive: [gotText(content)],
                cut: 0,
            },
        ]);
    }
    const noise = repeating(20000, 1);
    for (const size of [1, 2, 3, 7, 64]) {
        rows.push([
            `fragments of ${size}`,
            { send: packedFragments(packed, size), receive: [gotText(content)] },
        ]);
    }
    for (const size of [64, 997, 4096]) {
        rows.push([
            `20000 bytes of noise in fragments of ${size}`,
            {
                send: packedFragments(compress(noise), size, OP.BINARY),
                receive: [gotBinary(noise)],
            },
        ]);
    }
    rows.push([
        'empty fragments between, and pings',
        {
            send: [
                first('', { rsv1: true }),
                ping('1'),
                middle(packed.subarray(0, 9)),
                middle(''),
                ping('2'),
                middle(packed.subarray(9)),
                last(''),
            ],
            receive: [gotPong('1'), gotPong('2'), gotText(content)],
        },
    ]);
    table(rows);
});

describe('the examples of RFC 7692 7.2.3, and other ways to write deflate', () => {
    const hello = { receive: [gotText('Hello')] };
    const all = (...sends) => sends.map((octets) => raw(...octets));
    table([
        ['one block', { send: raw(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), ...hello }],
        [
            'one block in two fragments',
            {
                send: fragments(
                    [Buffer.from([0xf2, 0x48, 0xcd]), Buffer.from([0xc9, 0xc9, 0x07, 0x00])],
                    { rsv1: true },
                ),
                ...hello,
            },
        ],
        [
            'a block that is not compressed',
            {
                send: raw(0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00),
                ...hello,
            },
        ],
        [
            'a block with BFINAL',
            { send: raw(0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00), ...hello },
        ],
        [
            'two blocks',
            {
                send: raw(
                    ...[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07],
                    0x00,
                ),
                ...hello,
            },
        ],
        ['an empty message', { send: raw(0x00), receive: [gotText()] }],
        [
            'an empty message in a block with BFINAL',
            { send: raw(0x03, 0x00, 0x00), receive: [gotText()] },
        ],
        [
            'an empty message in a block with fixed codes',
            { send: raw(0x02, 0x00), receive: [gotText()] },
        ],
        [
            'ten empty messages',
            {
                send: Array.from({ length: 10 }, () => raw(0x00)),
                receive: Array.from({ length: 10 }, () => gotText()),
            },
        ],
        [
            'an empty message in fragments',
            {
                send: [first('', { rsv1: true }), middle([0x00]), last('')],
                receive: [gotText()],
            },
        ],
        [
            'behind BFINAL another block',
            {
                send: raw(
                    ...[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
                    ...[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
                ),
                receive: [gotText('HelloHello')],
            },
        ],
        [
            'a message behind one with BFINAL',
            {
                send: all(
                    [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
                    [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
                ),
                receive: [gotText('Hello'), gotText('Hello')],
            },
        ],
        [
            'empty blocks around',
            {
                send: raw(
                    ...[0x00, 0x00, 0x00, 0xff, 0xff],
                    ...[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00],
                ),
                ...hello,
            },
        ],
        [
            'compressed by full flush',
            {
                send: text(
                    deflateRawSync('full flush', {
                        finishFlush: constants.Z_FULL_FLUSH,
                    }).subarray(0, -4),
                    { rsv1: true },
                ),
                receive: [gotText('full flush')],
            },
        ],
        [
            'a finished stream and an empty block',
            {
                send: text(Buffer.concat([deflateRawSync('finished'), Buffer.from([0])]), {
                    rsv1: true,
                }),
                receive: [gotText('finished')],
            },
        ],
    ]);
});

describe('what is no compressed message', () => {
    const broken = (send, receive = []) => ({ send, receive, close: INVALID_PAYLOAD });
    const whole = compress('something that can be cut short, and more of it');
    const rows = [
        ['all ones', broken(raw(0xff, 0xff, 0xff, 0xff))],
        ['a reserved block type', broken(raw(0x06, 0x00, 0x00))],
        ['a stored block with a wrong length', broken(raw(0x00, 0x05, 0x00, 0x00, 0x00, 0x41))],
        ['a stored block that is too short', broken(raw(0x00, 0x05, 0x00, 0xfa, 0xff, 0x48))],
        ['a distance before the start', broken(raw(0x4a, 0x04, 0x12, 0x00))],
        ['text that was never compressed', broken(text('plain all the way', { rsv1: true }))],
        [
            'a reference to the message before',
            broken([packedText('Hello'), raw(0xf2, 0x00, 0x11, 0x00, 0x00)], [gotText('Hello')]),
        ],
        [
            'noise behind a message and before others',
            broken(
                [packedText('a'), raw(0xff, 0xff, 0xff), packedText('b'), ping('c')],
                [gotText('a')],
            ),
        ],
        [
            'noise in a fragment, refused at once',
            broken([first([0xff, 0xff, 0xff], { rsv1: true })]),
        ],
        [
            'noise behind a good fragment, refused at once',
            broken(
                [
                    first(Buffer.concat([whole, Buffer.from([0, 0, 0xff, 0xff])]), { rsv1: true }),
                    ping('p'),
                    middle([0xff, 0xff, 0xff]),
                ],
                [gotPong('p')],
            ),
        ],
        [
            'noise behind a block with BFINAL',
            broken(raw(0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff, 0xff, 0xff)),
        ],
    ];
    for (let length = 1; length < whole.length; length++) {
        rows.push([
            `cut short at octet ${length}`,
            { ...broken(text(whole.subarray(0, length), { rsv1: true })), cut: 0 },
        ]);
    }
    table(rows);
});

describe('RSV1 where it does not belong (6.1)', () => {
    const refused = (send, receive = []) => ({ send, receive, close: PROTOCOL_ERROR });
    const packed = compress('something compressed');
    table([
        ['on a ping', refused([packedText('a'), ping('', { rsv1: true })], [gotText('a')])],
        ['on a pong', refused(pong('', { rsv1: true }))],
        ['on a Close', refused(close(1000, '', { rsv1: true }))],
        [
            'on the continuation of a compressed message',
            refused([
                first(packed.subarray(0, 4), { rsv1: true }),
                last(packed.subarray(4), { rsv1: true }),
            ]),
        ],
        [
            'on the continuation of a plain message',
            refused([first('a'), last('b', { rsv1: true })]),
        ],
        ['on a continuation of nothing', refused(last('b', { rsv1: true }))],
        [
            'on a ping within a compressed message',
            refused([first(packed.subarray(0, 4), { rsv1: true }), ping('', { rsv1: true })]),
        ],
        ['with RSV2', refused(packedText('a', { rsv2: true }))],
        ['with RSV3', refused(packedText('a', { rsv3: true }))],
        [
            'with a reserved opcode',
            refused(encodeFrame({ opcode: 3, rsv1: true, payload: packed })),
        ],
        ['a second start, compressed', refused([first('a'), packedText('b')])],
    ]);
    table([['though it was never agreed on', refused(packedText('a'))]], { options: {} });
});

describe('limits hold after inflating (8)', () => {
    const refused = (send, receive = []) => ({ send, receive, close: TOO_BIG, cut: 0 });
    const packedBinary = (content) => binary(compress(content), { rsv1: true });
    const rows = [];
    for (const [kind, make] of Object.entries(kinds)) {
        for (const size of [MAX_BYTES - 1, MAX_BYTES]) {
            rows.push([
                `${size} bytes of ${kind}`,
                { send: packedBinary(make(size)), receive: [gotBinary(make(size))], cut: 0 },
            ]);
        }
        rows.push([
            `${MAX_BYTES + 1} bytes of ${kind}`,
            refused([packedText('a'), packedBinary(make(MAX_BYTES + 1))], [gotText('a')]),
        ]);
        rows.push([
            `${MAX_BYTES + 1} bytes of ${kind} in fragments`,
            refused(packedFragments(compress(make(MAX_BYTES + 1)), 997, OP.BINARY)),
        ]);
    }
    const bomb = compress(Buffer.alloc(30_000_000));
    const many = Buffer.concat(
        Array.from({ length: 40000 }, () => Buffer.from([0, 0, 0, 255, 255])),
    );
    rows.push(
        ['a bomb', refused(binary(bomb, { rsv1: true }))],
        ['a bomb, its end never sent', refused(first(bomb.subarray(0, 4000), { rsv1: true }))],
        ['a bomb in fragments', refused(packedFragments(bomb, 64))],
        [
            'a frame larger than the limit that inflates to nothing',
            {
                send: text(Buffer.concat([many, Buffer.from([0])]), { rsv1: true }),
                receive: [gotText()],
                cut: 0,
            },
        ],
    );
    table(rows, { limited: true });
});
