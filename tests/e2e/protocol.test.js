// RFC 6455 for servers, case by case, against the echo build of the connection layer: framing,
// control frames, reserved bits and opcodes, fragmentation, the closing handshake, limits. UTF-8
// and compression have suites of their own.
//
// Nearly every case is a row of a table; it is played directly and through a room's fan-out, with
// compression agreed on and without, in one write and octet by octet.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

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
import { RawConnection } from '../support/http.js';
import { OP, attempt, encodeFrame } from '../support/websocket.js';

const MAX_BYTES = 100000;
const MAX_FRAGMENTS = 1024;
const LIMITS = ['--max-message', String(MAX_BYTES), '--max-fragments', String(MAX_FRAGMENTS)];

const servers = {};
before(async () => {
    [servers.direct, servers.room, servers.directLimited, servers.roomLimited] = await Promise.all([
        startEcho(),
        startEcho('--through-room'),
        startEcho(...LIMITS),
        startEcho('--through-room', ...LIMITS),
    ]);
});
after(() => Promise.all(Object.values(servers).map((server) => server.stop())));

const WAYS = {
    direct: ['direct', {}],
    'direct, deflate agreed on': ['direct', { deflate: true }],
    'through a room': ['room', {}],
    'through a room, deflate agreed on': ['room', { deflate: true }],
};

const PROTOCOL_ERROR = 1002;
const TOO_BIG = 1009;

/**
 * Registers each row, [name, what play() takes], for each way; rows of few bytes are played octet
 * by octet, too.
 */
function table(rows, { ways = Object.keys(WAYS), limited = false } = {}) {
    for (const way of ways) {
        const [name, options] = WAYS[way];
        describe(way, () => {
            for (const [what, row] of rows) {
                const short =
                    [row.send].flat(Infinity).reduce((sum, part) => sum + part.length, 0) < 600;
                const cuts = row.cut === undefined && short ? [0, 1] : [row.cut ?? 0];
                for (const cut of cuts) {
                    it(`${what}${cut === 1 ? ', octet by octet' : ''}`, () =>
                        play(servers[limited ? `${name}Limited` : name], { ...row, cut }, options));
                }
            }
        });
    }
}

const PLAIN_WAYS = ['direct', 'through a room'];
const DEFLATE_WAYS = ['direct, deflate agreed on', 'through a room, deflate agreed on'];

/** Text of so many bytes, with characters of every length in it. */
function someText(size) {
    const unit = 'a\u00e9\u20ac\u{1f600}b';
    const whole = Buffer.from(unit.repeat(Math.floor(size / Buffer.byteLength(unit))));
    return Buffer.concat([whole, Buffer.alloc(size - whole.length, '*')]);
}

function someBytes(size) {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i++) bytes[i] = (i * 197 + (i >> 8)) & 0xff;
    return bytes;
}

