/**
 * Where the reader writes: a new message, or another text for one of their own. Tells the room
 * that somebody is typing, and keeps what was begun while a message is edited.
 */

// The service passes a notice on for 6 seconds.
const TYPING_EVERY_MS = 5500;

const byId = (id) => document.getElementById(id);

export class Composer {
    #form = byId('composer');
    #problem = byId('composer-problem');
    #editing = byId('editing');
    #text = byId('message');
    #everyone = byId('everyone');
    #submit = this.#form.querySelector('button[type=submit]');
    #send;
    #edit;
    #tellTyping;
    #editedId = null; // the message that is being edited; null: a new one is written
    #draft = ''; // what was begun before that
    #typingToldAt = null; // when the room was told last that we type; null: it knows that we do not

    /**
     * @param {object} parts `send(text, { toEveryone })`, which returns whether the message goes;
     *        `edit(id, text)`, which promises the same; `tellTyping(typing)`, which returns
     *        whether the room is told
     */
    constructor({ send, edit, tellTyping }) {
        this.#send = send;
        this.#edit = edit;
        this.#tellTyping = tellTyping;
        this.#form.addEventListener('submit', (event) => {
            event.preventDefault();
            this.#submitted();
        });
        this.#text.addEventListener('keydown', (event) => this.#keyPressed(event));
        this.#text.addEventListener('input', () => this.#typed());
        this.#everyone.addEventListener('change', () => this.#nameButton());
        byId('stop-editing').addEventListener('click', () => this.stopEditing());
    }

    focus() {
        this.#text.focus();
    }

    showProblem(text) {
        this.#problem.textContent = text;
    }

    startEditing(id, text) {
        if (this.#editedId === null) {
            this.#draft = this.#text.value;
            this.#stopTyping();
        }
        this.#editedId = id;
        this.#editing.hidden = false;
        this.#nameButton();
        this.#text.value = text;
        this.focus();
    }

    stopEditing() {
        if (this.#editedId !== null) {
            this.#editedId = null;
            this.#editing.hidden = true;
            this.#nameButton();
            this.#text.value = this.#draft;
            this.focus();
        }
    }

    /** A message is gone: if it was being edited, that is over. */
    forget(id) {
        if (this.#editedId === id) {
            this.stopEditing();
        }
    }

    /** Another room is written to from now on; call it while the old one still is the current. */
    leaveRoom() {
        this.stopEditing();
        this.#stopTyping();
        this.showProblem('');
    }

    #nameButton() {
        const label = this.#everyone.checked ? 'Send to everyone' : 'Send';
        this.#submit.textContent = this.#editedId === null ? label : 'Save';
    }

    #keyPressed(event) {
        // Enter also ends a word in an input method's window: that one is not for us.
        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            this.#submitted();
        } else if (event.key === 'Escape') {
            this.stopEditing();
        }
    }

    #typed() {
        if (this.#text.value.trim() === '') {
            this.#stopTyping();
            return;
        }
        const now = performance.now();
        const isDue = this.#typingToldAt === null || now - this.#typingToldAt >= TYPING_EVERY_MS;
        if (isDue && this.#editedId === null && this.#tellTyping(true)) {
            this.#typingToldAt = now;
        }
    }

    #stopTyping() {
        if (this.#typingToldAt !== null) {
            this.#typingToldAt = null;
            this.#tellTyping(false);
        }
    }

    #submitted() {
        const text = this.#text.value.trim();
        if (text === '') {
            return;
        }
        if (this.#editedId !== null) {
            this.#submitEdit(this.#editedId, text);
            return;
        }
        if (this.#send(text, { toEveryone: this.#everyone.checked })) {
            this.#text.value = '';
            this.#typingToldAt = null; // the message ends it
        }
        this.focus();
    }

    async #submitEdit(id, text) {
        if ((await this.#edit(id, text)) && this.#editedId === id) {
            this.stopEditing();
        }
    }

    /** As it was before anybody wrote. */
    reset() {
        this.stopEditing();
        this.#everyone.checked = false;
        this.#nameButton();
        this.#text.value = '';
        this.#typingToldAt = null;
        this.showProblem('');
    }
}
