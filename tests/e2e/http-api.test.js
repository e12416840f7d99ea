// Publishing over HTTP: who may, what is taken, who gets it, and what a repeated request does.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import { API_KEY, accepted, call, post } from '../support/api.js';
import {
    assertEnvelope,
    assertErrorBody,
    assertErrorEnvelope,
    assertErrorResponse,
    assertFreshTimestamp,
    assertFreshUuid,
    assertOnlyMarkerComes,
    clientFor,
    clientsFor,
    freshRoom,
    jsonMember,
} from '../support/chat.js';
import { stretched } from '../support/deadline.js';
import { RawConnection, request, requestText } from '../support/http.js';
import { metricSum, parseMetrics } from '../support/metrics.js';
import { serviceFor, startRedis, startService } from '../support/service.js';

const MIB = 1024 * 1024;
const POSTS = ['/messages', '/batch', '/rooms/lobby/messages', '/rooms/lobby/activity'];

let pod;
before(async () => {
    pod = await startService({ env: { API_KEY } });
});
after(() => pod.stop());

describe('access', () => {
    it('without a key configured the routes do not exist', async (t) => {
        const own = await serviceFor(t);
        for (const path of POSTS) {
            for (const method of ['GET', 'POST', 'DELETE']) {
                const response = await call(own, method, path);
                assertErrorResponse(response, 404, 'NOT_FOUND');
            }
        }
    });

    const refused = {
        'no header': { key: null },
        'another key': { key: 'another-key-of-some-length' },
        'a key that begins so': { key: API_KEY.slice(0, -1) },
        'a key that goes on': { key: `${API_KEY}x` },
        'an empty key': { key: '' },
        'another scheme': { key: null, headers: { Authorization: `Basic ${API_KEY}` } },
        'no scheme': { key: null, headers: { Authorization: API_KEY } },
        'two keys': { key: null, headers: { Authorization: [`Bearer ${API_KEY}`, 'Bearer x'] } },
    };
    for (const [name, options] of Object.entries(refused)) {
        it(`${name}: 401`, async () => {
            for (const path of POSTS) {
                const response = await post(pod, path, { data: 1 }, options);
                assertErrorResponse(response, 401, 'AUTH_FAILED');
                assert.equal(response.headers['www-authenticate'], 'Bearer');
            }
        });
    }

    it('blanks behind the key are no part of it', async () => {
        const headers = { Authorization: `Bearer ${API_KEY} \t` };
        await accepted(pod, '/messages', { data: 1, rooms: [] }, { key: null, headers });
    });

    it("the scheme's case does not matter", async () => {
        const headers = { Authorization: `bEARER ${API_KEY}` };
        await accepted(pod, '/messages', { data: 1, rooms: [] }, { key: null, headers });
    });

    it('a refused body is read to its end, and the connection goes on', async () => {
        const connection = await RawConnection.open(pod);
        const body = 'x'.repeat(500000);
        const headers = { 'Content-Length': body.length };
        const head = requestText(pod, '/api/chat-api/messages', { method: 'POST', headers });
        for (let i = 0; i < 2; i++) {
            connection.write(head + body);
            assertErrorResponse(await connection.readResponse(), 401, 'AUTH_FAILED');
        }
        connection.destroy();
    });

    it('another method: 405 with Allow', async () => {
        for (const path of POSTS) {
            for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
                const response = await call(pod, method, path);
                assert.equal(response.status, 405);
                assert.equal(response.headers.allow, 'POST');
            }
        }
    });

    it('the key is in no log and no answer', async (t) => {
        const own = await serviceFor(t, { env: { API_KEY, LOG_LEVEL: 'debug' } });
        const good = await post(own, '/messages', { data: 1 });
        const bad = await post(own, '/messages', { data: 1 }, { key: `${API_KEY}x` });
        assert.ok(!good.text.includes(API_KEY) && !bad.text.includes(API_KEY));
        assert.ok(!own.stderr.includes(API_KEY));
        assert.ok(!(await request(own, '/metrics')).text.includes(API_KEY));
    });
});

