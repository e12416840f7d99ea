// Section 1 of the contract: the plain HTTP routes, methods, error bodies, statistics, metrics,
// documents; and requests that are no requests.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { assertErrorResponse, clientFor, clientsFor } from '../support/chat.js';
import { stretched } from '../support/deadline.js';
import { RawConnection, exchange, request, requestText } from '../support/http.js';
import { metricSum, parseMetrics } from '../support/metrics.js';
import { serviceFor, startService } from '../support/service.js';

const PLAIN_ROUTES = [
    '/',
    '/docs',
    '/openapi.json',
    '/api/chat-api/openapi.json',
    '/asyncapi.json',
    '/api/chat-api/asyncapi.json',
    '/api/chat-api/ws/stats',
    '/healthz',
    '/readyz',
    '/metrics',
];
const UPGRADE_ROUTES = ['/ws', '/ws/lobby', '/api/chat-api/ws', '/api/chat-api/ws/lobby'];
const STATS = '/api/chat-api/ws/stats';

let pod;
before(async () => {
    pod = await startService({ env: { POD_ID: 'pod-of-http-suite' } });
});
after(() => pod.stop());

describe('routes', () => {
    for (const path of PLAIN_ROUTES) {
        it(`GET ${path} answers 200`, async () => {
            const response = await request(pod, path);
            assert.equal(response.status, 200);
            assert.ok(response.text.length > 0);
            assert.ok(response.headers['content-type'], 'a body needs its type');
        });
    }

    for (const path of [...PLAIN_ROUTES, ...UPGRADE_ROUTES, '/nowhere']) {
        it(`HEAD ${path} answers as GET does, without a body`, async () => {
            const get = await request(pod, path);
            const connection = await RawConnection.open(pod);
            connection.write(
                requestText(pod, path, { method: 'HEAD', headers: { Connection: 'close' } }),
            );
            let raw = '';
            const head = await connection.readResponse({ method: 'HEAD' });
            connection.takeOver((chunk) => {
                raw += chunk;
            });
            await connection.waitClosed();
            connection.destroy();
            assert.equal(head.status, get.status);
            assert.equal(head.headers['content-type'], get.headers['content-type']);
            assert.equal(raw, '', 'nothing may follow the head');
        });
    }

    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        it(`${method} on a known path answers 405 with Allow`, async () => {
            for (const path of [...PLAIN_ROUTES, ...UPGRADE_ROUTES]) {
                const response = await request(pod, path, { method });
                assertErrorResponse(response, 405, 'METHOD_NOT_ALLOWED');
                const allowed = (response.headers.allow ?? '')
                    .split(',')
                    .map((name) => name.trim());
                assert.ok(allowed.includes('GET'), `${path}: Allow: ${response.headers.allow}`);
                assert.ok(allowed.includes('HEAD'), `${path}: Allow: ${response.headers.allow}`);
                assert.ok(!allowed.includes(method));
            }
        });
    }

    it('answers 405 to a POST with a body, and the connection stays in step', async () => {
        const connection = await RawConnection.open(pod);
        const headers = { 'Content-Length': '11' };
        connection.write(`${requestText(pod, '/healthz', { method: 'POST', headers })}hello world`);
        assertErrorResponse(await connection.readResponse(), 405, 'METHOD_NOT_ALLOWED');
        connection.destroy();
        assert.equal((await request(pod, '/healthz')).status, 200);
    });

    for (const path of [
        '/nowhere',
        '/api',
        '/api/chat-api',
        '/api/chat-api/nowhere',
        '/healthz/x',
        '/wsx',
        '/API/chat-api/ws',
        '/docs/nowhere.js',
    ]) {
        it(`${path} is unknown: 404`, async () => {
            assertErrorResponse(await request(pod, path), 404, 'NOT_FOUND');
        });
    }

    it('an unknown path is 404 whatever the method', async () => {
        assertErrorResponse(await request(pod, '/nowhere', { method: 'POST' }), 404, 'NOT_FOUND');
    });

    it('routes are found with a query behind them', async () => {
        assert.equal((await request(pod, '/healthz?probe=1&x=%20')).status, 200);
        assert.equal((await request(pod, `${STATS}?x`)).status, 200);
    });

    it('takes an absolute target like its path, whatever host it names', async () => {
        for (const host of [`127.0.0.1:${pod.port}`, 'elsewhere.example', 'user@[::1]:80']) {
            for (const scheme of ['http', 'HTTPS']) {
                const get = (rest) => request(pod, `${scheme}://${host}${rest}`);
                assert.equal((await get('/healthz')).status, 200);
                assert.equal((await get('/healthz?probe=1')).status, 200);
                assert.match((await get('')).headers['content-type'], /^text\/html/);
                assertErrorResponse(await get('/nowhere'), 404, 'NOT_FOUND');
            }
        }
        for (const target of ['http:///healthz', 'ftp://x/healthz', 'http:/healthz', 'http://']) {
            assertErrorResponse(await request(pod, target), 404, 'NOT_FOUND');
        }
    });

    it('answers many requests on one connection', async () => {
        const connection = await RawConnection.open(pod);
        for (let i = 0; i < 20; i++) {
            const path = i % 2 ? '/healthz' : '/nowhere';
            connection.write(requestText(pod, path));
            assert.equal((await connection.readResponse()).status, i % 2 ? 200 : 404);
        }
        connection.destroy();
    });

    it('answers HTTP/1.0', async () => {
        const response = await request(pod, '/healthz', { version: 'HTTP/1.0' });
        assert.equal(response.status, 200);
    });
});

