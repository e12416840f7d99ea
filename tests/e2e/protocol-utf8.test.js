// UTF-8 in text messages and close reasons (RFC 6455 5.6, 7.1.6, 8.1) against the echo build of
// the connection layer: what is valid comes back, what is not ends the connection with 1007 as soon
// as no continuation could make it valid, wherever frames, fragments and TCP cut it.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import {
    close,
    first,
    fragments,
    gotPong,
    gotText,
    last,
    middle,
    ping,
    pieces,
    play,
    startEcho,
    text,
} from '../support/echo.js';
import { compress } from '../support/websocket.js';

const servers = {};
before(async () => {
    [servers.direct, servers.room] = await Promise.all([startEcho(), startEcho('--through-room')]);
});
after(() => Promise.all(Object.values(servers).map((server) => server.stop())));

const INVALID_PAYLOAD = 1007;

// ---- what is valid, according to the Encoding Standard's decoder

const decoder = new TextDecoder('utf-8', { fatal: true });

function isValid(bytes) {
    try {
        decoder.decode(bytes);
        return true;
    } catch {
        return false;
    }
}

const CONTINUATIONS = [0x80, 0x90, 0xa0, 0xbf].flatMap((octet) => [
    [octet],
    [octet, 0x80],
    [octet, 0x80, 0x80],
]);

/** Whether something can follow that makes it valid. */
const hasFuture = (bytes) =>
    isValid(bytes) ||
    CONTINUATIONS.some((more) => isValid(Buffer.concat([bytes, Buffer.from(more)])));

/** How many octets stand before the one that nothing can heal; all of them if there is none. */
function healthyLength(bytes) {
    let length = 0;
    while (length < bytes.length && hasFuture(bytes.subarray(0, length + 1))) length += 1;
    return length;
}

// ---- the sequences

const sequences = new Map();
const add = (...octets) => {
    const bytes = Buffer.from(octets);
    sequences.set(bytes.toString('hex'), bytes);
};

// The ends of each length, and what stands around the surrogates and the non-characters.
const points = [0x0, 0x1, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000];
points.push(0xfdd0, 0xfdef, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x3ffff, 0x40000, 0xfffff);
points.push(0x100000, 0x10ffff);
for (let plane = 1; plane <= 16; plane++) points.push(plane * 0x10000 + 0xfffe);
for (const point of points) add(...Buffer.from(String.fromCodePoint(point)));
add(...Buffer.from('\u03ba\u1f79\u03c3\u03bc\u03b5'));
add(...Buffer.from('Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!'));
add(...Buffer.from('\u65e5\u672c\u8a9e \u{1f600}\u{1f1e6}\u{1f1f9} e\u0301'));
// Each octet alone that is no ASCII, and two of each that leads nothing.
for (let octet = 0x80; octet <= 0xff; octet++) add(octet);
for (const octet of [0x80, 0xbf, 0xc0, 0xc1, 0xf5, 0xf8, 0xfc, 0xfe, 0xff]) add(octet, octet);
// Each kind of leader with each kind of second octet, whole and cut short.
for (const lead of [0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3]) {
    for (const second of [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0]) {
        const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        add(lead, second);
        for (let size = 3; size <= length; size++) add(lead, second, ...Array(size - 2).fill(0x80));
    }
}
for (const second of [0x7f, 0x80, 0x8f, 0x90, 0xbf]) add(0xf4, second, 0x80, 0x80);
// Overlong forms, surrogates in pairs, five and six octets, beyond Unicode.
add(0xc0, 0xaf);
add(0xe0, 0x80, 0xaf);
add(0xf0, 0x80, 0x80, 0xaf);
add(0xf8, 0x80, 0x80, 0x80, 0xaf);
add(0xfc, 0x80, 0x80, 0x80, 0x80, 0xaf);
add(0xe0, 0x9f, 0xbf);
add(0xf0, 0x8f, 0xbf, 0xbf);
add(0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80);
add(0xed, 0xaf, 0xbf, 0xed, 0xbf, 0xbf);
add(0xf7, 0xbf, 0xbf, 0xbf);
add(0xfb, 0xbf, 0xbf, 0xbf, 0xbf);
add(0xfd, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf);
add(0xf4, 0x90, 0x80, 0x80);
// Broken off by something else, a third and fourth octet of the wrong kind.
add(0xe2, 0x82, 0x41);
add(0xe2, 0x82, 0xc2, 0x80);
add(0xf0, 0x9f, 0x98, 0x41);
add(0xf0, 0x9f, 0x41, 0x80);
add(0xf0, 0x9f, 0x98, 0xff);
add(0xe2, 0x82, 0xac, 0x80);
// A character of each length, and what is wrong behind it or before it.
for (const good of ['a', '\u00e9', '\u20ac', '\u{1f600}']) {
    for (const bad of [0x80, 0xc0, 0xed, 0xff]) {
        add(...Buffer.from(good), bad);
        add(bad, ...Buffer.from(good));
    }
}

