/**
 * The chat page: joins rooms under a name, shows what is said there and who is there, says
 * something. The connection is chat-client.js, a room's part of the page room-view.js.
 */

import { ask as askClient, askPatiently, errorText } from './asking.js';
import { ChatClient, SendError, roomProblem, roomUrl, uuid } from './chat-client.js';
import { Composer } from './composer.js';
import { button, element, isObject } from './dom.js';
import { personName, typingText } from './people.js';
import { RoomView } from './room-view.js';
import { SignIn } from './sign-in.js';

const DEFAULT_ROOM = 'lobby';
const STORED_NAME = 'chat-api:name';
const STORED_ROOM = 'chat-api:room';

// The three parts of a JWT; whatever else would not even fit into a request.
const TOKEN_FORM = /^[\w-]+\.[\w-]+\.[\w-]*$/;

const byId = (id) => document.getElementById(id);
const page = {
    title: byId('title'),
    status: byId('status'),
    statusText: byId('status-text'),
    retry: byId('retry'),
    leave: byId('leave'),
    join: byId('join'),
    joinForm: byId('join-form'),
    joinProblem: byId('join-problem'),
    name: byId('name'),
    room: byId('room'),
    token: byId('token'),
    tokenPanel: byId('token-panel'),
    note: byId('service-note'),
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
};

const STATUS_TEXT = {
    closed: 'Not connected',
    connecting: 'Connecting\u2026',
    open: 'Connected',
    waiting: 'Reconnecting\u2026',
    stopped: 'Disconnected by the server',
};

// What was joined: the client, our name, our user id once it is known, the token (or ''), the rooms
// by name, the one shown; null while the form is.
let session = null;

const composer = new Composer({ send: sendText, edit: sendEdit, tellTyping });
const signIn = new SignIn(takeToken);

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

function showRoomInUrl(room) {
    const url = new URL(location.href);
    if (room === null) {
        url.searchParams.delete('room');
    } else {
        url.searchParams.set('room', room);
    }
    history.replaceState(null, '', url);
}

/* --- the connection --- */

function showStatus({ state, reason }) {
    page.status.dataset.state = state;
    page.statusText.textContent =
        state === 'stopped' && reason ? `${STATUS_TEXT[state]}: ${reason}` : STATUS_TEXT[state];
    page.retry.hidden = state === 'connecting' || state === 'open';
}

function connectionChanged(change) {
    const wasRefused = page.status.dataset.state === 'connecting' && change.state === 'waiting';
    showStatus(change);
    if (change.state === 'connecting' || change.state === 'open') {
        return;
    }
    showNote('');
    for (const view of session.rooms.values()) {
        view.people.clear();
        for (const id of view.log.pendingIds()) {
            if (!session.client.isQueued(id)) {
                view.log.fail(id, 'Not confirmed: the connection was lost.', { mayResend: true });
            }
        }
    }
    if (wasRefused) {
        askWhyRefused(session);
    } else if (change.state === 'stopped' && session.token !== '') {
        signIn.ask('Your sign-in has ended. Another token lets you go on.');
    }
}

// Browsers do not tell scripts why a WebSocket was refused; this route asks for the same rights.
async function askWhyRefused(asking) {
    const [room] = asking.rooms.keys();
    const headers = asking.token ? { Authorization: `Bearer ${asking.token}` } : {};
    const url = `/api/chat-api/rooms/${encodeURIComponent(room)}/presence`;
    const answer = await fetch(url, { headers, cache: 'no-store' }).catch(() => null);
    const body = await answer?.json().catch(() => null);
    if (session !== asking || asking.client.state === 'open' || typeof body?.message !== 'string') {
        return;
    }
    if (answer.status === 401) {
        refused(`Not signed in: ${body.message}.`, { needsToken: true });
    } else if (answer.status === 403) {
        refused(`${room}: ${body.message}.`, { room });
    }
}

// Trying again changes nothing. Who was in before keeps what is on the page.
function refused(why, { needsToken = false, room }) {
    if (session.user !== null && needsToken) {
        session.client.close();
        signIn.ask(why);
    } else if (room !== undefined && session.rooms.size > 1) {
        dropRoom(session.rooms.get(room));
        composer.showProblem(why);
        session.client.connect();
    } else {
        leaveAll();
        page.joinProblem.textContent = why;
        page.tokenPanel.open ||= needsToken;
        (needsToken ? page.token : page.room).focus();
    }
}

// Promises what stands against a new token; null when nothing does.
async function takeToken(token) {
    if (!TOKEN_FORM.test(token)) {
        return 'This is no token.';
    }
    if (session.client.state === 'open') {
        const { problem } = await ask({ event: 'auth:refresh', data: { token } });
        if (problem !== undefined) {
            return problem;
        }
    }
    session.token = token;
    if (session.client.state !== 'open') {
        session.client.connect();
    }
    composer.focus();
    return null;
}

