/**
 * The list of messages on the page.
 *
 *     +--------------------------+
 *     | received and delivered   |  in the order in which the server sent them
 *     | failed                   |
 *     +--------------------------+
 *     | pending, oldest first    |  own messages that did not come back yet
 *     +--------------------------+
 *
 * Whatever a message holds becomes a text node: nothing here parses markup.
 */

import { button, element, isObject } from './dom.js';

const MESSAGES_MAX = 500;
const JSON_SHOWN_MAX = 2000;
const NAME_SHOWN_MAX = 60;
const HUES = 6;

// This near to the end, in pixels, a reader wants to stay at the end.
const END_SLACK_PX = 48;

const shortTime = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const longTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

const PENDING_TEXT = {
    sending: 'Sending\u2026',
    queued: 'Waits for the connection\u2026',
};

const TICKS = { sent: '\u2713', delivered: '\u2713\u2713', read: '\u2713\u2713' };

// Programs send data of any shape: what has no text is shown as JSON.
function bodyOf(data) {
    if (isObject(data) && typeof data.text === 'string') {
        const body = element('p', 'text', data.text);
        body.dir = 'auto';
        return body;
    }
    const json = JSON.stringify(data) ?? '';
    const shown = json.length > JSON_SHOWN_MAX ? `${json.slice(0, JSON_SHOWN_MAX)}\u2026` : json;
    const body = element('p', 'text');
    body.append(element('code', '', shown));
    return body;
}

// A name that a token vouches for goes before the one that the message gives itself.
function nameOf({ data, from }, person) {
    const given = isObject(data) && typeof data.name === 'string' ? data.name.trim() : '';
    const name = person?.name || given || String(from ?? '').slice(0, 8) || 'unknown';
    return name.length > NAME_SHOWN_MAX ? `${name.slice(0, NAME_SHOWN_MAX)}\u2026` : name;
}

function hueOf(name) {
    let sum = 0;
    for (const character of name) {
        sum = (sum * 31 + character.codePointAt(0)) % 65521;
    }
    return sum % HUES;
}

// What tells this message from an ordinary one of the room.
function tagsOf({ room, type = 'chat', event }) {
    const tags = [];
    if (room === undefined || room === null) {
        tags.push('to everyone');
    }
    if (type !== 'chat' || (event && event !== 'message:send')) {
        tags.push(event ? `${type} ${event}` : type);
    }
    return tags;
}

function setTime(time, timestamp) {
    const parsed = new Date(timestamp);
    const date = Number.isNaN(parsed.getTime()) ? new Date() : parsed;
    time.dateTime = date.toISOString();
    time.textContent = shortTime.format(date);
    time.title = longTime.format(date);
}

function renderMessage(envelope, person) {
    const name = nameOf(envelope, person);
    const sender = element('bdi', `sender hue-${hueOf(name)}`, name);
    sender.title = String(envelope.from ?? '');
    const time = element('time', 'time');
    setTime(time, envelope.timestamp);

    const meta = element('p', 'meta');
    meta.append(sender, ' ');
    for (const tag of tagsOf(envelope)) {
        meta.append(element('span', 'tag', tag), ' ');
    }
    meta.append(element('span', 'edited'), time);

    const item = element('li', 'message');
    item.dataset.id = String(envelope.id ?? '');
    item.append(meta, bodyOf(envelope.data));
    return item;
}

export class MessageLog {
    #list;
    #scroller;
    #empty;
    #newest;
    #resend;
    #edit;
    #remove;
    #personOf;
    #senders = new Map(); // id of a message shown -> who sent it
    #pending = new Map(); // id of an own message -> its item, oldest first
    #following = true; // the view stays at the end as messages come
    #lastTop = 0;
    #frame = 0;

