// The table of routes and the OpenAPI document say the same, both ways.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { API_KEY } from '../support/api.js';
import { request } from '../support/http.js';
import { runToExit, startService } from '../support/service.js';

const CONTRACT_PATHS = [
    '/',
    '/api/chat-api/asyncapi.json',
    '/api/chat-api/openapi.json',
    '/api/chat-api/ws',
    '/api/chat-api/ws/stats',
    '/api/chat-api/ws/{room}',
    '/asyncapi.json',
    '/docs',
    '/healthz',
    '/metrics',
    '/openapi.json',
    '/readyz',
    '/ws',
    '/ws/{room}',
];
const API_ROUTES = [
    'DELETE /api/chat-api/rooms/{room}',
    'GET /api/chat-api/rooms',
    'GET /api/chat-api/rooms/{room}/presence',
    'POST /api/chat-api/batch',
    'POST /api/chat-api/messages',
    'POST /api/chat-api/rooms/{room}/activity',
    'POST /api/chat-api/rooms/{room}/messages',
    'POST /api/chat-api/users/{user}/disconnect',
];
const OPERATIONS = ['get', 'put', 'post', 'delete', 'options', 'patch', 'trace'];

/** "GET /path" of every operation in the document; HEAD comes with GET and is not listed. */
function documented(document) {
    return Object.entries(document.paths)
        .flatMap(([path, item]) =>
            OPERATIONS.filter((method) => method in item).map(
                (method) => `${method.toUpperCase()} ${path}`,
            ),
        )
        .sort();
}

describe('route table and OpenAPI document', () => {
    let pod;
    let document;
    let table;
    before(async () => {
        pod = await startService({ env: { API_KEY } });
        document = (await request(pod, '/openapi.json')).json;
        const { code, stdout } = await runToExit({ args: ['--routes'] });
        assert.equal(code, 0);
        table = stdout
            .trim()
            .split('\n')
            .filter((line) => !line.startsWith('HEAD '))
            .sort();
    });
    after(() => pod.stop());

    it('--routes prints one "METHOD /path" a line', () => {
        for (const line of table) assert.match(line, /^[A-Z]+ \/\S*$/);
        assert.equal(new Set(table).size, table.length, 'no route twice');
    });

    it('every route is documented', () => {
        const missing = table.filter((route) => !documented(document).includes(route));
        assert.deepEqual(missing, []);
    });

    it('everything documented is a route', () => {
        const extra = documented(document).filter((route) => !table.includes(route));
        assert.deepEqual(extra, []);
    });

    it('every route of the contract is there', () => {
        for (const path of CONTRACT_PATHS) assert.ok(table.includes(`GET ${path}`), path);
        for (const route of API_ROUTES) assert.ok(table.includes(route), route);
    });

    it('the running service knows every route', async () => {
        for (const route of table.filter((line) => line.startsWith('GET '))) {
            const path = route.slice(4).replace(/\{[^}]*\}/g, 'some-name');
            const headers = { Authorization: `Bearer ${API_KEY}` };
            const { status } = await request(pod, path, { headers });
            const known = path.includes('/ws') && !path.endsWith('/stats') ? [426] : [200];
            // A template of files answers 404 for a file that is not there.
            if (route.includes('{') && !route.includes('{room}')) known.push(404);
            assert.ok(known.includes(status), `${path}: ${status}`);
        }
    });

    it('upgrade routes document 101, their errors and their parameters', () => {
        for (const path of ['/ws', '/ws/{room}', '/api/chat-api/ws', '/api/chat-api/ws/{room}']) {
            const { responses } = document.paths[path].get;
            for (const status of ['101', '400', '403', '426', '503']) {
                assert.ok(status in responses, `${status} of ${path}`);
            }
        }
        const resolve = (object) =>
            object.$ref
                ? object.$ref
                      .slice(2)
                      .split('/')
                      .reduce((at, key) => at[key], document)
                : object;
        for (const prefix of ['', '/api/chat-api']) {
            const parameters = (path) =>
                [
                    ...(document.paths[path].parameters ?? []),
                    ...(document.paths[path].get.parameters ?? []),
                ].map(resolve);
            const has = (path, where) =>
                parameters(path).some(
                    (parameter) => parameter.name === 'room' && parameter.in === where,
                );
            assert.ok(has(`${prefix}/ws/{room}`, 'path'));
            assert.ok(has(`${prefix}/ws`, 'query'));
        }
    });
});
