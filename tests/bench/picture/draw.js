// Draws the results of the benchmarks with vega-lite: node draw.js RESULTS_FOLDER PICTURES_FOLDER.
// Reads results.json and growth.json, writes cost.svg, latency.svg, memory.svg and growth.svg; what
// was not measured is not drawn.

import fs from 'node:fs';
import path from 'node:path';

import { load } from '../../support/packages.js';

const vega = await load('vega');
const vegaLite = await load('vega-lite');

const TITLES = {
    'chat-api': 'chat-api',
    floor: 'floor',
    bun: 'uWebSockets (Bun)',
    nchan: 'nginx + nchan',
    go: 'Go gorilla, several in a frame',
    'go-frames': 'Go gorilla, a frame each',
    ws: 'Node ws',
    socketio: 'Socket.IO',
};
const COLORS = {
    'chat-api': '#d1495b',
    floor: '#222222',
    bun: '#d97ba6',
    nchan: '#2e8b57',
    go: '#00798c',
    'go-frames': '#7fc4cf',
    ws: '#edae49',
    socketio: '#8d6cab',
};
const CONFIG = {
    background: 'white',
    font: 'Helvetica, Arial, sans-serif',
    view: { stroke: null },
    axis: { grid: true, gridColor: '#e4e4e4', domain: false, ticks: false, labelLimit: 640 },
    title: { anchor: 'start', fontSize: 14 },
    legend: { labelLimit: 420, symbolSize: 110 },
};

function read(folder, file) {
    const from = path.join(folder, file);
    return fs.existsSync(from) ? JSON.parse(fs.readFileSync(from, 'utf8')).results : [];
}

/** A row for each scenario and server, with `pick`'s figures; without any, none. */
function rowsOf(results, pick) {
    return results.flatMap(({ scenario, targets }) =>
        Object.entries(targets).flatMap(([name, summary]) => {
            const figures = pick(summary, scenario, name);
            const known = figures && Object.values(figures).every((value) => value !== null);
            return known ? [{ scenario: scenario.title, server: TITLES[name], ...figures }] : [];
        }),
    );
}

function present(rows) {
    const names = Object.keys(TITLES).filter((name) =>
        rows.some(({ server }) => server === TITLES[name]),
    );
    return {
        domain: names.map((name) => TITLES[name]),
        range: names.map((name) => COLORS[name]),
    };
}

function color(rows) {
    return { field: 'server', type: 'nominal', scale: present(rows), title: null };
}

const BY_SCENARIO = { field: 'scenario', type: 'nominal', sort: null, title: null };

function cost(results) {
    const rows = rowsOf(results, (s, { kind }) =>
        kind === 'connect' ? null : { cost: s.cpu_s_per_million },
    );
    return {
        title: 'CPU seconds for a million deliveries (less is better)',
        width: 560,
        height: { step: 34 },
        data: { values: rows },
        mark: { type: 'point', filled: true, size: 130, opacity: 0.9 },
        encoding: {
            y: BY_SCENARIO,
            x: { field: 'cost', type: 'quantitative', scale: { type: 'log' }, title: null },
            color: color(rows),
        },
        rows,
    };
}

function latency(results) {
    const names = ['calm', 'pairs', 'pods-calm'];
    const rows = rowsOf(results, (s, { name }) =>
        names.includes(name) && !s.generator_bound && !s.machine_busy
            ? { p50: s.p50_us / 1000, p99: s.p99_us / 1000, p999: s.p999_us / 1000 }
            : null,
    );
    const y = { field: 'server', type: 'nominal', sort: present(rows).domain, title: null };
    const x = (field) => ({ field, type: 'quantitative', scale: { type: 'log' }, title: 'ms' });
    return {
        title: 'Latency: median (dot), 99 % (bar), 99.9 % (end of the line)',
        data: { values: rows },
        facet: {
            row: {
                ...BY_SCENARIO,
                header: { labelAngle: 0, labelOrient: 'top', labelAnchor: 'start' },
            },
        },
        spec: {
            width: 560,
            height: { step: 20 },
            encoding: { y, color: { ...color(rows), legend: null } },
            layer: [
                { mark: 'rule', encoding: { x: x('p50'), x2: { field: 'p999' } } },
                { mark: { type: 'point', filled: true, size: 70 }, encoding: { x: x('p50') } },
                { mark: { type: 'tick', thickness: 3 }, encoding: { x: x('p99') } },
            ],
        },
        resolve: { scale: { y: 'independent' } },
        rows,
    };
}

function bars(rows, field, title) {
    return {
        title,
        width: 240,
        height: { step: 24 },
        mark: 'bar',
        encoding: {
            y: { field: 'server', type: 'nominal', sort: present(rows).domain, title: null },
            x: { field, type: 'quantitative', title: null },
            color: { ...color(rows), legend: null },
        },
    };
}

function memory(results) {
    const rows = rowsOf(results, (s, { name }) =>
        name === 'idle' ? { memory: s.rss_per_client, handshake: s.cpu_us_per_connect } : null,
    );
    return {
        data: { values: rows },
        hconcat: [
            bars(rows, 'memory', 'Resident bytes for an idle client'),
            bars(rows, 'handshake', 'CPU microseconds for a handshake'),
        ],
        rows,
    };
}

const FAMILIES = {
    members: 'members of the room',
    rooms: 'rooms of 10,000 clients',
    size: 'bytes of a message',
};

function line(rows, field, x, title) {
    return {
        title,
        width: 240,
        height: 170,
        data: { values: rows },
        mark: { type: 'line', point: true },
        encoding: {
            x: {
                field: 'x',
                type: 'quantitative',
                scale: { type: 'log' },
                title: x,
                axis: { tickCount: 4, format: '~s' },
            },
            y: { field, type: 'quantitative', scale: { zero: true }, title: null },
            color: color(rows),
        },
    };
}

function growth(results) {
    const families = Object.entries(FAMILIES).map(([family, title]) => {
        const rows = rowsOf(
            results.filter(({ scenario }) => scenario.family === family),
            (s, { x }) => ({ x, cost: s.cpu_s_per_million, memory: s.rss_per_client }),
        );
        return { rows, spec: line(rows, 'cost', title, 'CPU s per million deliveries') };
    });
    const members = families[0].rows;
    return {
        concat: [
            ...families.map(({ spec }) => spec),
            line(members, 'memory', FAMILIES.members, 'Resident bytes for a client'),
        ],
        columns: 2,
        rows: families.flatMap(({ rows }) => rows),
    };
}

async function draw({ rows, ...spec }, file) {
    if (rows.length === 0) return;
    const compiled = vegaLite.compile({ ...spec, config: CONFIG }).spec;
    const view = new vega.View(vega.parse(compiled), { renderer: 'none' });
    fs.writeFileSync(file, `${await view.toSVG()}\n`);
    console.log(file);
}

const [from, to] = process.argv.slice(2);
fs.mkdirSync(to, { recursive: true });
const results = read(from, 'results.json');
await draw(cost(results), path.join(to, 'cost.svg'));
await draw(latency(results), path.join(to, 'latency.svg'));
await draw(memory(results), path.join(to, 'memory.svg'));
await draw(growth(read(from, 'growth.json')), path.join(to, 'growth.svg'));
