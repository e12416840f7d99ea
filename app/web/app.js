/**
 * The chat page: joins rooms under a name, shows what is said there and who is there, says
 * something. The connection is chat-client.js, a room's part of the page room-view.js.
 */

import { ChatClient, SendError, roomProblem, roomUrl, uuid } from './chat-client.js';
import { personName, typingText } from './people.js';
import { RoomView } from './room-view.js';

const DEFAULT_ROOM = 'lobby';
const STORED_NAME = 'chat-api:name';
const STORED_ROOM = 'chat-api:room';

// The service passes a notice on for 6 seconds.
const TYPING_EVERY_MS = 5500;

const byId = (id) => document.getElementById(id);
const page = {
    title: byId('title'),
    status: byId('status'),
    statusText: byId('status-text'),
    retry: byId('retry'),
    leave: byId('leave'),
    join: byId('join'),
    joinForm: byId('join-form'),
    name: byId('name'),
    room: byId('room'),
    token: byId('token'),
    chat: byId('chat'),
    rooms: byId('rooms'),
    addRoom: byId('add-room'),
    another: byId('another'),
    people: byId('people'),
    peopleCount: byId('people-count'),
    peoplePanel: byId('people-panel'),
    ownStatus: byId('own-status'),
    views: byId('views'),
    view: byId('view'),
    typing: byId('typing'),
    composer: byId('composer'),
    problem: byId('composer-problem'),
    editing: byId('editing'),
    stopEditing: byId('stop-editing'),
    message: byId('message'),
    everyone: byId('everyone'),
    send: byId('composer').querySelector('button[type=submit]'),
};

const STATUS_TEXT = {
    closed: 'Not connected',
    connecting: 'Connecting\u2026',
    open: 'Connected',
    waiting: 'Reconnecting\u2026',
    stopped: 'Disconnected by the server',
};

// What was joined: the client, our name, the rooms by name, the one shown; null while the form is.
let session = null;

// Own messages that may have to go out again, by id; as many as a list can show.
const sentMessages = new Map();
const SENT_MAX = 500;

// Storage throws where the reader forbids it; the page then merely forgets.
function recall(key) {
    try {
        return localStorage.getItem(key) ?? '';
    } catch {
        return '';
    }
}

function remember(key, value) {
    try {
        localStorage.setItem(key, value);
    } catch {
        // Forgetting is fine.
    }
}

function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
}

function showRoomInUrl(room) {
    const url = new URL(location.href);
    if (room === null) {
        url.searchParams.delete('room');
    } else {
        url.searchParams.set('room', room);
    }
    history.replaceState(null, '', url);
}

function showProblem(text) {
    page.problem.textContent = text;
}

/* --- the connection --- */

function showStatus({ state, reason }) {
    page.status.dataset.state = state;
    page.statusText.textContent =
        state === 'stopped' && reason ? `${STATUS_TEXT[state]}: ${reason}` : STATUS_TEXT[state];
    page.retry.hidden = state !== 'waiting' && state !== 'stopped';
}

function connectionChanged(change) {
    showStatus(change);
    if (change.state !== 'waiting' && change.state !== 'stopped') {
        return;
    }
    for (const view of session.rooms.values()) {
        view.people.clear();
        for (const id of view.log.pendingIds()) {
            if (!session.client.isQueued(id)) {
                view.log.fail(id, 'Not confirmed: the connection was lost.', { mayResend: true });
            }
        }
    }
}

// An error envelope names the message that it is about, where that had an id.
function errorReceived({ data }) {
    const text = typeof data?.message === 'string' ? data.message : 'The server refused a message.';
    const id = data?.data?.id;
    for (const view of session.rooms.values()) {
        if (view.log.pendingIds().includes(id)) {
            view.log.fail(id, `Not sent: ${text}`);
            return;
        }
    }
    session.current.log.notice(text);
}

