// Every wait of the end-to-end tests goes through here, so that no test can hang and a slow build
// (sanitizers) stretches all deadlines at once: E2E_SLOW=4 gives each of them four times as long.

export const SLOW = Math.max(1, Number(process.env.E2E_SLOW) || 1);

/** A deadline in milliseconds, stretched for slow builds. */
export function stretched(ms) {
    return ms * SLOW;
}

export function sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The promise's result, or an error that says what did not come in time. */
export async function within(promise, ms, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => {
            // The text is built only now: it may describe what has come until the deadline.
            const text = typeof what === 'function' ? what() : what;
            reject(new Error(`not within ${stretched(ms)} ms: ${text}`));
        }, stretched(ms));
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

/**
 * Repeats `check` until it returns something truthy, and returns that. For what the service shows
 * but does not announce (statistics, Redis' own lists). An exception counts as "not yet".
 */
export async function eventually(what, check, ms = 5000) {
    const end = Date.now() + stretched(ms);
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
            throw new Error(`not within ${stretched(ms)} ms: ${what}; last seen: ${seen}`);
        }
        await sleep(10);
    }
}