describe('bodies', () => {
    const padded = (length) => `{"rooms":[],"data":1${' '.repeat(length - 21)}}`;

    for (const [length, status] of [
        [MIB - 1, 202],
        [MIB, 202],
        [MIB + 1, 413],
        [3 * MIB, 413],
    ]) {
        it(`of ${length} bytes: ${status}`, async () => {
            const response = await post(pod, '/messages', padded(length));
            assert.equal(response.status, status, response.text);
            if (status !== 202) assertErrorResponse(response, status, 'INVALID_PAYLOAD');
        });

        it(`of ${length} bytes in chunks: ${status}`, async () => {
            const connection = await RawConnection.open(pod);
            const headers = {
                Authorization: `Bearer ${API_KEY}`,
                'Content-Type': 'application/json',
                'Transfer-Encoding': 'chunked',
            };
            const body = padded(length);
            connection.write(
                requestText(pod, '/api/chat-api/messages', { method: 'POST', headers }),
            );
            for (let at = 0; at < length; at += 70000) {
                const chunk = body.slice(at, at + 70000);
                connection.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
            }
            connection.write('0\r\n\r\n');
            const response = await connection.readResponse();
            assert.equal(response.status, status, response.text);
            connection.destroy();
        });
    }

    it('of more than is read and forgotten: 413 to who asks first', async () => {
        const connection = await RawConnection.open(pod);
        const headers = {
            Authorization: `Bearer ${API_KEY}`,
            'Content-Length': 100 * MIB,
            Expect: '100-continue',
        };
        connection.write(requestText(pod, '/api/chat-api/messages', { method: 'POST', headers }));
        assertErrorResponse(await connection.readResponse(), 413, 'INVALID_PAYLOAD');
        connection.destroy();
    });

    it('cut at each byte', async () => {
        const connection = await RawConnection.open(pod);
        const body = '{"rooms":[],"data":1}';
        const headers = { Authorization: `Bearer ${API_KEY}`, 'Content-Length': body.length };
        const head = requestText(pod, '/api/chat-api/messages', { method: 'POST', headers });
        for (let at = 1; at < body.length; at++) {
            connection.write(head + body.slice(0, at));
            await new Promise((resolve) => setImmediate(resolve));
            connection.write(body.slice(at));
            assert.equal((await connection.readResponse()).status, 202);
        }
        connection.destroy();
    });

    it('too slow: the connection is closed', async (t) => {
        const own = await serviceFor(t, {
            env: { API_KEY, HTTP_HEADER_TIMEOUT: `${stretched(300)}ms` },
        });
        const connection = await RawConnection.open(own);
        const headers = { Authorization: `Bearer ${API_KEY}`, 'Content-Length': 10000 };
        connection.write(requestText(own, '/api/chat-api/messages', { method: 'POST', headers }));
        const drip = setInterval(() => connection.write(' '), 20);
        try {
            connection.takeOver(() => {});
            await connection.waitClosed(5000);
        } finally {
            clearInterval(drip);
            connection.destroy();
        }
        await accepted(own, '/messages', { data: 1 });
    });

    for (const type of ['text/plain', 'application/jsonx', 'application/x-www-form-urlencoded']) {
        it(`of type ${type}: 415`, async () => {
            const response = await post(pod, '/messages', '{}', {
                headers: { 'Content-Type': type },
            });
            const { data } = assertErrorResponse(response, 415, 'INVALID_PAYLOAD');
            assert.deepEqual(data, { field: 'Content-Type' });
        });
    }

    for (const type of [null, 'application/json; charset=utf-8', 'Application/JSON']) {
        it(`of type ${type} are taken`, async () => {
            const headers = { 'Content-Type': type };
            await accepted(pod, '/messages', { data: 1, rooms: [] }, { headers });
        });
    }

    it('compressed: 415', async () => {
        const response = await post(pod, '/messages', '{}', {
            headers: { 'Content-Encoding': 'gzip' },
        });
        assertErrorResponse(response, 415, 'INVALID_PAYLOAD');
    });

    for (const body of ['', ' ', 'x', '{', '{"data":1}x', '[]', '"x"', 'null', '{"data":1,}']) {
        it(`${JSON.stringify(body)} is no message: 400`, async () => {
            for (const path of ['/messages', '/rooms/lobby/messages', '/rooms/lobby/activity']) {
                assertErrorResponse(await post(pod, path, body), 400, 'INVALID_PAYLOAD');
            }
        });
    }

    it('not UTF-8: 400', async () => {
        const connection = await RawConnection.open(pod);
        const body = Buffer.concat([Buffer.from('{"data":"'), Buffer.from([0xff]), Buffer.from('"}')]);
        const headers = { Authorization: `Bearer ${API_KEY}`, 'Content-Length': body.length };
        const head = requestText(pod, '/api/chat-api/messages', { method: 'POST', headers });
        connection.write(Buffer.concat([Buffer.from(head), body]));
        assertErrorResponse(await connection.readResponse(), 400, 'INVALID_PAYLOAD');
        connection.destroy();
    });
});