const valid = [];
const invalid = [];
for (const [name, bytes] of sequences) (isValid(bytes) ? valid : invalid).push([name, bytes]);
const doomed = invalid.filter(([, bytes]) => healthyLength(bytes) < bytes.length);
const cutShort = invalid.filter(([, bytes]) => healthyLength(bytes) === bytes.length);

const PADDING = 'padding of more than eight octets ';
const padded = (bytes) => Buffer.concat([Buffer.from(PADDING), bytes]);
const octets = (bytes) => fragments(pieces(bytes, 1));
const WAYS = { direct: ['direct', {}], 'through a room': ['room', {}] };

for (const [way, [name, options]] of Object.entries(WAYS)) {
    const plays = (row) => () => play(servers[name], row, options);
    const playsCompressed = (row) => () => play(servers[name], row, { ...options, deflate: true });
    const refuses = (send, receive = []) => plays({ send, receive, close: INVALID_PAYLOAD });
    const refusesCompressed = (send) => playsCompressed({ send, close: INVALID_PAYLOAD });

    describe(`valid text, ${way}`, () => {
        for (const [hex, bytes] of valid) {
            it(`${hex}`, plays({ send: text(bytes), receive: [gotText(bytes)] }));
            it(
                `${hex}, padded, octet by octet`,
                plays({
                    send: text(padded(bytes)),
                    receive: [gotText(padded(bytes))],
                    cut: 1,
                }),
            );
            it(
                `${hex}, a fragment for each octet, pings between`,
                plays({
                    send: octets(bytes).flatMap((frame) => [frame, ping()]),
                    receive: [
                        ...Array.from({ length: bytes.length - 1 }, () => gotPong()),
                        gotText(bytes),
                        gotPong(),
                    ],
                }),
            );
            it(
                `${hex}, compressed, a fragment for each octet`,
                playsCompressed({
                    send: fragments(pieces(compress(padded(bytes)), 1), { rsv1: true }),
                    receive: [gotText(padded(bytes))],
                }),
            );
        }

        it('every code point', async () => {
            const all = [];
            for (let point = 0; point <= 0x10ffff; point++) {
                if (point < 0xd800 || point > 0xdfff) all.push(point);
            }
            const step = 16384;
            for (let i = 0; i < all.length; i += step) {
                const bytes = Buffer.from(String.fromCodePoint(...all.slice(i, i + step)));
                await play(servers[name], { send: text(bytes), receive: [gotText(bytes)] });
            }
        });
    });

    describe(`text that is not UTF-8, ${way}`, () => {
        for (const [hex, bytes] of invalid) {
            it(
                `${hex}, behind a message`,
                refuses([text('good'), text(bytes), text('unheard')], [gotText('good')]),
            );
            it(
                `${hex}, padded, octet by octet`,
                plays({ send: text(padded(bytes)), close: INVALID_PAYLOAD, cut: 1 }),
            );
            it(`${hex}, a fragment for each octet`, refuses(octets(bytes)));
            it(
                `${hex}, compressed`,
                refusesCompressed(text(compress(padded(bytes)), { rsv1: true })),
            );
            it(`${hex}, in a close reason`, () =>
                play(
                    servers[name],
                    { send: close(1000, bytes), close: INVALID_PAYLOAD, closing: true },
                    options,
                ));
        }
    });

    describe(`text that cannot become UTF-8 is refused at once, ${way}`, () => {
        for (const [hex, bytes] of doomed) {
            const healthy = healthyLength(bytes);
            const soFar = bytes.subarray(0, healthy);
            const fatal = bytes.subarray(healthy, healthy + 1);
            it(
                `${hex}, in a frame that is not whole`,
                refuses(text(padded(bytes.subarray(0, healthy + 1)), { length: 4000 })),
            );
            // The pong shows that nothing was refused before its time.
            it(
                `${hex}, in a message that is not whole`,
                refuses([first(soFar), ping('still here'), middle(fatal)], [gotPong('still here')]),
            );
            it(
                `${hex}, in a compressed message that is not whole`,
                refusesCompressed(
                    first(
                        Buffer.concat([
                            compress(padded(bytes.subarray(0, healthy + 1))),
                            Buffer.from([0, 0, 0xff, 0xff]),
                        ]),
                        { rsv1: true },
                    ),
                ),
            );
        }
    });

    describe(`text that ends within a character, ${way}`, () => {
        for (const [hex, bytes] of cutShort) {
            it(
                `${hex}, refused with its last fragment and not before`,
                refuses([first(bytes), ping('still here'), last('')], [gotPong('still here')]),
            );
        }
    });
}

it('the tables are as large as they ought to be', () => {
    assert.ok(valid.length >= 60 && doomed.length >= 180 && cutShort.length >= 40);
});