    /**
     * @param {object} parts the elements `list`, `scroller`, `empty` and `newest` (the button that
     *        leads to the end), and `resend(id)`, called when the reader asks for another try; it
     *        adds the message anew and returns true, or returns false; `edit(id, text)` and
     *        `remove(id)`, called when the reader wants to change an own message; `personOf(user)`:
     *        what presence tells of a user, if anything
     */
    constructor({ list, scroller, empty, newest, resend, edit, remove, personOf }) {
        this.#list = list;
        this.#scroller = scroller;
        this.#empty = empty;
        this.#newest = newest;
        this.#resend = resend;
        this.#edit = edit;
        this.#remove = remove;
        this.#personOf = personOf;
        scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
        newest.addEventListener('click', () => this.#goToEnd());
        new ResizeObserver(() => this.#keepAtEnd()).observe(scroller);
        this.#setFollowing(true);
    }

    /**
     * Shows a message that the server sent; one of our own that was pending is confirmed by it.
     * `isOwn`: the reader sent it, be it from another window.
     */
    receive(envelope, { isOwn = false } = {}) {
        if (isOwn && this.#pending.has(envelope.id)) {
            this.confirm(envelope);
            return;
        }
        if (this.#senders.get(envelope.id) === envelope.from) {
            return; // It was confirmed before it came, or came twice.
        }
        const item = renderMessage(envelope, this.#personOf(envelope.from));
        if (isOwn) {
            this.#makeOwn(item, envelope);
            this.#settled(item, envelope);
        } else if (!this.#senders.has(envelope.id)) {
            this.#senders.set(envelope.id, envelope.from);
        }
        this.#insert(item);
        this.#follow();
    }

    /** A pending message of our own reached the server, which says when; `from` is our user id. */
    confirm(envelope) {
        const item = this.#pending.get(envelope.id);
        if (item !== undefined) {
            this.#settle(envelope.id, item);
            this.#settled(item, envelope);
        }
    }

    /**
     * Applies message:edit and message:delete; only the sender of a message changes it, and what
     * is deleted stays so. Returns whether anything changed.
     */
    change({ event, from, data }) {
        const item = this.#senders.get(data.id) === from ? this.#itemOf(data.id) : null;
        if (item === null || item.dataset.deleted !== undefined) {
            return false;
        }
        if (event === 'message:edit') {
            item.querySelector('.text').replaceWith(bodyOf(data.data));
            item.querySelector('.edited').textContent = 'edited';
        } else {
            item.querySelector('.text').replaceWith(element('p', 'text gone', 'This message was deleted.'));
            item.querySelector('.edited').textContent = '';
            item.querySelector('.tools')?.remove();
            item.dataset.deleted = '';
        }
        return true;
    }

    /** Takes message:status: others got these own messages, or read them. */
    mark({ ids, status }) {
        for (const id of Array.isArray(ids) ? ids : []) {
            const item = this.#itemOf(id);
            if (item?.classList.contains('own') && Object.hasOwn(TICKS, status)) {
                this.#tick(item, status);
            }
        }
    }

    /** What is shown was sent by a user that we are no more, so we cannot change it any more. */
    disown() {
        for (const tools of this.#list.querySelectorAll('[data-state=delivered] .tools')) {
            tools.remove();
        }
    }

    /** Shows an own message that is on its way: `state` is sending or queued. */
    addPending(envelope, state) {
        const item = renderMessage(envelope);
        this.#makeOwn(item, envelope);
        this.#pending.set(envelope.id, item);
        this.#list.append(item);
        this.setPending(envelope.id, state);
        this.#changed();
        this.#goToEnd();
    }

    /** Changes how far a pending message is. */
    setPending(id, state) {
        const item = this.#pending.get(id);
        if (item !== undefined) {
            item.dataset.state = state;
            item.querySelector('.state').textContent = PENDING_TEXT[state];
        }
    }

    /** The ids of the own messages that did not come back yet. */
    pendingIds() {
        return [...this.#pending.keys()];
    }

    /** Ends the wait for a message: `reason` stands beside it, and a button if it may go again. */
    fail(id, reason, { mayResend = false } = {}) {
        const item = this.#pending.get(id);
        if (item === undefined) {
            return;
        }
        this.#settle(id, item);
        item.dataset.state = 'failed';
        const state = item.querySelector('.state');
        state.replaceChildren(element('span', 'problem', reason));
        if (mayResend) {
            state.append(' ', this.#resendButton(id, item));
        }
        this.#follow();
    }

    /** Shows a line of the page's own. */
    notice(text) {
        this.#insert(element('li', 'notice', text));
        this.#follow();
    }

    clear() {
        this.#pending.clear();
        this.#senders.clear();
        this.#list.replaceChildren();
        this.#changed();
        this.#goToEnd();
    }

    #itemOf(id) {
        return this.#list.querySelector(`[data-id="${CSS.escape(id)}"]`);
    }

    #makeOwn(item, envelope) {
        item.classList.add('own');
        item.append(element('p', 'state'), this.#tools(envelope));
        const ticks = element('span', 'ticks');
        ticks.role = 'img';
        item.querySelector('.meta').append(' ', ticks);
    }

    // The server has the message, and said so in the envelope, or in its reply.
    #settled(item, { id, from, timestamp }) {
        this.#senders.set(id, from);
        item.dataset.state = 'delivered';
        setTime(item.querySelector('time'), timestamp);
        item.querySelector('.sender').title = String(from ?? '');
        this.#tick(item, 'sent');
    }

    // Ticks only grow: marks may overtake each other on their ways.
    #tick(item, status) {
        const order = Object.keys(TICKS);
        if (order.indexOf(status) > order.indexOf(item.dataset.receipt)) {
            const ticks = item.querySelector('.ticks');
            item.dataset.receipt = status;
            ticks.textContent = TICKS[status];
            ticks.ariaLabel = status;
            ticks.title = status;
        }
    }

    // What the reader can do with an own message; only text can be edited.
    #tools({ id, data }) {
        const tools = element('p', 'tools');
        if (typeof data?.text === 'string') {
            const edit = () => this.#edit(id, this.#itemOf(id).querySelector('.text').textContent);
            tools.append(button('Edit', edit), ' ');
        }
        tools.append(button('Delete', () => this.#remove(id)));
        return tools;
    }

    #resendButton(id, item) {
        return button('Send again', () => {
            if (this.#resend(id)) {
                item.remove();
            }
        });
    }

    // A message stops being pending, and takes its place before those that still are.
    #settle(id, item) {
        const wasFirst = this.#firstPending() === item;
        this.#pending.delete(id);
        item.querySelector('.state').replaceChildren();
        if (!wasFirst) {
            this.#insert(item);
        }
    }

    #firstPending() {
        const [first = null] = this.#pending.values();
        return first;
    }