describe("a room's message", () => {
    it("reaches the room's members, and nobody else", async (t) => {
        const room = freshRoom();
        const members = await clientsFor(t, 2, pod, { room });
        const outsider = await clientFor(t, pod, { room: freshRoom() });
        const answer = await accepted(pod, `/rooms/${room}/messages`, { data: { text: 'hi' } });
        assert.deepEqual(Object.keys(answer), ['id', 'timestamp', 'room']);
        assertFreshUuid(answer.id);
        assertFreshTimestamp(answer.timestamp);
        assert.equal(answer.room, room);
        for (const member of members) {
            assertEnvelope(await member.nextJson(), {
                id: answer.id,
                type: 'chat',
                event: undefined,
                room,
                from: 'server',
                data: { text: 'hi' },
                timestamp: answer.timestamp,
            });
        }
        await assertOnlyMarkerComes(members[0], [...members, outsider]);
    });

    it('keeps what its sender named', async (t) => {
        const room = freshRoom();
        const member = await clientFor(t, pod, { room });
        const message = {
            type: 'notification',
            event: 'order:shipped',
            id: randomUUID(),
            from: 'shop',
            data: [1, 'two'],
        };
        const extra = { timestamp: '2001-01-01T00:00:00Z', other: 1, room };
        const answer = await accepted(pod, `/rooms/${room}/messages`, { ...message, ...extra });
        assert.equal(answer.id, message.id);
        const { timestamp } = answer;
        assertFreshTimestamp(timestamp);
        assertEnvelope(await member.nextJson(), { ...message, room, timestamp });
    });

    it('passes data on as it came', async (t) => {
        const room = freshRoom();
        const member = await clientFor(t, pod, { room });
        for (const data of [
            '1.10',
            '1e400',
            '123456789012345678901234567890',
            '{"b":1,"a":2,"b":3}',
            String.raw`"\u0000\u00fc\ud83d\ude00/\/"`,
            '[ 1 ,\n2 ]',
            'null',
            '""',
        ]) {
            await accepted(pod, `/rooms/${room}/messages`, `{"x":"\\"data\\":0","data": ${data} }`);
            assert.equal(jsonMember(await member.nextText(), 'data'), jsonMember(`{"d":${data}}`, 'd'));
        }
    });

    it('takes a name that needs escapes, in the path and in the answer', async (t) => {
        const room = 'ä "b" \\ %2F?#';
        const member = await clientFor(t, pod, { path: `/ws/${encodeURIComponent(room)}` });
        const path = `/rooms/${encodeURIComponent(room)}/messages`;
        assert.equal((await accepted(pod, path, { data: 1 })).room, room);
        assert.equal((await member.nextJson()).room, room);
    });

    it('stays in order with those before it', async (t) => {
        const room = freshRoom();
        const member = await clientFor(t, pod, { room });
        for (let i = 0; i < 50; i++) await accepted(pod, `/rooms/${room}/messages`, { data: i });
        for (let i = 0; i < 50; i++) assert.equal((await member.nextJson()).data, i);
    });

    it("is the server's: no client may edit it", async (t) => {
        const room = freshRoom();
        const member = await clientFor(t, pod, { room });
        const { id } = await accepted(pod, `/rooms/${room}/messages`, { data: 1 });
        await member.nextJson();
        member.sendJson({ event: 'message:edit', data: { id, data: 2 } });
        assertErrorEnvelope(await member.nextJson(), 'CHANNEL_ERROR');
    });

    it('can be as large as a body', async (t) => {
        const room = freshRoom();
        const member = await clientFor(t, pod, { room });
        const data = 'x'.repeat(MIB - 11);
        await accepted(pod, `/rooms/${room}/messages`, `{"data":"${data}"}`);
        assert.equal((await member.nextJson()).data, data);
    });

    for (const name of ['a%2Fb', '%00', '%7f', '%ff', '%zz', '%', 'x'.repeat(129)]) {
        it(`for ${name.slice(0, 20)}: 400`, async () => {
            for (const route of ['messages', 'activity']) {
                const response = await post(pod, `/rooms/${name}/${route}`, { data: 1, users: [] });
                const { data } = assertErrorResponse(response, 400, 'CHANNEL_ERROR');
                assert.deepEqual(data, { field: 'room' });
            }
        });
    }

    const faults = {
        data: [{}, { text: 'x' }],
        id: [{ data: 1, id: 'x' }, { data: 1, id: 7 }, { data: 1, id: null }],
        type: [{ data: 1, type: 'gossip' }, { data: 1, type: null }],
        event: [{ data: 1, event: 'x' }, { data: 1, event: 'a:b:c' }, { data: 1, event: 7 }],
        from: [{ data: 1, from: '' }, { data: 1, from: 'x'.repeat(129) }, { data: 1, from: 'a\n' }],
        room: [{ data: 1, room: 'another' }, { data: 1, room: null }],
        rooms: [{ data: 1, rooms: ['x'] }],
        users: [{ data: 1, users: ['x'] }],
    };
    for (const [field, bodies] of Object.entries(faults)) {
        it(`with a bad ${field}: 400, and nobody gets anything`, async (t) => {
            const room = freshRoom();
            const member = await clientFor(t, pod, { room });
            for (const body of bodies) {
                const response = await post(pod, `/rooms/${room}/messages`, body);
                const { data } = assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
                assert.deepEqual(data, { field }, JSON.stringify(body));
            }
            await assertOnlyMarkerComes(member, [member]);
        });
    }

    it('nested too deep, or with half a pair of surrogates: 400', async () => {
        const deep = `{"data":${'['.repeat(64)}${']'.repeat(64)}}`;
        assertErrorResponse(await post(pod, '/rooms/x/messages', deep), 400, 'INVALID_PAYLOAD');
        const half = String.raw`{"data":"\ud800"}`;
        assertErrorResponse(await post(pod, '/rooms/x/messages', half), 400, 'INVALID_PAYLOAD');
        const fits = `{"data":${'['.repeat(63)}${']'.repeat(63)}}`;
        await accepted(pod, '/rooms/x/messages', fits);
    });
});

