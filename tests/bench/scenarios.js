// What is measured: one row of a table each. `args` are those of the load generator; rates are
// messages a second of all senders together. `overFloor` is the goal: at most so many times the
// floor's processor time per delivery. `under`: theirs is at least so many times ours.

const CLOSED = 'closed'; // as fast as it comes back: deliveries/s and processor time
const OPEN = 'open'; // at a rate: latency and processor time
const CONNECT = 'connect'; // no messages: memory and processor time of joining

function flags(options) {
    return Object.entries(options).flatMap(([name, value]) =>
        value === true ? [`--${name}`] : [`--${name}`, String(value)],
    );
}

function scenario(name, kind, title, options, more = {}) {
    return { name, kind, title, args: flags(options), pods: 1, ...more };
}

const TABLE = [
    scenario(
        'room-1000',
        CLOSED,
        '1 room x 1,000, 10 publishers, 8 in flight each',
        { members: 1000, senders: 10, window: 8 },
        { overFloor: 1.9 },
    ),
    scenario(
        'rooms-100',
        CLOSED,
        '100 rooms x 100, 100 publishers, 8 in flight each',
        { rooms: 100, members: 100, window: 8 },
        { overFloor: 1.1, under: { bun: 1 } },
    ),
    scenario(
        'room-10000',
        CLOSED,
        '1 room x 10,000, 1 publisher, 4 in flight',
        { members: 10000, window: 4 },
        { overFloor: 1.08 },
    ),
    scenario('stall', OPEN, '1 x 1,000 at 1,000,000 deliveries/s, stopped for 0.2 s meanwhile', {
        members: 1000,
        senders: 10,
        rate: 1000,
        stall: 200,
    }),
    scenario(
        'calm',
        OPEN,
        '100 x 50 at 20,000 deliveries/s',
        { rooms: 100, members: 50, rate: 400 },
        { overFloor: 1.07 },
    ),
    scenario(
        'pairs',
        OPEN,
        '5,000 pairs at 20,000 deliveries/s',
        { rooms: 5000, members: 2, senders: 2, rate: 10000 },
        { under: { bun: 1 } },
    ),
    scenario(
        'pods',
        CLOSED,
        'two servers and a Redis, 100 x 100, 8 in flight each',
        { rooms: 100, members: 100, window: 8 },
        { pods: 2, under: { go: 5 } },
    ),
    scenario(
        'pods-calm',
        OPEN,
        'two servers and a Redis, 100 x 100 at 20,000 deliveries/s',
        { rooms: 100, members: 100, rate: 200 },
        { pods: 2 },
    ),
    scenario('deflate', OPEN, '100 x 50 at 20,000 deliveries/s, 1,000 bytes, compressed', {
        rooms: 100,
        members: 50,
        rate: 400,
        size: 1000,
        deflate: true,
    }),
    // The floor waits for everybody.
    scenario(
        'slow',
        OPEN,
        '1 x 1,000 at 200,000 deliveries/s, 20 of them do not read',
        { members: 1000, slow: 20, rate: 200, size: 1000 },
        { without: ['floor'] },
    ),
    scenario('churn', OPEN, '100 x 50 at 20,000 deliveries/s, 500 others come and go each second', {
        rooms: 100,
        members: 50,
        rate: 400,
        churn: 500,
    }),
    scenario('idle', CONNECT, '10,000 clients in 100 rooms that do nothing, after 3 s', {
        rooms: 100,
        members: 100,
        senders: 0,
        rest: 3,
    }),
    scenario('storm', CONNECT, '64 at a time join one of 100 rooms, end with RST, come again', {
        rooms: 100,
        members: 10,
        storm: true,
    }),
];

const SIZES = [50, 250, 1000, 4000, 16000, 60000];
const MEMBERS = [100, 1000, 10000];
const ROOMS = [1, 10, 100, 1000, 5000, 10000];

function grow(family, x, title, options, more = {}) {
    return scenario(`grow-${family}-${x}`, CLOSED, title, options, { family, x, ...more });
}

// What becomes of cost and memory when one thing grows and the rest stays.
const GROWTH = [
    ...MEMBERS.map((members) =>
        grow('members', members, `1 room x ${members}, 4 publishers, 2 in flight each`, {
            members,
            senders: 4,
            window: 2,
        }),
    ),
    // The same number of deliveries, in ever more and smaller messages.
    ...ROOMS.map((rooms) =>
        grow('rooms', rooms, `10,000 clients in ${rooms} rooms at 20,000 deliveries/s`, {
            rooms,
            members: 10000 / rooms,
            rate: (20000 * rooms) / 10000,
        }),
    ),
    ...SIZES.map((size) =>
        grow('size', size, `10 rooms x 100, 4 in flight each, ${size} bytes`, {
            rooms: 10,
            members: 100,
            window: 4,
            size,
        }),
    ),
    ...[1, 2].map((threads) =>
        grow(
            'threads',
            threads,
            `100 rooms x 100, 8 in flight each, ${threads} connection threads`,
            { rooms: 100, members: 100, window: 8 },
            { threads, without: ['floor'] },
        ),
    ),
];

/** The names stand for themselves or, with `growth`, for all of that group. */
export const GROUPS = { table: TABLE, growth: GROWTH };
export const SCENARIOS = [...TABLE, ...GROWTH];
