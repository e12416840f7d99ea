// Section 8 of the contract: every variable, what it takes, and what is said when it is given
// something else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import { describe, it } from 'node:test';

import { clientFor } from '../support/chat.js';
import { eventually } from '../support/deadline.js';
import { request } from '../support/http.js';
import { freePort } from '../support/redis.js';
import { Service, runToExit, serviceFor } from '../support/service.js';

const NOT_COUNTS = ['abc', '-1', '1.5', '10x', '0x10', '99999999999999999999'];
const NOT_DURATIONS = ['abc', '-5s', '10h', '5 parsecs', 's', '1s2', '99999999999999999999s'];
const NOT_BOOLEANS = ['maybe', '2', 'truee'];

// Variable: values that are refused, and what the line must mention of what it takes.
const REFUSED = {
    HOST: [['not an address', '999.1.1.1'], /address|host/i],
    PORT: [['abc', '-1', '65536', '80.5', '8080x'], /65535/],
    REDIS_URL: [
        [
            'http://localhost',
            'localhost:6379',
            'redis://',
            'redis://host:99999',
            'redis://host:port',
            'redis://host/db',
            'unix://relative',
        ],
        /redis:\/\//,
    ],
    REDIS_OUTBOX: [NOT_COUNTS, /number|integer|between|from|\d/],
    REDIS_READY_GRACE: [['never', ...NOT_DURATIONS], /off/],
    AUTH_ENABLED: [NOT_BOOLEANS, /true/],
    RATE_LIMIT_ENABLED: [NOT_BOOLEANS, /true/],
    RATE_LIMIT_MESSAGES: [['10', '10/1h', '0/1m', '-1/1m', '/1m', '10/'], /60\/1m.*off/],
    RATE_LIMIT_TYPING: [['10', '10/1h', '0/1m', '-1/1m', '/1m', '10/'], /60\/1m.*off/],
    RATE_LIMIT_PRESENCE: [['10', '10/1h', '0/1m', '-1/1m', '/1m', '10/'], /60\/1m.*off/],
    RATE_LIMIT_CONNECTS: [['10', '10/1h', '0/1m', '-1/1m', '/1m', '10/'], /60\/1m.*off/],
    TRUSTED_PROXIES: [['proxy.example', '10.0.0.1/8', '10.0.0.0/33', '*'], /10\.0\.0\.0\/8/],
    ALLOWED_ORIGINS: [
        ['example.org', 'https://ok.example,chat', 'https://a.example/path'],
        /origin/i,
    ],
    CONNECTION_THREADS: [NOT_COUNTS, /\d/],
    MAX_CONNECTIONS: [NOT_COUNTS, /\d/],
    WS_MAX_MESSAGE_SIZE: [NOT_COUNTS, /bytes|\d/],
    WS_SEND_QUEUE: [NOT_COUNTS, /\d/],
    WS_SEND_QUEUE_BYTES: [NOT_COUNTS, /bytes|\d/],
    WS_SEND_TOTAL_BYTES: [NOT_COUNTS, /bytes|\d/],
    WS_RECEIVE_TOTAL_BYTES: [NOT_COUNTS, /bytes|\d/],
    HTTP_HEADER_TIMEOUT: [NOT_DURATIONS, /ms/],
    WS_MESSAGE_TIMEOUT: [NOT_DURATIONS, /ms/],
    WS_PING_INTERVAL: [NOT_DURATIONS, /ms/],
    WS_PONG_TIMEOUT: [NOT_DURATIONS, /ms/],
    WS_COMPRESSION: [NOT_BOOLEANS, /true/],
    IO_URING: [NOT_BOOLEANS, /true/],
    SHUTDOWN_TIMEOUT: [NOT_DURATIONS, /ms/],
    LOG_LEVEL: [['loud', 'INFOO', '3'], /debug.*info.*warn.*error/],
};

