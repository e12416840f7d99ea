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
        [browser, service] = await Promise.all([startBrowser(), startService()]);
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
