// The processes that the tests start. Each is ended by its own id, also when a test fails, throws
// or is interrupted: nothing of a test run outlives it.

import { spawn } from 'node:child_process';

const living = new Set();

function killAll() {
    for (const child of living) {
        try {
            child.kill('SIGKILL');
        } catch {
            // It ended between the look and the signal.
        }
    }
}

process.on('exit', killAll);
for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
]) {
    process.on(signal, () => process.exit(128 + number));
}

/** Like spawn of node:child_process; `child.ended` becomes {code, signal} once all output is read. */
export function start(command, args, options) {
    const child = spawn(command, args, options);
    living.add(child);
    child.ended = new Promise((resolve) => {
        child.on('error', (error) => {
            living.delete(child);
            resolve({ code: null, signal: null, error });
        });
        child.on('close', (code, signal) => {
            living.delete(child);
            resolve({ code, signal });
        });
    });
    return child;
}
