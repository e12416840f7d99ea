// What the service tells the page of itself: a sign-in that ends, limits, Redis away, a room that
// was closed. The socket is the real one; what the service would say is put in between.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { request } from '../../support/http.js';
import { redisFor, startProxy } from '../../support/redis.js';
import { serviceFor, startService } from '../../support/service.js';
import { SECRET, token } from '../../support/tokens.js';
import {
    SERVICE_GONE, addRoom, connected, delivered, join, messageOf, roomButton, say, signedIn, startBrowser,
    typingLine, windowFor,
} from './browser.js';

const API_KEY = 'the-key-of-the-browser-tests';
const ENV = { API_KEY, PRESENCE_GRACE: '10ms', RATE_LIMIT_ENABLED: 'false' };

describe('what the service tells the page', () => {
    let browser;
    let service;
    let guarded;
    before(async () => {
        const auth = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };
        service = await startService({ env: ENV });
        guarded = await startService({ env: { ...ENV, ...auth } });
        browser = await startBrowser();
    });
    after(async () => {
        await browser?.close();
        await service?.stop();
        await guarded?.stop();
    });

    /**
     * Stands between the page and the service. `tell(event, data)` speaks for the service, `cut(code)`
     * closes; what the page says goes through `answer(envelope)`: data of an error or a reply that
     * the page gets instead of the service's, or nothing. `said` has all that the page said.
     */
    async function between(page, answer = () => undefined) {
        const wire = { said: [] };
        let current;
        const envelope = (event, data, more) => JSON.stringify({
            id: '019c2b1e-7a40-7c55-9f0e-3d6a5b1c2e88', type: 'system', event, from: 'server', data,
            timestamp: new Date().toISOString(), ...more,
        });
        wire.tell = (event, data = {}, more = {}) => current.send(envelope(event, data, more));
        wire.cut = (code, reason) => current.close({ code, reason });
        await page.routeWebSocket(/\/ws\//, (socket) => {
            const server = socket.connectToServer();
            current = socket;
            socket.onMessage((text) => {
                const message = JSON.parse(text);
                wire.said.push(message);
                const given = answer(message);
                if (given === undefined) server.send(text);
                else socket.send(envelope(given.status === 'error' ? 'error' : 'reply', given));
            });
        });
        return wire;
    }

    /** Comes in, and waits for all that the service says at that: the page knows who is there. */
    async function enter(page, room, signature = null) {
        await signedIn(page, 'Ada', room, signature);
        await page.locator('.person').first().waitFor({ state: 'attached' });
    }

    function limited({ id, ref }, name, retryMs) {
        const data = { class: name, limit: '60/1m', retry_after_ms: retryMs, id, ref };
        return { status: 'error', code: 'RATE_LIMITED', message: 'too many messages', data };
    }

    describe('of a sign-in that ends', () => {
        const panel = (page) => page.getByRole('form', { name: 'Sign in again' });

        async function paste(page, text) {
            await page.getByLabel('New token').fill(text);
            await panel(page).getByRole('button', { name: 'Sign in' }).click();
        }

        it('asks for another token, and takes it without a new connection', async (test) => {
            const page = await windowFor(test, browser, guarded);
            const fresh = token({ sub: 'anna', exp: 4102444800 });
            const wire = await between(page, (message) => {
                if (message.event !== 'auth:refresh') return undefined;
                const { ref } = message;
                return message.data.token === fresh
                    ? { ref, status: 'ok' }
                    : { status: 'error', code: 'AUTH_FAILED', message: 'the token has expired', data: { ref } };
            });
            await enter(page, 'ending', token());
            assert.equal(await panel(page).isVisible(), false);
            wire.tell('auth:expiring', { expires_at: '2026-02-05T00:00:00.000Z' });
            await panel(page).getByText('Your sign-in ends soon').waitFor();
            await paste(page, 'nonsense');
            await panel(page).getByText('This is no token').waitFor();
            await paste(page, token({ exp: 1 }));
            await panel(page).getByText('the token has expired').waitFor();
            await paste(page, fresh);
            await panel(page).waitFor({ state: 'hidden' });
            await say(page, 'still here');
            await delivered(page, 'still here');
            assert.equal(wire.said.filter(({ event }) => event === 'auth:refresh').length, 2);
        });

        it('comes back with another token after 4500', async (test) => {
            const page = await windowFor(test, browser, guarded);
            const wire = await between(page);
            await enter(page, 'ended', token());
            await say(page, 'before');
            await delivered(page, 'before');
            await wire.cut(4500, 'the token is over');
            await page.getByRole('status').getByText('the token is over').waitFor();
            await panel(page).getByText('Your sign-in has ended').waitFor();
            await paste(page, token());
            await connected(page);
            await panel(page).waitFor({ state: 'hidden' });
            await messageOf(page, 'before').waitFor();
            await say(page, 'after');
            await delivered(page, 'after');
        });

        it('keeps what is on the page when a token is refused as it comes back', async (test) => {
            const accepted = /WebSocket connection to .* failed|Failed to load resource.*401/;
            const page = await windowFor(test, browser, guarded, { accepted });
            const wire = await between(page);
            await enter(page, 'refused', token());
            await say(page, 'keep me');
            await delivered(page, 'keep me');
            await wire.cut(4500, 'over');
            await panel(page).waitFor();
            await paste(page, token({ exp: 1 }));
            await panel(page).getByText(/Not signed in: .*expired/).waitFor();
            await messageOf(page, 'keep me').waitFor();
            await paste(page, token());
            await connected(page);
        });
    });

    describe('of limits', () => {
        it('keeps a message that came too fast, to be sent again', async (test) => {
            const page = await windowFor(test, browser, service);
            let isLimiting = true;
            await between(page, (message) => {
                const isMessage = isLimiting && message.data.text === 'too fast';
                return isMessage ? limited(message, 'messages', 2500) : undefined;
            });
            await enter(page, 'limits');
            await say(page, 'too fast');
            const message = messageOf(page, 'too fast');
            await message.getByText('Not sent: too many messages. Try again in 3 s.').waitFor();
            assert.equal(await message.getByRole('button', { name: 'Edit' }).isVisible(), false);
            isLimiting = false;
            await message.getByRole('button', { name: 'Send again' }).click();
            await delivered(page, 'too fast');
            assert.equal(await message.count(), 1);
        });

        it('shows what the service itself says of a message too many', async (test) => {
            const env = { ...ENV, RATE_LIMIT_ENABLED: 'true', RATE_LIMIT_MESSAGES: '2/10m' };
            const page = await windowFor(test, browser, await serviceFor(test, { env }), {
                accepted: SERVICE_GONE,
            });
            await enter(page, 'really');
            for (const text of ['one', 'two']) {
                await say(page, text);
                await delivered(page, text);
            }
            await say(page, 'three');
            await messageOf(page, 'three').getByText(/^Not sent: .* Try again in \d+ s\.$/).waitFor();
            await messageOf(page, 'three').getByRole('button', { name: 'Send again' }).waitFor();
        });

        it('keeps an edit that came too fast in the field', async (test) => {
            const page = await windowFor(test, browser, service);
            let isLimiting = true;
            await between(page, (message) => {
                const isEdit = isLimiting && message.event === 'message:edit';
                return isEdit ? limited(message, 'messages', 1000) : undefined;
            });
            await enter(page, 'limited edits');
            await say(page, 'a word');
            await delivered(page, 'a word');
            await messageOf(page, 'a word').getByRole('button', { name: 'Edit' }).click();
            await page.getByLabel('Message', { exact: true }).fill('another word');
            await page.getByRole('button', { name: 'Save' }).click();
            await page.getByRole('alert').getByText('too many messages. Try again in 1 s.').waitFor();
            assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), 'another word');
            isLimiting = false;
            await page.getByRole('button', { name: 'Save' }).click();
            await messageOf(page, 'another word').waitFor();
            await page.getByRole('alert').getByText('too many').waitFor({ state: 'detached' });
        });

        it('joins a room, and tells what was read, as soon as it may', async (test) => {
            const page = await windowFor(test, browser, service);
            const refused = new Set();
            const events = ['room:join', 'presence:update', 'message:read'];
            const wire = await between(page, (message) => {
                if (!events.includes(message.event) || refused.has(message.event)) return undefined;
                refused.add(message.event);
                return limited(message, 'presence', 20);
            });
            await enter(page, 'patience');
            const bob = await windowFor(test, browser, service);
            await join(bob, 'Bob', 'patience');
            await say(bob, 'read me');
            await messageOf(bob, 'read me').getByRole('img', { name: 'read' }).waitFor();
            const ids = wire.said.filter(({ event }) => event === 'message:read').map(({ data }) => data.ids);
            assert.ok(ids.length >= 2);
            assert.deepEqual(ids[0], ids.at(-1));
            assert.deepEqual([...refused].sort(), events.sort());
        });

        it('does not bother the reader with limits of typing', async (test) => {
            const page = await windowFor(test, browser, service);
            await between(page, (message) => (message.event === 'user:typing'
                ? limited(message, 'typing', 1000) : undefined));
            await enter(page, 'quiet');
            await page.getByLabel('Message', { exact: true }).pressSequentially('h');
            await say(page, 'hello');
            await delivered(page, 'hello');
            assert.equal(await page.getByText('too many').count(), 0);
        });
    });

    it('shows that it is degraded, until it is not, or another pod is reached', async (test) => {
        const page = await windowFor(test, browser, service);
        const wire = await between(page);
        await enter(page, 'degraded');
        const note = page.getByText('The service is degraded');
        wire.tell('system:degraded', { reason: 'Redis is away' });
        await note.waitFor();
        assert.equal(await page.locator('.message').count(), 0, 'it is no message');
        wire.tell('system:restored');
        await note.waitFor({ state: 'detached' });
        wire.tell('system:degraded', { reason: 'Redis is away' });
        await note.waitFor();
        await wire.cut(4002);
        await note.waitFor({ state: 'detached' });
        await connected(page);
    });

    it('shows that Redis is away, until it is back', async (test) => {
        const redis = await redisFor(test);
        const proxy = await startProxy(redis);
        test.after(() => proxy.stop());
        const pod = await serviceFor(test, { env: { ...ENV, REDIS_URL: proxy.url } });
        // The pod ends before the window does.
        const page = await windowFor(test, browser, pod, { accepted: SERVICE_GONE });
        await enter(page, 'outage');
        const note = page.getByText('The service is degraded');
        proxy.cut();
        await note.waitFor();
        await say(page, 'among ourselves');
        await delivered(page, 'among ourselves');
        proxy.restore();
        await note.waitFor({ state: 'detached' });
    });

    it('says in which room it was put out, and keeps the others', async (test) => {
        const page = await windowFor(test, browser, service);
        await enter(page, 'closing');
        await addRoom(page, 'staying');
        const headers = { Authorization: `Bearer ${API_KEY}` };
        const answer = await request(service, '/api/chat-api/rooms/closing', { method: 'DELETE', headers });
        assert.equal(answer.status, 202);
        await roomButton(page, 'closing').click();
        await page.getByText('the room was closed').waitFor();
        assert.equal(await page.locator('.person').count(), 0);
        await roomButton(page, 'staying').click();
        await say(page, 'still here');
        await delivered(page, 'still here');
    });

    it('shows what is odd as it came, and goes on', async (test) => {
        const page = await windowFor(test, browser, service);
        const wire = await between(page);
        await enter(page, 'odd');
        const room = { room: 'odd' };
        const events = ['presence:join', 'user:typing', 'message:edit', 'message:status', 'reply', 'hello?'];
        for (const event of events) wire.tell(event, null, { ...room, id: undefined });
        for (const event of ['message:status', 'message:edit', 'message:delete', 'error']) {
            wire.tell(event, { ids: 7, id: {}, room: 'odd' }, room);
        }
        wire.tell('error', null);
        await say(page, 'unharmed');
        await delivered(page, 'unharmed');
        assert.equal(await typingLine(page).count(), 0);
    });
});
