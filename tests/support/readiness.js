// What /readyz says, in the contract's words.

import assert from 'node:assert/strict';

import { assertErrorBody } from './chat.js';
import { eventually } from './deadline.js';
import { request } from './http.js';

/** The word of the contract that /readyz says: {status, word, text}. */
export async function readiness(pod) {
    const response = await request(pod, '/readyz');
    const words = [...response.text.matchAll(/"(ready|degraded|unready)"/g)].map(
        (match) => match[1],
    );
    assert.equal(new Set(words).size, 1, `one of ready, degraded, unready in ${response.text}`);
    return { status: response.status, word: words[0], text: response.text };
}

export async function assertReadiness(pod, status, word) {
    await eventually(`/readyz to say ${status} ${word}`, async () => {
        const seen = await readiness(pod);
        if (seen.status === status && seen.word === word) return true;
        throw new Error(JSON.stringify(seen));
    });
    const { text } = await readiness(pod);
    if (word !== 'ready') assert.match(text, /redis/i, 'it says why');
    if (status === 503) assertErrorBody(JSON.parse(text), 'UNAVAILABLE');
}
