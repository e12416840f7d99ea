// Section 2 of the contract: what is an upgrade and what is not, room names, origins, limits.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import { assertErrorResponse, clientsFor } from '../support/chat.js';
import { eventually } from '../support/deadline.js';
import { RawConnection, request } from '../support/http.js';
import { serviceFor, startService } from '../support/service.js';
import { OP, attempt, encodeFrame, upgradeText } from '../support/websocket.js';

const KEY_HEADER = 'Sec-WebSocket-Key';
const PATHS = ['/ws', '/ws/lobby', '/api/chat-api/ws', '/api/chat-api/ws/lobby'];

let pod;
before(async () => {
    pod = await startService();
});
after(() => pod.stop());

/** The upgrade's answer; a client that got in is closed with the test. */
async function upgrade(t, options, target = pod) {
    const response = await attempt(target, options);
    if (response.client) t.after(() => response.client.hangUp());
    return response;
}

async function assertUpgrades(t, options, target) {
    const response = await upgrade(t, options, target);
    assert.equal(response.status, 101, response.body.toString());
    return response.client;
}

async function assertRefused(t, options, status, code, target) {
    const response = await upgrade(t, options, target);
    assertErrorResponse(response, status, code);
    return response;
}

/** Asserts which room a client is in by sending to "its own room". */
async function assertIsIn(client, room) {
    client.sendJson({ data: 'where am I?' });
    const envelope = await client.nextJson();
    assert.equal(envelope.data, 'where am I?');
    assert.equal(envelope.room, room);
}