const TAKEN = {
    HOST: ['127.0.0.1', '0.0.0.0'],
    REDIS_OUTBOX: ['1', '100000'],
    REDIS_READY_GRACE: ['off', '500ms', '30s', '2m'],
    AUTH_ENABLED: ['false'],
    API_KEY: ['x', 'sixteen-bytes-ok', 'x'.repeat(512), '!"#$%&()*+,-./:;'],
    AUTH_JWT_SECRET: ['x', 'x'.repeat(32), 'ä'.repeat(500)],
    AUTH_JWT_ISSUER: ['https://id.example'],
    RATE_LIMIT_ENABLED: ['true', 'false'],
    RATE_LIMIT_MESSAGES: ['off', '1/10ms', '1000/1m'],
    RATE_LIMIT_TYPING: ['off', '1/10ms', '1000/1m'],
    RATE_LIMIT_PRESENCE: ['off', '1/10ms', '1000/1m'],
    RATE_LIMIT_CONNECTS: ['off', '1/10ms', '1000/1m'],
    TRUSTED_PROXIES: ['127.0.0.1', '10.0.0.0/8, fd00::/8'],
    ALLOWED_ORIGINS: ['*', 'https://a.example', 'https://a.example,http://localhost:3000'],
    POD_ID: ['pod-1', 'chat-7d9f8b6c5-x2x4z'],
    CONNECTION_THREADS: ['1', '2', '8'],
    MAX_CONNECTIONS: ['1', '500'],
    WS_MAX_MESSAGE_SIZE: ['1024', '1048576'],
    WS_SEND_QUEUE: ['1', '4096'],
    WS_SEND_QUEUE_BYTES: ['131072', '16777216'],
    WS_SEND_TOTAL_BYTES: ['1', '1099511627776'],
    WS_RECEIVE_TOTAL_BYTES: ['1', '1099511627776'],
    HTTP_HEADER_TIMEOUT: ['9500ms', '10s', '1m'],
    WS_MESSAGE_TIMEOUT: ['5000ms', '5s', '1m'],
    WS_PING_INTERVAL: ['100ms', '30s'],
    WS_PONG_TIMEOUT: ['90s', '2m'],
    WS_COMPRESSION: ['true', 'false'],
    IO_URING: ['true', 'false'],
    SHUTDOWN_TIMEOUT: ['9500ms', '30s', '1m'],
    LOG_LEVEL: ['debug', 'info'],
};

describe('a bad value', { concurrency: 4 }, () => {
    for (const [variable, [values, takes]] of Object.entries(REFUSED)) {
        for (const value of values) {
            it(`${variable}=${value} ends the start with 2 and a line that tells all`, async () => {
                const { code, stderr } = await runToExit({ env: { [variable]: value } });
                assert.equal(code, 2, stderr);
                const line = stderr.split('\n').find((text) => text.includes(variable));
                assert.ok(line, `no line names ${variable}: ${stderr}`);
                assert.ok(line.includes(value), `the line does not show the value: ${line}`);
                assert.match(line.replace(value, '').replace(variable, ''), takes, 'what it takes');
            });
        }
    }

    it('AUTH_ENABLED=true without a secret and without keys', async () => {
        const { code, stderr } = await runToExit({ env: { AUTH_ENABLED: 'true' } });
        assert.equal(code, 2);
        assert.match(stderr, /AUTH_ENABLED.*AUTH_JWT_SECRET.*AUTH_JWT_KEYS/);
    });

    it('never shows a password', async () => {
        for (const url of [
            'redis://:s3cret@host:99999',
            'http://user:s3cret@host',
            'rediss://user:s3cret@host',
            'redis://:s3cret@host/x',
        ]) {
            const { code, stderr } = await runToExit({ env: { REDIS_URL: url } });
            assert.equal(code, 2);
            assert.match(stderr, /REDIS_URL/);
            assert.ok(!stderr.includes('s3cret'), stderr);
        }
    });
});

describe('a bad secret', { concurrency: 4 }, () => {
    for (const value of ['with blanks in the key', 'ümlaut', 'x'.repeat(513)]) {
        it(`API_KEY=${value.slice(0, 30)} ends the start with 2 and is not shown`, async () => {
            const { code, stderr } = await runToExit({ env: { API_KEY: value } });
            assert.equal(code, 2, stderr);
            assert.match(stderr, /^chat-api: API_KEY=\*\*\*: must be 1 to 512 visible ASCII/m);
            assert.ok(!stderr.includes(value));
        });
    }
});

