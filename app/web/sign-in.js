/** Asks for another token when the one in use is about to end, has ended, or is refused. */

const byId = (id) => document.getElementById(id);

export class SignIn {
    #form = byId('sign-in');
    #why = byId('sign-in-why');
    #token = byId('new-token');
    #problem = byId('sign-in-problem');

    /** `take(token)` promises what stands against the token, null when nothing does. */
    constructor(take) {
        this.#form.addEventListener('submit', async (event) => {
            event.preventDefault();
            const token = this.#token.value.trim();
            if (token === '') {
                return;
            }
            const problem = await take(token);
            this.#problem.textContent = problem ?? '';
            if (problem === null) {
                this.hide();
            }
        });
    }

    ask(why) {
        this.#why.textContent = why;
        this.#form.hidden = false;
    }

    hide() {
        this.#form.hidden = true;
        this.#token.value = '';
        this.#problem.textContent = '';
    }
}