describe('the handshake', () => {
    for (const path of PATHS) {
        it(`upgrades on ${path}`, async (t) => {
            const client = await assertUpgrades(t, { path });
            await assertIsIn(client, path.endsWith('lobby') ? 'lobby' : undefined);
        });

        it(`upgrades on the absolute target of ${path}, its query included`, async (t) => {
            const absolute = `http://chat.example${path}`;
            const client = await assertUpgrades(t, { path: absolute });
            await assertIsIn(client, path.endsWith('lobby') ? 'lobby' : undefined);
            const named = await assertUpgrades(t, { path: `${absolute}?room=lobby` });
            await assertIsIn(named, 'lobby');
        });

        it(`answers 426 on ${path} to what is no upgrade`, async () => {
            const response = await request(pod, path);
            assertErrorResponse(response, 426, 'UPGRADE_REQUIRED');
            assert.equal(response.headers.upgrade?.toLowerCase(), 'websocket');
        });
    }

    const good = {
        'Upgrade in any case': { Upgrade: 'WebSocket' },
        'Connection in any case': { Connection: 'UPGRADE' },
        'Connection as a list': { Connection: 'keep-alive, Upgrade' },
        'Connection as a list without spaces': { Connection: 'foo,upgrade,bar' },
        'Connection in two lines': { Connection: ['keep-alive', 'Upgrade'] },
    };
    for (const [name, headers] of Object.entries(good)) {
        it(`takes ${name}`, async (t) => {
            await assertUpgrades(t, { headers });
        });
    }

    it('takes header names in any case', async (t) => {
        const headers = {};
        const key = randomBytes(16).toString('base64');
        for (const [name, value] of [
            ['upgrade', 'websocket'],
            ['CONNECTION', 'upgrade'],
            ['sec-websocket-key', key],
            ['SEC-WEBSOCKET-VERSION', '13'],
        ]) {
            headers[name] = value;
        }
        await assertUpgrades(t, { headers, key });
    });

    const notUpgrades = {
        'no Upgrade header': { Upgrade: null },
        'no Connection header': { Connection: null },
        'another protocol': { Upgrade: 'h2c' },
        'a protocol that only begins like it': { Upgrade: 'websocket2' },
        'Connection without the token': { Connection: 'keep-alive' },
        'a token that only contains it': { Connection: 'no-upgrade, upgrades' },
    };
    for (const [name, headers] of Object.entries(notUpgrades)) {
        it(`answers 426 to ${name}`, async (t) => {
            const response = await assertRefused(t, { headers }, 426, 'UPGRADE_REQUIRED');
            assert.equal(response.headers.upgrade?.toLowerCase(), 'websocket');
        });
    }

    for (const version of ['8', '12', '14', '013', '13x', '0', 'x']) {
        it(`answers 426 to version ${version} and names 13`, async (t) => {
            const headers = { 'Sec-WebSocket-Version': version };
            const response = await assertRefused(t, { headers }, 426, 'UPGRADE_REQUIRED');
            assert.equal(response.headers['sec-websocket-version'], '13');
        });
    }

    const badKeys = {
        'no key': null,
        'an empty key': '',
        'a key of 15 bytes': randomBytes(15).toString('base64'),
        'a key of 17 bytes': randomBytes(17).toString('base64'),
        'a key of 24 bytes': randomBytes(24).toString('base64'),
        'a key without padding': randomBytes(16).toString('base64').slice(0, 22),
        'a key of other characters': '!!!!!!!!!!!!!!!!!!!!!!==',
        'a key with padding inside': 'AAAA=AAAAAAAAAAAAAAAAA==',
    };
    for (const [name, key] of Object.entries(badKeys)) {
        it(`answers 400 to ${name}`, async (t) => {
            await assertRefused(t, { headers: { [KEY_HEADER]: key } }, 400);
        });
    }

    it('answers 426 to HTTP/1.0', async (t) => {
        await assertRefused(t, { version: 'HTTP/1.0' }, 426, 'UPGRADE_REQUIRED');
    });

    it('refuses other methods than GET', async (t) => {
        await assertRefused(t, { method: 'POST' }, 405, 'METHOD_NOT_ALLOWED');
        const head = await upgrade(t, { method: 'HEAD' });
        assert.notEqual(head.status, 101);
        assert.ok(head.status >= 400 && head.status < 500);
    });

    for (const [name, headers, body] of [
        ['of a known length', { 'Content-Length': '5' }, 'hello'],
        ['in chunks', { 'Transfer-Encoding': 'chunked' }, '5\r\nhello\r\n0\r\n\r\n'],
    ]) {
        it(`refuses a request with a body ${name}`, async (t) => {
            await assertRefused(t, { headers, behind: body }, 400);
        });
    }

    it('ignores upgrade headers on other routes', async () => {
        const headers = {
            Upgrade: 'websocket',
            Connection: 'Upgrade',
            [KEY_HEADER]: 'AAAAAAAAAAAAAAAAAAAAAA==',
            'Sec-WebSocket-Version': '13',
        };
        for (const path of ['/healthz', '/api/chat-api/ws/stats']) {
            assert.equal((await request(pod, path, { headers })).status, 200);
        }
        assert.equal((await request(pod, '/nowhere', { headers })).status, 404);
    });

    it('names no subprotocol that it does not know', async (t) => {
        const client = await assertUpgrades(t, { protocol: 'unknown.v9, other' });
        assert.equal(client.protocol, undefined);
    });

    it('upgrades on a connection that carried requests before', async (t) => {
        const connection = await RawConnection.open(pod);
        for (const path of ['/healthz', '/nowhere', '/ws']) {
            connection.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
            await connection.readResponse();
        }
        const client = await assertUpgrades(t, { connection, room: 'later' });
        await assertIsIn(client, 'later');
    });
});

describe('bytes behind the request', () => {
    const frame = (data) => encodeFrame({ payload: JSON.stringify({ data }) });

    it('are the first frames', async (t) => {
        const behind = Buffer.concat([frame('one'), frame('two')]);
        const client = await assertUpgrades(t, { room: 'behind', behind });
        assert.equal((await client.nextJson()).data, 'one');
        assert.equal((await client.nextJson()).data, 'two');
    });

    it('may end within a frame', async (t) => {
        const bytes = frame('cut in the middle');
        for (const cut of [1, 5, bytes.length - 1]) {
            const client = await assertUpgrades(t, {
                room: `cut-${cut}`,
                behind: bytes.subarray(0, cut),
            });
            client.sendRaw(bytes.subarray(cut));
            assert.equal((await client.nextJson()).data, 'cut in the middle');
        }
    });

    it('may be many', async (t) => {
        const big = 'x'.repeat(30000);
        const behind = Buffer.concat([frame(big), frame(big), frame('end')]);
        const client = await assertUpgrades(t, { room: 'many', behind });
        for (const expected of [big, big, 'end']) {
            assert.equal((await client.nextJson()).data, expected);
        }
    });

    it('may be a close frame', async (t) => {
        const behind = encodeFrame({ opcode: OP.CLOSE, payload: Buffer.from([0x03, 0xe8]) });
        const client = await assertUpgrades(t, { behind });
        assert.equal((await client.waitClose()).code, 1000);
    });

    it('and the request may come byte by byte', async () => {
        const key = randomBytes(16).toString('base64');
        const text = upgradeText(pod, { room: 'bytewise', key });
        const connection = await RawConnection.open(pod);
        for (const byte of text.slice(0, -1)) {
            connection.write(byte);
            await new Promise(setImmediate);
        }
        // The last byte of the head and the first frame share a segment.
        const rest = Buffer.concat([Buffer.from(text.slice(-1)), frame('last')]);
        connection.write(rest);
        const response = await connection.readResponse();
        assert.equal(response.status, 101);
        let seen = Buffer.alloc(0);
        connection.takeOver((chunk) => {
            seen = Buffer.concat([seen, chunk]);
        });
        await eventually('the message', () => seen.includes('"last"'));
        connection.destroy();
    });
});

