// Section 1 of the events document: where a token stands, which ones are good, and hundreds that are
// not. Every answer and the whole log are searched for tokens.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { assertErrorResponse, clientFor } from '../support/chat.js';
import { eventually } from '../support/deadline.js';
import { forgeries } from '../support/forgeries.js';
import { request } from '../support/http.js';
import { runToExit, serviceFor, startService } from '../support/service.js';
import {
    ALGORITHMS,
    Keys,
    SECRET,
    bearer,
    claims,
    forge,
    inSeconds,
    joseToken,
    opensslToken,
    token,
} from '../support/tokens.js';
import { attempt } from '../support/websocket.js';

const ISSUER = 'https://id.example';
const AUDIENCE = 'chat';

let keys;
let pod; // any issuer, any audience
let strictPod;

before(async () => {
    keys = new Keys();
    const env = {
        AUTH_ENABLED: 'true',
        AUTH_JWT_SECRET: SECRET,
        AUTH_JWT_KEYS: keys.jwksFile,
        RATE_LIMIT_ENABLED: 'false',
        LOG_LEVEL: 'debug',
    };
    pod = await startService({ env });
    strictPod = await startService({
        env: { ...env, AUTH_JWT_ISSUER: ISSUER, AUTH_JWT_AUDIENCE: AUDIENCE },
    });
});
after(async () => {
    await pod.stop();
    await strictPod.stop();
    keys.remove();
});

/** The upgrade's answer; who got in is let go with the test. */
async function upgrade(t, options, target = pod) {
    const response = await attempt(target, options);
    if (response.client) t.after(() => response.client.hangUp());
    return response;
}

async function assertTaken(t, value, target = pod) {
    const response = await upgrade(t, { headers: bearer(value) }, target);
    assert.equal(response.status, 101, response.body.toString());
    return response.client;
}

function assertUnauthorized(response) {
    const body = assertErrorResponse(response, 401, 'AUTH_FAILED');
    assert.equal(response.headers['www-authenticate'], 'Bearer');
    return body;
}

/** Refused, and nothing of the token comes back. */
async function assertRefused(t, value, target = pod) {
    const response = await upgrade(t, { headers: bearer(value) }, target);
    const body = assertUnauthorized(response);
    const sign = value.split('.').find((part) => part.length > 8);
    if (sign) assert.ok(!response.text.includes(sign), 'the answer repeats the token');
    return body;
}

describe('good tokens', () => {
    for (const alg of ALGORITHMS) {
        it(`${alg} signed by the openssl program`, async (t) => {
            await assertTaken(t, opensslToken(alg, keys));
        });

        it(`${alg} signed by jose`, async (t) => {
            await assertTaken(t, await joseToken(alg, keys));
        });

        it(`${alg} without kid`, async (t) => {
            await assertTaken(t, forge({ alg }, claims(), { key: keys.of(alg) ?? SECRET }));
        });
    }

    // Made anew for each test: of a moment that is near, the tests before it may take what is left.
    const variants = () => ({
        'a fraction in exp': { exp: inSeconds(600) + 0.5 },
        'exp in the leeway': { exp: inSeconds(-20) },
        'nbf in the past': { nbf: inSeconds(-600) },
        'nbf in the leeway': { nbf: inSeconds(20) },
        'iat of any kind': { iat: inSeconds(9999) },
        'a sub of 123 bytes': { sub: 'x'.repeat(123) },
        'a sub of any letters': { sub: 'ü:@|* 1' },
        'a name': { name: 'Änne' },
        'a name of 64 bytes': { name: 'x'.repeat(64) },
        'an empty name': { name: '' },
        'scope as words': { scope: 'publish admin other' },
        'scope as an array': { scope: ['publish'] },
        'rooms without entries': { rooms: [] },
        'any issuer and audience': { iss: 'x', aud: ['y'] },
        'other claims': { jti: 'x', roles: [{ a: [1] }] },
    });
    for (const name of Object.keys(variants())) {
        it(`with ${name}`, async (t) => {
            await assertTaken(t, token(variants()[name]));
        });
    }

    it('with claims and a header of numbers over 64 bits, and a NUL', async (t) => {
        const others = '"uid":18446744073709551615,"big":-1234567890123456789012,"text":"a\\u0000b"';
        const payload = `{"sub":"anna","exp":${inSeconds(600)},${others}}`;
        await assertTaken(t, forge({ alg: 'HS256' }, payload));
        await assertTaken(t, forge(`{"alg":"HS256",${others}}`, claims(), { alg: 'HS256' }));
    });

    it('of the right issuer, for the right audience', async (t) => {
        await assertTaken(t, token({ iss: ISSUER, aud: AUDIENCE }), strictPod);
        await assertTaken(t, token({ iss: ISSUER, aud: ['mail', AUDIENCE] }), strictPod);
    });

    it('with a header that names keys, which nobody looks at', async (t) => {
        const more = { jwk: keys.of('RS256').jwk(), jku: 'http://127.0.0.1:9/', x5u: 'x', x5c: [1] };
        await assertTaken(t, token({}, { ...more, typ: 'at+jwt', cty: 'x' }));
    });
});