describe('a message for many', () => {
    it('reaches each room once', async (t) => {
        const rooms = [freshRoom(), freshRoom()];
        const members = await Promise.all(rooms.map((room) => clientFor(t, pod, { room })));
        const outsider = await clientFor(t, pod, { room: freshRoom() });
        const answer = await accepted(pod, '/messages', {
            data: 'to both',
            rooms: [...rooms, rooms[0]],
        });
        assert.deepEqual(Object.keys(answer), ['id', 'timestamp']);
        for (const [i, member] of members.entries()) {
            const expected = { ...answer, room: rooms[i], data: 'to both', from: 'server' };
            assertEnvelope(await member.nextJson(), expected);
        }
        await assertOnlyMarkerComes(outsider, [...members, outsider]);
    });

    it('reaches everybody when it names neither rooms nor users', async (t) => {
        const clients = [
            await clientFor(t, pod, { room: freshRoom() }),
            await clientFor(t, pod),
        ];
        const answer = await accepted(pod, '/messages', { data: 'to all' });
        for (const client of clients) {
            assertEnvelope(await client.nextJson(), { ...answer, room: undefined, data: 'to all' });
        }
    });

    it('reaches nobody when its lists are empty', async (t) => {
        const client = await clientFor(t, pod, { room: freshRoom() });
        for (const lists of [{ rooms: [] }, { users: [] }, { rooms: [], users: [] }]) {
            await accepted(pod, '/messages', { data: 1, ...lists });
        }
        await assertOnlyMarkerComes(client, [client]);
    });

    it('has at most 1000 rooms and 1000 users', async () => {
        const names = (count) => Array.from({ length: count }, (_, i) => `many-${i}`);
        await accepted(pod, '/messages', { data: 1, rooms: names(1000), users: names(1000) });
        for (const field of ['rooms', 'users']) {
            const response = await post(pod, '/messages', { data: 1, [field]: names(1001) });
            const { data } = assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
            assert.deepEqual(data, { field });
        }
    });

    for (const [field, code, value] of [
        ['rooms', 'INVALID_PAYLOAD', 'lobby'],
        ['rooms', 'INVALID_PAYLOAD', { a: 'b' }],
        ['rooms', 'INVALID_PAYLOAD', null],
        ['rooms', 'INVALID_PAYLOAD', [7]],
        ['rooms', 'INVALID_PAYLOAD', [['a']]],
        ['rooms', 'INVALID_PAYLOAD', [[['a']]]],
        ['rooms', 'CHANNEL_ERROR', ['']],
        ['rooms', 'CHANNEL_ERROR', ['good', 'a/b']],
        ['rooms', 'CHANNEL_ERROR', ['x'.repeat(129)]],
        ['users', 'INVALID_PAYLOAD', 'bob'],
        ['users', 'INVALID_PAYLOAD', [null]],
        ['users', 'CHANNEL_ERROR', ['']],
        ['users', 'CHANNEL_ERROR', ['a\u0000']],
        ['users', 'CHANNEL_ERROR', ['x'.repeat(124)]],
        ['room', 'INVALID_PAYLOAD', 'lobby'],
    ]) {
        const text = JSON.stringify(value).slice(0, 30);
        it(`with ${field} ${text}: 400 ${code}, and nobody gets it`, async (t) => {
            const client = await clientFor(t, pod, { room: 'good' });
            const response = await post(pod, '/messages', { data: 1, [field]: value });
            const { data } = assertErrorResponse(response, 400, code);
            assert.deepEqual(data, { field });
            await assertOnlyMarkerComes(client, [client]);
        });
    }

    it('that would become gigabytes: 413', async () => {
        const rooms = Array.from({ length: 1000 }, (_, i) => `wide-${i}`);
        const response = await post(pod, '/messages', { data: 'x'.repeat(100000), rooms });
        assertErrorResponse(response, 413, 'INVALID_PAYLOAD');
    });
});

