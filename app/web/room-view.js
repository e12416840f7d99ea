/**
 * One room on the page: its messages, its people, what was not read yet, and the marks that tell
 * the senders of messages that they came and were read.
 */

import { MessageLog } from './message-log.js';
import { People } from './people.js';

// Marks are gathered for so long, and longer where they were sent a moment ago: they count as
// messages, and who reads along in a busy room must still be able to say something.
const MARK_MS = 500;
const MARK_EVERY_MS = 3000;
const MARKS_MAX = 100;

export class RoomView {
    #mark;
    #isSeen;
    #unread = new Set(); // ids that came and were not read
    #delivered = new Set(); // ids whose marks are due
    #read = new Set();
    #timer = null;
    #markedAt = -Infinity;
    #hasEnded = false;

    /**
     * @param {object} parts `name`; `template`, whose content is cloned; `changed(view)`, called when
     *        something outside the list of messages changed; `mark(view, event, ids)`, which sends
     *        marks and promises whether they are done with: else they are sent again later;
     *        `isSeen(view)`: whether a reader sees the room; and MessageLog's callbacks
     */
    constructor({ name, template, changed, mark, isSeen, ...callbacks }) {
        this.name = name;
        this.element = template.content.firstElementChild.cloneNode(true);
        const part = (selector) => this.element.querySelector(selector);
        this.log = new MessageLog({
            list: part('.messages'),
            scroller: part('.log'),
            empty: part('.empty'),
            newest: part('.newest'),
            personOf: (user) => this.people.get(user),
            ...callbacks,
        });
        this.people = new People(() => changed(this));
        this.changed = () => changed(this);
        this.#mark = mark;
        this.#isSeen = isSeen;
    }

    get unreadCount() {
        return this.#unread.size;
    }

    /** A message of somebody else came. */
    note(id) {
        if (this.#isSeen(this)) {
            this.#read.add(id);
        } else {
            this.#unread.add(id);
            this.#delivered.add(id);
        }
        this.#schedule();
        this.changed();
    }

    /** The reader sees the room now. */
    see() {
        for (const id of this.#unread) {
            this.#read.add(id);
        }
        this.#unread.clear();
        this.#schedule();
        this.changed();
    }

    end() {
        this.#hasEnded = true;
        clearTimeout(this.#timer);
        this.people.clear();
        this.element.remove();
    }

    #schedule() {
        if (this.#timer === null && !this.#hasEnded && this.#read.size + this.#delivered.size > 0) {
            const wait = Math.max(MARK_MS, this.#markedAt + MARK_EVERY_MS - performance.now());
            this.#timer = setTimeout(() => this.#sendMarks(), wait);
        }
    }

    #sendMarks() {
        const read = [...this.#read];
        const delivered = [...this.#delivered].filter((id) => !this.#read.has(id)); // read implies it
        this.#timer = null;
        this.#markedAt = performance.now();
        this.#read.clear();
        this.#delivered.clear();
        this.#send('message:read', read, this.#read);
        this.#send('message:delivered', delivered, this.#delivered);
    }

    async #send(event, ids, due) {
        for (let at = 0; at < ids.length; at += MARKS_MAX) {
            const part = ids.slice(at, at + MARKS_MAX);
            if (!(await this.#mark(this, event, part))) {
                part.forEach((id) => due.add(id));
                this.#schedule();
            }
        }
    }
}
