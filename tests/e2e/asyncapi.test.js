// asyncapi.json: valid by the AsyncAPI initiative's own parser, its examples valid by its schemas,
// the same events as the table in the code, docs/events.md and openapi.json, and the service as it
// says.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';

import {
    dataMembers,
    document,
    flatten,
    operationsOf,
    readFile,
    resolve,
    target,
    text,
} from '../support/asyncapi.js';
import { freshRoom } from '../support/chat.js';
import { ask, eventsClientFor } from '../support/events.js';
import { request } from '../support/http.js';
import { assertNoMemberTwice } from '../support/json.js';
import { load } from '../support/packages.js';
import { runToExit, startService } from '../support/service.js';

const said = operationsOf('receive');
const told = operationsOf('send');
const openapi = JSON.parse(readFile('openapi/openapi.json'));
const manual = readFile('docs/events.md').toString();

/** The rows of the tables below a heading of docs/events.md, the heads left out. */
function rowsBelow(heading) {
    const [, section] = manual.split(`\n## ${heading}\n`);
    return section
        .split('\n## ')[0]
        .split('\n')
        .filter((line) => line.startsWith('| '))
        .map((line) => line.split('|').slice(1, -1))
        .map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')))
        .filter(([first]) => !['---', 'event', 'code', 'class'].includes(first));
}

function firstMessage({ messages: [first] }) {
    return resolve(first);
}

/** Names in any order. */
function sorted(members) {
    return members.split(', ').sort().join(', ');
}

function replyMembers({ reply }) {
    const members = dataMembers(resolve(reply.messages[0])).split(', ');
    return members.filter((name) => !/^(ref|status)\??$/.test(name)).join(', ');
}