describe('a batch', () => {
    it('publishes its good entries in order and says of each what became of it', async (t) => {
        const rooms = [freshRoom(), freshRoom()];
        const [first, second] = await Promise.all(rooms.map((room) => clientFor(t, pod, { room })));
        const answer = await accepted(pod, '/batch', [
            { data: 1, rooms: [rooms[0]] },
            { data: 2, rooms: ['a/b'] },
            { rooms },
            { data: 3, rooms, type: 'notification', event: 'a:b', from: 'x' },
            'text',
            { data: 4, id: 'x', rooms },
            { data: 5, rooms: [rooms[1]] },
        ]);
        assert.deepEqual(Object.keys(answer), ['accepted', 'rejected', 'results']);
        assert.equal(answer.accepted, 3);
        assert.equal(answer.rejected, 4);
        const { results } = answer;
        const statuses = ['ok', 'error', 'error', 'ok', 'error', 'error', 'ok'];
        assert.deepEqual(results.map(({ status }) => status), statuses);
        assert.deepEqual(Object.keys(results[0]), ['status', 'id', 'timestamp']);
        assertErrorBody(results[1], 'CHANNEL_ERROR');
        assert.deepEqual(results[1].data, { field: 'rooms' });
        assertErrorBody(results[2], 'INVALID_PAYLOAD');
        assert.deepEqual(results[2].data, { field: 'data' });
        assertErrorBody(results[4], 'INVALID_PAYLOAD');
        assert.deepEqual(results[5].data, { field: 'id' });

        for (const [client, expected] of [[first, [1, 3]], [second, [3, 5]]]) {
            for (const data of expected) assert.equal((await client.nextJson()).data, data);
        }
        await assertOnlyMarkerComes(first, [first, second]);
    });

    it('keeps the bytes of data, wherever it stands', async (t) => {
        const room = freshRoom();
        const client = await clientFor(t, pod, { room });
        const entry = (data) => ` { "rooms" : ["${room}"] , "data" : ${data} } `;
        const values = ['1.10', '1e400', '[1 , {"]":"}"}]', String.raw`"\"],[{"`];
        await accepted(pod, '/batch', `[${values.map(entry).join(' ,\n')}]`);
        for (const value of values) {
            assert.equal(jsonMember(await client.nextText(), 'data'), jsonMember(`{"d":${value}}`, 'd'));
        }
    });

    it('with one entry that is too deep or has half a surrogate loses that one only', async () => {
        const deep = `{"data":${'['.repeat(64)}${']'.repeat(64)}}`;
        const half = String.raw`{"data":"\udc00"}`;
        const { results } = await accepted(pod, '/batch', `[${deep},{"data":1,"rooms":[]},${half}]`);
        assert.deepEqual(results.map(({ status }) => status), ['error', 'ok', 'error']);
    });

    it('has at most 1000 entries', async () => {
        const entries = (count) => Array.from({ length: count }, () => ({ data: 1, rooms: [] }));
        assert.equal((await accepted(pod, '/batch', entries(1000))).results.length, 1000);
        assertErrorResponse(await post(pod, '/batch', entries(1001)), 400, 'INVALID_PAYLOAD');
        assert.deepEqual(await accepted(pod, '/batch', []), { accepted: 0, rejected: 0, results: [] });
    });

    for (const body of ['', '{}', '{"data":1}', '[1', '[1,]', 'null', '[{"data":1}]x']) {
        it(`${JSON.stringify(body)} is none: 400, and nothing is done`, async (t) => {
            const client = await clientFor(t, pod);
            assertErrorResponse(await post(pod, '/batch', body), 400, 'INVALID_PAYLOAD');
            await assertOnlyMarkerComes(client, [client]);
        });
    }
});

