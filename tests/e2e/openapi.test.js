// openapi.json: valid as OpenAPI 3.1, its examples valid by its own schemas, and the service as it
// says. That routes and document name the same paths is routes-openapi.test.js.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { API_KEY } from '../support/api.js';
import { request } from '../support/http.js';
import { assertNoMemberTwice } from '../support/json.js';
import { load } from '../support/packages.js';
import { serviceFor, startService } from '../support/service.js';
import { SECRET, bearer, token } from '../support/tokens.js';

const FILE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../openapi/openapi.json');
const text = fs.readFileSync(FILE);
const document = JSON.parse(text);
const { components } = document;
const operations = Object.entries(document.paths)
    .flatMap(([route, item]) => Object.entries(item).map(([method, operation]) => ({ route, method, operation })));

function isObject(value) {
    return value !== null && typeof value === 'object';
}

/** Every object in the document, with the keys that lead to it. */
function* objects(value, keys = []) {
    if (!isObject(value)) return;
    yield [value, keys];
    for (const [key, child] of Object.entries(value)) yield* objects(child, [...keys, key]);
}

function pointer(keys) {
    const escaped = keys.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1')));
    return `#/${escaped.join('/')}`;
}

function deref(object) {
    if (object.$ref === undefined) return object;
    return object.$ref.slice(2).split('/').reduce((at, key) => at?.[key], document);
}

/** A header's text as the value that its schema is about. */
function headerValue(header, value) {
    return header.schema.type === 'integer' ? Number(value) : value;
}

