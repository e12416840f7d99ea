// Two people on the chat page, each in a window of their own: who is there, who is typing, how far
// a message came, changing it, several rooms. On one pod, and signed in on two with a Redis.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startRedis, startService } from '../../support/service.js';
import { SECRET, inSeconds, token } from '../../support/tokens.js';
import {
    addRoom, connected, delivered, join, messageOf, personOf, receipt, roomButton, say, signedIn,
    startBrowser, typingLine, windowFor,
} from './browser.js';

// Leaving is told nearly at once, so that tests need not wait for it.
const ENV = { PRESENCE_GRACE: '10ms', RATE_LIMIT_ENABLED: 'false' };
const AUTH_ENV = { ...ENV, AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };

/** Each: the pods' environment, how many there are, and how somebody comes in. */
const SETTINGS = [
    { what: 'on one pod', env: ENV, pods: 1, enter: join },
    { what: 'signed in, on two pods', env: AUTH_ENV, pods: 2, enter: enterSignedIn },
];

function enterSignedIn(page, name, room) {
    return signedIn(page, name, room, token({ sub: `id-of-${name}`, name }));
}

const HTML = '<img src="/x" onerror="document.title=1"><script>document.title=2</script>';

for (const { what, env, pods, enter } of SETTINGS) {
    describe(`two people ${what}`, () => {
        let browser;
        let redis;
        const services = [];
        let rooms = 0;
        before(async () => {
            if (pods > 1) redis = await startRedis();
            const podEnv = redis ? { ...env, REDIS_URL: redis.url } : env;
            for (let i = 0; i < pods; i++) services.push(await startService({ env: podEnv }));
            browser = await startBrowser();
        });
        after(async () => {
            await browser?.close();
            for (const service of services) await service.stop();
            await redis?.stop();
        });

        /** Ada and Bob, in a room that no other test uses; each sees the other. */
        async function meet(test, options) {
            const room = `room-${++rooms}`;
            const ada = await windowFor(test, browser, services[0], options);
            const bob = await windowFor(test, browser, services.at(-1), options);
            await Promise.all([enter(ada, 'Ada', room), enter(bob, 'Bob', room)]);
            await Promise.all([see(ada, 'Bob', 'online'), see(bob, 'Ada', 'online')]);
            return { ada, bob, room };
        }

        async function see(page, name, status) {
            try {
                await personOf(page, name, status).waitFor({ state: 'attached' });
            } catch (error) {
                const shown = await page.locator('#people, .notice, #status-text').allTextContents();
                throw new Error(`${name} is not there; shown: ${shown.join(' | ')}`, { cause: error });
            }
        }

        function seeGo(page, name) {
            return personOf(page, name).waitFor({ state: 'detached' });
        }

        it('see who is there, with their statuses', async (test) => {
            const { ada, bob, room } = await meet(test);
            assert.equal(await ada.locator('#people-count').textContent(), '2');
            for (const [label, status] of [['busy', 'busy'], ['away', 'away'], ['online', 'online']]) {
                await bob.getByLabel('Your status').selectOption({ label: `You are ${label}` });
                await see(ada, 'Bob', status);
            }
            await bob.getByLabel('Your status').selectOption({ label: 'You are invisible' });
            await seeGo(ada, 'Bob');
            await bob.getByLabel('Your status').selectOption({ label: 'You are online' });
            await see(ada, 'Bob', 'online');

            const eve = await windowFor(test, browser, services.at(-1));
            await enter(eve, 'Eve', room);
            await see(ada, 'Eve', 'online');
            assert.equal(await ada.locator('#people-count').textContent(), '3');
            await eve.getByRole('button', { name: 'Leave' }).click();
            await seeGo(ada, 'Eve');
            assert.equal(await ada.locator('#people-count').textContent(), '2');
        });

        it('see each other type, until the message comes or the text is gone', async (test) => {
            const { ada, bob } = await meet(test);
            const field = ada.getByLabel('Message', { exact: true });
            await field.pressSequentially('h');
            await typingLine(bob, 'Ada is typing').waitFor();
            assert.equal(await ada.locator('#typing').textContent(), '', 'nobody sees themselves');
            await say(ada, 'here it is');
            await messageOf(bob, 'here it is').waitFor();
            await typingLine(bob).waitFor({ state: 'hidden' });
        });

        it('see an own message go from sent to delivered to read', async (test) => {
            const { ada, bob, room } = await meet(test);
            await addRoom(bob, `${room}-aside`);
            await say(ada, 'have you seen it?');
            await receipt(ada, 'have you seen it?', 'delivered').waitFor();
            assert.equal(await messageOf(bob, 'have you seen it?').isVisible(), false);
            await roomButton(bob, room).click();
            await messageOf(bob, 'have you seen it?').waitFor();
            await receipt(ada, 'have you seen it?', 'read').waitFor();
            assert.equal(await bob.getByRole('log').getByRole('img').count(), 0, 'ticks are for own messages');
            // Who looks at the room has read what comes at once.
            await say(ada, 'and this?');
            await receipt(ada, 'and this?', 'read').waitFor();
        });

        it('see what was edited, as text and marked so', async (test) => {
            const { ada, bob } = await meet(test);
            await say(ada, 'good mroning');
            await messageOf(bob, 'good mroning').waitFor();
            assert.equal(await messageOf(bob, 'good mroning').getByRole('button').count(), 0);

            await messageOf(ada, 'good mroning').getByRole('button', { name: 'Edit' }).click();
            const field = ada.getByLabel('Message', { exact: true });
            assert.equal(await field.inputValue(), 'good mroning');
            await field.fill('good morning');
            await ada.getByRole('button', { name: 'Save' }).click();
            for (const page of [ada, bob]) {
                await messageOf(page, 'good morning').getByText('edited', { exact: true }).waitFor();
                assert.equal(await messageOf(page, 'good mroning').count(), 0);
            }
            assert.equal(await field.inputValue(), '');

            await messageOf(ada, 'good morning').getByRole('button', { name: 'Edit' }).click();
            await field.fill(HTML);
            await field.press('Enter');
            for (const page of [ada, bob]) {
                const message = messageOf(page, 'onerror');
                await message.waitFor();
                assert.equal(await message.locator('.text').textContent(), HTML);
                assert.equal(await message.locator('.text *').count(), 0);
                assert.match(await page.title(), /^room-/);
            }
        });

        it('see that a message was deleted', async (test) => {
            const { ada, bob } = await meet(test);
            await say(ada, 'forget this');
            await messageOf(bob, 'forget this').waitFor();
            await messageOf(ada, 'forget this').getByRole('button', { name: 'Delete' }).click();
            for (const page of [ada, bob]) {
                const gone = messageOf(page, 'This message was deleted.');
                await gone.waitFor();
                assert.equal(await messageOf(page, 'forget this').count(), 0);
                assert.equal(await gone.getByRole('button').count(), 0);
            }
        });

        it('have several rooms, and count what they did not read', async (test) => {
            const { ada, bob, room } = await meet(test);
            const other = `${room}-other`;
            await addRoom(bob, other);
            for (const text of ['one', 'two', 'three']) await say(ada, text);
            const button = roomButton(bob, room);
            await button.filter({ hasText: '3 unread' }).waitFor();
            assert.equal(await bob.title(), `(3) ${other} – chat-api`);
            assert.equal(await roomButton(bob, other).getAttribute('aria-current'), 'true');
            await button.click();
            await messageOf(bob, 'three').waitFor();
            await button.filter({ hasNotText: 'unread' }).waitFor();
            assert.equal(await bob.title(), `${room} – chat-api`);
            await receipt(ada, 'three', 'read').waitFor();

            // What is said in one room stays there, and leaving one keeps the other.
            await say(bob, 'in the first');
            await messageOf(ada, 'in the first').waitFor();
            await roomButton(bob, other).click();
            assert.equal(await messageOf(bob, 'in the first').isVisible(), false);
            await bob.getByRole('button', { name: 'Leave' }).click();
            await roomButton(bob, other).waitFor({ state: 'detached' });
            await messageOf(bob, 'in the first').waitFor();
            await say(ada, 'still there?');
            await messageOf(bob, 'still there?').waitFor();
        });

        it('find each other again after the connection was lost', async (test) => {
            const room = `room-${++rooms}`;
            const ada = await windowFor(test, browser, services[0]);
            const bob = await windowFor(test, browser, services.at(-1));
            let cut;
            await bob.routeWebSocket(/\/ws\//, (socket) => {
                const server = socket.connectToServer();
                cut ??= async () => {
                    await server.close({ code: 4002 });
                    await socket.close({ code: 4002 });
                };
            });
            await Promise.all([enter(ada, 'Ada', room), enter(bob, 'Bob', room)]);
            await addRoom(bob, `${room}-other`);
            await Promise.all([see(ada, 'Bob', 'online'), say(bob, 'before')]);
            await delivered(bob, 'before');
            await roomButton(bob, room).click();
            await see(bob, 'Ada', 'online');
            await cut();
            await seeGo(bob, 'Ada');
            await connected(bob);
            await Promise.all([see(bob, 'Ada', 'online'), see(ada, 'Bob', 'online')]);
            await say(ada, 'welcome back');
            await messageOf(bob, 'welcome back').waitFor();
            await addRoom(ada, `${room}-other`);
            await say(ada, 'in the other, too');
            await roomButton(bob, `${room}-other`).filter({ hasText: '1 unread' }).waitFor();
        });

        if (env === AUTH_ENV) itKnowsPeople();
        else itForgetsPeople();

        function itKnowsPeople() {
            it('are called by the names that their tokens say, wherever they write from', async (test) => {
                const { ada, bob, room } = await meet(test);
                const second = await windowFor(test, browser, services.at(-1));
                await signedIn(second, 'Bob', room, token({ sub: 'id-of-Ada', name: 'Ada' }));
                await see(second, 'Bob', 'online');
                assert.equal(await second.locator('#people-count').textContent(), '2');
                await say(second, 'from my other window');
                for (const page of [ada, bob]) {
                    const message = messageOf(page, 'from my other window');
                    await message.waitFor();
                    assert.equal(await message.locator('.sender').textContent(), 'Ada');
                }
                // It is hers in both windows: what others did with it is told, and she can change it.
                await receipt(ada, 'from my other window', 'read').waitFor();
                await messageOf(ada, 'from my other window').getByRole('button', { name: 'Delete' }).click();
                await messageOf(second, 'This message was deleted.').waitFor();
            });

            it('send a message again whose answer was lost, and it is not there twice', async (test) => {
                const room = `room-${++rooms}`;
                const ada = await windowFor(test, browser, services[0]);
                const bob = await windowFor(test, browser, services[0]);
                let isLosing = true;
                await ada.routeWebSocket(/\/ws\//, (socket) => {
                    const server = socket.connectToServer();
                    server.onMessage((text) => {
                        if (isLosing && text.includes('twice?')) socket.close({ code: 4002 });
                        else socket.send(text);
                    });
                });
                await Promise.all([enter(ada, 'Ada', room), enter(bob, 'Bob', room)]);
                await see(ada, 'Bob', 'online');
                await say(ada, 'twice?');
                await messageOf(ada, 'twice?').getByText('Not confirmed').waitFor();
                isLosing = false;
                await connected(ada);
                await ada.getByRole('button', { name: 'Send again' }).click();
                await delivered(ada, 'twice?');
                await say(ada, 'afterwards');
                await messageOf(bob, 'afterwards').waitFor();
                for (const page of [ada, bob]) assert.equal(await messageOf(page, 'twice?').count(), 1);
            });
        }

        function itForgetsPeople() {
            it('cannot change what they said before the connection was lost', async (test) => {
                const page = await windowFor(test, browser, services[0]);
                let cut;
                await page.routeWebSocket(/\/ws\//, (socket) => {
                    socket.connectToServer();
                    cut = () => socket.close({ code: 4002 });
                });
                await enter(page, 'Ada', `room-${++rooms}`);
                await say(page, 'by who I was');
                await delivered(page, 'by who I was');
                await cut();
                await messageOf(page, 'by who I was').getByRole('button').first().waitFor({ state: 'detached' });
                await connected(page);
                await say(page, 'by who I am');
                await delivered(page, 'by who I am');
                assert.equal(await messageOf(page, 'by who I am').getByRole('button').count(), 2);
            });
        }
    });
}

