// Puts the tables of what was measured into docs/performance.md, between its markers:
//
//     node tests/bench/report.js
//
// Reads results.json, growth.json and hundred.json of build/bench; what was not measured keeps the
// table that it had.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { resultRows } from './results.js';
import { BUILD, TARGETS } from './targets.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const PAGE = path.join(ROOT, 'docs/performance.md');

function markdown([head, ...rows]) {
    const line = (cells) => `| ${cells.join(' | ')} |`;
    return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function describe({ machine, settings }) {
    const { model, cores, kernel, commit } = machine;
    const { rounds, seconds, threads } = settings;
    return `${cores} cores (${model}), Linux ${kernel}, commit ${commit}; medians of ${rounds} \
rounds of ${seconds} s, ${threads} connection thread${threads === 1 ? '' : 's'}.`;
}

function resultTable(report) {
    const [head, ...rows] = resultRows(report.results, report.names);
    const titles = head.map((name) => TARGETS[name]?.title ?? name);
    return `${markdown([titles, ...rows])}\n\n${describe(report)}`;
}

function hundredTable(r) {
    const mebi = (bytes) => `${(bytes / (1 << 20)).toFixed(0)} MiB`;
    const ms = (us) => `${(us / 1000).toFixed(1)} ms`;
    return markdown([
        ['what', 'figure'],
        ['clients, pods, rooms', `${r.clients}, ${r.pods}, ${r.rooms}`],
        ['connected within', `${r.connect_s.toFixed(1)} s`],
        ['resident memory of all pods', `${mebi(r.rss_connected)}; at the end ${mebi(r.rss_end)}`],
        ['resident memory for a client', `${r.rss_per_client.toFixed(0)} B`],
        ['resident memory of Redis', mebi(r.redis_rss)],
        ['deliveries', `${r.deliveries_per_s.toFixed(0)}/s`],
        ['latency p50, p99, p99.9', [r.p50_us, r.p99_us, r.p999_us].map(ms).join(', ')],
        ['lost, doubled, out of order, thrown out', String(r.faults)],
    ]);
}

function fill(page, name, file, table) {
    const from = path.join(BUILD, 'bench', file);
    if (!fs.existsSync(from)) return page;
    const text = table(JSON.parse(fs.readFileSync(from, 'utf8')));
    const place = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end of ${name} -->)`);
    return page.replace(place, (_, begin, end) => `${begin}${text}\n${end}`);
}

let page = fs.readFileSync(PAGE, 'utf8');
page = fill(page, 'results', 'results.json', resultTable);
page = fill(page, 'growth', 'growth.json', resultTable);
page = fill(page, 'hundred', 'hundred.json', hundredTable);
fs.writeFileSync(PAGE, page);