describe('health', () => {
    it('/readyz says ready in JSON', async () => {
        const response = await request(pod, '/readyz');
        assert.match(response.headers['content-type'], /^application\/json\b/);
        assert.ok(Object.values(response.json).includes('ready'), response.text);
    });
});

describe('statistics', () => {
    it("have the contract's form", async () => {
        const response = await request(pod, STATS);
        assert.match(response.headers['content-type'], /^application\/json\b/);
        const { uptime_seconds: uptime, messages, connections, ...rest } = response.json;
        assert.deepEqual(rest, {
            pod: 'pod-of-http-suite',
            rooms: {},
            room_count: 0,
            redis: { enabled: false, connected: false },
        });
        assert.equal(connections, 0);
        assert.deepEqual(Object.keys(messages).sort(), ['delivered', 'dropped', 'received']);
        for (const count of Object.values(messages))
            assert.ok(Number.isInteger(count) && count >= 0);
        assert.ok(uptime > 0 && uptime < 3600);
        const later = await pod.statsWhere(
            'a later uptime',
            (stats) => stats.uptime_seconds > uptime,
        );
        assert.ok(later.uptime_seconds - uptime < 60);
    });

    it('follow clients, rooms and messages', async (t) => {
        const own = await serviceFor(t);
        const [first] = await clientsFor(t, 2, own, { room: 'lobby' });
        const roomless = await clientFor(t, own);
        await clientFor(t, own, { path: '/ws?room=stats' });
        await own.statsWhere(
            'four clients in two rooms',
            (stats) =>
                stats.connections === 4 &&
                stats.room_count === 2 &&
                stats.rooms.lobby === 2 &&
                stats.rooms.stats === 1,
        );

        for (let i = 0; i < 3; i++) first.sendJson({ data: i });
        roomless.sendJson({ data: 'to all' });
        const { messages } = await own.statsWhere(
            '3 × 2 + 1 × 4 deliveries',
            (stats) => stats.messages.delivered === 10,
        );
        assert.equal(messages.received, 4);
        assert.equal(messages.dropped, 0);

        await roomless.close();
        await own.statsWhere('the client without a room gone', (stats) => stats.connections === 3);
        await first.close();
        await own.statsWhere('one member left', (stats) => stats.rooms.lobby === 1);
    });

    it('list the 1000 largest rooms, largest first, and count all', async (t) => {
        const own = await serviceFor(t);
        const rooms = Array.from({ length: 1003 }, (_, i) => `room-${i}`);
        // In parts, so that the accept queue is not the thing under test.
        while (rooms.length > 0) {
            const part = rooms.splice(0, 100);
            await Promise.all(part.map((room) => clientFor(t, own, { room })));
        }
        await clientsFor(t, 2, own, { room: 'room-1001' });
        const stats = await own.statsWhere(
            'all clients',
            ({ connections }) => connections === 1005,
        );
        assert.equal(stats.room_count, 1003);
        assert.equal(Object.keys(stats.rooms).length, 1000);
        assert.deepEqual(Object.entries(stats.rooms)[0], ['room-1001', 3]);
    });
});

