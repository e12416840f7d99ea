/**
 * Shows /asyncapi.json, an AsyncAPI 3 document: each operation as an event with its data, its reply
 * and its examples, and the tables around them. All text goes in as text, never as HTML.
 */

/** An element; children are nodes or texts, and what is absent is left out. */
function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
    element.append(...children.flat().filter((child) => child !== undefined && child !== ''));
    return element;
}

/** Text with `code` and *emphasis*. */
function inline(text) {
    return text.split(/(`[^`]+`|\*[^*]+\*)/).map((part) => {
        if (/^`[^`]+`$/.test(part)) return make('code', null, part.slice(1, -1));
        if (/^\*[^*]+\*$/.test(part)) return make('em', null, part.slice(1, -1));
        return part;
    });
}

function paragraphs(text = '') {
    return text.split('\n\n').filter(Boolean).map((part) => make('p', null, inline(part)));
}

function table(heads, rows) {
    const head = make('tr', null, heads.map((text) => make('th', { scope: 'col' }, text)));
    const body = rows.map((cells) => make('tr', null, cells.map((cell) => make('td', null, cell))));
    return make('table', null, make('thead', null, head), make('tbody', null, body));
}

/* --- the document --- */

/** Follows a reference, and references to references. */
function resolve(root, value) {
    let at = value;
    while (at?.$ref !== undefined) {
        at = at.$ref.slice(2).split('/')
            .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
            .reduce((object, key) => object?.[key], root);
    }
    return at;
}

/** A schema with what it takes over by $ref and allOf. */
function flatten(root, schema) {
    const { allOf = [], ...own } = resolve(root, schema) ?? {};
    return [...allOf.map((part) => flatten(root, part)), own].reduce((all, part) => ({
        ...all,
        ...part,
        properties: { ...all.properties, ...part.properties },
        required: [...(all.required ?? []), ...(part.required ?? [])],
    }), {});
}

function typeText(root, schema) {
    const flat = flatten(root, schema);
    if (flat.const !== undefined) return JSON.stringify(flat.const);
    if (flat.enum) return flat.enum.map((value) => JSON.stringify(value)).join(' | ');
    const choices = flat.anyOf ?? flat.oneOf;
    if (choices) return choices.map((choice) => typeText(root, choice)).join(' | ');
    if (flat.type === 'array') return `array of ${typeText(root, flat.items)}`;
    if (flat.format === 'uuid') return 'UUID';
    if (flat.format === 'date-time') return 'timestamp';
    return [flat.type ?? 'any'].flat().join(' | ');
}

/** The rows for an object's members, and those of objects in it. */
function memberRows(root, schema, prefix = '') {
    const { properties, required } = flatten(root, schema);
    return Object.entries(properties).flatMap(([name, property]) => {
        const flat = flatten(root, property);
        const inner = flat.type === 'array' ? flatten(root, flat.items) : flat;
        const path = `${prefix}${name}`;
        const presence = required.includes(name) ? [] : [' ', make('small', null, 'optional')];
        return [
            [
                [make('code', null, path), ...presence],
                make('code', null, typeText(root, property)),
                inline(flat.description ?? ''),
            ],
            ...memberRows(root, inner, `${path}${flat.type === 'array' ? '[]' : ''}.`),
        ];
    });
}

function members(root, schema) {
    const flat = flatten(root, schema);
    const rows = memberRows(root, flat);
    if (rows.length > 0) return table(['Member', 'Type', 'Meaning'], rows);
    return make('p', null, inline(flat.description ?? ''));
}

/* --- an event --- */

function examplesOf(message) {
    return (message.examples ?? []).map(({ summary, payload }) => make('figure', null,
        make('figcaption', null, summary ?? 'Example'),
        make('pre', { tabindex: '0' }, make('code', null, JSON.stringify(payload, null, 2)))));
}

function dataOf(root, message) {
    const data = resolve(root, message.payload).properties?.data;
    if (data === undefined) return [make('p', null, inline('`data`: nothing of it is looked at.'))];
    return [make('h4', null, make('code', null, 'data')), members(root, data)];
}

