// The real binary as a child process: started on a free port with a clean environment, its log
// read as it is written, its end judged (exit code, sanitizer reports, stray lines).

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { start } from './children.js';
import { eventually, within } from './deadline.js';
import { request } from './http.js';

export { startRedis, RedisClient, startProxy } from './redis.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const BINARY = path.resolve(process.env.CHAT_API_BIN ?? path.join(ROOT, 'build/chat-api'));

const SANITIZER_REPORT =
    /AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:/;
const ENDING = new Set(['SIGTERM', 'SIGINT', 'SIGKILL']);
const SANITIZER_OPTIONS = ['ASAN_OPTIONS', 'LSAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS'];

/**
 * Nothing of the developer's own environment reaches the service but what sanitizers need. The
 * deadline of heads is long: on a busy machine a request may wait for ten seconds to be read.
 */
function cleanEnvironment(env) {
    const patience = { HTTP_HEADER_TIMEOUT: '60s' };
    const clean = { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...patience };
    for (const name of SANITIZER_OPTIONS) {
        if (process.env[name] !== undefined) clean[name] = process.env[name];
    }
    return { ...clean, ...env };
}

export class Service {
    /** Parsed log lines, in the order they came; grows while the process lives. */
    logs = [];
    /** Lines of standard error that are not JSON objects. */
    strayLines = [];
    stderr = '';
    stdout = '';
    #watchers = new Set();
    #rest = '';
    #isEnding = false;

    constructor({ env = {}, args = [], fileLimit, wrapper = [], binary = BINARY }) {
        assert.ok(fs.existsSync(binary), `no binary at ${binary}: build it, or set CHAT_API_BIN`);
        const command = [...wrapper, binary, ...args];
        if (fileLimit) command.unshift('sh', '-c', `ulimit -n ${fileLimit} && exec "$0" "$@"`);
        this.child = start(command[0], command.slice(1), {
            env: cleanEnvironment(env),
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.pid = this.child.pid;
        this.exited = this.child.ended;
        this.child.stdout.setEncoding('utf8').on('data', (text) => {
            this.stdout += text;
        });
        this.child.stderr.setEncoding('utf8').on('data', (text) => this.#readLines(text));
        this.exited.then(() => this.#wake());
    }

    #readLines(text) {
        if (process.env.E2E_LOGS) process.stderr.write(text);
        this.stderr += text;
        const lines = (this.#rest + text).split('\n');
        this.#rest = lines.pop();
        for (const line of lines) this.#readLine(line);
        this.#wake();
    }

    #readLine(line) {
        let entry;
        try {
            entry = JSON.parse(line);
        } catch {
            // Judged when the process has ended: configuration errors may be plain text.
        }
        if (entry !== null && typeof entry === 'object') this.logs.push(entry);
        else this.strayLines.push(line);
    }

    #wake() {
        for (const watcher of this.#watchers) watcher();
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    get wsUrl() {
        return `ws://127.0.0.1:${this.port}/ws`;
    }

    /** The first log line, past or future, that the predicate accepts. */
    async waitForLog(predicate, ms = 5000) {
        const looking = new Promise((resolve, reject) => {
            const look = () => {
                const entry = this.logs.find(predicate);
                if (entry) resolve(entry);
                else if (this.child.exitCode !== null || this.child.signalCode !== null) {
                    reject(new Error(`the service ended first:\n${this.tail()}`));
                } else return;
                this.#watchers.delete(look);
            };
            this.#watchers.add(look);
            look();
        });
        return within(looking, ms, () => `a log line; the log ends with:\n${this.tail()}`);
    }

    /** {code, signal} of the process' end. */
    async waitForExit(ms = 15000) {
        return within(this.exited, ms, () => `end of the service; its log ends:\n${this.tail()}`);
    }

    signal(name) {
        if (ENDING.has(name)) this.#isEnding = true;
        this.child.kill(name);
    }

    /** Says so on standard error when the service ends before anybody asked it to. */
    tellOfSuddenEnd() {
        this.exited.then(({ code, signal }) => {
            if (this.#isEnding) return;
            const how = `exit code ${code}, signal ${signal}`;
            process.stderr.write(`a service ended by itself: ${how}; its log ends:\n${this.tail()}\n`);
        });
    }

    /** Ends the service as an orchestrator would, and judges how it ended. */
    async stop(ms = 15000) {
        this.signal('SIGTERM');
        try {
            const { code, signal } = await this.waitForExit(ms);
            this.assertCleanOutput();
            const how = `exit code ${code}, signal ${signal}; the log ends:\n${this.tail()}`;
            assert.equal(code, 0, `the service must exit with 0 on SIGTERM: ${how}`);
        } finally {
            this.child.kill('SIGKILL');
        }
    }

    /** Ends the service with no warning. */
    async kill() {
        this.signal('SIGKILL');
        await this.waitForExit();
        this.assertCleanOutput();
    }

    /** No sanitizer report and nothing but JSON lines on standard error. */
    assertCleanOutput() {
        const report = SANITIZER_REPORT.exec(this.stderr);
        assert.equal(
            report,
            null,
            `sanitizer report:\n${report && this.stderr.slice(report.index)}`,
        );
        assert.deepEqual(this.strayLines, [], 'every line of standard error must be a JSON object');
        assert.equal(this.#rest, '', 'the last line of standard error must be whole');
    }

    tail() {
        return this.stderr.slice(-3000);
    }

    /** The body of the statistics route. */
    async stats() {
        const response = await request(this, '/api/chat-api/ws/stats');
        assert.equal(response.status, 200);
        return response.json;
    }

    /** Waits until the statistics satisfy the predicate, and returns them. */
    async statsWhere(what, predicate, ms) {
        return eventually(
            `statistics with ${what}`,
            async () => {
                const stats = await this.stats();
                if (predicate(stats)) return stats;
                throw new Error(JSON.stringify(stats));
            },
            ms,
        );
    }
}

/**
 * Starts the service and waits for its port and, with `waitReady`, for /readyz to say 200. Without
 * it the service may still be on its way to Redis. `fileLimit` bounds its open files, `wrapper` is
 * a program, with its arguments, that runs it.
 */
export async function startService({ waitReady = true, ...options } = {}) {
    const service = new Service(options);
    try {
        const entry = await service.waitForLog((line) => line.event === 'server:listening', 10000);
        service.port = entry.metadata?.port;
        assert.ok(Number.isInteger(service.port), 'server:listening must tell metadata.port');
        service.tellOfSuddenEnd();
        if (waitReady) {
            const ready = async () => (await request(service, '/readyz')).status === 200;
            await eventually('/readyz to answer 200', ready, 10000);
        }
        return service;
    } catch (error) {
        service.child.kill('SIGKILL');
        throw error;
    }
}

/** Starts the service for its output alone: {code, signal, stdout, stderr, logs}. */
export async function runToExit({ ms = 10000, ...options } = {}) {
    const service = new Service(options);
    try {
        const { code, signal } = await service.waitForExit(ms);
        const { stdout, stderr, logs } = service;
        assert.doesNotMatch(stderr, SANITIZER_REPORT);
        return { code, signal, stdout, stderr, logs };
    } finally {
        service.child.kill('SIGKILL');
    }
}

/** Starts a service for one test; it is stopped and judged when the test is over. */
export async function serviceFor(test, options) {
    const service = await startService(options);
    test.after(async () => {
        if (service.child.exitCode === null && service.child.signalCode === null) {
            await service.stop();
        } else {
            service.assertCleanOutput();
        }
    });
    return service;
}
