// Every wait of the end-to-end tests goes through here, so that no test can hang and a slow build
// (sanitizers) stretches all deadlines at once: E2E_SLOW=4 gives each of them four times as long.

export const SLOW = Math.max(1, Number(process.env.E2E_SLOW) || 1);

// A deadline that only guards against hanging says nothing of the service, so it is far away: a
// machine that does ten other things beside the tests must not come near it.
const PATIENCE = Math.max(SLOW, 8);

/** A time in milliseconds that the service or a bound is given, stretched for slow builds. */
export function stretched(ms) {
    return ms * SLOW;
}

export function sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

/** How long to wait at most for what takes `ms`, where only a hang is to be noticed. */
export function patient(ms) {
    return ms * PATIENCE;
}

/** The promise's result, or an error that says what did not come in time (a guard, see above). */
export async function within(promise, ms, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => {
            // The text is built only now: it may describe what has come until the deadline.
            const text = typeof what === 'function' ? what() : what;
            reject(new Error(`not within ${patient(ms)} ms: ${text}`));
        }, patient(ms));
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

/**
 * Repeats `check` until it returns something truthy, and returns that. For what the service shows
 * but does not announce (statistics, Redis' own lists). An exception counts as "not yet". The
 * deadline is a guard.
 */
export async function eventually(what, check, ms = 5000) {
    const end = Date.now() + patient(ms);
    let last;
    for (;;) {
        try {
            last = await check();
            if (last) return last;
        } catch (error) {
            last = error;
        }
        if (Date.now() > end) {
            const seen = last instanceof Error ? last.message : JSON.stringify(last);
            throw new Error(`not within ${patient(ms)} ms: ${what}; last seen: ${seen}`);
        }
        await sleep(10);
    }
}

const TICK = 10;

/**
 * Measures what the service takes, on a machine that may have other things to do: `ms()` is the
 * time since its making less the time for which this very process was kept from running, which
 * `late()` and, of one stretch, `latest` tell. An upper bound of the service holds for `ms()`; a
 * lower one holds for the clock on the wall.
 */
export class Stopwatch {
    latest = 0;
    #begin = performance.now();
    #last = this.#begin;
    #late = 0;
    #timer = setInterval(() => this.#tick(), TICK).unref();

    #tick() {
        const now = performance.now();
        const late = Math.max(0, now - this.#last - TICK);
        this.#late += late;
        this.latest = Math.max(this.latest, late);
        this.#last = now;
    }

    late() {
        this.#tick();
        return this.#late;
    }

    ms() {
        return performance.now() - this.#begin - this.late();
    }

    stop() {
        clearInterval(this.#timer);
        return this.ms();
    }
}