describe('where the token stands', () => {
    const good = () => token();
    const bad = () => token({ exp: 1 });

    it('nowhere', async (t) => {
        const body = assertUnauthorized(await upgrade(t, {}));
        assert.equal(body.data.field, 'token');
    });

    it('in Authorization, whatever the case of the scheme', async (t) => {
        for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer ']) {
            const headers = { Authorization: `${scheme} ${good()}` };
            assert.equal((await upgrade(t, { headers })).status, 101, scheme);
        }
        // Blanks behind a header's value are no part of it.
        for (const blanks of [' ', '\t', ' \t ']) {
            const headers = { Authorization: `Bearer ${good()}${blanks}` };
            assert.equal((await upgrade(t, { headers })).status, 101, JSON.stringify(blanks));
        }
    });

    it('beside the events protocol, which alone is answered', async (t) => {
        for (const protocol of [
            `chat.events.v1, bearer.${good()}`,
            `bearer.${good()},chat.events.v1`,
        ]) {
            const response = await upgrade(t, { protocol });
            assert.equal(response.status, 101);
            assert.equal(response.headers['sec-websocket-protocol'], 'chat.events.v1');
        }
    });

    it('alone among the protocols, of which none is answered then', async (t) => {
        const response = await upgrade(t, { protocol: `bearer.${good()}` });
        assert.equal(response.status, 101);
        assert.equal(response.headers['sec-websocket-protocol'], undefined);
    });

    it('in the query, percent-encoded too', async (t) => {
        const encoded = good().replace('.', '%2E');
        for (const path of [
            `/ws?token=${good()}`,
            `/ws?token=${encoded}`,
            `/ws?room=lobby&token=${good()}`,
            `/api/chat-api/ws/lobby?token=${good()}`,
        ]) {
            assert.equal((await upgrade(t, { path })).status, 101, path);
        }
    });

    it('the first one counts, good or bad', async (t) => {
        const rows = [
            [101, good(), bad(), bad()],
            [401, bad(), good(), good()],
            [101, null, good(), bad()],
            [401, null, bad(), good()],
            [401, '', good(), good()],
            [401, null, '', good()],
            [101, null, null, good()],
            [401, null, null, ''],
        ];
        for (const [status, header, protocol, query] of rows) {
            const response = await upgrade(t, {
                path: query === null ? '/ws' : `/ws?token=${query}`,
                headers: header === null ? {} : bearer(header),
                protocol: protocol === null ? undefined : `chat.events.v1, bearer.${protocol}`,
            });
            assert.equal(response.status, status, JSON.stringify([header, protocol, query]));
        }
    });

    it('not under another scheme, which is passed over', async (t) => {
        const headers = { Authorization: 'Basic YTpi' };
        assertUnauthorized(await upgrade(t, { headers }));
        const response = await upgrade(t, { headers, path: `/ws?token=${good()}` });
        assert.equal(response.status, 101);
        assertUnauthorized(await upgrade(t, { headers: { Authorization: good() } }));
        assertUnauthorized(await upgrade(t, { headers: { Authorization: `Bearer${good()}` } }));
    });

    it('twice in Authorization is none that is good', async (t) => {
        const headers = { Authorization: [`Bearer ${good()}`, `Bearer ${good()}`] };
        assertUnauthorized(await upgrade(t, { headers }));
    });

    it('broken in the query', async (t) => {
        for (const query of ['token', 'token=', 'token=%', 'token=%zz', `Token=${good()}`]) {
            assertUnauthorized(await upgrade(t, { path: `/ws?${query}` }));
        }
    });

    it('is looked for after the request was found to be an upgrade', async () => {
        assert.equal((await request(pod, '/ws')).status, 426);
        assert.equal((await request(pod, '/healthz')).status, 200);
        assert.equal((await request(pod, '/api/chat-api/ws/stats')).status, 200);
    });
});