describe('Idempotency-Key', () => {
    const keyed = (key) => ({ headers: { 'Idempotency-Key': key } });

    it('the same request again gets the first answer and no second message', async (t) => {
        const room = freshRoom();
        const client = await clientFor(t, pod, { room });
        for (const [path, body] of [
            [`/rooms/${room}/messages`, { data: 1 }],
            ['/messages', { data: 1, rooms: [room] }],
            ['/batch', [{ data: 1, rooms: [room] }, {}]],
        ]) {
            const key = randomUUID();
            const first = await accepted(pod, path, body, keyed(key));
            for (let i = 0; i < 3; i++) {
                assert.deepEqual(await accepted(pod, path, body, keyed(key)), first);
            }
            assert.equal((await client.nextJson()).data, 1);
            await assertOnlyMarkerComes(client, [client]);
        }
    });

    it('another body under the same key: 409', async () => {
        const key = randomUUID();
        await accepted(pod, '/messages', { data: 1, rooms: [] }, keyed(key));
        const response = await post(pod, '/messages', { data: 2, rooms: [] }, keyed(key));
        const { data } = assertErrorResponse(response, 409, 'INVALID_PAYLOAD');
        assert.deepEqual(data, { field: 'Idempotency-Key' });
        await accepted(pod, '/messages', { data: 1, rooms: [] }, keyed(key));
    });

    it('is the same with blanks behind it', async () => {
        const key = randomUUID();
        const first = await accepted(pod, '/messages', { data: 1, rooms: [] }, keyed(key));
        const again = await accepted(pod, '/messages', { data: 1, rooms: [] }, keyed(`${key} \t`));
        assert.deepEqual(again, first);
    });

    it('counts for its path alone', async () => {
        const key = randomUUID();
        const one = await accepted(pod, '/rooms/x/messages', { data: 1 }, keyed(key));
        const other = await accepted(pod, '/rooms/y/messages', { data: 1 }, keyed(key));
        assert.notEqual(one.id, other.id);
    });

    it('of a request that was refused may be used again', async () => {
        const key = randomUUID();
        assertErrorResponse(await post(pod, '/messages', {}, keyed(key)), 400, 'INVALID_PAYLOAD');
        await accepted(pod, '/messages', { data: 1, rooms: [] }, keyed(key));
    });

    it('has 1 to 128 bytes', async () => {
        await accepted(pod, '/messages', { data: 1, rooms: [] }, keyed('k'));
        await accepted(pod, '/messages', { data: 1, rooms: [] }, keyed('k'.repeat(128)));
        for (const key of ['', 'k'.repeat(129)]) {
            const response = await post(pod, '/messages', { data: 1 }, keyed(key));
            const { data } = assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
            assert.deepEqual(data, { field: 'Idempotency-Key' });
        }
    });
});

