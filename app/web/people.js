/**
 * Who is in a room, as the service tells it: a snapshot when the room is joined, then what changes.
 * And who is typing there: a notice ends by itself when the service's end of it is lost.
 */

const TYPING_MS = 8000;
const STATUS_ORDER = ['online', 'busy', 'away', 'offline'];

/** How a person is called: the name that the token says, else what they wrote, else their id. */
export function personName({ user, name, text }) {
    return name || text || String(user ?? '').slice(0, 8) || 'unknown';
}

export class People {
    #people = new Map(); // user -> { user, name, status, text }
    #typing = new Map(); // user -> timer
    #changed;

    /** `changed()` is called after every change. */
    constructor(changed) {
        this.#changed = changed;
    }

    /** Takes what a reply to room:join says, in place of all that was known. */
    reset(list) {
        this.#people = new Map((list ?? []).map((person) => [person.user, person]));
        this.#changed();
    }

    /** Takes presence:join, presence:leave and presence:update. */
    take({ event, data }) {
        if (event === 'presence:leave' || data.status === 'offline') {
            this.#people.delete(data.user);
            this.#stopTyping(data.user);
        } else {
            this.#people.set(data.user, { ...this.#people.get(data.user), ...data });
        }
        this.#changed();
    }

    /** Takes user:typing. */
    takeTyping({ user, typing }) {
        this.#stopTyping(user);
        if (typing) {
            this.#typing.set(user, setTimeout(() => this.takeTyping({ user, typing: false }), TYPING_MS));
        }
        this.#changed();
    }

    /** What is known of a user; undefined when nothing is. */
    get(user) {
        return this.#people.get(user);
    }

    clear() {
        for (const user of [...this.#typing.keys()]) {
            this.#stopTyping(user);
        }
        this.#people.clear();
        this.#changed();
    }

    /** Those who are there, the most available first. */
    list() {
        const rank = ({ status }) => STATUS_ORDER.indexOf(status);
        const byName = (a, b) => personName(a).localeCompare(personName(b));
        return [...this.#people.values()].sort((a, b) => rank(a) - rank(b) || byName(a, b));
    }

    /** The names of those who are typing. */
    typing() {
        return [...this.#typing.keys()].map((user) => personName(this.#people.get(user) ?? { user }));
    }

    #stopTyping(user) {
        clearTimeout(this.#typing.get(user));
        this.#typing.delete(user);
    }
}

/** "Ada is typing", in words. */
export function typingText(names) {
    if (names.length === 0) {
        return '';
    }
    if (names.length === 1) {
        return `${names[0]} is typing\u2026`;
    }
    return names.length === 2
        ? `${names[0]} and ${names[1]} are typing\u2026`
        : `${names.length} people are typing\u2026`;
}