describe('room names', () => {
    const valid = {
        'one byte': ['a', 'a'],
        '127 bytes': ['r'.repeat(127), 'r'.repeat(127)],
        '128 bytes': ['r'.repeat(128), 'r'.repeat(128)],
        '128 bytes of two-byte characters': ['%C3%A9'.repeat(64), 'é'.repeat(64)],
        '128 bytes of four-byte characters': ['%F0%9F%98%80'.repeat(32), '😀'.repeat(32)],
        'escaped letters': ['%6c%6F%62by', 'lobby'],
        'a space': ['two%20words', 'two words'],
        'a percent sign': ['100%25', '100%'],
        'quotes and a backslash': ['%22q%22%5C', '"q"\\'],
        'a question mark and a hash': ['a%3Fb%23c', 'a?b#c'],
        'escapes that are decoded once only': ['%252F', '%2F'],
        'a colon and other plain characters': ['a:b-c_d.e~f', 'a:b-c_d.e~f'],
    };
    for (const [name, [encoded, room]] of Object.entries(valid)) {
        it(`may be of ${name}, by path and by query`, async (t) => {
            for (const path of [
                `/ws/${encoded}`,
                `/api/chat-api/ws/${encoded}`,
                `/ws?room=${encoded}`,
            ]) {
                await assertIsIn(await assertUpgrades(t, { path }), room);
            }
        });
    }

    const invalid = {
        '129 bytes': 'r'.repeat(129),
        '129 bytes in 65 characters': `${'%C3%A9'.repeat(64)}a`,
        'a slash': 'a%2Fb',
        'a NUL': 'a%00b',
        'only a NUL': '%00',
        'a tab': 'a%09b',
        'a line feed': 'a%0Ab',
        'the last C0 control': '%1F',
        DEL: 'a%7Fb',
        'a stray byte': '%FF',
        'a cut character': 'a%C3',
        'an overlong character': '%C0%AE',
        'a surrogate': '%ED%A0%80',
        'a character beyond Unicode': '%F4%90%80%80',
    };
    for (const [name, encoded] of Object.entries(invalid)) {
        it(`may not be of ${name}`, async (t) => {
            for (const path of [
                `/ws/${encoded}`,
                `/api/chat-api/ws/${encoded}`,
                `/ws?room=${encoded}`,
            ]) {
                await assertRefused(t, { path }, 400, 'CHANNEL_ERROR');
            }
        });
    }

    it('may not be empty', async (t) => {
        await assertRefused(t, { path: '/ws?room=' }, 400, 'CHANNEL_ERROR');
        const response = await upgrade(t, { path: '/ws/' });
        assert.ok([400, 404].includes(response.status), `status ${response.status}`);
    });

    it('have no raw slash', async (t) => {
        const response = await upgrade(t, { path: '/ws/a/b' });
        assert.ok([400, 404].includes(response.status), `status ${response.status}`);
    });

    it('"stats" is a room by query, and statistics by path', async (t) => {
        await assertIsIn(await assertUpgrades(t, { path: '/ws?room=stats' }), 'stats');
        await assertIsIn(await assertUpgrades(t, { path: '/api/chat-api/ws?room=stats' }), 'stats');
        const response = await upgrade(t, { path: '/api/chat-api/ws/stats' });
        assert.equal(response.status, 200);
        assert.ok('connections' in response.json);
    });

    it('are found among other parameters', async (t) => {
        const path = '/ws?a=1&room=found&room2=other&b';
        await assertIsIn(await assertUpgrades(t, { path }), 'found');
    });

    it('path and query may name the same room', async (t) => {
        await assertIsIn(await assertUpgrades(t, { path: '/ws/same?room=same' }), 'same');
        await assertIsIn(await assertUpgrades(t, { path: '/ws/s%61me?room=sa%6De' }), 'same');
    });

    it('path and query may not name different rooms', async (t) => {
        await assertRefused(t, { path: '/ws/one?room=two' }, 400, 'CHANNEL_ERROR');
        await assertRefused(t, { path: '/api/chat-api/ws/one?room=One' }, 400, 'CHANNEL_ERROR');
    });
});

