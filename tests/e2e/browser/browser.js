// Headless Chromium, with a page that fails its test for every error on the console (a violation
// of the Content-Security-Policy is one), every exception, and every request to another origin.

import assert from 'node:assert/strict';

import { patient } from '../../support/deadline.js';
import { load } from '../../support/packages.js';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const ARGUMENTS = [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const WAIT_MS = 15000;

// Whatever the page asks for while nothing listens, or just as the listener goes: its socket,
// perhaps its icon.
export const SERVICE_GONE =
    /WebSocket connection to .* failed|net::ERR_(CONNECTION_|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/;

export async function startBrowser({ args = [] } = {}) {
    const { chromium } = (await load('playwright-core')).default;
    return chromium.launch({
        executablePath: EXECUTABLE,
        args: [...ARGUMENTS, ...args],
        timeout: patient(WAIT_MS),
    });
}

function watch(page, origin, accepted) {
    const faults = [];
    page.on('pageerror', (error) => faults.push(`exception: ${error.stack}`));
    page.on('console', (message) => {
        const text = message.text();
        if (message.type() === 'error' && !accepted?.test(text)) faults.push(`console: ${text}`);
    });
    page.on('request', (request) => {
        const url = new URL(request.url());
        const inline = url.protocol === 'data:' || url.protocol === 'blob:';
        if (!inline && url.origin !== origin) faults.push(`request: ${url}`);
    });
    return faults;
}

/**
 * A window of its own (nothing stored, nothing shared), closed and judged when the test is over.
 * `options` are those of a Playwright context, and `accepted`: errors on the console that belong to
 * the test, as a regular expression.
 */
export async function windowFor(test, browser, service, { accepted, ...options } = {}) {
    const context = await browser.newContext({ baseURL: service.url, ...options });
    context.setDefaultTimeout(patient(WAIT_MS));
    const page = await context.newPage();
    const faults = watch(page, new URL(service.url).origin, accepted);
    test.after(async () => {
        await context.close();
        assert.deepEqual(faults, []);
    });
    return page;
}

/** Joins a room through the form, and waits for the connection. */
export async function join(page, name, room) {
    await signedIn(page, name, room, null);
}

/** The same with a token; null: without. */
export async function signedIn(page, name, room, token) {
    await page.goto('/');
    await page.getByLabel('Your name').fill(name);
    await page.getByLabel('Room', { exact: true }).fill(room);
    if (token !== null) {
        await page.locator('#token-panel summary').click();
        await page.getByLabel('Token', { exact: true }).fill(token);
    }
    await page.getByRole('button', { name: 'Join' }).click();
    await connected(page);
}

/** Opens a further room, and waits until the window is in it: it sees itself there. */
export async function addRoom(page, room) {
    await page.getByLabel('Another room').fill(room);
    await page.getByRole('button', { name: 'Add' }).click();
    await page.getByRole('heading', { name: room, exact: true, level: 1 }).waitFor();
    await page.locator('.person').first().waitFor({ state: 'attached' });
}

/** The button that leads to a room. */
export function roomButton(page, room) {
    return page.getByRole('navigation', { name: 'Rooms' }).locator('button[type=button]')
        .filter({ hasText: new RegExp(`^${room}( \\d+ unread)?$`) });
}

/** Somebody in the list of people, in this status if one is given. */
export function personOf(page, name, status) {
    const named = page.locator('.person', { has: page.getByText(name, { exact: true }) });
    return status === undefined ? named : named.and(page.locator(`.${status}`));
}

/** The line that says who is typing, if it says this. */
export function typingLine(page, text = 'typing') {
    return page.locator('#typing').filter({ hasText: text });
}

/** The ticks beside an own message: `sent`, `delivered` or `read`. */
export function receipt(page, text, status) {
    return messageOf(page, text).getByRole('img', { name: status, exact: true });
}

export function connected(page) {
    return page.getByRole('status').filter({ hasText: /^\s*Connected\s*$/ }).waitFor();
}

export async function say(page, text) {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.getByRole('button', { name: /^Send/ }).click();
}

/** The message with this text in the list; a locator, so it may come later. */
export function messageOf(page, text) {
    return page.getByRole('log').getByRole('listitem').filter({ hasText: text });
}

/** Waits until an own message came back from the server. */
export function delivered(page, text) {
    return messageOf(page, text).and(page.locator('[data-state=delivered]')).waitFor();
}
