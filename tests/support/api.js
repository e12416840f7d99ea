// The HTTP API as a backend uses it: JSON in, JSON out, with the key.

import assert from 'node:assert/strict';

import { request } from './http.js';

export const API_KEY = 'a-key-of-the-end-to-end-tests';
const BASE = '/api/chat-api';

/**
 * One call below /api/chat-api. `body` is text or a value that is written as JSON; a header of null
 * leaves the default out.
 */
export function call(pod, method, path, { body = '', headers = {}, key = API_KEY, ...options } = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const own = {};
    if (key !== null) own.Authorization = `Bearer ${key}`;
    if (text.length > 0) own['Content-Type'] = 'application/json';
    return request(pod, BASE + path, {
        ...options,
        method,
        body: text,
        headers: { ...own, ...headers },
    });
}

export function post(pod, path, body, options = {}) {
    return call(pod, 'POST', path, { ...options, body });
}

/** The JSON of a POST that was taken. */
export async function accepted(pod, path, body, options) {
    const response = await post(pod, path, body, options);
    assert.equal(response.status, 202, response.text);
    assert.match(response.headers['content-type'], /^application\/json\b/);
    return response.json;
}