describe('framing (RFC 6455 5.2)', () => {
    const sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 128];
    const large = [4095, 4096, 4097, 65534, 65535, 65536, 65537, 131072];
    const kinds = { text: [text, gotText, someText], binary: [binary, gotBinary, someBytes] };
    const rows = [];
    for (const [kind, [send, got, make]] of Object.entries(kinds)) {
        const row = (size, cut) => [
            `${kind} of ${size} bytes${cut ? ` in pieces of ${cut}` : ''}`,
            { send: send(make(size)), receive: [got(make(size))], cut },
        ];
        rows.push(...sizes.map((size) => row(size)));
        for (const size of large) rows.push(row(size, 0), row(size, 1), row(size, 997));
    }
    for (const maskKey of [
        [0, 0, 0, 0],
        [255, 255, 255, 255],
        [0, 1, 2, 3],
    ]) {
        rows.push([
            `the mask ${maskKey}`,
            {
                send: binary(someBytes(301), { maskKey: Buffer.from(maskKey) }),
                receive: [gotBinary(someBytes(301))],
            },
        ]);
    }
    const many = Array.from({ length: 500 }, (_, i) => someText(i));
    rows.push([
        '500 messages at once',
        { send: many.map((payload) => text(payload)), receive: many.map(gotText) },
    ]);
    table(rows);

    table(
        [1048575, 1048576, 4194304].map((size) => [
            `binary of ${size} bytes`,
            { send: binary(someBytes(size)), receive: [gotBinary(someBytes(size))], cut: 0 },
        ]),
    );

    const wrong = (payload, form, length) => ({
        send: [text('before'), text(payload, { lengthForm: form, length })],
        receive: [gotText('before')],
        close: PROTOCOL_ERROR,
    });
    const masked = { send: [text('before'), text('bare', { mask: false }), text('behind')] };
    table([
        ['not masked', { ...masked, receive: [gotText('before')], close: PROTOCOL_ERROR }],
        ['an empty frame not masked', { send: text('', { mask: false }), close: PROTOCOL_ERROR }],
        ['a ping not masked', { send: ping('', { mask: false }), close: PROTOCOL_ERROR }],
        ['a Close not masked', { send: close(1000, '', { mask: false }), close: PROTOCOL_ERROR }],
        ...[0, 1, 125].map((size) => [`${size} in 16 bits`, wrong(someText(size), 16)]),
        ...[0, 125, 126].map((size) => [`${size} in 64 bits`, wrong(someText(size), 64)]),
        ['65535 in 64 bits', wrong('', 64, 65535)],
        ['the top bit of the length', wrong('', 64, 2n ** 63n)],
        ['all bits of the length', wrong('', 64, 2n ** 64n - 1n)],
    ]);
});

describe('pings and pongs (5.5.2, 5.5.3)', () => {
    const ten = Array.from({ length: 10 }, (_, i) => `ping ${i}`);
    const all = [ping(''), ping('Hello'), ping(Buffer.from([0, 255, 254, 253, 252, 251, 0]))];
    table([
        ...[0, 1, 2, 4, 8, 124, 125].map((size) => [
            `a ping of ${size} bytes`,
            { send: ping(someBytes(size)), receive: [gotPong(someBytes(size))] },
        ]),
        [
            'pings of any bytes',
            {
                send: all,
                receive: [
                    gotPong(),
                    gotPong('Hello'),
                    gotPong(Buffer.from([0, 255, 254, 253, 252, 251, 0])),
                ],
            },
        ],
        ['a ping of 126 bytes', { send: ping(someBytes(126)), close: PROTOCOL_ERROR }],
        ['a ping of 65536 bytes', { send: ping(someBytes(65536)), close: PROTOCOL_ERROR }],
        [
            'a ping whose length is in 16 bits',
            { send: ping('x', { lengthForm: 16 }), close: PROTOCOL_ERROR },
        ],
        ['ten pings', { send: ten.map((payload) => ping(payload)), receive: ten.map(gotPong) }],
        [
            'pings between messages',
            {
                send: [ping('1'), text('a'), ping('2'), binary('b'), ping('3')],
                receive: [gotPong('1'), gotText('a'), gotPong('2'), gotBinary('b'), gotPong('3')],
            },
        ],
        ['a ping not final', { send: ping('x', { fin: false }), close: PROTOCOL_ERROR }],
        ['an empty ping not final', { send: ping('', { fin: false }), close: PROTOCOL_ERROR }],
        [
            'a ping in two fragments',
            { send: [ping('x', { fin: false }), last('y')], close: PROTOCOL_ERROR },
        ],
        ['an unasked pong', { send: pong('') }],
        ['an unasked pong with payload', { send: pong('nobody asked') }],
        ['an unasked pong of 125 bytes', { send: pong(someBytes(125)) }],
        [
            'unasked pongs around a ping',
            { send: [pong('a'), ping('b'), pong('b')], receive: [gotPong('b')] },
        ],
        ['a pong of 126 bytes', { send: pong(someBytes(126)), close: PROTOCOL_ERROR }],
        ['a pong not final', { send: pong('', { fin: false }), close: PROTOCOL_ERROR }],
        [
            'a good ping, then a bad one',
            {
                send: [ping('good'), ping(someBytes(126)), ping('too late')],
                receive: [gotPong('good')],
                close: PROTOCOL_ERROR,
            },
        ],
    ]);
});