// Asks for what may fail without harm: the reader is told where that matters.
function ask(message) {
    return session.client.request(message).catch((error) => {
        if (!(error instanceof SendError)) {
            throw error;
        }
        return { problem: error.message, code: error.code };
    });
}

function tellStatus() {
    ask({
        event: 'presence:update',
        data: { status: page.ownStatus.value, text: session.hasToken ? '' : session.name },
    });
}

async function joinOnServer(view) {
    const { problem, code, presence } = await ask({ event: 'room:join', room: view.name });
    if (session?.rooms.get(view.name) !== view) {
        return; // left meanwhile
    }
    if (problem === undefined) {
        view.people.reset(presence);
    } else if (code === 'CHANNEL_ERROR' && session.rooms.size > 1) {
        dropRoom(view);
        showProblem(`${view.name}: ${problem}`);
    }
}

/* --- what comes --- */

const HANDLERS = {
    hello: ({ data }) => {
        session.user = data.user;
        if (!session.hasToken) {
            tellStatus();
        }
        for (const view of session.rooms.values()) {
            joinOnServer(view);
        }
    },
    'presence:join': (envelope) => session.rooms.get(envelope.room)?.people.take(envelope),
    'presence:leave': (envelope) => session.rooms.get(envelope.room)?.people.take(envelope),
    'presence:update': (envelope) => session.rooms.get(envelope.room)?.people.take(envelope),
    'user:typing': ({ room, data }) => session.rooms.get(room)?.people.takeTyping(data),
    'message:edit': (envelope) => session.rooms.get(envelope.room)?.log.change(envelope),
    'message:delete': (envelope) => session.rooms.get(envelope.room)?.log.change(envelope),
    'message:status': ({ data }) => session.rooms.get(data.room)?.log.mark(data),
    'auth:expiring': () => session.current.log.notice('Your token is about to end: sign in again.'),
};

function received(envelope) {
    const handler = Object.hasOwn(HANDLERS, envelope.event ?? '') && HANDLERS[envelope.event];
    // What is named like an event of the service but came from a client of its own is a message.
    if (handler) {
        handler(envelope);
        return;
    }
    const isGlobal = envelope.room === undefined || envelope.room === null;
    const view = isGlobal ? session.current : session.rooms.get(envelope.room);
    if (view === undefined) {
        return;
    }
    const isOwn = sentMessages.has(envelope.id);
    view.log.receive(envelope);
    if (!isOwn && !isGlobal && envelope.type === 'chat') {
        view.note(envelope.id);
    }
}

/* --- rooms --- */

function isSeen(view) {
    return view === session?.current && document.visibilityState === 'visible';
}

function showPeople() {
    const people = session.current.people.list();
    page.peopleCount.textContent = String(people.length);
    page.people.replaceChildren(...people.map((person) => {
        const item = element('li', `person ${person.status}`, '');
        const name = element('bdi', '', personName(person));
        item.append(element('span', 'dot', ''), name, element('span', 'hint', person.status));
        name.title = String(person.user);
        return item;
    }));
    page.typing.textContent = typingText(session.current.people.typing());
}

