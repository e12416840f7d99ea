/** Asks the service for what may be refused, and says in words why it was. */

import { SendError } from './chat-client.js';
import { isObject } from './dom.js';

// How often, after what, and how late at most, the service is asked again.
const TRIES = 5;
const AGAIN = ['RATE_LIMITED', 'NO_REPLY'];
const RETRY_MAX_MS = 30_000;

function secondsOf({ retry_after_ms: ms }) {
    return Number.isFinite(ms) ? Math.max(1, Math.ceil(ms / 1000)) : null;
}

/** What an error says, to the reader: `{ code, message, data }` of an envelope or a SendError. */
export function errorText({ code, message, data }) {
    const said = typeof message === 'string' ? message : 'the server refused it';
    const text = said.replace(/\.$/, '');
    const seconds = code === 'RATE_LIMITED' && isObject(data) ? secondsOf(data) : null;
    return seconds === null ? `${text}.` : `${text}. Try again in ${seconds} s.`;
}

/** Promises the reply, or `{ problem, code, retryInMs }`. */
export async function ask(client, message) {
    try {
        return await client.request(message);
    } catch (error) {
        if (!(error instanceof SendError)) {
            throw error;
        }
        const { code, data } = error;
        return { problem: errorText(error), code, retryInMs: isObject(data) ? data.retry_after_ms : 0 };
    }
}

/**
 * The same for what the page says by itself, and may say twice: where the service says "too fast",
 * or nothing in time, it is asked again as long as `isWanted()`.
 */
export async function askPatiently(client, message, isWanted) {
    for (let i = 1; ; i++) {
        const answer = await ask(client, message);
        if (!AGAIN.includes(answer.code) || i === TRIES) {
            return answer;
        }
        const wait = Math.min(answer.retryInMs || 1000, RETRY_MAX_MS);
        await new Promise((resolve) => setTimeout(resolve, wait));
        if (!isWanted()) {
            return answer;
        }
    }
}