function replyOf(root, operation) {
    const [reference] = operation.reply?.messages ?? [];
    if (reference === undefined) return [];
    const reply = resolve(root, reference);
    return [make('h4', null, 'Reply to a ', make('code', null, 'ref')), ...dataOf(root, reply).slice(1)];
}

function facts(root, operation, message) {
    const { type } = flatten(root, message.payload).properties;
    const list = [
        ['type', flatten(root, type).const],
        ['channel', resolve(root, operation.channel).title],
        ['limit', message['x-limit']],
    ];
    return make('p', { class: 'facts' }, list.filter(([, value]) => value !== undefined)
        .map(([name, value]) => make('span', null, `${name}: `, make('b', null, value))));
}

function eventArticle(root, key, operation) {
    const [message, ...variants] = operation.messages.map((reference) => resolve(root, reference));
    return make('article', { id: key, 'data-event': message.name, 'data-action': operation.action },
        make('h3', null, make('a', { href: `#${key}` }, message.name)),
        facts(root, operation, message),
        make('p', { class: 'summary' }, inline(message.summary)),
        paragraphs(message.description),
        dataOf(root, message),
        replyOf(root, operation),
        examplesOf(message),
        variants.map((variant) => make('section', null,
            make('h4', null, inline(variant.summary)), paragraphs(variant.description),
            dataOf(root, variant).slice(1), examplesOf(variant))));
}

/* --- the page --- */

const DIRECTIONS = [
    ['receive', 'What a client says'],
    ['send', 'What clients are told'],
];
const AFTER_CLOSE = {
    reconnect: 'reconnect, with backoff and jitter',
    stop: 'stop until something changes',
    mend: 'mend the client',
};

function ofAction(root, action) {
    return Object.entries(root.operations).filter(([, operation]) => operation.action === action);
}

function contents(root) {
    return make('nav', { class: 'contents', 'aria-label': 'Events' }, DIRECTIONS.map(([action, title]) =>
        make('div', null, make('h2', null, title), make('ul', null, ofAction(root, action)
            .map(([key, { title: name }]) => make('li', null,
                make('a', { href: `#${key}` }, name)))))));
}

function tables(root) {
    const { schemas } = root.components;
    const parts = [
        ['Envelope, from a client', members(root, schemas.ClientEnvelope)],
        ['Envelope, to a client', members(root, schemas.ServerEnvelope)],
        ['Error codes', table(['Code', 'Meaning'], schemas.ErrorCode.oneOf
            .map((code) => [make('code', null, code.const), inline(code.description)]))],
        ['Close codes', table(['Code', 'Meaning', 'What a client does'], root['x-close-codes']
            .map(({ code, meaning, then }) => [String(code), inline(meaning), AFTER_CLOSE[then] ?? then]))],
    ];
    if (root['x-limits']) {
        parts.push(['Limits', table(['Class', 'Setting', 'Default', 'Counts'], root['x-limits']
            .map((limit) => [limit.class, make('code', null, limit.variable),
                make('code', null, limit.default), inline(limit.counts)]))]);
    }
    return parts.map(([title, body]) => make('section', null, make('h2', null, title), body));
}

function render(root) {
    return [
        make('h1', null, root.info.title, ' ', make('small', null, root.info.version)),
        ...paragraphs(root.info.description),
        contents(root),
        ...DIRECTIONS.map(([action, title]) => make('section', null, make('h2', null, title),
            ofAction(root, action).map(([key, operation]) => eventArticle(root, key, operation)))),
        ...tables(root),
    ];
}

async function show(element) {
    try {
        const response = await fetch('/asyncapi.json');
        if (!response.ok) throw new Error(`${response.status}`);
        element.replaceChildren(...render(await response.json()));
        // The address may name an event, which the browser did not find before.
        document.getElementById(location.hash.slice(1))?.scrollIntoView();
    } catch (error) {
        element.replaceChildren(make('p', { role: 'alert' }, `asyncapi.json did not come: ${error.message}`));
    }
}

show(document.getElementById('events'));