describe('origins', () => {
    const Origin = 'https://chat.example.org';

    it('are all allowed by default', async (t) => {
        for (const origin of [Origin, 'null', 'http://localhost:3000']) {
            await assertUpgrades(t, { headers: { Origin: origin } });
        }
    });

    describe('when listed', () => {
        let own;
        before(async () => {
            const ALLOWED_ORIGINS = `${Origin},http://localhost:3000, https://second.example`;
            own = await startService({ env: { ALLOWED_ORIGINS } });
        });
        after(() => own.stop());

        for (const allowed of [Origin, 'http://localhost:3000', 'https://second.example']) {
            it(`${allowed} is allowed`, async (t) => {
                await assertUpgrades(t, { headers: { Origin: allowed } }, own);
            });
        }

        it('blanks behind one are no part of it', async (t) => {
            await assertUpgrades(t, { headers: { Origin: `${Origin} \t` } }, own);
        });

        it('no Origin is allowed', async (t) => {
            await assertUpgrades(t, {}, own);
        });

        for (const other of [
            'https://evil.example',
            'http://chat.example.org',
            'https://chat.example.org:8443',
            'http://localhost',
            'http://localhost:30000',
            'https://chat.example.org.evil.example',
            'https://sub.chat.example.org',
            'https://example.org',
            'null',
            '*',
            'https://chat.example.org,http://localhost:3000',
        ]) {
            it(`${JSON.stringify(other)} is refused`, async (t) => {
                await assertRefused(t, { headers: { Origin: other } }, 403, 'AUTH_FAILED', own);
            });
        }

        it('other routes do not care', async () => {
            const headers = { Origin: 'https://evil.example' };
            assert.equal((await request(own, '/healthz', { headers })).status, 200);
        });
    });

    describe('listed with a star', () => {
        let own;
        before(async () => {
            own = await startService({ env: { ALLOWED_ORIGINS: 'https://*.example.org' } });
        });
        after(() => own.stop());

        for (const allowed of ['https://chat.example.org', 'https://a.b.example.org']) {
            it(`${allowed} is allowed`, async (t) => {
                await assertUpgrades(t, { headers: { Origin: allowed } }, own);
            });
        }

        for (const other of [
            'https://example.org',
            'https://notexample.org',
            'http://chat.example.org',
            'https://chat.example.org:8443',
            'https://chat.example.org.evil.example',
            'https://evil.example/.example.org',
        ]) {
            it(`${other} is refused`, async (t) => {
                await assertRefused(t, { headers: { Origin: other } }, 403, 'AUTH_FAILED', own);
            });
        }
    });
});

describe('MAX_CONNECTIONS', () => {
    it('lets that many in, refuses the next, and lets in again when one left', async (t) => {
        const own = await serviceFor(t, { env: { MAX_CONNECTIONS: '3' } });
        const clients = await clientsFor(t, 2, own, { room: 'full' });
        const third = await assertUpgrades(t, { room: 'full' }, own);
        const refused = await assertRefused(t, { room: 'full' }, 503, 'UNAVAILABLE', own);
        assert.match(refused.headers['retry-after'] ?? '', /^\d+$/);
        assert.equal((await request(own, '/healthz')).status, 200, 'HTTP goes on');
        assert.equal((await own.stats()).connections, 3);
        third.sendJson({ data: 'still here' });
        assert.equal((await clients[0].nextJson()).data, 'still here');
        await third.close();
        await eventually('a free place', async () => (await upgrade(t, {}, own)).status === 101);
    });

    it('follows the limit of open files by default', async (t) => {
        const own = await serviceFor(t, { fileLimit: 128 });
        let clients = 0;
        for (; clients < 128; clients++) {
            const response = await upgrade(t, { room: 'crowd' }, own);
            if (response.status === 101) continue;
            assertErrorResponse(response, 503, 'UNAVAILABLE');
            break;
        }
        assert.ok(clients >= 10 && clients < 128, `${clients} clients with 128 files`);
        // Whoever is in, and HTTP, must not notice that the house is full.
        assert.equal((await request(own, '/healthz')).status, 200);
        assert.equal((await own.stats()).connections, clients);
    });

    it('counts clients, not refused or plain requests', async (t) => {
        const own = await serviceFor(t, { env: { MAX_CONNECTIONS: '1' } });
        for (let i = 0; i < 5; i++) {
            await request(own, '/healthz');
            await assertRefused(t, { path: '/ws/a%00' }, 400, 'CHANNEL_ERROR', own);
        }
        await assertUpgrades(t, {}, own);
        await assertRefused(t, {}, 503, 'UNAVAILABLE', own);
    });
});