describe('metrics', () => {
    it('count messages by what became of them', async (t) => {
        const own = await serviceFor(t, { env: { API_KEY } });
        await accepted(own, '/batch', [{ data: 1, rooms: [] }, { data: 2 }, {}]);
        await post(own, '/messages', {});
        for (let i = 0; i < 2; i++) {
            await accepted(own, '/messages', { data: 1 }, { headers: { 'Idempotency-Key': 'k' } });
        }
        const { samples } = parseMetrics((await request(own, '/metrics')).text).get(
            'chat_api_messages_total',
        );
        const counts = samples.map(({ labels, value }) => [labels.result, value]);
        assert.deepEqual(counts, [['accepted', 3], ['rejected', 2], ['replayed', 1]]);
        assert.ok(metricSum(parseMetrics((await request(pod, '/metrics')).text), /^chat_api_/) > 0);
    });
});

describe('over two pods', () => {
    let redis;
    let pods;
    let wire;
    before(async () => {
        redis = await startRedis();
        const start = (POD_ID) =>
            startService({ env: { REDIS_URL: redis.url, POD_ID, API_KEY } });
        pods = await Promise.all(['pod-a', 'pod-b'].map(start));
        wire = await redis.client();
        await wire.psubscribe('realtime:*');
    });
    after(async () => {
        for (const one of pods) await one.stop();
        await redis.stop();
    });

    it("a room's message reaches its members on both, once", async (t) => {
        const room = freshRoom();
        const members = await Promise.all(pods.map((one) => clientFor(t, one, { room })));
        for (const one of pods) {
            const answer = await accepted(one, `/rooms/${room}/messages`, { data: { a: 1 } });
            for (const member of members) {
                assertEnvelope(await member.nextJson(), { ...answer, data: { a: 1 } });
            }
        }
        await assertOnlyMarkerComes(members[0], members);
    });

    it('a message for everybody reaches everybody', async (t) => {
        const clients = await Promise.all(pods.map((one) => clientFor(t, one)));
        const { id } = await accepted(pods[1], '/messages', { data: 'all' });
        for (const client of clients) assert.equal((await client.nextJson()).id, id);
    });

    it('a message of 1 MiB passes from pod to pod', async (t) => {
        const room = freshRoom();
        const member = await clientFor(t, pods[1], { room });
        const data = 'x'.repeat(MIB - 11);
        await accepted(pods[0], `/rooms/${room}/messages`, `{"data":"${data}"}`);
        assert.equal((await member.nextJson()).data.length, data.length);
    });

    /** The next message on the wire for one of these channels. */
    async function nextOn(channels) {
        for (;;) {
            const message = await wire.nextMessage();
            if (channels.includes(message.channel)) return message;
        }
    }

    it("users' messages go to their own rooms", async () => {
        const channels = ['realtime:room:user:ann', 'realtime:room:user:bob'];
        const answer = await accepted(pods[0], '/messages', { data: 1, users: ['ann', 'bob', 'ann'] });
        for (const channel of channels) {
            const { channel: seen, payload } = await nextOn(channels);
            assert.equal(seen, channel);
            const { pod: from, ...envelope } = JSON.parse(payload);
            assert.equal(from, 'pod-a');
            const room = channel.slice('realtime:room:'.length);
            assertEnvelope(envelope, { ...answer, room, data: 1, from: 'server' });
        }
    });

    it("activity is told in the users' rooms", async () => {
        const channels = ['realtime:room:user:ann', 'realtime:room:user:bob'];
        const body = { users: ['ann', 'bob'], data: { unread: 3 } };
        const { id, room, users } = await accepted(pods[0], '/rooms/general/activity', body);
        assert.deepEqual({ room, users }, { room: 'general', users: 2 });
        for (const channel of channels) {
            const { payload } = await nextOn([channel]);
            const { pod: _, ...envelope } = JSON.parse(payload);
            assertEnvelope(envelope, {
                id,
                type: 'notification',
                event: 'channel:activity',
                room: channel.slice('realtime:room:'.length),
                from: 'server',
                data: { unread: 3 },
            });
        }
        await accepted(pods[0], '/rooms/general/activity', { users: ['ann'] });
        const { payload } = await nextOn(channels);
        assert.deepEqual(JSON.parse(payload).data, { room: 'general' });
    });

    it('activity needs users', async () => {
        for (const [field, body] of [
            ['users', { data: 1 }],
            ['users', { data: 1, users: 'ann' }],
            ['rooms', { data: 1, users: ['ann'], rooms: ['x'] }],
        ]) {
            const response = await post(pods[0], '/rooms/general/activity', body);
            const { data } = assertErrorResponse(response, 400, 'INVALID_PAYLOAD');
            assert.deepEqual(data, { field });
        }
    });
});
