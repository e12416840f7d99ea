// Medians of rounds, and the table of them.

/** Where others took so much of a core meanwhile, rates and latencies are theirs. */
const BUSY = 0.3;
const FAULTS = ['lost', 'duplicated', 'out_of_order', 'unexpected', 'closed'];

export function median(values) {
    const list = values.filter((value) => typeof value === 'number').sort((a, b) => a - b);
    if (list.length === 0) return null;
    const middle = (list.length - 1) / 2;
    return (list[Math.floor(middle)] + list[Math.ceil(middle)]) / 2;
}

/** Of all rounds: one is one too many. */
export function faults(rounds) {
    return rounds.reduce((sum, round) => sum + FAULTS.reduce((all, key) => all + round[key], 0), 0);
}

/** Of what several generators found together: each tells its histogram. */
export function quantile(figures, share) {
    const counts = new Map();
    for (const { histogram_us: histogram } of figures) {
        for (const [us, count] of histogram) counts.set(us, (counts.get(us) ?? 0) + count);
    }
    const buckets = [...counts].sort(([a], [b]) => a - b);
    const total = buckets.reduce((all, [, count]) => all + count, 0);
    let seen = 0;
    for (const [us, count] of buckets) {
        seen += count;
        if (seen > total * share || seen === total) return us;
    }
    return 0;
}

/** One figure for each key; `limit` is the generator when it was in most rounds. */
export function summarize(rounds) {
    const summary = {};
    for (const key of Object.keys(rounds[0])) {
        if (typeof rounds[0][key] === 'string' || Array.isArray(rounds[0][key])) continue;
        summary[key] = median(rounds.map((round) => round[key]));
    }
    const bound = rounds.filter((round) => round.limit === 'generator').length;
    summary.generator_bound = bound * 2 > rounds.length;
    const others = median(rounds.map((round) => round.others_cpu_s / round.run_s));
    summary.machine_busy = others > BUSY;
    summary.faults = faults(rounds);
    return summary;
}

/** Each round has its own ratio: what the machine did to one it did to the other. */
export function overFloor(rounds, floorRounds, key = 'cpu_s_per_million') {
    const ratios = rounds.map((round, i) =>
        floorRounds[i]?.[key] > 0 && round[key] !== null ? round[key] / floorRounds[i][key] : null,
    );
    return median(ratios);
}

function digits(value) {
    if (value === null || value === undefined) return '-';
    if (value >= 100) return value.toFixed(0);
    return value.toPrecision(value >= 1 ? 3 : 2);
}

function milliseconds(us) {
    return digits(us / 1000);
}

/** A figure that is the generator's or other programs' is none of the server's. */
function unless(s, text) {
    if (s.machine_busy) return 'busy';
    return s.generator_bound ? 'generator' : text;
}

const CELLS = {
    closed(s) {
        const rate = `${digits(s.deliveries_per_s / 1000)}k`;
        return `${unless(s, rate)} (${digits(s.cpu_s_per_million)})`;
    },
    open(s) {
        const late = [s.p50_us, s.p99_us, s.p999_us].map(milliseconds).join('/');
        return `${unless(s, late)} (${digits(s.cpu_s_per_million)})`;
    },
    connect(s) {
        const memory = s.rss_per_client === null ? '' : `${digits(s.rss_per_client)} B, `;
        return `${memory}${digits(s.cpu_us_per_connect)} us`;
    },
};

/** The scenario's cell for a target, as in the table. */
export function cell(scenario, summary) {
    if (!summary) return '-';
    const helper = summary.helper_s_per_million;
    const redis = helper ? ` + ${digits(helper)}` : '';
    const out = summary.slow_closed ? `, ${summary.slow_closed} put out` : '';
    const bad = summary.faults ? ` !${summary.faults} faults` : '';
    return CELLS[scenario.kind](summary).replace(/\)$/, `${redis})`) + out + bad;
}

function judged(ratio, isMet, goal) {
    return goal === undefined ? ratio : `${ratio}, goal ${goal}: ${isMet ? 'met' : 'missed'}`;
}

function ofPeer(own, name, peer, goal) {
    if (!own?.cpu_s_per_million || !peer?.cpu_s_per_million) return [];
    const ratio = peer.cpu_s_per_million / own.cpu_s_per_million;
    return [judged(`1/${digits(ratio)} of ${name}`, ratio >= goal, goal)];
}

/** How far it is to the floor, where there is one, and to the servers that are the goal or, without
 * either, to the Go hub; and whether that is enough. */
export function verdict(scenario, targets) {
    const own = targets['chat-api'];
    const parts = [];
    if (typeof own?.over_floor === 'number') {
        const isMet = own.over_floor <= scenario.overFloor;
        parts.push(judged(`${digits(own.over_floor)} x floor`, isMet, scenario.overFloor));
    }
    for (const [name, goal] of Object.entries(scenario.under ?? {})) {
        if (targets[name]) parts.push(...ofPeer(own, name, targets[name], goal));
        else parts.push(`${name} not measured`);
    }
    if (parts.length === 0) parts.push(...ofPeer(own, 'go', targets.go));
    return parts.join('; ');
}

/** The header and a row for each scenario. */
export function resultRows(results, names) {
    const head = ['scenario', ...names, 'chat-api is at'];
    const rows = results.map(({ scenario, targets }) => [
        scenario.title,
        ...names.map((name) => cell(scenario, targets[name])),
        verdict(scenario, targets),
    ]);
    return [head, ...rows];
}

export function textTable(rows) {
    const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
    return rows
        .map((row) => row.map((text, i) => text.padEnd(widths[i])).join('  ').trimEnd())
        .join('\n');
}