describe('reserved bits (5.2)', () => {
    const bits = [1, 2, 3, 4, 5, 6, 7];
    const rsv = (set) => ({
        rsv1: (set & 4) !== 0,
        rsv2: (set & 2) !== 0,
        rsv3: (set & 1) !== 0,
    });
    /** `send` behind a message and a ping, which are answered, and before ones that are not. */
    const among = (send) => ({
        send: [text('whole'), ping('p'), send, text('unheard'), ping('unheard')],
        receive: [gotText('whole'), gotPong('p')],
        close: PROTOCOL_ERROR,
    });
    const data = (set) => [
        [`bits ${set} on text`, among(text('x', rsv(set)))],
        [`bits ${set} on empty text`, among(text('', rsv(set)))],
        [`bits ${set} on binary`, among(binary('x', rsv(set)))],
        [`bits ${set} on a first fragment`, among([first('x', rsv(set)), last('y')])],
    ];
    const control = (set) => [
        [`bits ${set} on a ping`, among(ping('x', rsv(set)))],
        [`bits ${set} on a pong`, among(pong('', rsv(set)))],
        [`bits ${set} on a Close`, among(close(1000, '', rsv(set)))],
        [`bits ${set} on a continuation`, among([first('x'), last('y', rsv(set))])],
        [
            `bits ${set} on a ping within a message`,
            among([first('x'), ping('', rsv(set)), last('y')]),
        ],
    ];
    table(bits.flatMap(data), { ways: PLAIN_WAYS });
    table(bits.filter((set) => set !== 4).flatMap(data), { ways: DEFLATE_WAYS });
    table(bits.flatMap(control));
});

describe('reserved opcodes (5.2)', () => {
    const reserved = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];
    table(
        reserved.flatMap((opcode) => [
            [`opcode ${opcode}, empty`, { send: encodeFrame({ opcode }), close: PROTOCOL_ERROR }],
            [
                `opcode ${opcode} with payload among messages`,
                {
                    send: [text('a'), encodeFrame({ opcode, payload: 'x' }), text('b'), ping('c')],
                    receive: [gotText('a')],
                    close: PROTOCOL_ERROR,
                },
            ],
            [
                `opcode ${opcode} within a message`,
                {
                    send: [first('a'), encodeFrame({ opcode }), last('b')],
                    close: PROTOCOL_ERROR,
                },
            ],
            [
                `opcode ${opcode}, not final`,
                { send: encodeFrame({ opcode, fin: false }), close: PROTOCOL_ERROR },
            ],
        ]),
    );
});

