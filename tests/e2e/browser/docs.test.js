// The docs page in a real browser: complete, at home, and usable.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { request } from '../../support/http.js';
import { startService } from '../../support/service.js';
import { startBrowser, windowFor } from './browser.js';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

describe('the docs page', () => {
    let browser;
    let service;
    let document;
    before(async () => {
        browser = await startBrowser();
        service = await startService();
        document = (await request(service, '/openapi.json')).json;
    });
    after(async () => {
        await browser?.close();
        await service?.stop();
    });

    async function openDocs(test, options) {
        const page = await windowFor(test, browser, service, options);
        await page.goto('/docs');
        await page.locator('.opblock').first().waitFor();
        return page;
    }

    function block(page, path) {
        return page.locator('.opblock').filter({ has: page.locator(`[data-path="${path}"]`) });
    }

    it('lists every operation of the document', async (test) => {
        const page = await openDocs(test);
        const expected = Object.entries(document.paths).flatMap(([path, item]) => METHODS
            .filter((method) => method in item)
            .map((method) => `${method.toUpperCase()} ${path}`));
        const shown = await page.locator('.opblock-summary').evaluateAll((summaries) => summaries.map(
            (summary) => `${summary.querySelector('.opblock-summary-method').textContent} `
                + summary.querySelector('.opblock-summary-path').dataset.path,
        ));
        assert.deepEqual(shown.sort(), expected.sort());
    });

    it('shows the schemas', async (test) => {
        const page = await openDocs(test);
        const names = Object.entries(document.components.schemas)
            .map(([name, schema]) => schema.title ?? name);
        const models = page.locator('section.models');
        for (const name of names) {
            await models.getByText(name, { exact: true }).first().waitFor();
        }
    });

    it('tries /healthz out', async (test) => {
        const page = await openDocs(test);
        const health = block(page, '/healthz');
        await health.locator('.opblock-summary-control').click();
        await health.getByRole('button', { name: 'Try it out' }).click();
        const answered = page.waitForResponse(`${service.url}/healthz`);
        await health.getByRole('button', { name: 'Execute' }).click();
        assert.equal((await answered).status(), 200);
        const answer = health.locator('.live-responses-table .response').first();
        await answer.waitFor();
        assert.match(await answer.textContent(), /200[^]*"status": "ok"/);
    });

    it('has upgrade routes to read, not to try', async (test) => {
        const page = await openDocs(test);
        const upgrade = block(page, '/api/chat-api/ws/{room}');
        await upgrade.locator('.opblock-summary-control').click();
        await upgrade.getByText('Sec-WebSocket-Key').first().waitFor();
        assert.equal(await upgrade.getByRole('button', { name: 'Try it out' }).count(), 0);
    });

    it('fits a phone', async (test) => {
        const page = await openDocs(test, { viewport: { width: 360, height: 740 } });
        const overflow = await page.evaluate(() => window.document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${overflow} pixels too wide`);
    });

    it('follows the color scheme', async (test) => {
        const page = await openDocs(test, { colorScheme: 'dark' });
        const background = () => page.locator('html').evaluate((html) => getComputedStyle(html).backgroundColor);
        const dark = await background();
        await page.emulateMedia({ colorScheme: 'light' });
        await page.waitForFunction(() => !window.document.documentElement.matches('.dark-mode'));
        assert.notEqual(await background(), dark);
    });
});

describe('the page of events', () => {
    let browser;
    let service;
    let document;
    before(async () => {
        browser = await startBrowser();
        service = await startService();
        document = (await request(service, '/asyncapi.json')).json;
    });
    after(async () => {
        await browser?.close();
        await service?.stop();
    });

    async function openEvents(test, options, place = '') {
        const page = await windowFor(test, browser, service, options);
        await page.goto(`/docs/events${place}`);
        await page.locator('article').first().waitFor();
        return page;
    }

    function resolve(reference) {
        const at = reference.$ref.slice(2).split('/').reduce((object, key) => object[key], document);
        return at.$ref === undefined ? at : resolve(at);
    }

    it('shows every event with its examples, in both directions', async (test) => {
        const page = await openEvents(test);
        const expected = Object.entries(document.operations).map(([key, { action, title, messages }]) => ({
            id: key,
            action,
            event: title,
            examples: messages.map(resolve).flatMap(({ examples }) => examples.map(({ payload }) => payload)),
        }));
        const shown = await page.locator('article').evaluateAll((articles) => articles.map((article) => ({
            id: article.id,
            action: article.dataset.action,
            event: article.dataset.event,
            examples: [...article.querySelectorAll('pre')].map((pre) => JSON.parse(pre.textContent)),
        })));
        const byId = (a, b) => (a.id < b.id ? -1 : 1);
        assert.deepEqual(shown.sort(byId), expected.sort(byId));
    });

    it('tells what is in an event, what the reply says, and what limits it', async (test) => {
        const page = await openEvents(test);
        const article = page.locator('[data-action=receive][data-event="message:send"]');
        const content = await article.textContent();
        for (const part of ['type: chat', 'limit: messages', 'Any JSON value', 'duplicate optional', 'timestamp']) {
            assert.ok(content.includes(part), `${part} in ${content}`);
        }
        const status = page.locator('[data-event="message:status"] tbody tr');
        assert.deepEqual(await status.locator('td:first-child').allTextContents(),
            ['ids', 'status', 'user', 'room optional']);
        assert.match(await status.nth(1).textContent(), /"delivered" \| "read"/);
    });

    it('has the error codes and close codes', async (test) => {
        const page = await openEvents(test);
        const codes = await page.locator('main > section td:first-child').allTextContents();
        for (const { code } of document['x-close-codes']) assert.ok(codes.includes(String(code)), code);
        for (const { const: code } of document.components.schemas.ErrorCode.oneOf) {
            assert.ok(codes.includes(code), code);
        }
    });

    it('is found from the routes, and each event has an address', async (test) => {
        const page = await windowFor(test, browser, service);
        await page.goto('/docs');
        await page.getByRole('link', { name: 'Events', exact: true }).click();
        await page.getByRole('navigation', { name: 'Events' }).getByRole('link', { name: 'room:join' }).click();
        await page.waitForURL('**/docs/events#takeRoomJoin');
        await page.getByRole('link', { name: 'HTTP', exact: true }).click();
        await page.locator('.opblock').first().waitFor();

        const direct = await openEvents(test, {}, '#tellMessageStatus');
        await direct.waitForFunction(() => {
            const { top } = window.document.getElementById('tellMessageStatus').getBoundingClientRect();
            return Math.abs(top) < innerHeight / 2;
        });
    });

    it('fits a phone', async (test) => {
        const page = await openEvents(test, { viewport: { width: 360, height: 740 } });
        const overflow = await page.evaluate(() => window.document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${overflow} pixels too wide`);
    });

    it('follows the color scheme', async (test) => {
        const page = await openEvents(test, { colorScheme: 'dark' });
        const background = () => page.locator('body').evaluate((element) => getComputedStyle(element).backgroundColor);
        const dark = await background();
        await page.emulateMedia({ colorScheme: 'light' });
        assert.notEqual(await background(), dark);
    });

    it('shows text as text, and says when the document does not come', async (test) => {
        const page = await windowFor(test, browser, service, { accepted: /404/ });
        const evil = '<img src="/nowhere" alt="evil">';
        const altered = structuredClone(document);
        altered.info.description = evil;
        for (const message of Object.values(altered.components.messages)) message.summary = evil;
        await page.route('**/asyncapi.json', (route) => route.fulfill({ json: altered }));
        await page.goto('/docs/events');
        await page.getByText(evil).first().waitFor();
        assert.equal(await page.locator('main img').count(), 0);

        await page.unroute('**/asyncapi.json');
        await page.route('**/asyncapi.json', (route) => route.fulfill({ status: 404 }));
        await page.reload();
        await page.getByRole('alert').filter({ hasText: 'asyncapi.json' }).waitFor();
    });
});