describe('asyncapi.json', () => {
    let ajv;
    before(async () => {
        const Ajv = (await load('ajv')).default;
        const addFormats = (await load('ajv-formats')).default;
        ajv = new (Ajv.default ?? Ajv)({ strict: false, allErrors: true, validateSchema: false });
        (addFormats.default ?? addFormats)(ajv);
        ajv.addSchema(document, 'asyncapi.json');
    });

    function isValid(pointer, value) {
        return ajv.validate({ $ref: `asyncapi.json${pointer}` }, value);
    }

    function assertValid(pointer, value) {
        assert.ok(
            isValid(pointer, value),
            `${pointer}: ${ajv.errorsText()}\n${JSON.stringify(value)}`,
        );
    }

    it('is valid AsyncAPI 3.0', async () => {
        const { Parser } = (await load('@asyncapi/parser')).default;
        const { document: parsed, diagnostics } = await new Parser().parse(text.toString());
        // That there is a newer version of AsyncAPI is told as information, severity 2.
        const faults = diagnostics.filter(({ severity }) => severity < 2);
        assert.deepEqual(faults, []);
        assert.ok(parsed, 'it was parsed');
        assert.match(document.asyncapi, /^3\.0\.\d+$/);
        assert.equal(parsed.operations().all().length, said.size + told.size);
    });

    it('has no member twice', () => assertNoMemberTwice(text.toString()));

    it('has schemas that are valid', async () => {
        const Ajv = (await load('ajv')).default;
        const strict = new (Ajv.default ?? Ajv)({ strict: false });
        for (const [name, schema] of Object.entries(document.components.schemas)) {
            assert.ok(strict.validateSchema(schema), `${name}: ${strict.errorsText()}`);
        }
    });

    it('has no part that nothing refers to', () => {
        const used = JSON.stringify(document);
        for (const [kind, parts] of Object.entries(document.components)) {
            for (const name of Object.keys(parts)) {
                assert.ok(used.includes(`"#/components/${kind}/${name}"`), `${kind} ${name}`);
            }
        }
    });

    it('has an example for every message, and all are valid', () => {
        for (const [key, { examples, name }] of Object.entries(document.components.messages)) {
            assert.ok(examples?.length > 0, `${key} needs an example`);
            for (const { payload } of examples) {
                assertValid(`#/components/messages/${key}/payload`, payload);
                if (payload.event !== undefined) assert.equal(payload.event, name);
            }
        }
    });

    it('tells good messages from bad ones', () => {
        const envelope = firstMessage(told.get('error')).examples[0].payload;
        const rows = [
            ['takeMessageSend', [{ event: 'message:edit' }, { type: 'system' }, { ref: '' }, []]],
            ['takeMessageEdit', [{ event: 'message:edit' }, { data: { id: 'x', data: 1 } }]],
            ['takeNotificationSend', [{ data: 1 }]],
            ['takeRoomJoin', [{ event: 'room:join' }, { event: 'room:join', room: null }]],
            [
                'tellError',
                [
                    { ...envelope, from: 'ann' },
                    { ...envelope, pod: 'x' },
                    { ...envelope, data: { ...envelope.data, code: 'OTHER' } },
                ],
            ],
        ];
        for (const [key, values] of rows) {
            for (const value of values) {
                const pointer = `#/components/messages/${key}/payload`;
                assert.ok(!isValid(pointer, value), `${key} takes ${JSON.stringify(value)}`);
            }
        }
    });

    describe('and the table of events', () => {
        let table;
        before(async () => {
            const { code, stdout } = await runToExit({ args: ['--events'] });
            assert.equal(code, 0);
            table = stdout.trim().split('\n').map(JSON.parse);
        });

        const clientRows = () => table.filter((row) => row.in !== undefined);
        const serverRows = () => table.filter((row) => row.out !== undefined);
        const names = (rows) => rows.map(({ event }) => event);

        it('name the same events, each way', () => {
            assert.deepEqual([...said.keys()].sort(), names(clientRows()).sort());
            assert.deepEqual([...told.keys()].sort(), names(serverRows()).sort());
        });

        it('have the same types, limits, data and replies', () => {
            for (const row of clientRows()) {
                const operation = said.get(row.event);
                const message = firstMessage(operation);
                assert.equal(message.name, row.event);
                assert.equal(flatten(flatten(message.payload).properties.type).const, row.type);
                assert.equal(message['x-limit'], row.class, row.event);
                assert.equal(sorted(dataMembers(message)), sorted(row.in), row.event);
                assert.equal(sorted(replyMembers(operation)), sorted(row.reply), row.event);
            }
            for (const row of serverRows()) {
                const message = firstMessage(told.get(row.event));
                assert.equal(message.name, row.event);
                assert.equal(flatten(flatten(message.payload).properties.type).const, row.type);
                assert.equal(sorted(dataMembers(message)), sorted(row.out), row.event);
            }
        });

        it('say what docs/events.md says', () => {
            const rows = rowsBelow('All events');
            const expected = table.map((row) =>
                row.in === undefined
                    ? [row.event, row.type, row.out]
                    : [row.event, row.type, row.in, row.out ?? '', row.reply, row.class ?? ''],
            );
            const shown = rows.map((cells) => (cells.length === 4 ? cells.slice(0, 3) : cells));
            const byName = ([a], [b]) => (a < b ? -1 : 1);
            assert.deepEqual(shown.sort(byName), expected.sort(byName));
        });

        it('are the events of openapi.json', () => {
            const { ClientEvent, ServerEvent } = openapi.components.schemas;
            assert.deepEqual(ClientEvent.enum.sort(), names(clientRows()).sort());
            assert.deepEqual(ServerEvent.enum.sort(), names(serverRows()).sort());
        });
    });

    it('has the codes and limits of docs/events.md, and openapi.json knows them', () => {
        const codes = document.components.schemas.ErrorCode.oneOf.map((code) => code.const);
        const column = (heading) => rowsBelow(heading).map(([first]) => first);
        assert.deepEqual(column('Errors'), codes);
        for (const code of codes) {
            assert.ok(openapi.components.schemas.ErrorCode.enum.includes(code), code);
        }
        const closeCodes = document['x-close-codes'].map(({ code }) => String(code));
        assert.deepEqual(column('Close codes'), closeCodes);
        for (const code of closeCodes) {
            assert.ok(openapi.info.description.includes(`\n| ${code} |`), code);
        }
        const limits = document['x-limits'] ?? [];
        if (limits.length > 0) {
            assert.deepEqual(
                rowsBelow('Limits'),
                limits.map((limit) => [limit.class, limit.variable, limit.default]),
            );
        }
    });

    it('has examples in docs/events.md that are valid', () => {
        const blocks = [...manual.matchAll(/```json\n([^]*?)```/g)].map(([, block]) => block);
        const lines = blocks.flatMap((block) => block.trim().split('\n'));
        // What a client sends is there whole; what it gets is cut short by an ellipsis.
        const sent = lines.filter((line) => !line.includes('"from"')).map(JSON.parse);
        assert.ok(sent.length > 4, `${sent.length} examples`);
        for (const message of sent) {
            const [reference] = said.get(message.event).messages;
            assertValid(`${target(reference)}/payload`, message);
        }
    });

    describe('and the running service', () => {
        let pod;
        before(async () => {
            pod = await startService();
        });
        after(() => pod?.stop());

        it('serves the very file, compressed too', async () => {
            for (const route of ['/asyncapi.json', '/api/chat-api/asyncapi.json']) {
                const plain = await request(pod, route);
                assert.match(plain.headers['content-type'], /^application\/json\b/);
                assert.ok(text.equals(plain.body), route);
                const headers = { 'Accept-Encoding': 'gzip' };
                const packed = await request(pod, route, { headers });
                assert.equal(packed.headers['content-encoding'], 'gzip');
                assert.ok(text.equals(gunzipSync(packed.body)), route);
            }
        });

        /** Asserts that an envelope is as the document has it for its event. */
        function assertDocumented(envelope) {
            const event = envelope.event ?? `${envelope.type.replace('chat', 'message')}:send`;
            const operation = told.get(event);
            assert.ok(operation, `${event} is documented`);
            assertValid(`${target(operation.messages[0])}/payload`, envelope);
        }

        /** What clients say, with what others must have said before it in front. */
        function examplesInOrder() {
            const rank = ({ title }) =>
                ['message:send', 'message:delivered', 'message:read', 'message:edit'].indexOf(title);
            const first = [...said.values()].filter((operation) => rank(operation) >= 0);
            const rest = [...said.values()].filter((operation) => rank(operation) < 0);
            return [...first.sort((a, b) => rank(a) - rank(b)), ...rest].flatMap((operation) =>
                firstMessage(operation).examples.map(({ payload }) => ({ operation, payload })),
            );
        }

        it('takes every example of a client, and answers as documented', async (t) => {
            const ann = await eventsClientFor(t, pod, { room: 'lobby' });
            const bob = await eventsClientFor(t, pod, { room: 'lobby' });
            for (const { operation, payload } of examplesInOrder()) {
                const marks = /:(delivered|read)$/.test(operation.title);
                const answer = await ask(marks ? bob : ann, payload);
                assertDocumented(answer);
                assert.notEqual(answer.data.code, 'INVALID_PAYLOAD', JSON.stringify(answer));
                const [reply] = operation.reply.messages;
                if (answer.event === 'reply') assertValid(`${target(reply)}/payload`, answer);
            }
            const heard = [...ann.aside, ...(bob.aside ?? [])];
            for (const envelope of heard) assertDocumented(envelope);
            const events = new Set(heard.map(({ event }) => event));
            for (const event of ['message:edit', 'message:delete', 'message:status']) {
                assert.ok(events.has(event), `${event} was told`);
            }
        });

        it('says hello, and refuses, as documented', async (t) => {
            const client = await eventsClientFor(t, pod, { room: freshRoom() });
            const [reference] = told.get('hello').messages;
            const { data } = resolve(reference).payload.properties;
            assertValid(data.$ref, client.hello);
            for (const message of [{ event: 'no:such' }, { type: 'x' }, { event: 'room:join' }]) {
                const answer = await ask(client, message);
                assert.equal(answer.event, 'error');
                assertDocumented(answer);
            }
        });
    });
});