describe('fragmentation (5.4)', () => {
    const parts = ['frag', '', 'ment', '', '', 'ed'];
    const joined = gotText('fragmented');
    const refused = (send, receive = []) => ({ send, receive, close: PROTOCOL_ERROR });
    table([
        ['in two', { send: fragments(['fragm', 'ented']), receive: [joined] }],
        ['in six, some empty', { send: fragments(parts), receive: [joined] }],
        ['the first empty', { send: fragments(['', 'fragmented']), receive: [joined] }],
        ['the last empty', { send: fragments(['fragmented', '']), receive: [joined] }],
        ['all empty', { send: fragments(['', '', '']), receive: [gotText()] }],
        [
            'all empty, binary',
            { send: fragments(['', ''], { opcode: OP.BINARY }), receive: [gotBinary()] },
        ],
        [
            'binary',
            {
                send: fragments(pieces(someBytes(300), 37), { opcode: OP.BINARY }),
                receive: [gotBinary(someBytes(300))],
            },
        ],
        [
            'a ping within',
            {
                send: [first('fragm'), ping('now'), last('ented')],
                receive: [gotPong('now'), joined],
            },
        ],
        [
            'pings between all',
            {
                send: fragments(parts).flatMap((frame, i) => [frame, ping(`${i}`)]),
                receive: [...['0', '1', '2', '3', '4'].map(gotPong), joined, gotPong('5')],
            },
        ],
        ['a pong within', { send: [first('fragm'), pong(), last('ented')], receive: [joined] }],
        [
            'ten messages in fragments',
            {
                send: Array.from({ length: 10 }, () => fragments(parts)).flat(),
                receive: Array.from({ length: 10 }, () => joined),
            },
        ],
        ['never finished', { send: first('fragm') }],
        ['a continuation of nothing', refused(last('x'))],
        ['an empty continuation of nothing', refused(last(''))],
        ['a continuation of nothing, not final', refused([middle('x'), last('y')])],
        ['a continuation behind a message', refused([text('a'), last('x')], [gotText('a')])],
        [
            'a continuation behind a fragmented one',
            refused([...fragments(['frag', 'mented']), last('x')], [joined]),
        ],
        ['two starts', refused([first('a'), first('b'), last('c')])],
        ['two starts, the second whole', refused([first('a'), text('b'), last('c')])],
        ['two starts of two kinds', refused([first('a'), binary('b'), last('c')])],
        ['two starts, the first empty', refused([first(''), text('b')])],
        ['a start behind a middle', refused([first('a'), middle('b'), text('c')])],
        [
            'a ping not final within',
            refused([first('a'), ping('x', { fin: false }), last('b')], []),
        ],
        [
            'a ping within, then a second start',
            refused([first('a'), ping('x'), text('b')], [gotPong('x')]),
        ],
        [
            'a Close within',
            { send: [first('a'), close(1000, 'enough')], close: 1000, closing: true },
        ],
        ['a bad Close within', refused([first('a'), close(1005), last('b')])],
    ]);

    table([
        ...[1, 64, 997, 4096].map((size) => [
            `64 KiB in fragments of ${size}`,
            {
                send: fragments(pieces(someText(65536), size === 1 ? 97 : size)),
                receive: [gotText(someText(65536))],
                cut: size === 1 ? 997 : 0,
            },
        ]),
        [
            '1 MiB in 16 fragments, pings between',
            {
                send: fragments(pieces(someBytes(1048576), 65536), {
                    opcode: OP.BINARY,
                }).flatMap((frame) => [frame, ping('p')]),
                receive: [
                    ...Array.from({ length: 15 }, () => gotPong('p')),
                    gotBinary(someBytes(1048576)),
                    gotPong('p'),
                ],
            },
        ],
    ]);

    // Every order of three frames, judged by a model of a few lines.
    const frames = {
        'text.': ['text', true],
        'text-': ['text', false],
        'binary.': ['binary', true],
        'binary-': ['binary', false],
        'more-': ['more', false],
        'more.': ['more', true],
        ping: ['ping', true],
    };
    const encode = { text, binary, more: last, ping };
    function judge(names) {
        const row = { send: [], receive: [] };
        let open = null;
        names.forEach((name, i) => {
            const [kind, fin] = frames[name];
            row.send.push(encode[kind](`${i}`, { fin }));
            if (row.close) return;
            if (kind === 'ping') return void row.receive.push(gotPong(`${i}`));
            if ((kind === 'more') !== (open !== null)) {
                row.close = PROTOCOL_ERROR;
                return;
            }
            open ??= { kind, content: '' };
            open.content += i;
            if (!fin) return;
            row.receive.push((open.kind === 'text' ? gotText : gotBinary)(open.content));
            open = null;
        });
        return [`order: ${names.join(' ')}`, { ...row, cut: 0 }];
    }
    const names = Object.keys(frames);
    table(
        names.flatMap((a) => names.flatMap((b) => names.map((c) => judge([a, b, c])))),
        { ways: PLAIN_WAYS },
    );
});