describe('forged and odd tokens', () => {
    it('are refused, every one', async (t) => {
        const all = Object.entries(forgeries(keys));
        assert.ok(all.length > 300, `only ${all.length}`);
        t.diagnostic(`${all.length} tokens`);
        const taken = [];
        for (const [name, value] of all) {
            try {
                await assertRefused(t, value);
            } catch (error) {
                taken.push(`${name}: ${error.message}`);
            }
        }
        assert.deepEqual(taken, []);
        // And a good one still is good.
        await assertTaken(t, token());
    });

    it('of other issuers and for other audiences are refused', async (t) => {
        const rows = [
            {},
            { iss: ISSUER },
            { aud: AUDIENCE },
            { iss: `${ISSUER}/`, aud: AUDIENCE },
            { iss: [ISSUER], aud: AUDIENCE },
            { iss: '', aud: AUDIENCE },
            { iss: ISSUER, aud: '' },
            { iss: ISSUER, aud: [] },
            { iss: ISSUER, aud: 'mail' },
            { iss: ISSUER, aud: ['mail'] },
            { iss: ISSUER, aud: [AUDIENCE, 1] },
            { iss: ISSUER, aud: [[AUDIENCE]] },
            { iss: ISSUER, aud: `${AUDIENCE} mail` },
            { iss: ISSUER, aud: { [AUDIENCE]: AUDIENCE } },
        ];
        for (const row of rows) await assertRefused(t, token(row), strictPod);
    });

    it('are counted', async () => {
        const { text } = await request(pod, '/metrics');
        assert.ok(Number(/^chat_auth_failures_total (\d+)$/m.exec(text)[1]) > 300);
    });
});

describe('tokens', () => {
    it('stand in no log, no metric and no answer', async (t) => {
        const target = await serviceFor(t, {
            env: {
                AUTH_ENABLED: 'true',
                AUTH_JWT_SECRET: SECRET,
                RATE_LIMIT_ENABLED: 'false',
                LOG_LEVEL: 'debug',
            },
        });
        const good = token({ sub: 'anna' });
        const bad = token({ exp: 1 });
        const seen = [];
        for (const value of [good, bad]) {
            for (const options of [
                { headers: bearer(value) },
                { protocol: `chat.events.v1, bearer.${value}` },
                { path: `/ws/lobby?token=${value}` },
                { path: `/ws/a%2Fb?token=${value}` },
                { path: `/nowhere?token=${value}` },
            ]) {
                const response = await upgrade(t, options, target);
                seen.push(response.text, JSON.stringify(response.headers));
            }
        }
        const client = await clientFor(t, target, { headers: bearer(good), room: 'lobby' });
        client.sendJson({ data: 'hi' });
        seen.push(JSON.stringify(await client.nextJson()));
        seen.push((await request(target, '/metrics')).text);
        seen.push((await request(target, '/api/chat-api/ws/stats')).text);
        seen.push(target.stderr, target.stdout);
        for (const text of seen) {
            for (const value of [good, bad]) {
                for (const part of value.split('.').slice(1)) assert.ok(!text.includes(part));
            }
            assert.ok(!text.includes(SECRET));
        }
        const failed = target.logs.find((line) => line.event === 'auth:failed');
        assert.match(failed.metadata.reason, /expired/);
    });
});

