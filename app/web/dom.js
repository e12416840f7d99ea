/** What all parts of the page need to make elements. Text becomes text nodes, never markup. */

export function element(tag, className, text = '') {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
}

export function button(label, act) {
    const made = element('button', 'quiet', label);
    made.type = 'button';
    made.addEventListener('click', act);
    return made;
}

export function isObject(value) {
    return value !== null && typeof value === 'object' && !Array.isArray(value);
}