// An error envelope names the message that it is about, where that had an id, or a room.
function errorReceived({ room, data: said }) {
    const error = isObject(said) ? said : {};
    const about = isObject(error.data) ? error.data : {};
    const mayResend = error.code === 'RATE_LIMITED';
    for (const view of session.rooms.values()) {
        if (view.log.pendingIds().includes(about.id ?? about.ref)) {
            view.log.fail(about.id ?? about.ref, `Not sent: ${errorText(error)}`, { mayResend });
            return;
        }
    }
    const view = session.rooms.get(room);
    view?.people.clear();
    // Nobody waits for word that they may not tell that they type.
    if (about.class !== 'typing') {
        (view ?? session.current).log.notice(errorText(error));
    }
}

const ask = (message) => askClient(session.client, message);

async function tellStatus() {
    const data = { status: page.ownStatus.value, text: session.token ? '' : session.name };
    const message = { event: 'presence:update', data };
    const asking = session;
    const isWanted = () => session === asking && page.ownStatus.value === data.status;
    const answer = await askPatiently(session.client, message, isWanted);
    if (answer.code !== 'NOT_CONNECTED') { // else it is told again with the connection
        tellProblem(answer);
    }
}

async function joinOnServer(view) {
    const isShown = () => session?.rooms.get(view.name) === view;
    const message = { event: 'room:join', room: view.name };
    const { problem, code, presence } = await askPatiently(session.client, message, isShown);
    if (!isShown()) {
        return; // left meanwhile
    }
    if (problem === undefined) {
        view.people.reset(presence);
    } else if (code === 'CHANNEL_ERROR' && session.rooms.size > 1) {
        dropRoom(view);
        composer.showProblem(`${view.name}: ${problem}`);
    } else if (code !== 'NOT_CONNECTED') {
        view.log.notice(`Not in the room: ${problem}`);
    }
}

/* --- what comes --- */

function showNote(text) {
    page.note.textContent = text;
}

function welcomed({ data }) {
    const isAnother = session.user !== null && session.user !== data.user;
    session.user = data.user;
    signIn.hide();
    showNote('');
    // A signed-in user may have said another status elsewhere: only what was chosen here is told.
    if (session.token === '' || page.ownStatus.value !== 'online') {
        tellStatus();
    }
    for (const view of session.rooms.values()) {
        if (isAnother) {
            view.log.disown();
        }
        joinOnServer(view);
    }
}

// The server's word that a message was taken; its ref is the message's id.
function replied({ data: { ref, timestamp } }) {
    for (const view of session.rooms.values()) {
        view.log.confirm({ id: ref, from: session.user, timestamp });
    }
}

function changed(envelope) {
    const isGone = session.rooms.get(envelope.room)?.log.change(envelope)
        && envelope.event === 'message:delete';
    if (isGone) {
        composer.forget(envelope.data.id);
    }
}

const toPeople = (envelope) => session.rooms.get(envelope.room)?.people.take(envelope);

// What is no message to read. Each has an object as its data: what has not is shown as it came.
const HANDLERS = {
    hello: welcomed,
    reply: replied,
    'presence:join': toPeople,
    'presence:leave': toPeople,
    'presence:update': toPeople,
    'user:typing': ({ room, data }) => session.rooms.get(room)?.people.takeTyping(data),
    'message:edit': changed,
    'message:delete': changed,
    'message:status': ({ data }) => session.rooms.get(data.room)?.log.mark(data),
    'auth:expiring': () => signIn.ask('Your sign-in ends soon. Another token lets you stay.'),
    'system:degraded': () => showNote('The service is degraded: who is connected elsewhere may not '
        + 'see your messages at once, nor you theirs.'),
    'system:restored': () => showNote(''),
};