describe('the page of two people', () => {
    let browser;
    let service;
    before(async () => {
        browser = await startBrowser();
        service = await startService({ env: ENV });
    });
    after(async () => {
        await browser?.close();
        await service?.stop();
    });

    it('fits 375 pixels, whatever names, rooms and messages there are', async (test) => {
        const viewport = { width: 375, height: 667 };
        const long = 'x'.repeat(40);
        const ada = await windowFor(test, browser, service, { viewport, hasTouch: true });
        const bob = await windowFor(test, browser, service);
        await Promise.all([join(ada, 'Ada', 'narrow'), join(bob, long, 'narrow')]);
        await ada.locator('#people-panel summary').click();
        await personOf(ada, long, 'online').waitFor();
        await addRoom(ada, 'r'.repeat(128));
        await roomButton(ada, 'narrow').click();
        await say(ada, 'w'.repeat(500));
        await receipt(ada, 'www', 'read').waitFor();
        await messageOf(ada, 'www').getByRole('button', { name: 'Edit' }).click();
        await bob.getByLabel('Message', { exact: true }).pressSequentially('h');
        await typingLine(ada, long).waitFor();
        const tooWide = await ada.evaluate(() => [...document.body.querySelectorAll('*')]
            .filter((element) => element.checkVisibility() && !element.closest('.unseen'))
            .filter((element) => element.getBoundingClientRect().right > innerWidth)
            .map((element) => element.outerHTML.slice(0, 100)));
        assert.deepEqual(tooWide, []);
        assert.ok(await ada.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        const save = await ada.getByRole('button', { name: 'Save' }).boundingBox();
        assert.ok(save.y + save.height <= viewport.height, 'the button must be on the screen');
        const log = await ada.getByRole('log').boundingBox();
        assert.ok(log.height >= 100, `${log.height} pixels for the messages`);
    });

    it('can be used with the keyboard alone', async (test) => {
        const ada = await windowFor(test, browser, service);
        const bob = await windowFor(test, browser, service);
        await Promise.all([join(ada, 'Ada', 'keys'), join(bob, 'Bob', 'keys')]);
        const press = async (...keys) => {
            for (const key of keys) await ada.keyboard.press(key);
        };
        const focused = () => ada.evaluate(() => document.activeElement.id || document.activeElement.textContent);
        await ada.keyboard.type('frist');
        await press('Enter');
        await delivered(ada, 'frist');

        // Backwards from the field: the message's own buttons, then the list.
        await press('Shift+Tab');
        assert.equal(await focused(), 'Delete');
        await press('Shift+Tab');
        assert.equal(await focused(), 'Edit');
        await press('Enter');
        assert.equal(await focused(), 'message');
        await press('ControlOrMeta+a');
        await ada.keyboard.type('first');
        await press('Enter');
        await messageOf(bob, 'first').waitFor();
        await messageOf(ada, 'first').getByText('edited').waitFor();
        assert.equal(await focused(), 'message');

        // What was begun is there again when an edit ends, or is given up.
        await ada.keyboard.type('a draft');
        await press('Shift+Tab', 'Shift+Tab', 'Enter', 'Escape');
        assert.equal(await ada.getByLabel('Message', { exact: true }).inputValue(), 'a draft');
        await press('Shift+Tab', 'Enter');
        await messageOf(bob, 'deleted').waitFor();
        assert.equal(await focused(), 'message', 'the button that had the focus is gone');

        await ada.getByLabel('Another room').focus();
        await ada.keyboard.type('more keys');
        await press('Enter');
        await ada.getByRole('heading', { name: 'more keys' }).waitFor();
        assert.equal(await focused(), 'message');
        await roomButton(ada, 'keys').focus();
        await press('Enter');
        await ada.getByRole('heading', { name: 'keys', exact: true }).waitFor();
    });

    it('ends the typing line when somebody leaves, changes rooms, or clears the text', async (test) => {
        const ada = await windowFor(test, browser, service);
        const bob = await windowFor(test, browser, service);
        await Promise.all([join(ada, 'Ada', 'typing'), join(bob, 'Bob', 'typing')]);
        await personOf(ada, 'Bob', 'online').waitFor();
        const line = typingLine(bob, 'Ada is typing');
        const field = ada.getByLabel('Message', { exact: true });
        const endings = [
            () => field.fill(''),
            () => addRoom(ada, 'typing elsewhere'),
            () => ada.getByRole('button', { name: 'Leave' }).click(),
        ];
        // Each notice by a user of their own: the service passes one on in 3 seconds.
        for (const [i, end] of endings.entries()) {
            if (i > 0) {
                await ada.goto('about:blank');
                await join(ada, 'Ada', 'typing');
            }
            await personOf(bob, 'Ada', 'online').waitFor();
            await field.pressSequentially('h');
            await line.waitFor();
            await end();
            await line.waitFor({ state: 'hidden' });
        }
    });

    it('counts people that come and go while another room is shown', async (test) => {
        const ada = await windowFor(test, browser, service);
        await join(ada, 'Ada', 'coming');
        await addRoom(ada, 'meanwhile');
        const bob = await windowFor(test, browser, service);
        await join(bob, 'Bob', 'coming');
        await personOf(bob, 'Ada', 'online').waitFor();
        await roomButton(ada, 'coming').click();
        await personOf(ada, 'Bob', 'online').waitFor();
        await roomButton(ada, 'meanwhile').click();
        await personOf(ada, 'Bob').waitFor({ state: 'detached' });
    });
});

describe('signing in', () => {
    let browser;
    let service;
    before(async () => {
        browser = await startBrowser();
        service = await startService({ env: AUTH_ENV });
    });
    after(async () => {
        await browser?.close();
        await service?.stop();
    });

    const REFUSED = { accepted: /WebSocket connection to .* failed|Failed to load resource.*40[13]/ };

    it('is asked for where it is needed, and what is wrong with a token is said', async (test) => {
        const page = await windowFor(test, browser, service, REFUSED);
        await page.goto('/');
        await page.getByLabel('Your name').fill('Ada');
        await page.getByRole('button', { name: 'Join' }).click();
        const alert = page.locator('#join-problem');
        await alert.filter({ hasText: /Not signed in: .*token/ }).waitFor();

        await page.getByLabel('Token', { exact: true }).fill('no token');
        await page.getByRole('button', { name: 'Join' }).click();
        const complaint = (field) => field.validationMessage;
        assert.match(await page.getByLabel('Token', { exact: true }).evaluate(complaint), /no token/);

        await page.getByLabel('Token', { exact: true }).fill(token({ exp: 1 }));
        await page.getByRole('button', { name: 'Join' }).click();
        await alert.filter({ hasText: 'expired' }).waitFor();

        await page.getByLabel('Token', { exact: true }).fill(token());
        await page.getByRole('button', { name: 'Join' }).click();
        await connected(page);
    });

    it('says which room a token does not open', async (test) => {
        const page = await windowFor(test, browser, service, REFUSED);
        const rooms = [{ match: 'open*' }];
        const narrow = token({ rooms });
        await page.goto('/');
        await page.getByLabel('Your name').fill('Ada');
        await page.getByLabel('Room', { exact: true }).fill('shut');
        await page.locator('#token-panel summary').click();
        await page.getByLabel('Token', { exact: true }).fill(narrow);
        await page.getByRole('button', { name: 'Join' }).click();
        await page.locator('#join-problem').filter({ hasText: 'shut: ' }).waitFor();
        await page.getByLabel('Room', { exact: true }).fill('open');
        await page.getByRole('button', { name: 'Join' }).click();
        await connected(page);
        await page.getByLabel('Another room').fill('shut');
        await page.getByRole('button', { name: 'Add' }).click();
        await page.locator('#composer-problem').filter({ hasText: 'shut: ' }).waitFor();
        await page.getByRole('heading', { name: 'open' }).waitFor();
    });

    it('goes on with another token before the first one ends', async (test) => {
        const page = await windowFor(test, browser, service);
        await signedIn(page, 'Ada', 'going on', token({ exp: inSeconds(50) }));
        const panel = page.getByRole('form', { name: 'Sign in again' });
        await panel.getByText('Your sign-in ends soon').waitFor();
        await page.getByLabel('New token').fill(token({ sub: 'somebody else' }));
        await panel.getByRole('button', { name: 'Sign in' }).click();
        await panel.locator('#sign-in-problem').filter({ hasText: /./ }).waitFor();
        await page.getByLabel('New token').fill(token());
        await panel.getByRole('button', { name: 'Sign in' }).click();
        await panel.waitFor({ state: 'hidden' });
        await say(page, 'the same connection');
        await delivered(page, 'the same connection');
        assert.equal((await service.stats()).connections, 1);
    });

    it('never stores the token, nor shows it', async (test) => {
        const page = await windowFor(test, browser, service);
        const secret = token();
        await signedIn(page, 'Ada', 'secrets', secret);
        const found = await page.evaluate((value) => JSON.stringify(localStorage).includes(value)
            || JSON.stringify(sessionStorage).includes(value) || document.cookie.includes(value)
            || location.href.includes(value) || document.documentElement.innerHTML.includes(value), secret);
        assert.equal(found, false);
    });
});
