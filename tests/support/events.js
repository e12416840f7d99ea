// Clients that speak chat.events.v1, and the replies that they get.

import assert from 'node:assert/strict';

import { assertEnvelope, assertErrorEnvelope, clientFor } from './chat.js';

export const PROTOCOL = 'chat.events.v1';

let refs = 0;

/**
 * An events client whose hello is read already: `client.hello`; and the news that it came itself,
 * where it has a room.
 */
export async function eventsClientFor(test, target, options = {}) {
    const client = await clientFor(test, target, { protocol: PROTOCOL, ...options });
    client.hello = (await client.nextJson()).data;
    if (options.room !== undefined && options.room !== 'presence:global') {
        let join;
        do {
            join = await nextEvent(client, 'presence:join');
            if (join.data.user !== client.hello.user) (client.aside ??= []).push(join);
        } while (join.data.user !== client.hello.user);
    }
    return client;
}

/** The next envelope of this event; others are put aside in `client.aside`. */
export async function nextEvent(client, event, ms) {
    for (;;) {
        const envelope = await client.nextJson(ms);
        if (envelope.event === event) return envelope;
        (client.aside ??= []).push(envelope);
    }
}

function answers({ event, data }, ref) {
    return (event === 'reply' && data.ref === ref) || (event === 'error' && data.data?.ref === ref);
}

/** Sends the message with a ref and returns the answer, a reply or an error. */
export async function ask(client, message) {
    const ref = `ref-${++refs}`;
    client.sendJson({ ...message, ref });
    for (;;) {
        const envelope = await client.nextJson();
        if (answers(envelope, ref)) return envelope;
        (client.aside ??= []).push(envelope);
    }
}

/** The same for a message that must be taken; returns the reply's data. */
export async function askOk(client, message) {
    const envelope = await ask(client, message);
    assertEnvelope(envelope, { type: 'system', event: 'reply', from: 'server' });
    assert.equal(envelope.data.status, 'ok');
    return envelope.data;
}

/** The same for one that must be refused. */
export async function askRefused(client, message, code, field) {
    const envelope = await ask(client, message);
    assertErrorEnvelope(envelope, code);
    if (field) assert.equal(envelope.data.data.field, field);
    return envelope.data;
}