function showRooms() {
    page.rooms.replaceChildren(...[...session.rooms.values()].map((view) => {
        const button = element('button', 'quiet', view.name);
        button.type = 'button';
        if (view === session.current) {
            button.setAttribute('aria-current', 'true');
        }
        if (view.unreadCount > 0) {
            const count = element('span', 'badge', String(view.unreadCount));
            count.append(element('span', 'unseen', ' unread'));
            button.append(' ', count);
        }
        button.addEventListener('click', () => showRoom(view));
        const item = element('li', '', '');
        item.append(button);
        return item;
    }));
    const unread = [...session.rooms.values()].reduce((sum, view) => sum + view.unreadCount, 0);
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${session.current.name} \u2013 chat-api`;
}

function viewChanged(view) {
    if (session?.rooms.get(view.name) !== view) {
        return;
    }
    showRooms();
    if (view === session.current) {
        showPeople();
    }
}

function showRoom(view) {
    stopEditing();
    session.current = view;
    for (const other of session.rooms.values()) {
        other.element.hidden = other !== view;
    }
    page.title.textContent = view.name;
    remember(STORED_ROOM, view.name);
    showRoomInUrl(view.name);
    showProblem('');
    view.see();
    viewChanged(view);
    page.message.focus();
}

function addRoom(name) {
    const view = new RoomView({
        name,
        template: page.view,
        changed: viewChanged,
        isSeen,
        mark: (marked, event, ids) => {
            if (session?.client.state === 'open') {
                ask({ event, room: marked.name, data: { ids } });
            }
        },
        resend: (id) => submitMessage(view, sentMessages.get(id)),
        edit: (id, text) => startEditing(id, text),
        remove: (id) => ask({ event: 'message:delete', room: name, data: { id } }).then(tellProblem),
    });
    session.rooms.set(name, view);
    page.views.append(view.element);
    return view;
}

function dropRoom(view) {
    session.rooms.delete(view.name);
    view.end();
    if (session.current === view) {
        showRoom(session.rooms.values().next().value);
    } else {
        showRooms();
    }
}

function tellProblem({ problem }) {
    if (problem !== undefined) {
        showProblem(problem);
    }
}

/* --- coming and going --- */

function connect(token) {
    const client = new ChatClient({
        url: () => roomUrl(session.rooms.keys().next().value),
        events: true,
        token,
    });
    client.addEventListener('state', ({ detail }) => connectionChanged(detail));
    client.addEventListener('message', ({ detail }) => received(detail));
    client.addEventListener('error', ({ detail }) => errorReceived(detail));
    client.addEventListener('sent', ({ detail }) => {
        for (const view of session.rooms.values()) {
            view.log.setPending(detail.id, 'sending');
        }
    });
    return client;
}

function enter(name, room, token) {
    remember(STORED_NAME, name);
    session = {
        client: connect(token), name, rooms: new Map(), current: null, user: null, hasToken: Boolean(token),
    };
    page.join.hidden = true;
    page.chat.hidden = false;
    page.leave.hidden = false;
    page.peoplePanel.open = matchMedia('(min-width: 55rem)').matches;
    showRoom(addRoom(room));
    session.client.connect();
}

function leaveAll() {
    session.client.close();
    for (const view of session.rooms.values()) {
        view.end();
    }
    session = null;
    sentMessages.clear();
    showProblem('');
    showRoomInUrl(null);
    document.title = 'chat-api';
    page.title.textContent = 'chat-api';
    page.everyone.checked = false;
    page.send.textContent = 'Send';
    page.chat.hidden = true;
    page.leave.hidden = true;
    page.join.hidden = false;
    page.room.focus();
}

function leaveCurrent() {
    if (session.rooms.size === 1) {
        leaveAll();
        return;
    }
    ask({ event: 'room:leave', room: session.current.name });
    dropRoom(session.current);
}

/* --- saying something --- */

// The message that is being edited: its id; null: a new one is written.
let editedId = null;
let typingToldAt = -Infinity;

function startEditing(id, text) {
    editedId = id;
    page.editing.hidden = false;
    page.message.value = text;
    page.message.focus();
}

function stopEditing() {
    if (editedId !== null) {
        editedId = null;
        page.editing.hidden = true;
        page.message.value = '';
    }
}

function tellTyping() {
    const typing = page.message.value.trim() !== '';
    const due = typing ? performance.now() - typingToldAt >= TYPING_EVERY_MS : typingToldAt > 0;
    if (!due || editedId !== null || session.client.state !== 'open') {
        return;
    }
    typingToldAt = typing ? performance.now() : -Infinity;
    session.client.send({ event: 'user:typing', room: session.current.name, data: { typing } });
}

// Sends and shows a message; false when it could neither go out nor wait.
function submitMessage(view, message) {
    try {
        session.client.send(message);
    } catch (error) {
        if (!(error instanceof SendError)) {
            throw error;
        }
        showProblem(`${error.message} Not sent.`);
        return false;
    }
    showProblem('');
    sentMessages.delete(message.id); // so that one sent again counts as the youngest
    sentMessages.set(message.id, message);
    if (sentMessages.size > SENT_MAX) {
        sentMessages.delete(sentMessages.keys().next().value);
    }
    view.log.addPending(message, session.client.isQueued(message.id) ? 'queued' : 'sending');
    return true;
}

async function submitEdit(text) {
    const id = editedId;
    const data = { id, data: { name: session.name, text } };
    const { problem } = await ask({ event: 'message:edit', room: session.current.name, data });
    if (problem !== undefined) {
        showProblem(problem);
    } else if (editedId === id) {
        stopEditing();
    }
}

function sendComposed() {
    const text = page.message.value.trim();
    if (text === '') {
        return;
    }
    if (editedId !== null) {
        submitEdit(text);
        return;
    }
    const room = page.everyone.checked ? null : session.current.name;
    const message = { id: uuid(), room, data: { name: session.name, text } };
    if (submitMessage(session.current, message)) {
        page.message.value = '';
        typingToldAt = -Infinity; // the message ends it
    }
    page.message.focus();
}

/* --- the page's own events --- */

function judgeRoom(field) {
    const room = field.value.trim();
    field.setCustomValidity(roomProblem(room) ?? '');
    return room;
}

page.joinForm.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = page.name.value.trim();
    const room = judgeRoom(page.room);
    page.name.setCustomValidity(name === '' ? 'Please choose a name.' : '');
    if (page.joinForm.reportValidity()) {
        enter(name, room, page.token.value.trim());
    }
});

page.addRoom.addEventListener('submit', (event) => {
    event.preventDefault();
    const room = judgeRoom(page.another);
    if (!page.addRoom.reportValidity()) {
        return;
    }
    page.another.value = '';
    const known = session.rooms.get(room);
    const view = known ?? addRoom(room);
    showRoom(view);
    if (known === undefined && session.client.state === 'open') {
        joinOnServer(view);
    }
});

// A complaint ends as soon as the reader corrects the field; submit judges it anew.
for (const field of [page.name, page.room, page.another]) {
    field.addEventListener('input', () => field.setCustomValidity(''));
}

page.composer.addEventListener('submit', (event) => {
    event.preventDefault();
    sendComposed();
});

page.message.addEventListener('keydown', (event) => {
    // Enter also ends a word in an input method's window: that one is not for us.
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        sendComposed();
    } else if (event.key === 'Escape') {
        stopEditing();
    }
});
page.message.addEventListener('input', tellTyping);

page.everyone.addEventListener('change', () => {
    page.send.textContent = page.everyone.checked ? 'Send to everyone' : 'Send';
});

page.stopEditing.addEventListener('click', stopEditing);
page.ownStatus.addEventListener('change', tellStatus);
page.leave.addEventListener('click', leaveCurrent);
page.retry.addEventListener('click', () => {
    session.client.connect();
    page.message.focus();
});
window.addEventListener('online', () => {
    if (session?.client.state === 'waiting') {
        session.client.connect();
    }
});
document.addEventListener('visibilitychange', () => {
    if (session !== null && isSeen(session.current)) {
        session.current.see();
    }
});

// A link with ?room= leads into the room at once where the name is known.
const linkedRoom = new URL(location.href).searchParams.get('room') ?? '';
page.name.value = recall(STORED_NAME);
page.room.value = linkedRoom || recall(STORED_ROOM) || DEFAULT_ROOM;
if (linkedRoom !== '' && page.name.value !== '' && roomProblem(linkedRoom) === null) {
    enter(page.name.value, linkedRoom, '');
} else {
    (page.name.value === '' ? page.name : page.room).focus();
}
