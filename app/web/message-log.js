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

function element(tag, className, text = '') {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
}

function isObject(value) {
    return value !== null && typeof value === 'object' && !Array.isArray(value);
}

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

function nameOf({ data, from }) {
    const named = isObject(data) && typeof data.name === 'string' ? data.name.trim() : '';
    const name = named || String(from ?? '').slice(0, 8) || 'unknown';
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

function renderMessage(envelope) {
    const name = nameOf(envelope);
    const sender = element('bdi', `sender hue-${hueOf(name)}`, name);
    sender.title = String(envelope.from ?? '');
    const time = element('time', 'time');
    setTime(time, envelope.timestamp);

    const meta = element('p', 'meta');
    meta.append(sender, ' ');
    for (const tag of tagsOf(envelope)) {
        meta.append(element('span', 'tag', tag), ' ');
    }
    meta.append(time);

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
    #senders = new Map(); // id of a message shown -> who sent it
    #pending = new Map(); // id of an own message -> its item, oldest first
    #following = true; // the view stays at the end as messages come
    #lastTop = 0;
    #frame = 0;

    /**
     * @param {object} parts the elements `list`, `scroller`, `empty` and `newest` (the button that
     *        leads to the end), and `resend(id)`, called when the reader asks for another try; it
     *        adds the message anew and returns true, or returns false; `edit(id, text)` and
     *        `remove(id)`, called when the reader wants to change an own message
     */
    constructor({ list, scroller, empty, newest, resend, edit, remove }) {
        this.#list = list;
        this.#scroller = scroller;
        this.#empty = empty;
        this.#newest = newest;
        this.#resend = resend;
        this.#edit = edit;
        this.#remove = remove;
        scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
        newest.addEventListener('click', () => this.#goToEnd());
        new ResizeObserver(() => this.#keepAtEnd()).observe(scroller);
        this.#setFollowing(true);
    }

    /** Shows a message that the server sent; one of our own that was pending is delivered by it. */
    receive(envelope) {
        const own = this.#pending.get(envelope.id);
        this.#senders.set(envelope.id, envelope.from);
        if (own === undefined) {
            this.#insert(renderMessage(envelope));
            this.#follow();
            return;
        }
        this.#settle(envelope.id, own);
        own.append(this.#tools(envelope));
        own.dataset.state = 'delivered';
        setTime(own.querySelector('time'), envelope.timestamp);
        own.querySelector('.sender').title = String(envelope.from ?? '');
    }

    /** Applies message:edit and message:delete; only the sender of a message changes it. */
    change({ event, from, data }) {
        const item = this.#senders.get(data?.id) === from ? this.#itemOf(data.id) : null;
        if (item === null) {
            return;
        }
        if (event === 'message:edit') {
            item.querySelector('.text').replaceWith(bodyOf(data.data));
            item.dataset.edited = '';
        } else {
            item.querySelector('.text').replaceWith(element('p', 'text gone', 'This message was deleted.'));
            item.querySelector('.tools')?.remove();
            delete item.dataset.edited;
        }
    }

    /** Takes message:status: others got these own messages, or read them. */
    mark({ ids, status }) {
        for (const id of ids ?? []) {
            const item = this.#itemOf(id);
            if (item !== null && item.dataset.receipt !== 'read') {
                item.dataset.receipt = status;
            }
        }
    }

    /** Shows an own message that is on its way: `state` is sending or queued. */
    addPending(envelope, state) {
        const item = renderMessage(envelope);
        item.classList.add('own');
        item.append(element('p', 'state'));
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

    // What the reader can do with an own message that has text.
    #tools({ id, data }) {
        const tools = element('p', 'tools');
        const add = (label, act) => {
            const button = element('button', 'quiet', label);
            button.type = 'button';
            button.addEventListener('click', act);
            tools.append(button, ' ');
        };
        if (typeof data?.text === 'string') {
            add('Edit', () => this.#edit(id, this.#itemOf(id).querySelector('.text').textContent));
        }
        add('Delete', () => this.#remove(id));
        return tools;
    }

    #resendButton(id, item) {
        const button = element('button', 'quiet', 'Send again');
        button.type = 'button';
        button.addEventListener('click', () => {
            if (this.#resend(id)) {
                item.remove();
            }
        });
        return button;
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
