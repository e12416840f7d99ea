// What the tests know about envelopes: their exact form, the error form, and JSON compared without
// losing what JSON.parse loses (number text, member order, repeated members).

import assert from 'node:assert/strict';

import { connect } from './websocket.js';

const ENVELOPE_MEMBERS = ['id', 'type', 'event', 'room', 'from', 'data', 'timestamp'];
const TYPES = ['chat', 'presence', 'notification', 'system'];
export const CODES = [
    'AUTH_FAILED',
    'RATE_LIMITED',
    'INVALID_PAYLOAD',
    'CHANNEL_ERROR',
    'NOT_FOUND',
    'METHOD_NOT_ALLOWED',
    'UPGRADE_REQUIRED',
    'UNAVAILABLE',
    'INTERNAL',
];
export const RFC3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A UUID that the server made: version 7, its time near now. */
export function assertFreshUuid(id) {
    assert.match(id, UUID7);
    const made = parseInt(id.replace('-', '').slice(0, 12), 16);
    assert.ok(Math.abs(Date.now() - made) < 120000, `the time in ${id} must be near now`);
}

export function assertFreshTimestamp(timestamp) {
    assert.match(timestamp, RFC3339_MS);
    assert.ok(
        Math.abs(Date.now() - Date.parse(timestamp)) < 120000,
        `${timestamp} must be near now`,
    );
}

/**
 * An envelope as a client must see it. Members of `expected` must be equal; a value of undefined
 * says that the member must be absent.
 */
export function assertEnvelope(envelope, expected = {}) {
    for (const member of Object.keys(envelope)) {
        assert.ok(ENVELOPE_MEMBERS.includes(member), `member ${member} does not belong here`);
    }
    assert.ok(TYPES.includes(envelope.type), `type ${envelope.type}`);
    assert.equal(typeof envelope.from, 'string');
    assert.ok('data' in envelope, 'data must be there');
    assert.match(envelope.timestamp, RFC3339_MS);
    if (!('id' in expected)) assertFreshUuid(envelope.id);
    for (const [member, value] of Object.entries(expected)) {
        if (value === undefined) assert.ok(!(member in envelope), `${member} must be absent`);
        else assert.deepEqual(envelope[member], value, member);
    }
    return envelope;
}

/** The one form of all errors (section 5). */
export function assertErrorBody(body, code) {
    assert.equal(body.status, 'error');
    assert.ok(CODES.includes(body.code), `unknown error code ${body.code}`);
    if (code) assert.equal(body.code, code, body.message);
    assert.equal(typeof body.message, 'string');
    assert.notEqual(body.message, '');
    const allowed = ['status', 'code', 'message', 'data'];
    for (const member of Object.keys(body)) assert.ok(allowed.includes(member), member);
    return body;
}

/** An error envelope; `data` names members that its data.data must have. */
export function assertErrorEnvelope(envelope, code, data = {}) {
    assertEnvelope(envelope, { type: 'system', event: 'error', from: 'server' });
    assertErrorBody(envelope.data, code);
    for (const [member, value] of Object.entries(data)) {
        assert.deepEqual(envelope.data.data?.[member], value, `data.data.${member}`);
    }
    return envelope;
}

/** An HTTP answer with the error form. */
export function assertErrorResponse(response, status, code) {
    assert.equal(response.status, status, response.body.toString());
    assert.match(response.headers['content-type'] ?? '', /^application\/json\b/);
    return assertErrorBody(response.json, code);
}

let rooms = 0;

/** A room that no other test of the suite uses. */
export function freshRoom() {
    return `room-${++rooms}`;
}

/** Clients that are closed, without ceremony, when the test is over. */
export async function clientFor(test, target, options) {
    const client = await connect(target, options);
    test.after(() => client.hangUp());
    return client;
}

export async function clientsFor(test, count, target, options) {
    return Promise.all(Array.from({ length: count }, () => clientFor(test, target, options)));
}

/**
 * Asserts that nothing but the marker comes to the clients: the marker is a global message, which
 * reaches everybody, sent when what must not arrive has been delivered elsewhere.
 */
export async function assertOnlyMarkerComes(sender, clients) {
    const marker = `marker ${Math.random()}`;
    sender.sendJson({ room: '', data: marker });
    for (const client of clients) {
        assert.equal((await client.nextJson()).data, marker, 'only the marker may come');
    }
}

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[[\]{}:,])/y;

function tokens(text) {
    const found = [];
    TOKEN.lastIndex = 0;
    for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) found.push(match[1]);
    return found;
}

/** JSON text without white space, escapes in one spelling; numbers and order as they stand. */
export function canonicalJson(text) {
    return tokens(text)
        .map((token) => (token[0] === '"' ? JSON.stringify(JSON.parse(token)) : token))
        .join('');
}

/** The members of a JSON object as [name, canonical text] pairs, repeated ones included. */
export function jsonMembers(text) {
    const members = [];
    let depth = 0;
    let name = null;
    let value = '';
    for (const token of tokens(canonicalJson(text)).slice(1, -1)) {
        if (depth === 0 && name === null) name = JSON.parse(token);
        else if (depth === 0 && value === '' && token === ':') continue;
        else if (depth === 0 && token === ',') {
            members.push([name, value]);
            name = null;
            value = '';
        } else {
            if ('[{'.includes(token)) depth += 1;
            if (']}'.includes(token)) depth -= 1;
            value += token;
        }
    }
    if (name !== null) members.push([name, value]);
    return members;
}

/** The canonical text of one member of a JSON object. */
export function jsonMember(text, name) {
    const found = jsonMembers(text).filter(([member]) => member === name);
    assert.equal(found.length, 1, `exactly one member ${name} in ${text.slice(0, 200)}`);
    return found[0][1];
}
