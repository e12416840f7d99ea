// A small parser of the Prometheus text format that refuses what Prometheus would refuse.

import assert from 'node:assert/strict';

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"\s*(?:,|$)/y;

function parseLabels(text) {
    const labels = {};
    LABEL.lastIndex = 0;
    while (LABEL.lastIndex < text.length) {
        const match = LABEL.exec(text);
        assert.ok(match, `labels ${text}`);
        assert.ok(!(match[1] in labels), `label ${match[1]} twice`);
        labels[match[1]] = match[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    }
    return labels;
}

function parseValue(text) {
    const value = { '+Inf': Infinity, '-Inf': -Infinity, NaN }[text] ?? Number(text);
    assert.ok(text === 'NaN' || !Number.isNaN(value), `value ${text}`);
    return value;
}

function familyOf(families, name) {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const family = families.get(name) ?? families.get(base);
    assert.ok(family, `sample ${name} belongs to no announced family`);
    if (!families.has(name)) {
        assert.ok(['histogram', 'summary'].includes(family.type), `${name} of a ${family.type}`);
    }
    return family;
}

/** name → {name, help, type, samples: [{name, labels, value}]} */
export function parseMetrics(text) {
    assert.ok(text.endsWith('\n'), 'the last line must end');
    const families = new Map();
    for (const line of text.split('\n')) {
        const comment = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line);
        if (comment) {
            const [, kind, name, rest] = comment;
            assert.match(name, NAME);
            if (!families.has(name)) families.set(name, { name, samples: [] });
            const family = families.get(name);
            const member = kind.toLowerCase();
            assert.ok(!(member in family), `${kind} of ${name} twice`);
            assert.equal(family.samples.length, 0, `${kind} of ${name} after its samples`);
            family[member] = rest;
        } else if (line !== '' && !line.startsWith('#')) {
            const match = SAMPLE.exec(line);
            assert.ok(match, `not a sample: ${line}`);
            const [, name, labels = '', value] = match;
            familyOf(families, name).samples.push({
                name,
                labels: parseLabels(labels),
                value: parseValue(value),
            });
        }
    }
    return families;
}

/** The sum over the labels of the families whose name the pattern matches. */
export function metricSum(families, pattern) {
    const samples = [...families.values()]
        .filter((family) => pattern.test(family.name))
        .flatMap((family) => family.samples.filter((sample) => sample.name === family.name));
    assert.ok(
        samples.length > 0,
        `no metric like ${pattern} in ${[...families.keys()].join(', ')}`,
    );
    return samples.reduce((sum, sample) => sum + sample.value, 0);
}
