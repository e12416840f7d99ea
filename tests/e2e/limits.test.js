// Section 7 of the events document: how often one may connect, and who that one is.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { assertErrorResponse } from '../support/chat.js';
import { eventually } from '../support/deadline.js';
import { request } from '../support/http.js';
import { serviceFor } from '../support/service.js';
import { SECRET, bearer, token } from '../support/tokens.js';
import { attempt } from '../support/websocket.js';

const LIMITED = { RATE_LIMIT_ENABLED: 'true', RATE_LIMIT_CONNECTS: '3/1m' };
const AUTH = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };

/** The statuses of so many upgrades, one after the other. */
async function upgrades(t, target, count, options = {}) {
    const statuses = [];
    for (let i = 0; i < count; i++) {
        const response = await attempt(target, options);
        if (response.client) t.after(() => response.client.hangUp());
        statuses.push(response.status);
    }
    return statuses;
}

const forwarded = (value) => ({ headers: { 'X-Forwarded-For': value } });
const asUser = (sub) => ({ headers: bearer(token({ sub })) });

describe('upgrades', () => {
    it('over the limit get 429 with all that one needs to know', async (t) => {
        const pod = await serviceFor(t, { env: LIMITED });
        assert.deepEqual(await upgrades(t, pod, 3), [101, 101, 101]);
        const response = await attempt(pod);
        const body = assertErrorResponse(response, 429, 'RATE_LIMITED');
        const { class: name, limit, retry_after_ms: retryAfter, ...others } = body.data;
        assert.equal(name, 'connects');
        assert.equal(limit, '3/1m');
        assert.ok(retryAfter > 0 && retryAfter <= 20000, String(retryAfter));
        assert.deepEqual(others, {});
        assert.equal(response.headers['retry-after'], String(Math.ceil(retryAfter / 1000)));
        const { text } = await request(pod, '/metrics');
        assert.match(text, /^chat_rate_limited_total\{class="connects"\} 1$/m);
    });

    it('are possible again as tokens flow back', async (t) => {
        const env = { ...LIMITED, RATE_LIMIT_CONNECTS: '2/1s' };
        const pod = await serviceFor(t, { env });
        await upgrades(t, pod, 10);
        await eventually('an upgrade', async () => (await upgrades(t, pod, 1))[0] === 101);
    });

    it('are counted by user when there are tokens', async (t) => {
        const pod = await serviceFor(t, { env: { ...AUTH, RATE_LIMIT_CONNECTS: '2/1m' } });
        assert.deepEqual(await upgrades(t, pod, 3, asUser('anna')), [101, 101, 429]);
        assert.deepEqual(await upgrades(t, pod, 3, asUser('ben')), [101, 101, 429]);
    });

    it('that are refused for another reason do not count', async (t) => {
        const pod = await serviceFor(t, { env: { ...AUTH, ...LIMITED } });
        assert.deepEqual(await upgrades(t, pod, 5), Array(5).fill(401));
        const elsewhere = { ...asUser('anna'), room: 'user:ben' };
        assert.deepEqual(await upgrades(t, pod, 5, elsewhere), Array(5).fill(403));
        assert.deepEqual(await upgrades(t, pod, 4, asUser('anna')), [101, 101, 101, 429]);
    });

    it('have the limit of ten a minute with authentication, none without', async (t) => {
        const [open, closed] = [await serviceFor(t, {}), await serviceFor(t, { env: AUTH })];
        assert.deepEqual(await upgrades(t, open, 15), Array(15).fill(101));
        const statuses = await upgrades(t, closed, 12, asUser('anna'));
        assert.deepEqual(statuses.slice(0, 11), [...Array(10).fill(101), 429]);
    });

    it('have no limit when that is off', async (t) => {
        const classOff = { ...AUTH, RATE_LIMIT_CONNECTS: 'off' };
        const allOff = { ...AUTH, ...LIMITED, RATE_LIMIT_ENABLED: 'false' };
        for (const env of [classOff, allOff]) {
            const pod = await serviceFor(t, { env });
            assert.deepEqual(await upgrades(t, pod, 15, asUser('anna')), Array(15).fill(101));
        }
    });
});

describe('X-Forwarded-For', () => {
    it('is ignored when no proxy is trusted', async (t) => {
        const pod = await serviceFor(t, { env: LIMITED });
        for (let i = 0; i < 3; i++) {
            assert.deepEqual(await upgrades(t, pod, 1, forwarded(`192.0.2.${i}`)), [101]);
        }
        assert.deepEqual(await upgrades(t, pod, 1, forwarded('192.0.2.9')), [429]);
    });

    it('is ignored when the peer is no trusted proxy', async (t) => {
        const env = { ...LIMITED, TRUSTED_PROXIES: '10.0.0.0/8' };
        const pod = await serviceFor(t, { env });
        await upgrades(t, pod, 3, forwarded('192.0.2.1'));
        assert.deepEqual(await upgrades(t, pod, 1, forwarded('192.0.2.2')), [429]);
    });

    it('tells the address by its right-most entry that is no trusted proxy', async (t) => {
        const env = { ...LIMITED, TRUSTED_PROXIES: '127.0.0.0/8, 10.0.0.0/8' };
        const pod = await serviceFor(t, { env });
        const full = [101, 101, 101, 429];
        assert.deepEqual(await upgrades(t, pod, 4, forwarded('192.0.2.1')), full);
        assert.deepEqual(await upgrades(t, pod, 4, forwarded('192.0.2.2')), full);
        for (const same of [
            '192.0.2.7, 192.0.2.1',
            '192.0.2.1, 10.1.2.3',
            '192.0.2.1:4711',
            'unknown, 192.0.2.1, 10.0.0.1, 127.0.0.9',
            ['192.0.2.7', '192.0.2.1, 10.0.0.1'],
        ]) {
            assert.deepEqual(await upgrades(t, pod, 1, forwarded(same)), [429], String(same));
        }
        assert.deepEqual(await upgrades(t, pod, 1, forwarded('192.0.2.1, 192.0.2.3')), [101]);
    });

    it('tells IPv6 addresses by their first 64 bits', async (t) => {
        const env = { ...LIMITED, TRUSTED_PROXIES: '127.0.0.1' };
        const pod = await serviceFor(t, { env });
        for (let i = 0; i < 3; i++) {
            assert.deepEqual(await upgrades(t, pod, 1, forwarded(`2001:db8::${i}`)), [101]);
        }
        assert.deepEqual(await upgrades(t, pod, 1, forwarded('[2001:db8::ffff]:443')), [429]);
        assert.deepEqual(await upgrades(t, pod, 1, forwarded('2001:db8:0:1::1')), [101]);
    });
});
