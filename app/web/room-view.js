/**
 * One room on the page: its messages, its people, what was not read yet, and the marks that tell
 * the senders of messages that they came and were read.
 */

import { MessageLog } from './message-log.js';
import { People } from './people.js';

// Marks are gathered for so long: a busy room costs a few messages, not one each.
const MARK_MS = 1000;
const MARKS_MAX = 100;

export class RoomView {
    #mark;
    #isSeen;
    #unread = new Set(); // ids that came and were not read
    #delivered = new Set(); // ids whose marks are due
    #read = new Set();
    #timer = null;

    /**
     * @param {object} parts `name`; `template`, whose content is cloned; `changed(view)`, called when
     *        something outside the list of messages changed; `mark(view, event, ids)`, which sends
     *        marks; `isSeen(view)`: whether a reader sees the room; and MessageLog's callbacks
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
        clearTimeout(this.#timer);
        this.people.clear();
        this.element.remove();
    }

    #schedule() {
        if (this.#timer === null && this.#read.size + this.#delivered.size > 0) {
            this.#timer = setTimeout(() => this.#sendMarks(), MARK_MS);
        }
    }

    // Read implies delivered.
    #sendMarks() {
        this.#timer = null;
        const delivered = [...this.#delivered].filter((id) => !this.#read.has(id));
        for (const [event, ids] of [['message:read', [...this.#read]], ['message:delivered', delivered]]) {
            for (let at = 0; at < ids.length; at += MARKS_MAX) {
                this.#mark(this, event, ids.slice(at, at + MARKS_MAX));
            }
        }
        this.#read.clear();
        this.#delivered.clear();
    }
}