describe('metrics', () => {
    async function metrics(target) {
        const response = await request(target, '/metrics');
        assert.match(response.headers['content-type'], /^text\/plain; ?version=0\.0\.4\b/);
        return parseMetrics(response.text);
    }

    it('are valid, described and named as Prometheus wants', async () => {
        const families = await metrics(pod);
        assert.ok(families.size >= 10, 'a service has more to tell');
        for (const { name, type, help } of families.values()) {
            assert.ok(help, `HELP of ${name}`);
            assert.match(type ?? '', /^(counter|gauge|histogram)$/, `TYPE of ${name}`);
            assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
            assert.doesNotMatch(name, /_(ms|milliseconds|us|kb|mb)(_|$)/, 'base units only');
        }
    });

    it('cover connections, messages, errors, rooms, drops and Redis', async () => {
        const families = await metrics(pod);
        const names = [...families.keys()];
        for (const pattern of [
            /connections/,
            /messages_received.*_total$/,
            /messages_delivered.*_total$/,
            /error.*_total$/,
            /rooms/,
            /members/,
            /(slow|drop|overflow).*_total$/,
            /redis.*(up|connected)/,
            /reconnect.*_total$/,
            /outbox/,
        ]) {
            assert.ok(
                names.some((name) => pattern.test(name)),
                `${pattern} in ${names.join(', ')}`,
            );
        }
        const errors = names.filter((name) => /error.*_total$/.test(name));
        const byCode = errors
            .flatMap((name) => families.get(name).samples)
            .some(({ labels }) => labels.code === 'INVALID_PAYLOAD');
        assert.ok(byCode, 'errors are counted by code');
    });

    it('have a latency histogram that adds up', async (t) => {
        const client = await clientFor(t, pod, { room: 'histogram' });
        client.sendJson({ data: 1 });
        await client.nextJson();
        await pod.statsWhere('a delivery', ({ messages }) => messages.delivered >= 1);
        const histograms = [...(await metrics(pod)).values()].filter(
            ({ type }) => type === 'histogram',
        );
        const latency = histograms.find(({ name }) => /_seconds$/.test(name));
        assert.ok(latency, 'a histogram in seconds');
        const of = (suffix) => latency.samples.filter(({ name }) => name === latency.name + suffix);
        const buckets = of('_bucket').map(({ labels, value }) => [
            Number(labels.le.replace('+Inf', 'Infinity')),
            value,
        ]);
        for (let i = 1; i < buckets.length; i++) {
            assert.ok(buckets[i][0] > buckets[i - 1][0], 'bounds rise');
            assert.ok(buckets[i][1] >= buckets[i - 1][1], 'buckets are cumulative');
        }
        assert.equal(buckets.at(-1)[0], Infinity);
        assert.equal(buckets.at(-1)[1], of('_count')[0].value);
        assert.ok(of('_count')[0].value >= 1);
        assert.ok(of('_sum')[0].value > 0);
    });

    it("never have a room's name as a label", async (t) => {
        const room = 'room-that-no-metric-names';
        const client = await clientFor(t, pod, { room });
        client.sendJson({ data: 1 });
        await client.nextJson();
        client.sendJson({ type: 'wrong' });
        await client.nextJson();
        const { text } = await request(pod, '/metrics');
        assert.ok(!text.includes(room));
    });

    it('count what happens', async (t) => {
        const own = await serviceFor(t);
        const clients = await clientsFor(t, 3, own, { room: 'counted' });
        clients[0].sendJson({ data: 1 });
        clients[0].sendJson({ type: 'wrong' });
        for (const client of clients) await client.nextJson();
        assert.equal((await clients[0].nextJson()).event, 'error');
        await own.statsWhere('three deliveries', ({ messages }) => messages.delivered >= 3);
        const families = await metrics(own);
        assert.ok(metricSum(families, /messages_received.*_total$/) >= 1);
        assert.ok(metricSum(families, /messages_delivered.*_total$/) >= 3);
        assert.ok(metricSum(families, /error.*_total$/) >= 1);
        const gauges = [...families.values()]
            .filter(({ name, type }) => type === 'gauge' && /connections/.test(name))
            .flatMap(({ samples }) => samples.map(({ value }) => value));
        assert.ok(gauges.includes(3), `a gauge of connections says 3: ${gauges}`);
    });
});