describe('permessage-deflate', () => {
    const accepted = {
        'a plain offer': ['permessage-deflate', () => true],
        'what browsers offer': ['permessage-deflate; client_max_window_bits', () => true],
        'no context takeover asked of the server': [
            'permessage-deflate; server_no_context_takeover',
            (answer) => answer.server_no_context_takeover === true,
        ],
        'no context takeover of the client': [
            'permessage-deflate; client_no_context_takeover',
            () => true,
        ],
        'a smaller window of the server': [
            'permessage-deflate; server_max_window_bits=10',
            (answer) => Number(answer.server_max_window_bits) <= 10,
        ],
        'a quoted value': [
            'permessage-deflate; server_max_window_bits="12"',
            (answer) => Number(answer.server_max_window_bits) <= 12,
        ],
        'an unknown extension before it': ['x-unknown, permessage-deflate', () => true],
        'a bad offer before a good one': [
            'permessage-deflate; unknown=1, permessage-deflate',
            () => true,
        ],
    };
    for (const [name, [deflate, check]] of Object.entries(accepted)) {
        it(`is negotiated from ${name}`, async (t) => {
            const client = await assertUpgrades(t, { room: 'deflate', deflate });
            assert.ok(client.deflate, 'the extension must be in the answer');
            assert.ok(check(client.deflate), JSON.stringify(client.deflate));
            if (!/client_max_window_bits/.test(deflate)) {
                assert.ok(!('client_max_window_bits' in client.deflate), 'it was not offered');
            }
            client.sendCompressed(JSON.stringify({ data: 'compressed '.repeat(300) }));
            assert.equal((await client.nextJson()).data, 'compressed '.repeat(300));
        });
    }

    const declined = {
        'no offer': undefined,
        'another extension': 'x-webkit-deflate-frame',
        'an unknown parameter': 'permessage-deflate; turbo',
        'a window out of range': 'permessage-deflate; server_max_window_bits=16',
        'a value where none belongs': 'permessage-deflate; server_no_context_takeover=1',
        'a parameter twice':
            'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
    };
    for (const [name, deflate] of Object.entries(declined)) {
        it(`is not used after ${name}`, async (t) => {
            const client = await assertUpgrades(t, { room: 'plain', deflate });
            assert.equal(client.response.headers['sec-websocket-extensions'], undefined);
            client.sendJson({ data: 'plain '.repeat(300) });
            const { text, compressed } = await client.nextMessage();
            assert.equal(JSON.parse(text).data, 'plain '.repeat(300));
            assert.equal(compressed, false);
        });
    }

    it('is off with WS_COMPRESSION=false', async (t) => {
        const own = await serviceFor(t, { env: { WS_COMPRESSION: 'false' } });
        const client = await assertUpgrades(t, { deflate: true }, own);
        assert.equal(client.deflate, null);
    });

    it('mixes with clients that do not have it', async (t) => {
        const data = 'long enough to be worth compressing '.repeat(100);
        const plain = await assertUpgrades(t, { room: 'mixed' });
        const packed = await assertUpgrades(t, { room: 'mixed', deflate: true });
        for (const sender of [plain, packed]) {
            sender.sendJson({ data });
            assert.equal((await plain.nextJson()).data, data);
            const message = await packed.nextMessage();
            assert.equal(JSON.parse(message.text).data, data);
            assert.equal(message.compressed, true, 'worth compressing');
        }
    });
});
