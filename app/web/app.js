/**
 * The chat page: joins a room under a name, shows what is said there, says something.
 * The connection is chat-client.js, the list of messages is message-log.js.
 */

import { ChatClient, SendError, roomProblem, uuid } from './chat-client.js';
import { MessageLog } from './message-log.js';

const DEFAULT_ROOM = 'lobby';
const STORED_NAME = 'chat-api:name';
const STORED_ROOM = 'chat-api:room';

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
    chat: byId('chat'),
    composer: byId('composer'),
    problem: byId('composer-problem'),
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

// The room that is joined: its client, its name, ours; null while the form is shown.
let session = null;

// Own messages that may have to go out again, by id; as many as the list can show.
const sentMessages = new Map();
const SENT_MAX = 500;

const log = new MessageLog({
    list: byId('messages'),
    scroller: byId('log'),
    empty: byId('empty'),
    newest: byId('newest'),
    resend: (id) => submitMessage(sentMessages.get(id)),
});

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
    for (const id of log.pendingIds()) {
        if (!session.client.isQueued(id)) {
            log.fail(id, 'Not confirmed: the connection was lost.', { mayResend: true });
        }
    }
}

// An error envelope names the message that it is about, where that had an id.
function errorReceived({ data }) {
    const text = typeof data?.message === 'string' ? data.message : 'The server refused a message.';
    const id = data?.data?.id;
    if (log.pendingIds().includes(id)) {
        log.fail(id, `Not sent: ${text}`);
    } else {
        log.notice(text);
    }
}

function connect(room) {
    const client = new ChatClient({ room });
    client.addEventListener('state', ({ detail }) => connectionChanged(detail));
    client.addEventListener('message', ({ detail }) => log.receive(detail));
    client.addEventListener('error', ({ detail }) => errorReceived(detail));
    client.addEventListener('sent', ({ detail }) => log.setPending(detail.id, 'sending'));
    return client;
}

function enterRoom(name, room) {
    remember(STORED_NAME, name);
    remember(STORED_ROOM, room);
    showRoomInUrl(room);
    session = { client: connect(room), name, room };
    document.title = `${room} \u2013 chat-api`;
    page.title.textContent = room;
    page.join.hidden = true;
    page.chat.hidden = false;
    page.leave.hidden = false;
    page.message.focus();
    session.client.connect();
}

function leaveRoom() {
    session.client.close();
    session = null;
    sentMessages.clear();
    log.clear();
    showProblem('');
    showRoomInUrl(null);
    document.title = 'chat-api';
    page.title.textContent = 'chat-api';
    page.chat.hidden = true;
    page.leave.hidden = true;
    page.join.hidden = false;
    page.room.focus();
}

function showProblem(text) {
    page.problem.textContent = text;
}

// Sends and shows a message; false when it could neither go out nor wait.
function submitMessage(message) {
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
    const shown = { ...message, room: message.room === null ? null : session.room };
    log.addPending(shown, session.client.isQueued(message.id) ? 'queued' : 'sending');
    return true;
}

function sendComposed() {
    const text = page.message.value.trim();
    if (text === '') {
        return;
    }
    const message = { id: uuid(), data: { name: session.name, text } };
    if (page.everyone.checked) {
        message.room = null;
    }
    if (submitMessage(message)) {
        page.message.value = '';
    }
    page.message.focus();
}

page.joinForm.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = page.name.value.trim();
    const room = page.room.value.trim();
    page.name.setCustomValidity(name === '' ? 'Please choose a name.' : '');
    page.room.setCustomValidity(roomProblem(room) ?? '');
    if (page.joinForm.reportValidity()) {
        enterRoom(name, room);
    }
});

// A complaint ends as soon as the reader corrects the field; submit judges it anew.
for (const field of [page.name, page.room]) {
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
    }
});

page.everyone.addEventListener('change', () => {
    page.send.textContent = page.everyone.checked ? 'Send to everyone' : 'Send';
});

page.leave.addEventListener('click', leaveRoom);
page.retry.addEventListener('click', () => {
    session.client.connect();
    page.message.focus();
});
window.addEventListener('online', () => {
    if (session?.client.state === 'waiting') {
        session.client.connect();
    }
});

// A link with ?room= leads into the room at once where the name is known.
const linkedRoom = new URL(location.href).searchParams.get('room') ?? '';
page.name.value = recall(STORED_NAME);
page.room.value = linkedRoom || recall(STORED_ROOM) || DEFAULT_ROOM;
if (linkedRoom !== '' && page.name.value !== '' && roomProblem(linkedRoom) === null) {
    enterRoom(page.name.value, linkedRoom);
} else {
    (page.name.value === '' ? page.name : page.room).focus();
}