describe('documents and pages', () => {
    it('/openapi.json is OpenAPI 3.1, the same under both paths', async () => {
        const [short, long] = await Promise.all(
            ['/openapi.json', '/api/chat-api/openapi.json'].map((path) => request(pod, path)),
        );
        assert.match(
            short.headers['content-type'],
            /^application\/(json|vnd\.oai\.openapi\+json)\b/,
        );
        assert.match(short.json.openapi, /^3\.1\.\d+$/);
        assert.deepEqual(long.json, short.json);
    });

    for (const path of ['/', '/docs', '/docs/events']) {
        it(`${path} is HTML under a strict Content-Security-Policy`, async () => {
            const response = await request(pod, path);
            assert.match(response.headers['content-type'], /^text\/html\b/);
            const policy = response.headers['content-security-policy'] ?? '';
            const directives = new Map(
                policy.split(';').map((part) => {
                    const [name, ...values] = part.trim().split(/\s+/);
                    return [name, values];
                }),
            );
            const scripts = directives.get('script-src') ?? directives.get('default-src');
            assert.ok(scripts, `scripts are not limited: ${policy}`);
            for (const source of [
                "'unsafe-inline'",
                "'unsafe-eval'",
                '*',
                'https:',
                'http:',
                'data:',
            ]) {
                assert.ok(!scripts.includes(source), `scripts may come from ${source}`);
            }
            assert.ok(directives.has('default-src'), policy);
        });

        it(`${path} needs nothing but this service`, async () => {
            const { text } = await request(pod, path);
            assert.doesNotMatch(
                text,
                /<(script|link|img|iframe)\b[^>]*\b(src|href)\s*=\s*["']?(https?:)?\/\//i,
            );
            const references = [
                ...text.matchAll(/<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"#]+)"/g),
            ]
                .map((match) => match[1])
                .filter((reference) => !reference.startsWith('data:'));
            for (const reference of references) {
                const { pathname } = new URL(reference, `${pod.url}${path}`);
                const response = await request(pod, pathname);
                assert.equal(response.status, 200, pathname);
                assert.ok(response.headers['content-type'], pathname);
            }
        });
    }
});

describe('broken requests', () => {
    const broken = {
        'a line of garbage': 'complete nonsense\r\n\r\n',
        'binary garbage': Buffer.from([
            0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x0d, 0x0a, 0x0d, 0x0a,
        ]),
        'a target of 100 kB': `GET /${'x'.repeat(100000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
        'a header of 100 kB': `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(100000)}\r\n\r\n`,
        '10,000 headers': `GET /healthz HTTP/1.1\r\nHost: x\r\n${'X-Many: y\r\n'.repeat(10000)}\r\n`,
        'a bad Content-Length': 'POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n',
    };
    for (const [name, bytes] of Object.entries(broken)) {
        it(`${name} is refused or dropped, and nobody else notices`, async () => {
            const connection = await RawConnection.open(pod);
            connection.write(bytes);
            connection.end();
            const answer = await connection.readResponse().catch((error) => error);
            connection.destroy();
            if (!(answer instanceof Error)) {
                assert.ok(answer.status >= 400 && answer.status < 500, `status ${answer.status}`);
            } else {
                assert.match(answer.message, /closed before/);
            }
            assert.equal((await request(pod, '/healthz')).status, 200);
        });
    }
});

describe('heads that others could read in another way', () => {
    const length = 'Content-Length: 2';
    const chunked = 'Transfer-Encoding: chunked';
    const heads = {
        'two hosts': ['Host: y'],
        'the same host twice': ['Host: x'],
        'a host with a blank': ['Host: x y'],
        'two lengths': [length, 'Content-Length: 1'],
        'the same length twice': [length, length],
        'a folded length': ['Content-Length:', ' 2'],
        'a folded name': ['Content: 2', '\t-Length'],
        'a blank before the colon': ['Content-Length : 2'],
        'a tab before the colon': ['Transfer-Encoding\t: chunked'],
        'a blank behind the coding': [`${chunked} `],
        'a coding that is none': [length, 'Transfer-Encoding: identity'],
        'a name that is no token': ['X(): y'],
        'a lone CR in a value': [`X: y\r${length}`],
        'chunks and a length': [chunked, length],
        'a length and chunks': [length, chunked],
        'chunks twice': [chunked, chunked],
        'another coding': ['Transfer-Encoding: gzip, chunked'],
        'a coding that looks like chunks': ['Transfer-Encoding: \x0bchunked'],
        'chunks that are not the last coding': [`${chunked}, identity`],
    };
    const body = '2\r\n{}\r\n0\r\n\r\n';
    const next = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

    for (const route of ['GET /healthz', 'GET /ws', 'POST /api/chat-api/messages']) {
        for (const [name, lines] of Object.entries(heads)) {
            it(`${route} with ${name}: 400, and the connection ends`, async () => {
                const head = [`${route} HTTP/1.1`, 'Host: x', ...lines, '\r\n'].join('\r\n');
                const seen = await exchange(pod, head + body + next);
                const [answer, ...more] = seen.split(/(?=HTTP\/1\.1 \d{3} )/);
                assert.match(answer, /^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n/i);
                assert.equal(JSON.parse(answer.split('\r\n\r\n')[1]).code, 'INVALID_PAYLOAD');
                assert.deepEqual(more, []);
            });
        }
    }

    it('a name that begins with a blank: 400', async () => {
        const seen = await exchange(pod, `GET /healthz HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n`);
        assert.match(seen, /^HTTP\/1\.1 400 /);
    });

    it('chunks of HTTP/1.0: 400', async () => {
        const seen = await exchange(pod, `POST /healthz HTTP/1.0\r\n${chunked}\r\n\r\n${body}`);
        assert.match(seen, /^HTTP\/1\.[01] 400 /);
    });
});

describe('the header deadline', { concurrency: true }, () => {
    const env = { HTTP_HEADER_TIMEOUT: `${stretched(300)}ms` };

    it('drops a connection that sends nothing', async (t) => {
        const own = await serviceFor(t, { env });
        await exchange(own, '');
    });

    it('drops a connection that sends its head byte by byte', async (t) => {
        const own = await serviceFor(t, { env });
        const connection = await RawConnection.open(own);
        const text = requestText(own, '/healthz', { headers: { 'X-Long': 'x'.repeat(10000) } });
        let at = 0;
        const drip = setInterval(() => connection.write(text[at++]), 20);
        try {
            connection.takeOver(() => {});
            await connection.waitClosed(5000);
            assert.ok(at < 1000);
        } finally {
            clearInterval(drip);
            connection.destroy();
        }
    });

    it('does not touch upgraded clients', async (t) => {
        const own = await serviceFor(t, { env: { HTTP_HEADER_TIMEOUT: `${stretched(3000)}ms` } });
        const client = await clientFor(t, own, { room: 'patient' });
        await exchange(own, ''); // outlives one deadline, by the server's own clock
        client.sendJson({ data: 'still here' });
        assert.equal((await client.nextJson()).data, 'still here');
    });
});