function received(envelope) {
    const event = envelope.event ?? '';
    if (Object.hasOwn(HANDLERS, event) && isObject(envelope.data)) {
        HANDLERS[event](envelope);
        return;
    }
    const isGlobal = envelope.room === undefined || envelope.room === null;
    const view = isGlobal ? session.current : session.rooms.get(envelope.room);
    if (view === undefined) {
        return;
    }
    const isOwn = envelope.from === session.user;
    view.log.receive(envelope, { isOwn });
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

function roomItem(view) {
    const link = button(view.name, () => showRoom(view));
    if (view === session.current) {
        link.setAttribute('aria-current', 'true');
    }
    if (view.unreadCount > 0) {
        const count = element('span', 'badge', String(view.unreadCount));
        count.append(element('span', 'unseen', ' unread'));
        link.append(' ', count);
    }
    const item = element('li', '');
    item.append(link);
    return item;
}

function showRooms() {
    page.rooms.replaceChildren(...[...session.rooms.values()].map(roomItem));
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
    if (session.current !== view) {
        composer.leaveRoom();
    }
    session.current = view;
    for (const other of session.rooms.values()) {
        other.element.hidden = other !== view;
    }
    page.title.textContent = view.name;
    remember(STORED_ROOM, view.name);
    showRoomInUrl(view.name);
    view.see();
    viewChanged(view);
    composer.focus();
}

function addRoom(name) {
    const view = new RoomView({
        name,
        template: page.view,
        changed: viewChanged,
        isSeen,
        mark: async (marked, event, ids) => {
            if (session?.rooms.get(name) !== marked) {
                return true;
            }
            const wait = 'NOT_CONNECTED NO_REPLY RATE_LIMITED';
            const { code } = await ask({ event, room: name, data: { ids } });
            return code === undefined || !wait.includes(code);
        },
        resend: (id) => submitMessage(view, sentMessages.get(id)),
        edit: (id, text) => composer.startEditing(id, text),
        remove: async (id) => {
            composer.focus(); // the button goes with the message
            tellProblem(await ask({ event: 'message:delete', room: name, data: { id } }));
        },
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
        composer.showProblem(problem);
    }
}

/* --- coming and going --- */

function connect() {
    const client = new ChatClient({
        url: () => roomUrl(session.rooms.keys().next().value),
        events: true,
        token: () => session.token,
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
    session = { client: connect(), name, token, user: null, rooms: new Map(), current: null };
    page.joinProblem.textContent = '';
    page.join.hidden = true;
    page.chat.hidden = false;
    page.leave.hidden = false;
    page.peoplePanel.open = matchMedia('(min-width: 55rem)').matches;
    showRoom(addRoom(room));
    session.client.connect();
}

function leaveAll() {
    composer.reset();
    session.client.close();
    for (const view of session.rooms.values()) {
        view.end();
    }
    session = null;
    sentMessages.clear();
    signIn.hide();
    showRoomInUrl(null);
    document.title = 'chat-api';
    page.title.textContent = 'chat-api';
    page.ownStatus.value = 'online';
    page.retry.hidden = true;
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

function tellTyping(typing) {
    if (session.client.state !== 'open') {
        return false;
    }
    session.client.send({ event: 'user:typing', room: session.current.name, data: { typing } });
    return true;
}

// Sends and shows a message; false when it could neither go out nor wait.
function submitMessage(view, message) {
    try {
        session.client.send(message);
    } catch (error) {
        if (!(error instanceof SendError)) {
            throw error;
        }
        composer.showProblem(`${error.message} Not sent.`);
        return false;
    }
    composer.showProblem('');
    sentMessages.delete(message.id); // so that one sent again counts as the youngest
    sentMessages.set(message.id, message);
    if (sentMessages.size > SENT_MAX) {
        sentMessages.delete(sentMessages.keys().next().value);
    }
    view.log.addPending(message, session.client.isQueued(message.id) ? 'queued' : 'sending');
    return true;
}

// With a ref, as a message that the server had before is answered, but not given out again.
function sendText(text, { toEveryone }) {
    const id = uuid();
    const room = toEveryone ? null : session.current.name;
    return submitMessage(session.current, { id, ref: id, room, data: { name: session.name, text } });
}

async function sendEdit(id, text) {
    const data = { id, data: { name: session.name, text } };
    const { problem } = await ask({ event: 'message:edit', room: session.current.name, data });
    composer.showProblem(problem ?? '');
    return problem === undefined;
}

/* --- the page's own events --- */

function judgeRoom(field) {
    const room = field.value.trim();
    field.setCustomValidity(roomProblem(room) ?? '');
    return room;
}

function judgeToken() {
    const token = page.token.value.trim();
    const isOfForm = token === '' || TOKEN_FORM.test(token);
    page.tokenPanel.open ||= !isOfForm; // a complaint about a hidden field is not shown
    page.token.setCustomValidity(isOfForm ? '' : 'This is no token.');
    return token;
}

page.joinForm.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = page.name.value.trim();
    const room = judgeRoom(page.room);
    const token = judgeToken();
    page.name.setCustomValidity(name === '' ? 'Please choose a name.' : '');
    if (page.joinForm.reportValidity()) {
        enter(name, room, token);
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
for (const field of [page.name, page.room, page.another, page.token]) {
    field.addEventListener('input', () => field.setCustomValidity(''));
}

page.ownStatus.addEventListener('change', tellStatus);
page.leave.addEventListener('click', leaveCurrent);
page.retry.addEventListener('click', () => {
    session.client.connect();
    composer.focus();
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
