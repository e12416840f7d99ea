// What the kernel says of a process: memory, descriptors, threads, processor time. Linux only, as
// the service is.

import fs from 'node:fs';

const PAGE = 4096;
const TICKS_PER_SECOND = 100;

/** Resident memory in bytes. */
export function residentBytes(pid) {
    return Number(fs.readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE;
}

export function openFiles(pid) {
    return fs.readdirSync(`/proc/${pid}/fd`).length;
}

/** How many rings of io_uring it has. */
export function openRings(pid) {
    const folder = `/proc/${pid}/fd`;
    return fs
        .readdirSync(folder)
        .filter((fd) => fs.readlinkSync(`${folder}/${fd}`) === 'anon_inode:[io_uring]').length;
}

export function threads(pid) {
    return fs.readdirSync(`/proc/${pid}/task`).length;
}

/** Seconds of processor time that the process used so far. */
export function processorSeconds(pid) {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Nanoseconds for which its threads ran so far, and for which they could have but had to wait. */
function schedule(pid) {
    const sum = { ran: 0, waited: 0 };
    for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
        const stat = fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
        sum.ran += Number(stat[0]);
        sum.waited += Number(stat[1]);
    }
    return sum;
}

/**
 * Watches how many times as long as it runs the process takes, since others run on its processors:
 * 1 with a processor for each thread. Returns the function that tells.
 */
export function watchSlowdown(pid) {
    try {
        const before = schedule(pid);
        return () => {
            const after = schedule(pid);
            const [ran, waited] = [after.ran - before.ran, after.waited - before.waited];
            return ran > 0 ? 1 + waited / ran : 1;
        };
    } catch {
        return () => 1; // a kernel that does not count it
    }
}

/** A sanitizer keeps what was freed and shadows the rest: its memory says nothing. */
export function isSanitized(pid) {
    return /lib[at]san|\bchat-api\b.*san\//.test(fs.readFileSync(`/proc/${pid}/maps`, 'utf8'));
}

/** How many files this process may open. */
export function fileLimit() {
    const limits = fs.readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}

/** Notes the most memory that the process had while `work` ran: {result, before, peak, after}. */
export async function watchMemory(pid, work) {
    const before = residentBytes(pid);
    let peak = before;
    const look = () => {
        peak = Math.max(peak, residentBytes(pid));
    };
    const watch = setInterval(look, 5);
    try {
        const result = await work();
        look();
        return { result, before, peak, after: residentBytes(pid) };
    } finally {
        clearInterval(watch);
    }
}

export function mebibytes(bytes) {
    return Number((bytes / (1 << 20)).toFixed(1));
}