describe('a short secret', { concurrency: 2 }, () => {
    const rows = [
        [{ API_KEY: 'q7' }, 'API_KEY'],
        [{ AUTH_ENABLED: 'true', AUTH_JWT_SECRET: 'q7-31-bytes-are-not-yet-strong-' }, 'AUTH_JWT_SECRET'],
        [{ API_KEY: 'q7-sixteen-bytes' }, null],
        [{ AUTH_ENABLED: 'true', AUTH_JWT_SECRET: 'q7-32-bytes-are-strong-enough---' }, null],
    ];
    for (const [env, variable] of rows) {
        const name = Object.keys(env).at(-1);
        it(`${name}=${env[name]} is ${variable ? 'called weak in the log' : 'strong'}`, async (t) => {
            const pod = await serviceFor(t, { env });
            const warnings = pod.logs.filter(({ event }) => event === 'config:weak_secret');
            assert.deepEqual(
                warnings.map(({ level, metadata }) => [level, metadata.variable]),
                variable ? [['warn', variable]] : [],
            );
            assert.ok(!pod.stderr.includes(env[name]));
        });
    }

    it('that is empty is none', async () => {
        const { code, stderr } = await runToExit({ env: { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: '' } });
        assert.equal(code, 2);
        assert.match(stderr, /AUTH_JWT_SECRET/);
    });
});

describe('a good value', { concurrency: 4 }, () => {
    for (const [variable, values] of Object.entries(TAKEN)) {
        for (const value of values) {
            it(`${variable}=${value} is taken`, async (t) => {
                const pod = await serviceFor(t, { env: { [variable]: value } });
                const client = await clientFor(t, pod, { room: 'configured' });
                client.sendJson({ data: variable });
                assert.equal((await client.nextJson()).data, variable);
            });
        }
    }

    it('an empty value is the default', async (t) => {
        const env = {};
        for (const variable of Object.keys(TAKEN)) if (variable !== 'HOST') env[variable] = '';
        await serviceFor(t, { env: { ...env, REDIS_URL: '' } });
    });

    it('POD_ID is shown, and random otherwise', async (t) => {
        const named = await serviceFor(t, { env: { POD_ID: 'the-pod' } });
        assert.equal((await named.stats()).pod, 'the-pod');
        const ids = new Set();
        for (let i = 0; i < 3; i++) ids.add((await (await serviceFor(t)).stats()).pod);
        assert.equal(ids.size, 3);
        for (const id of ids) assert.ok(id.includes(os.hostname()), id);
    });
});

describe('the listen address', () => {
    it('PORT=0 picks a free port and logs it', async (t) => {
        const [one, two] = [await serviceFor(t), await serviceFor(t)];
        assert.notEqual(one.port, two.port);
        assert.ok(one.port > 0 && one.port < 65536);
        assert.equal((await request(one, '/healthz')).status, 200);
    });

    it('PORT names the port', async (t) => {
        const port = await freePort();
        const pod = await serviceFor(t, { env: { PORT: String(port) } });
        assert.equal(pod.port, port);
    });

    it('a taken port is a clear error', async (t) => {
        const holder = net.createServer().listen(0, '127.0.0.1');
        await once(holder, 'listening');
        t.after(() => holder.close());
        const { port } = holder.address();
        const { code, stderr } = await runToExit({ env: { PORT: String(port) } });
        assert.notEqual(code, 0);
        assert.ok(stderr.includes(String(port)), stderr);
    });

    it('LOG_LEVEL silences what is below it', async (t) => {
        const PORT = String(await freePort());
        // The port is not logged at this level, so the start cannot be awaited in the log.
        const pod = new Service({ env: { PORT, LOG_LEVEL: 'error' } });
        pod.port = Number(PORT);
        t.after(() => pod.stop());
        await eventually(
            'the service',
            async () => (await request(pod, '/healthz')).status === 200,
        );
        const client = await clientFor(t, pod, { room: 'silent' });
        await client.close();
        assert.deepEqual(
            pod.logs.filter(({ level }) => level !== 'error'),
            [],
        );
    });
});
