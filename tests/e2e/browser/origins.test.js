// Pages of other origins in a real browser: who may connect is what ALLOWED_ORIGINS says, compared
// with the Origin that Chromium itself writes (RFC 6454).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';

import { patient } from '../../support/deadline.js';
import { startService } from '../../support/service.js';
import { startBrowser } from './browser.js';

const WAIT_MS = 15000;
// Names of other sites that all lead to the page server of this test.
const NAMES = ['example.org', '*.example.org', 'notexample.org', 'localhost'];
const RESOLVE = `--host-resolver-rules=${NAMES.map((name) => `MAP ${name} 127.0.0.1`).join(',')}`;
const REFUSED = /Unexpected response code: 403/;

async function servePages() {
    const server = http.createServer((request, response) => {
        response.setHeader('Content-Type', 'text/html');
        response.end('<!doctype html><title>elsewhere</title>');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
}

/** Runs in the page: whether a socket opens, as `open` or `closed`. */
function tryToConnect(url) {
    return new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve('open');
        socket.onclose = () => resolve('closed');
    });
}

/** Runs in the page: the same in a frame whose origin is none, `sandboxed` or of a `data:` URL. */
function tryFromFrame([kind, url, script]) {
    return new Promise((resolve) => {
        const frame = document.createElement('iframe');
        const html = `<script>(${script})(${JSON.stringify(url)})
            .then((outcome) => parent.postMessage({ outcome, origin: self.origin }, '*'))</script>`;
        if (kind === 'sandboxed') {
            frame.sandbox = 'allow-scripts';
            frame.srcdoc = html;
        } else frame.src = `data:text/html,${encodeURIComponent(html)}`;
        addEventListener('message', ({ data }) => resolve(data));
        document.body.append(frame);
    });
}

describe('a page of another origin', () => {
    let browser;
    let pages;
    let others;
    let port;
    let otherPort;
    before(async () => {
        browser = await startBrowser({ args: [RESOLVE] });
        pages = await servePages();
        others = await servePages();
        port = pages.address().port;
        otherPort = others.address().port;
    });
    after(async () => {
        await browser?.close();
        pages?.close();
        others?.close();
    });

    /** Opens the page, and judges what becomes of the socket that `connect(page)` tries to open. */
    async function assertVisit(test, address, isAllowed, connect) {
        const context = await browser.newContext();
        context.setDefaultTimeout(patient(WAIT_MS));
        test.after(() => context.close());
        const page = await context.newPage();
        await page.goto(address);
        // Scripts are not told why a socket was refused; the console is.
        const isRefusal = (message) => REFUSED.test(message.text());
        const refusal = isAllowed || page.waitForEvent('console', isRefusal);
        const [outcome] = await Promise.all([connect(page), refusal]);
        assert.equal(outcome, isAllowed ? 'open' : 'closed');
    }

    /** Each row: the page's host, which of the two ports it is on, whether it may connect. */
    function itJudges(service, rows) {
        for (const [host, which, isAllowed] of rows) {
            const outcome = isAllowed ? 'connects' : 'is refused';
            it(`http://${host} on ${which} port ${outcome}`, async (test) => {
                const address = `http://${host}:${which === 'the' ? port : otherPort}/`;
                await assertVisit(test, address, isAllowed, (page) =>
                    page.evaluate(tryToConnect, service().wsUrl));
            });
        }
    }

    function itJudgesNone(service, isAllowed) {
        for (const kind of ['sandboxed', 'data']) {
            const outcome = isAllowed ? 'connects' : 'is refused';
            it(`a frame with no origin (${kind}) ${outcome}`, async (test) => {
                const details = [kind, service().wsUrl, tryToConnect.toString()];
                const address = `http://127.0.0.1:${port}/`;
                await assertVisit(test, address, isAllowed, async (page) => {
                    const answer = await page.evaluate(tryFromFrame, details);
                    assert.equal(answer.origin, 'null');
                    return answer.outcome;
                });
            });
        }
    }

    /** The list is a function: ports are known when the page servers listen. */
    function describeWith(what, list, judge) {
        describe(what, () => {
            let service;
            before(async () => {
                service = await startService({ env: { ALLOWED_ORIGINS: list() } });
            });
            after(() => service?.stop());
            judge(() => service);
        });
    }

    describeWith('that the list does not restrict', () => '*', (service) => {
        itJudges(service, [['127.0.0.1', 'the', true], ['a.example.org', 'another', true]]);
        itJudgesNone(service, true);
    });

    const exact = () => `http://127.0.0.1:${port}, HTTP://Chat.Example.ORG:${port}`;
    describeWith('against names and ports', exact, (service) => {
        itJudges(service, [
            ['127.0.0.1', 'the', true],
            ['127.0.0.1', 'another', false],
            ['localhost', 'the', false],
            ['chat.example.org', 'the', true],
            ['CHAT.example.org', 'the', true],
            ['chat.example.org', 'another', false],
            ['example.org', 'the', false],
            ['sub.chat.example.org', 'the', false],
        ]);
        itJudgesNone(service, false);
    });

    describeWith('against a star', () => `http://*.Example.org:${port}`, (service) => {
        itJudges(service, [
            ['a.example.org', 'the', true],
            ['A.B.example.org', 'the', true],
            ['a.example.org', 'another', false],
            ['example.org', 'the', false],
            ['notexample.org', 'the', false],
            ['127.0.0.1', 'the', false],
        ]);
        itJudgesNone(service, false);
    });

    describeWith('against another scheme', () => `https://*.example.org:${port}`, (service) => {
        itJudges(service, [['a.example.org', 'the', false]]);
    });

    describeWith('against null', () => 'null', (service) => {
        itJudges(service, [['127.0.0.1', 'the', false]]);
        itJudgesNone(service, true);
    });
});