describe('a file of keys', () => {
    const rotating = async (t) => {
        const folder = new Keys();
        t.after(() => folder.remove());
        const target = await serviceFor(t, {
            env: {
                AUTH_ENABLED: 'true',
                AUTH_JWT_KEYS: folder.jwksFile,
                RATE_LIMIT_ENABLED: 'false',
            },
        });
        return { folder, target };
    };
    const signedBy = (key, alg = 'ES256') => forge({ alg, kid: key.kid }, claims(), { key });
    const statusOf = async (t, value, target) =>
        (await upgrade(t, { headers: bearer(value) }, target)).status;
    const becomes = (t, value, target, status) =>
        eventually(
            `status ${status}`,
            async () => (await statusOf(t, value, target)) === status,
            5000,
        );

    it('is read anew when it changes, connections stay', async (t) => {
        const { folder, target } = await rotating(t);
        const old = folder.of('ES256');
        const next = folder.make('p256', 'next');
        const client = await assertTaken(t, signedBy(old), target);
        assert.equal(await statusOf(t, signedBy(next), target), 401);
        folder.writeJwks([old.jwk(), next.jwk()]);
        await becomes(t, signedBy(next), target, 101);
        assert.equal(await statusOf(t, signedBy(old), target), 101);
        folder.writeJwks([next.jwk()]);
        await becomes(t, signedBy(old), target, 401);
        client.sendJson({ data: 'still here' });
        assert.equal((await client.nextJson()).data, 'still here');
    });

    it('that breaks leaves the keys as they were, and one line in the log', async (t) => {
        const { folder, target } = await rotating(t);
        const old = folder.of('ES256');
        const next = folder.make('p256', 'next');
        const kept = () => target.logs.filter((line) => line.event === 'auth:keys_kept');
        fs.writeFileSync(folder.jwksFile, '{"keys":[');
        await target.waitForLog((line) => line.event === 'auth:keys_kept');
        assert.equal(kept()[0].level, 'warn');
        assert.equal(await statusOf(t, signedBy(old), target), 101);
        folder.writeJwks([next.jwk()]);
        await becomes(t, signedBy(next), target, 101);
        assert.equal(kept().length, 1);
    });

    it('is read without the keys of it that cannot be used, which the log names', async (t) => {
        const { folder, target } = await rotating(t);
        const good = folder.make('p256', 'good');
        const odd = [
            { kid: 'a', kty: 'new' },
            { kid: 'b', kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' },
            { kid: 'c', kty: 'RSA', e: 'AQAB' },
            { kid: 'd', kty: 'RSA', n: 'AQ', e: 'AQAB' },
        ];
        folder.writeJwks([...odd, good.jwk()]);
        await becomes(t, signedBy(good), target, 101);
        await target.waitForLog((line) => line.event === 'auth:keys_loaded' && line.metadata.skipped);
        const told = target.logs.filter((line) => line.event === 'auth:key_ignored');
        assert.deepEqual(
            told.map((line) => [line.level, line.metadata.kid]),
            odd.map(({ kid }) => ['warn', kid]),
        );
        for (const line of told) assert.ok(line.metadata.reason);
    });

    it('may be a PEM public key, and one that replaces it by a rename', async (t) => {
        const folder = new Keys();
        t.after(() => folder.remove());
        const file = path.join(folder.folder, 'key.pem');
        fs.writeFileSync(file, folder.of('RS256').pem);
        const target = await serviceFor(t, {
            env: { AUTH_ENABLED: 'true', AUTH_JWT_KEYS: file, RATE_LIMIT_ENABLED: 'false' },
        });
        await assertTaken(t, signedBy(folder.of('RS256'), 'RS256'), target);
        await assertTaken(t, signedBy(folder.of('RS256'), 'PS256'), target);
        fs.writeFileSync(`${file}.new`, folder.of('EdDSA').pem);
        fs.renameSync(`${file}.new`, file);
        await becomes(t, signedBy(folder.of('EdDSA'), 'EdDSA'), target, 101);
        assert.equal(await statusOf(t, signedBy(folder.of('RS256'), 'RS256'), target), 401);
    });

    it('that is no good ends the start with 2 and a line that says why', async () => {
        const small = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n';
        const rows = {
            private: [fs.readFileSync(keys.of('ES256').file), /private/],
            broken: [small, /broken/],
            empty: ['', /neither/],
            oct: ['{"keys":[{"kty":"oct","k":"AAAA"}]}', /secret/],
            none: ['{"keys":[]}', /none/],
        };
        for (const [name, [text, why]] of Object.entries(rows)) {
            const file = path.join(keys.folder, `bad-${name}`);
            fs.writeFileSync(file, text);
            const env = { AUTH_ENABLED: 'true', AUTH_JWT_KEYS: file };
            const { code, stderr } = await runToExit({ env });
            assert.equal(code, 2, stderr);
            assert.match(stderr, /AUTH_JWT_KEYS/);
            assert.match(stderr, why);
        }
        const env = { AUTH_ENABLED: 'true', AUTH_JWT_KEYS: path.join(keys.folder, 'not-there') };
        const { code, stderr } = await runToExit({ env });
        assert.equal(code, 2);
        assert.match(stderr, /No such file/);
    });
});