describe('openapi.json', () => {
    let ajv;
    before(async () => {
        const Ajv = (await load('ajv/dist/2020.js')).default;
        const addFormats = (await load('ajv-formats')).default;
        ajv = new (Ajv.default ?? Ajv)({ strict: false, allErrors: true, validateSchema: false });
        (addFormats.default ?? addFormats)(ajv);
        ajv.addSchema(document, 'openapi.json');
    });

    /** Asserts that a value is valid by the schema at a place in the document. */
    function assertValid(keys, value, what) {
        const valid = ajv.validate({ $ref: `openapi.json${pointer(keys)}` }, value);
        assert.ok(valid, `${what}: ${ajv.errorsText()}\n${JSON.stringify(value)}`);
    }

    it('is valid OpenAPI 3.1', async () => {
        const { Validator } = await load('@seriousme/openapi-schema-validator');
        const validator = new Validator();
        const { valid, errors } = await validator.validate(structuredClone(document));
        assert.ok(valid, JSON.stringify(errors, null, 2));
        assert.equal(validator.version, '3.1');
    });

    it('has no member twice', () => assertNoMemberTwice(text.toString()));

    it('has valid schemas', async () => {
        const Ajv = (await load('ajv/dist/2020.js')).default;
        const strict = new (Ajv.default ?? Ajv)({ strict: false });
        for (const [name, schema] of Object.entries(components.schemas)) {
            assert.ok(strict.validateSchema(schema), `${name}: ${strict.errorsText()}`);
        }
    });

    it('refers only to what is there', () => {
        for (const [object, keys] of objects(document)) {
            if (typeof object.$ref !== 'string') continue;
            assert.ok(isObject(deref(object)), `${object.$ref} in ${pointer(keys)}`);
        }
    });

    it('has no part that nothing refers to', () => {
        const used = new Set([...objects(document)].map(([object]) => object.$ref));
        // What travels over the WebSocket no operation can name: the text does.
        const inText = (name) => text.includes(`\`${name}\``);
        for (const { operation } of operations) {
            for (const scheme of (operation.security ?? []).flatMap(Object.keys)) {
                used.add(`#/components/securitySchemes/${scheme}`);
            }
        }
        for (const [kind, parts] of Object.entries(components)) {
            const unused = Object.keys(parts)
                .filter((name) => !used.has(`#/components/${kind}/${name}`) && !inText(name));
            assert.deepEqual(unused, [], kind);
        }
    });

    it('has an operation id of its own, a summary and a known tag for every operation', () => {
        const ids = operations.map(({ operation }) => operation.operationId);
        assert.equal(new Set(ids).size, ids.length);
        const tags = document.tags.map(({ name }) => name);
        for (const { operation } of operations) {
            assert.ok(operation.operationId);
            assert.ok(operation.summary, operation.operationId);
            for (const tag of operation.tags) assert.ok(tags.includes(tag), tag);
        }
    });

    it('has examples that are valid', () => {
        let checked = 0;
        for (const [object, keys] of objects(document)) {
            const schemaOfOwn = keys.at(-2) === 'schemas' && Array.isArray(object.examples);
            if (schemaOfOwn) {
                for (const example of object.examples) assertValid(keys, example, pointer(keys));
                checked += object.examples.length;
            } else if (isObject(object.schema)) {
                const examples = Object.values(object.examples ?? {}).map((example) => deref(example).value);
                if (object.example !== undefined) examples.push(object.example);
                assert.ok(examples.length > 0, `${pointer(keys)} needs an example`);
                for (const example of examples) assertValid([...keys, 'schema'], example, pointer(keys));
                checked += examples.length;
            }
        }
        assert.ok(checked > 40, `${checked} examples`);
    });

    it('tells good envelopes from bad ones', () => {
        const bad = [
            ['ClientEnvelope', [{ type: 'gossip' }, { id: 'no uuid' }, { room: 'a/b' }, { room: 7 }, [], 'text']],
            ['ServerEnvelope', [{}, { type: 'chat', data: {} }]],
            ['Error', [{}, { status: 'error', code: 'OTHER', message: 'x' }]],
            ['Readiness', [{ status: 'unready' }, { status: 'fine' }]],
        ];
        for (const [name, values] of bad) {
            for (const value of values) {
                const schema = { $ref: `openapi.json#/components/schemas/${name}` };
                assert.ok(!ajv.validate(schema, value), `${name} takes ${JSON.stringify(value)}`);
            }
        }
    });

    describe('and the running service', () => {
        let pod;
        before(async () => {
            pod = await startService({ env: { API_KEY } });
        });
        after(() => pod?.stop());

        // An empty alternative says that it works without, as well.
        const needsKey = ({ security = [] }) =>
            security.some((one) => 'apiKey' in one) &&
            security.every((one) => Object.keys(one).length > 0);

        /** A request with the key, where the operation asks for it. */
        function ask(operation, route, options = {}, target = pod) {
            const headers = { ...options.headers };
            if (needsKey(operation)) headers.Authorization = `Bearer ${API_KEY}`;
            const path = route
                .replace('{room}', 'lobby')
                .replace('{user}', 'ada')
                .replace('{file}', 'docs.js');
            return request(target, path, { ...options, headers });
        }

        /** Asserts that an answer is among those that the document gives for the route. */
        function assertDocumented(route, response, method = 'get') {
            const { responses } = document.paths[route][method];
            const status = String(response.status);
            assert.ok(status in responses, `${route} answers ${status}`);
            const documented = deref(responses[status]);
            const [type] = (response.headers['content-type'] ?? '').split(';');
            const media = documented.content?.[type];
            assert.ok(media, `${route} answers ${status} with ${type}`);
            if (type === 'application/json') {
                const keys = responses[status].$ref
                    ? responses[status].$ref.slice(2).split('/')
                    : ['paths', route, method, 'responses', status];
                assertValid([...keys, 'content', type, 'schema'], response.json, route);
            }
            for (const [name, reference] of Object.entries(documented.headers ?? {})) {
                const header = deref(reference);
                const value = response.headers[name.toLowerCase()];
                if (value === undefined) continue;
                assert.ok(ajv.validate(header.schema, headerValue(header, value)), `${name}: ${value}`);
            }
        }

        it('serves the very file', async () => {
            for (const route of ['/openapi.json', '/api/chat-api/openapi.json']) {
                const response = await request(pod, route);
                assert.ok(text.equals(response.body), route);
            }
        });

        it('answers every plain GET as documented', async () => {
            for (const { route, method, operation } of operations) {
                if (method !== 'get' || route.includes('{') || '101' in operation.responses) continue;
                const response = await ask(operation, route);
                assert.equal(response.status, 200, route);
                assertDocumented(route, response);
            }
        });

        it('has every file that a path names, and no other', async () => {
            for (const { route, operation } of operations) {
                if (!route.endsWith('/{file}')) continue;
                const { schema } = operation.parameters.map(deref).find(({ name }) => name === 'file');
                for (const file of schema.enum) {
                    const response = await request(pod, route.replace('{file}', file));
                    assert.equal(response.status, 200, file);
                    assertDocumented(route, response);
                }
                const missing = await request(pod, route.replace('{file}', 'nothing.js'));
                assert.equal(missing.status, 404);
                assertDocumented(route, missing);
            }
        });

        it('answers a plain GET of an upgrade route as documented', async () => {
            for (const { route, operation } of operations) {
                if (!('101' in operation.responses)) continue;
                const response = await request(pod, route.replace('{room}', 'lobby'));
                assert.equal(response.status, 426);
                assert.equal(response.headers.upgrade, 'websocket');
                assertDocumented(route, response);
            }
        });

        it('answers another method as documented', async () => {
            for (const { route, method, operation } of operations) {
                const response = await ask(operation, route, { method: 'PATCH' });
                assert.equal(response.status, 405, route);
                const allowed = response.headers.allow.split(', ');
                assert.ok(allowed.includes(method.toUpperCase()), `${route}: ${allowed}`);
                assertDocumented(route, response, method);
            }
        });

        it("answers every POST's and DELETE's examples as documented", async () => {
            let asked = 0;
            for (const { route, method, operation } of operations) {
                if (method === 'get') continue;
                const media = operation.requestBody?.content['application/json'];
                const bodies = Object.values(media?.examples ?? { none: {} });
                for (const { value } of bodies) {
                    const options = { method: method.toUpperCase() };
                    if (value !== undefined) options.body = JSON.stringify(value);
                    const response = await ask(operation, route, options);
                    assert.equal(response.status, 202, `${route}: ${response.text}`);
                    assertDocumented(route, response, method);
                    asked += 1;
                }
            }
            assert.ok(asked > 5);
        });

        it('answers those without a right as documented', async (t) => {
            const own = await serviceFor(t, { env: { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET } });
            const presence = document.paths['/api/chat-api/rooms/{room}/presence'].get;
            let asked = 0;
            for (const { route, method, operation } of operations) {
                if (!needsKey(operation) && operation !== presence) continue;
                const options = { method: method.toUpperCase() };
                const stranger = await ask({}, route, options, own);
                assert.equal(stranger.status, 401, route);
                assertDocumented(route, stranger, method);
                const headers = bearer(token({ rooms: [] }));
                const user = await ask({}, route, { ...options, headers }, own);
                assert.equal(user.status, 403, route);
                assertDocumented(route, user, method);
                // What takes a token says so.
                assert.ok(operation.security.some((one) => 'BearerToken' in one), route);
                asked += 1;
            }
            assert.equal(asked, 8);
        });

        it('answers errors of the HTTP API as documented', async () => {
            for (const { route, method, operation } of operations) {
                if (!needsKey(operation)) continue;
                const options = { method: method.toUpperCase() };
                const stranger = await ask({}, route, options);
                assert.equal(stranger.status, 401, route);
                assertDocumented(route, stranger, method);
                if (method !== 'post') continue;
                for (const [status, extra] of [
                    [400, { body: '{' }],
                    [413, { body: ' '.repeat(1024 * 1024 + 1) }],
                    [415, { body: '{}', headers: { 'Content-Type': 'text/plain' } }],
                ]) {
                    const response = await ask(operation, route, { ...options, ...extra });
                    assert.equal(response.status, status, `${route}: ${response.text}`);
                    assertDocumented(route, response, method);
                }
            }
        });
    });
});
