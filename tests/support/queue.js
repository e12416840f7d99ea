// A queue whose reader waits, with a deadline. What arrives before anybody asks is kept.

import { within } from './deadline.js';

export class WaitQueue {
    #items = [];
    #waiting = [];
    #over = null;

    get size() {
        return this.#items.length;
    }

    push(item) {
        const reader = this.#waiting.shift();
        if (reader) reader.resolve(item);
        else this.#items.push(item);
    }

    /** No more will come: whoever waits, and whoever asks when all is read, gets the error. */
    end(error) {
        this.#over ??= error;
        for (const reader of this.#waiting.splice(0)) reader.reject(this.#over);
    }

    /** The next item; an error after `ms`. */
    async next(ms = 5000, what = 'the next item') {
        if (this.#items.length > 0) return this.#items.shift();
        if (this.#over) throw this.#over;
        const reader = {};
        const item = new Promise((resolve, reject) => Object.assign(reader, { resolve, reject }));
        this.#waiting.push(reader);
        try {
            return await within(item, ms, what);
        } finally {
            // A reader that gave up must not swallow what comes later.
            this.#waiting = this.#waiting.filter((other) => other !== reader);
        }
    }

    /** All that has come and was not read yet. */
    drain() {
        return this.#items.splice(0);
    }
}
