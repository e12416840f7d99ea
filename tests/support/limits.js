// Users who say more than they may, and what comes of it.

import { SECRET, bearer, token } from './tokens.js';

export const AUTH = { AUTH_ENABLED: 'true', AUTH_JWT_SECRET: SECRET };

/** With authentication and limits, but none of them set: a test sets those that it is about. */
export const LIMITS_OFF = {
    ...AUTH,
    RATE_LIMIT_MESSAGES: 'off',
    RATE_LIMIT_TYPING: 'off',
    RATE_LIMIT_PRESENCE: 'off',
    RATE_LIMIT_CONNECTS: 'off',
};

export const asUser = (sub) => ({ headers: bearer(token({ sub })) });

export const say = (data) => ({ event: 'message:send', data });

/** 'taken' or 'refused'; undefined for what is no answer. */
export function outcome({ event, data }) {
    if (event === 'reply') return 'taken';
    return event === 'error' && data.code === 'RATE_LIMITED' ? 'refused' : undefined;
}

let refs = 0;

/** Sends so many messages and reads so many answers: how many there were of each kind. */
async function floodOne(client, count) {
    const sum = { taken: 0, refused: 0 };
    for (let i = 0; i < count; i++) client.sendJson({ ...say(i), ref: `flood-${++refs}` });
    while (sum.taken + sum.refused < count) {
        const kind = outcome(await client.nextJson());
        if (kind) sum[kind]++;
    }
    return sum;
}

/** So many messages of each client, all at once; what came of all of them. */
export async function flood(clients, count) {
    const sums = await Promise.all(clients.map((client) => floodOne(client, count)));
    return sums.reduce((a, b) => ({ taken: a.taken + b.taken, refused: a.refused + b.refused }));
}