describe('the closing handshake (5.5.1, 7.4)', () => {
    const closes = (send, code, receive = []) => ({ send, receive, close: code, closing: true });
    const valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    const invalid = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];
    const bytes = (...octets) => encodeFrame({ opcode: OP.CLOSE, payload: Buffer.from(octets) });
    table([
        ...[...valid, 3000, 3999, 4000, 4999].map((code) => [
            `code ${code}`,
            closes(close(code), code),
        ]),
        ...invalid.map((code) => [`code ${code}`, closes(close(code), PROTOCOL_ERROR)]),
        ...invalid.map((code) => [
            `code ${code} with a reason`,
            closes(close(code, 'because'), PROTOCOL_ERROR),
        ]),
        ['no code', closes(close(), 1005)],
        ['one octet', closes(bytes(3), PROTOCOL_ERROR)],
        ...[1, 2, 4, 122, 123].map((size) => [
            `a reason of ${size} bytes`,
            closes(close(1000, someText(size)), 1000),
        ]),
        ['a reason of 124 bytes', closes(close(1000, someText(124)), PROTOCOL_ERROR)],
        ['a reason of 1000 bytes', closes(close(1000, someText(1000)), PROTOCOL_ERROR)],
        ['a Close not final', closes(close(1000, '', { fin: false }), PROTOCOL_ERROR)],
        [
            'a Close whose length is in 16 bits',
            closes(close(1000, '', { lengthForm: 16 }), PROTOCOL_ERROR),
        ],
        ['behind a message', closes([text('a'), close(1000)], 1000, [gotText('a')])],
        ['behind a ping', closes([ping('a'), close(1001)], 1001, [gotPong('a')])],
        ['then text', closes([close(1000), text('unheard')], 1000)],
        ['then a ping', closes([close(1000), ping('unheard')], 1000)],
        ['then another Close', closes([close(1000), close(1001)], 1000)],
        ['then a bad Close', closes([close(1000), bytes(0)], 1000)],
        ['then an unmasked frame', closes([close(1000), text('x', { mask: false })], 1000)],
        [
            'then fragments',
            closes([first('a'), close(3000), last('unheard'), ping('unheard')], 3000),
        ],
        ['then noise', closes([close(1000), someBytes(100)], 1000)],
        ['then 1 MiB of noise', { ...closes([close(1000), someBytes(1048576)], 1000), cut: 0 }],
        [
            'behind a large message',
            {
                ...closes([binary(someBytes(262144)), close(1000), text('unheard')], 1000, [
                    gotBinary(someBytes(262144)),
                ]),
                cut: 0,
            },
        ],
        [
            'behind 100 messages',
            {
                ...closes(
                    [Array.from({ length: 100 }, (_, i) => text(`${i}`)), close(4000)].flat(),
                    4000,
                    Array.from({ length: 100 }, (_, i) => gotText(`${i}`)),
                ),
                cut: 0,
            },
        ],
        [
            'an error, then 1 MiB of noise',
            {
                send: [text('a'), text('b', { rsv3: true }), someBytes(1048576)],
                receive: [gotText('a')],
                close: PROTOCOL_ERROR,
                cut: 0,
            },
        ],
        [
            'a message behind an error',
            { send: [last('x'), text('unheard'), ping('unheard')], close: PROTOCOL_ERROR },
        ],
        [
            'a Close behind an error',
            { send: [last('x'), close(1000)], close: PROTOCOL_ERROR, closing: true },
        ],
    ]);

    for (const name of ['direct', 'room']) {
        it(`the peer's FIN without a Close is answered with FIN, ${name}`, async () => {
            for (const send of [
                [],
                text('x').subarray(0, 3),
                first('x'),
                ping('x').subarray(0, 1),
            ]) {
                const connection = await RawConnection.open(servers[name].port);
                const { client } = await attempt(servers[name], { path: '/', connection });
                client.sendRaw(Buffer.from(send));
                connection.end();
                const end = await client.waitClose();
                assert.deepEqual([end.code, end.reset], [1006, false]);
                connection.destroy();
            }
        });
    }
});

describe('behind the request (4.2.2)', () => {
    const connect = (name, behind) => attempt(servers[name], { path: '/', behind });
    for (const name of ['direct', 'room']) {
        it(`frames in the same segment, ${name}`, async () => {
            const { client } = await connect(name, Buffer.concat([text('early'), ping('p')]));
            assert.equal(await client.nextText(), 'early');
            assert.equal((await client.close()).code, 1000);
        });

        it(`100 frames in the same segment, ${name}`, async () => {
            const sent = Array.from({ length: 100 }, (_, i) => `early ${i}`);
            const { client } = await connect(name, Buffer.concat(sent.map((one) => text(one))));
            for (const one of sent) assert.equal(await client.nextText(), one);
            assert.equal((await client.close()).code, 1000);
        });

        it(`every part of a frame in the same segment, ${name}`, async () => {
            const frame = text('cut anywhere');
            for (let at = 1; at < frame.length; at++) {
                const { client } = await connect(name, frame.subarray(0, at));
                client.sendRaw(frame.subarray(at));
                assert.equal(await client.nextText(), 'cut anywhere');
                assert.equal((await client.close()).code, 1000);
            }
        });

        it(`a Close in the same segment, ${name}`, async () => {
            const { client } = await connect(name, close(3000));
            const end = await client.waitClose();
            assert.equal(end.code, 3000);
            assert.ok(end.clean);
        });

        it(`an error in the same segment, ${name}`, async () => {
            const { client } = await connect(name, Buffer.concat([text('a'), last('b')]));
            assert.equal(await client.nextText(), 'a');
            const end = await client.waitClose();
            assert.equal(end.code, PROTOCOL_ERROR);
            assert.ok(end.clean);
        });
    }
});