    #insert(item) {
        this.#list.insertBefore(item, this.#firstPending());
        this.#changed();
    }

    #changed() {
        while (this.#list.childElementCount > MESSAGES_MAX) {
            this.#dropOldest();
        }
        this.#empty.hidden = this.#list.childElementCount > 0;
    }

    #dropOldest() {
        const oldest = this.#list.firstElementChild;
        this.#senders.delete(oldest.dataset.id);
        oldest.remove();
        if (this.#firstPending() === oldest) {
            const [id] = this.#pending.keys();
            this.#pending.delete(id);
        }
    }

    // Only the reader moves the view upwards. A view that merely is not at the end may be about to
    // go there, as messages come between a scroll and the event that tells of it.
    #scrolled() {
        const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
        if (scrollHeight - scrollTop - clientHeight <= END_SLACK_PX) {
            this.#setFollowing(true);
        } else if (scrollTop < this.#lastTop) {
            this.#setFollowing(false);
        }
        this.#lastTop = scrollTop;
    }

    #setFollowing(following) {
        this.#following = following;
        this.#scroller.classList.toggle('following', following);
        if (following) {
            this.#newest.hidden = true;
        }
    }

    #goToEnd() {
        this.#setFollowing(true);
        this.#keepAtEnd();
    }

    #follow() {
        if (this.#following) {
            this.#keepAtEnd();
        } else {
            this.#newest.hidden = false;
        }
    }

    // Once a frame, so that a burst of messages costs one layout.
    #keepAtEnd() {
        if (this.#following && this.#frame === 0) {
            this.#frame = requestAnimationFrame(() => {
                this.#frame = 0;
                this.#scroller.scrollTop = this.#scroller.scrollHeight;
            });
        }
    }
}
