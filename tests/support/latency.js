// Well-behaved clients that measure how long their messages take, to be compared before and during
// what a hostile peer does.

import { connect } from './websocket.js';

export function percentile(sorted, share) {
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** {count, p50, p99, max} of times in milliseconds. */
export function summary(times) {
    const sorted = [...times].sort((a, b) => a - b);
    const [p50, p99, max] = [0.5, 0.99, 1].map((share) =>
        sorted.length ? Number(percentile(sorted, share).toFixed(2)) : NaN,
    );
    return { count: sorted.length, p50, p99, max };
}

export class Company {
    /** Clients of one room; each of them hears what each says. */
    static async gather(pod, room, count) {
        const clients = [];
        for (let i = 0; i < count; i++) clients.push(await connect(pod, { room }));
        return new Company(pod, clients);
    }

    #times = [];
    #late = [];
    #said = 0;
    #heard = 0;
    #fault = null;

    constructor(pod, clients) {
        this.pod = pod;
        this.clients = clients;
        for (const client of clients) this.#listen(client).catch(() => {});
    }

    async #listen(client) {
        let next = 1;
        for (;;) {
            const { text } = await client.messages.next(3600000, 'a message');
            client.frames.drain();
            const { data } = JSON.parse(text);
            if (typeof data?.said !== 'number') continue;
            if (data.number !== next) this.#fault ??= `number ${data.number} in place of ${next}`;
            next = data.number + 1;
            this.#times.push(performance.now() - data.said);
            this.#heard += 1;
        }
    }

    /**
     * Talks for so long, in turn; the times from saying to hearing of each listener, and with
     * `late` how late this process' own timers were meanwhile: so much is the machine's doing.
     */
    async talk(ms, every = 4) {
        this.#times = [];
        this.#late = [];
        const end = performance.now() + ms;
        let last = performance.now();
        while (performance.now() < end) {
            const speaker = this.clients[0];
            this.#said += 1;
            speaker.sendJson({ data: { said: performance.now(), number: this.#said } });
            await new Promise((resolve) => setTimeout(resolve, every));
            const now = performance.now();
            this.#late.push(Math.max(0, now - last - every));
            last = now;
        }
        const wait = performance.now() + 60000;
        while (this.#heard < this.#said * this.clients.length && performance.now() < wait) {
            await new Promise((resolve) => setTimeout(resolve, 5));
        }
        return { ...summary(this.#times), late: summary(this.#late) };
    }

    /** Messages that did not come, or came out of order; null when all is well. */
    get fault() {
        const due = this.#said * this.clients.length;
        return this.#fault ?? (this.#heard === due ? null : `${this.#heard} of ${due} heard`);
    }

    close() {
        for (const client of this.clients) client.hangUp();
    }
}

/** How long an upgrade takes, again and again for so long: {count, p50, p99, max, failed}. */
export async function measureUpgrades(pod, ms, every = 20) {
    const times = [];
    let failed = 0;
    const end = performance.now() + ms;
    while (performance.now() < end) {
        const begin = performance.now();
        try {
            const client = await connect(pod);
            times.push(performance.now() - begin);
            client.reset();
        } catch {
            failed += 1;
        }
        await new Promise((resolve) => setTimeout(resolve, every));
    }
    return { ...summary(times), failed };
}
