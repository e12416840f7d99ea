// JSON.parse takes an object that has a member twice, and readers of YAML, such as the docs page,
// refuse it.

import assert from 'node:assert/strict';

function countMembers(value) {
    if (value === null || typeof value !== 'object') return 0;
    const inner = Object.values(value).reduce((sum, child) => sum + countMembers(child), 0);
    return inner + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

/** Asserts that no object in the JSON text has a member twice. */
export function assertNoMemberTwice(text) {
    const strings = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)];
    const written = strings.filter(([, colon]) => colon !== undefined).length;
    assert.equal(written, countMembers(JSON.parse(text)), 'some object has a member twice');
}
