// Reading asyncapi.json: references, schemas with what they take over, and what the events' table
// says of data, made of a schema.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

export function readFile(name) {
    return fs.readFileSync(path.join(ROOT, name));
}

export const text = readFile('openapi/asyncapi.json');
export const document = JSON.parse(text);

/** What a `{"$ref":…}`, or a chain of them, stands for. */
export function resolve(value) {
    let at = value;
    while (at?.$ref !== undefined) {
        at = at.$ref
            .slice(2)
            .split('/')
            .reduce((object, key) => object?.[key], document);
    }
    return at;
}

/** The keys in the document to which a chain of references leads. */
export function target(reference) {
    const next = reference.$ref
        .slice(2)
        .split('/')
        .reduce((object, key) => object?.[key], document);
    return next?.$ref === undefined ? reference.$ref : target(next);
}

export function flatten(schema) {
    const { allOf = [], ...own } = resolve(schema) ?? {};
    return [...allOf.map(flatten), own].reduce(
        (all, part) => ({
            ...all,
            ...part,
            properties: { ...all.properties, ...part.properties },
            required: [...(all.required ?? []), ...(part.required ?? [])],
        }),
        {},
    );
}

/** The members of a message's data as the table tells them: "id, timestamp, duplicate?". */
export function dataMembers(message) {
    const schema = resolve(message.payload).properties.data;
    if (schema === undefined) return '';
    const { properties, required, type } = flatten(schema);
    const names = Object.keys(properties).map((name) => (required.includes(name) ? name : `${name}?`));
    return type === undefined && names.length === 0 ? 'anything' : names.join(', ');
}

/** The operations of one direction by the event's name: `receive` is what clients say. */
export function operationsOf(action) {
    const found = Object.values(document.operations).filter((operation) => operation.action === action);
    return new Map(found.map((operation) => [operation.title, operation]));
}
