// The chat page in a real browser.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { within } from '../../support/deadline.js';
import { freePort } from '../../support/redis.js';
import { startService } from '../../support/service.js';
import { connect } from '../../support/websocket.js';
import {
    SERVICE_GONE, connected, delivered, join, messageOf, say, startBrowser, windowFor,
} from './browser.js';

describe('the chat page', () => {
    let browser;
    let service;
    before(async () => {
        browser = await startBrowser();
        service = await startService();
    });
    after(async () => {
        await browser?.close();
        await service?.stop();
    });

    describe('chatting', () => {
        it('shows a message in the other window, with sender and time', async (test) => {
            const ada = await windowFor(test, browser, service);
            const bob = await windowFor(test, browser, service);
            await Promise.all([join(ada, 'Ada', 'tea'), join(bob, 'Bob', 'tea')]);
            await say(ada, 'good morning');
            await delivered(ada, 'good morning');
            const seen = messageOf(bob, 'good morning');
            await seen.waitFor();
            assert.equal(await seen.locator('.sender').textContent(), 'Ada');
            const time = await seen.locator('time').getAttribute('datetime');
            assert.ok(Math.abs(Date.now() - Date.parse(time)) < 60_000, time);
        });

        it('keeps what is said in another room out', async (test) => {
            const ada = await windowFor(test, browser, service);
            const bob = await windowFor(test, browser, service);
            await Promise.all([join(ada, 'Ada', 'red'), join(bob, 'Bob', 'blue')]);
            await say(ada, 'for red alone');
            await delivered(ada, 'for red alone');
            // What comes to everyone afterwards proves that the other would have come by now.
            await ada.getByLabel('To everyone').check();
            await say(ada, 'for all');
            await messageOf(bob, 'for all').waitFor();
            assert.match(await messageOf(bob, 'for all').textContent(), /to everyone/);
            assert.equal(await messageOf(bob, 'for red alone').count(), 0);
        });

        it('shows an own message as pending until it comes back', async (test) => {
            const page = await windowFor(test, browser, service);
            const held = [];
            let hold = true;
            await page.routeWebSocket(/\/ws\//, (socket) => {
                const server = socket.connectToServer();
                server.onMessage((message) => {
                    if (hold) held.push(message);
                    else socket.send(message);
                });
                test.release = () => {
                    hold = false;
                    for (const message of held) socket.send(message);
                };
            });
            await join(page, 'Ada', 'pending');
            await say(page, 'on its way');
            const message = messageOf(page, 'on its way');
            await message.getByText('Sending').waitFor();
            assert.equal(await message.getAttribute('data-state'), 'sending');
            test.release();
            await delivered(page, 'on its way');
            assert.equal(await message.count(), 1, 'it must not be there twice');
        });

        it('shows an error beside the message that it is about', async (test) => {
            const page = await windowFor(test, browser, service);
            await page.routeWebSocket(/\/ws\//, (socket) => {
                const server = socket.connectToServer();
                // Made into something that the service refuses.
                socket.onMessage((text) => {
                    const envelope = JSON.parse(text);
                    server.send(JSON.stringify({ ...envelope, type: 'gossip' }));
                });
            });
            await join(page, 'Ada', 'errors');
            await say(page, 'refuse me');
            const message = messageOf(page, 'refuse me');
            await message.getByText('Not sent: ').waitFor();
            assert.equal(await message.getAttribute('data-state'), 'failed');
        });

        it('shows HTML as the text that it is', async (test) => {
            const page = await windowFor(test, browser, service);
            await join(page, '<b>Ada</b>', 'markup');
            const text = '<img src="/x" onerror="document.title=1"><script>document.title=2</script>';
            await say(page, text);
            await delivered(page, 'onerror');
            const message = messageOf(page, 'onerror');
            assert.equal(await message.locator('.text').textContent(), text);
            assert.equal(await message.locator('.sender').textContent(), '<b>Ada</b>');
            assert.equal(await message.locator('img, script, b').count(), 0);
            assert.match(await page.title(), /^markup/);
        });

        it('shows the JSON of programs that send no text', async (test) => {
            const page = await windowFor(test, browser, service);
            await join(page, 'Ada', 'machines');
            const program = await connect(service, { room: 'machines' });
            test.after(() => program.hangUp());
            const values = [{}, null, 0, 'bare', [1, { a: '<i>' }], { name: 7, text: 8 }];
            for (const data of values) program.sendJson({ data });
            program.sendJson({ type: 'notification', event: 'notification:send', data: { ok: true } });
            await messageOf(page, '{"ok":true}').waitFor();
            assert.deepEqual(
                await page.locator('.message .text').allTextContents(),
                [...values, { ok: true }].map((data) => JSON.stringify(data)),
            );
            const tags = await messageOf(page, '{"ok":true}').locator('.tag').allTextContents();
            assert.deepEqual(tags, ['notification notification:send']);
        });

        it('keeps at most 500 messages', async (test) => {
            const page = await windowFor(test, browser, service);
            await join(page, 'Ada', 'flood');
            const program = await connect(service, { room: 'flood' });
            test.after(() => program.hangUp());
            for (let i = 0; i < 620; i++) program.sendJson({ data: { text: `number ${i}.` } });
            await messageOf(page, 'number 619.').waitFor();
            const texts = await page.locator('.message .text').allTextContents();
            assert.equal(texts.length, 500);
            assert.equal(texts[0], 'number 120.');
        });
    });

    describe('the connection', () => {
        it('comes back after the service restarted, and sends what waited', async (test) => {
            const env = { PORT: String(await freePort()) };
            const first = await startService({ env });
            let second;
            // Before the window's own hook, which fails the test and with it all later hooks.
            test.after(() => second?.stop());
            const page = await windowFor(test, browser, first, { accepted: SERVICE_GONE });
            await join(page, 'Ada', 'phoenix');
            await first.stop();
            await page.getByRole('status').getByText('Reconnecting').waitFor();
            await say(page, 'written meanwhile');
            await messageOf(page, 'written meanwhile').getByText('Waits for the connection').waitFor();
            second = await startService({ env });
            await connected(page);
            await delivered(page, 'written meanwhile');
        });

        it('offers a message again that was lost on the way', async (test) => {
            const page = await windowFor(test, browser, service);
            let losing = true;
            await page.routeWebSocket(/\/ws\//, (socket) => {
                const server = socket.connectToServer();
                // Not what the page says of itself as it connects: it would never be connected.
                socket.onMessage((message) => {
                    if (losing && message.includes('lost at first')) socket.close({ code: 4002 });
                    else server.send(message);
                });
            });
            await join(page, 'Ada', 'lossy');
            await say(page, 'lost at first');
            await messageOf(page, 'lost at first').getByText('Not confirmed').waitFor();
            losing = false;
            await connected(page);
            await page.getByRole('button', { name: 'Send again' }).click();
            await delivered(page, 'lost at first');
            assert.equal(await messageOf(page, 'lost at first').count(), 1);
        });

        it('stays away after a close code of 4500 and more, until asked', async (test) => {
            const page = await windowFor(test, browser, service);
            let connections = 0;
            await page.routeWebSocket(/\/ws\//, (socket) => {
                connections += 1;
                if (connections === 1) socket.close({ code: 4501, reason: 'house rules' });
                else socket.connectToServer();
            });
            await page.goto('/');
            await page.getByLabel('Your name').fill('Ada');
            await page.getByRole('button', { name: 'Join' }).click();
            await page.getByRole('status').getByText('house rules').waitFor();
            assert.equal(connections, 1);
            await page.getByRole('button', { name: 'Connect now' }).click();
            await connected(page);
            assert.equal(connections, 2);
        });

        it('ends when the reader leaves the room', async (test) => {
            const page = await windowFor(test, browser, service);
            await join(page, 'Ada', 'exit');
            await service.statsWhere('the room', ({ rooms }) => rooms.exit === 1);
            await page.getByRole('button', { name: 'Leave' }).click();
            await page.getByRole('heading', { name: 'Join a room' }).waitFor();
            await service.statsWhere('no such room', ({ rooms }) => rooms.exit === undefined);
        });
    });

    describe('names and rooms', () => {
        it('remembers both, and a link leads into the room', async (test) => {
            const page = await windowFor(test, browser, service);
            await join(page, 'Ada', 'the café #1');
            assert.equal(new URL(page.url()).searchParams.get('room'), 'the café #1');
            await page.reload();
            await connected(page);
            await page.getByRole('heading', { name: 'the café #1' }).waitFor();
            await page.goto('/');
            assert.equal(await page.getByLabel('Your name').inputValue(), 'Ada');
            assert.equal(await page.getByLabel('Room', { exact: true }).inputValue(), 'the café #1');
        });

        it('reaches rooms that a path cannot carry', async (test) => {
            for (const room of ['stats', '..', '100%', 'a?b#c']) {
                const page = await windowFor(test, browser, service);
                await join(page, 'Ada', room);
                await service.statsWhere(`the room ${room}`, ({ rooms }) => rooms[room] === 1);
            }
        });

        it('refuses a room that is none', async (test) => {
            const page = await windowFor(test, browser, service);
            await page.goto('/');
            await page.getByLabel('Your name').fill('Ada');
            for (const room of ['a/b', '   ', 'ü'.repeat(65)]) {
                await page.getByLabel('Room', { exact: true }).fill(room);
                await page.getByRole('button', { name: 'Join' }).click();
                const complaint = (field) => field.validationMessage;
                assert.match(await page.getByLabel('Room', { exact: true }).evaluate(complaint), /room/i);
            }
        });

        it('works where the browser stores nothing', async (test) => {
            const page = await windowFor(test, browser, service);
            await page.addInitScript(() => {
                Object.defineProperty(window, 'localStorage', {
                    get() {
                        throw new DOMException('no storage', 'SecurityError');
                    },
                });
            });
            await join(page, 'Ada', 'forgetful');
            await say(page, 'still here');
            await delivered(page, 'still here');
        });
    });

    describe('for everybody', () => {
        it('fits a phone: nothing is wider than 360 pixels', async (test) => {
            const viewport = { width: 360, height: 740 };
            const page = await windowFor(test, browser, service, { viewport, hasTouch: true });
            const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            await page.goto('/');
            assert.ok((await overflow()) <= 0, 'the form');
            await join(page, 'A'.repeat(40), 'r'.repeat(100));
            await say(page, 'w'.repeat(600));
            await delivered(page, 'www');
            assert.ok((await overflow()) <= 0, 'the room');
            const send = await page.getByRole('button', { name: 'Send' }).boundingBox();
            assert.ok(send.y + send.height <= viewport.height, 'the button must be on the screen');
            assert.ok(send.height >= 44, 'and large enough to touch');
        });

        it('has a language, landmarks, one heading on top, and a name for every control', async (test) => {
            const page = await windowFor(test, browser, service);
            for (const enter of [() => page.goto('/'), () => join(page, 'Ada', 'landmarks')]) {
                await enter();
                assert.equal(await page.locator('html').getAttribute('lang'), 'en');
                for (const role of ['banner', 'main', 'status']) {
                    assert.equal(await page.getByRole(role).count(), 1, role);
                }
                assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
                const nameless = await page.evaluate(() => [...document.querySelectorAll('input, textarea, button')]
                    .filter((control) => !control.labels?.[0]?.textContent.trim() && !control.textContent.trim())
                    .map((control) => control.outerHTML));
                assert.deepEqual(nameless, []);
            }
            const log = page.getByRole('log', { name: 'Messages' });
            assert.equal(await log.getAttribute('aria-live'), 'polite');
        });

        it('can be used with the keyboard alone, and shows where the focus is', async (test) => {
            const page = await windowFor(test, browser, service);
            await page.goto('/');
            const focused = () => page.evaluate(() => {
                const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
                return {
                    id: document.activeElement.id || document.activeElement.textContent,
                    ring: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
                };
            });
            assert.deepEqual(await focused(), { id: 'name', ring: true });
            await page.keyboard.type('Ada');
            await page.keyboard.press('Tab');
            assert.deepEqual(await focused(), { id: 'room', ring: true });
            await page.keyboard.press('ControlOrMeta+a');
            await page.keyboard.type('keys');
            await page.keyboard.press('Enter');
            await connected(page);
            assert.deepEqual(await focused(), { id: 'message', ring: true });
            await page.keyboard.type('first');
            await page.keyboard.press('Shift+Enter');
            await page.keyboard.type('second');
            await page.keyboard.press('Enter');
            await delivered(page, 'first');
            assert.equal(await page.locator('.message .text').textContent(), 'first\nsecond');
            for (const id of ['Send', 'everyone']) {
                await page.keyboard.press('Tab');
                assert.deepEqual(await focused(), { id, ring: true });
            }
        });

        for (const colorScheme of ['light', 'dark']) {
            it(`has enough contrast in the ${colorScheme} scheme`, async (test) => {
                const page = await windowFor(test, browser, service, { colorScheme });
                await page.goto('/');
                assert.deepEqual(await page.evaluate(textsOfLowContrast), []);
                await join(page, 'Ada', `contrast-${colorScheme}`);
                const program = await connect(service, { room: `contrast-${colorScheme}` });
                test.after(() => program.hangUp());
                // Enough senders for every colour that a name can have.
                for (let i = 0; i < 20; i++) program.sendJson({ data: { name: `user ${i}`, text: 'hi' } });
                await messageOf(page, 'user 19').waitFor();
                await say(page, 'mine');
                await delivered(page, 'mine');
                const hues = await page.evaluate(() => new Set([...document.querySelectorAll('.sender')]
                    .map((sender) => sender.className)).size);
                assert.ok(hues >= 5, `${hues} colours seen`);
                assert.deepEqual(await page.evaluate(textsOfLowContrast), []);
            });
        }

        it('shows the end of the conversation, unless the reader looks back', async (test) => {
            const page = await windowFor(test, browser, service, { viewport: { width: 600, height: 400 } });
            await join(page, 'Ada', 'scroll');
            const program = await connect(service, { room: 'scroll' });
            test.after(() => program.hangUp());
            const write = async (text) => {
                program.sendJson({ data: { text } });
                await messageOf(page, text).waitFor();
            };
            for (let i = 0; i < 30; i++) await write(`line ${i}.`);
            const log = page.getByRole('log');
            const atEnd = () => page.waitForFunction(() => {
                const { scrollTop, scrollHeight, clientHeight } = document.querySelector('.log');
                return scrollHeight - scrollTop - clientHeight < 2;
            });
            await atEnd();
            await log.evaluate((element) => element.scrollTo(0, 0));
            await page.evaluate(() => new Promise(requestAnimationFrame));
            await write('line 30.');
            await page.getByRole('button', { name: 'New messages' }).click();
            await atEnd();
            await page.getByRole('button', { name: 'New messages' }).waitFor({ state: 'hidden' });
        });
    });

    it('is sent with a policy that lets nothing inline and nothing foreign in', async (test) => {
        const page = await windowFor(test, browser, service, { accepted: /Content Security Policy/ });
        await page.goto('/');
        const violated = page.evaluate(() => new Promise((resolve) => {
            document.addEventListener('securitypolicyviolation', (event) => {
                resolve(event.effectiveDirective);
            }, { once: true });
            document.body.insertAdjacentHTML('beforeend', '<p style="color: red">');
        }));
        assert.equal(await within(violated, 5000, 'a violation'), 'style-src-attr');
    });
});

/** Runs in the page: every text whose contrast with what it stands on is below 4.5. */
function textsOfLowContrast() {
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = (color) => {
        const [r, g, b] = channels(color).map((channel) => {
            const part = channel / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const backgroundOf = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const { backgroundColor } = getComputedStyle(at);
            if (channels(backgroundColor)[3] !== 0) return backgroundColor;
        }
        return 'rgb(255, 255, 255)';
    };
    const hasText = (element) => element.checkVisibility()
        && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    return [...document.body.querySelectorAll('*')].filter(hasText).flatMap((element) => {
        const pair = [luminance(getComputedStyle(element).color), luminance(backgroundOf(element))];
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        return ratio < 4.5 ? [`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`] : [];
    });
}