describe('limits (7.4.1, 10.4)', () => {
    const over = (send, receive = []) => ({ send, receive, close: TOO_BIG, cut: 0 });
    const whole = (size, step) => ({
        send: fragments(pieces(someText(size), step)),
        receive: [gotText(someText(size))],
        cut: 0,
    });
    const count = (fragmentCount) => Array.from({ length: fragmentCount }, (_, i) => `${i % 10}`);
    const empty = (fragmentCount) => Array.from({ length: fragmentCount }, () => '');
    table(
        [
            ...[MAX_BYTES - 1, MAX_BYTES].flatMap((size) => [
                [`${size} bytes`, whole(size, size)],
                [`${size} bytes in fragments`, whole(size, 997)],
            ]),
            [`${MAX_BYTES + 1} bytes`, over(text(someText(MAX_BYTES + 1)))],
            [
                `${MAX_BYTES + 1} bytes in two fragments`,
                over(fragments(pieces(someText(MAX_BYTES + 1), 60000))),
            ],
            [
                `${MAX_BYTES + 1} bytes, the last alone`,
                over(fragments(pieces(someText(MAX_BYTES + 1), MAX_BYTES))),
            ],
            [
                `${MAX_BYTES + 1} bytes behind a message`,
                over([text('a'), binary(someBytes(MAX_BYTES + 1)), text('b')], [gotText('a')]),
            ],
            ['1 MiB', over(binary(someBytes(1048576)))],
            ...[MAX_BYTES + 1, 2 ** 31, 2 ** 32, 2 ** 53, 2n ** 63n - 1n].map((length) => [
                `${length} bytes announced, none sent`,
                over(text('', { length, lengthForm: 64 })),
            ]),
            [
                'too many bytes announced by the second fragment',
                over([first('x'), last('', { length: MAX_BYTES, lengthForm: 64 })]),
            ],
            ...[MAX_FRAGMENTS - 1, MAX_FRAGMENTS].map((fragmentCount) => [
                `${fragmentCount} fragments`,
                {
                    send: fragments(count(fragmentCount)),
                    receive: [gotText(count(fragmentCount).join(''))],
                    cut: 0,
                },
            ]),
            [
                `${MAX_FRAGMENTS} empty fragments`,
                { send: fragments(empty(MAX_FRAGMENTS)), receive: [gotText()], cut: 0 },
            ],
            [`${MAX_FRAGMENTS + 1} fragments`, over(fragments(count(MAX_FRAGMENTS + 1)))],
            [`${MAX_FRAGMENTS + 1} empty fragments`, over(fragments(empty(MAX_FRAGMENTS + 1)))],
            ['65536 fragments', over(fragments(count(65536)))],
        ],
        { limited: true },
    );

    for (const name of ['direct', 'room']) {
        it(`a peer that reads late gets 8 MiB, ${name}`, async () => {
            const { client } = await attempt(servers[name], { path: '/' });
            const sent = Array.from({ length: 128 }, (_, i) => Buffer.alloc(65536, i));
            client.pause();
            for (const payload of sent) client.sendFrame({ opcode: OP.BINARY, payload });
            setTimeout(() => client.resume(), 200);
            for (const payload of sent) {
                assert.ok((await client.nextMessage(10000)).data.equals(payload));
            }
            assert.equal((await client.close()).code, 1000);
        });
    }
});
