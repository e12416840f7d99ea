// Enough of ar and ELF (64 bits, little endian) to tell whether a program was linked from the
// objects of an archive. The linker moves an object's sections and writes addresses into them;
// every other octet of code and of constants stays what the compiler wrote.

import assert from 'node:assert/strict';

const AR_MAGIC = '!<arch>\n';
const AR_HEADER = 60;
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 24;
const TYPE = { PROGBITS: 1, SYMTAB: 2, RELA: 4 };
const FLAG = { WRITE: 1, ALLOC: 2, MERGE: 16 };
/** Symbols that stand for functions and data; others have no place, or no name. */
const NAMED = [1, 2];
/** The relocation that fills eight octets, by the machine's number; the others fill four. */
const WIDE_RELOCATION = { 62: 1, 183: 257 };
/** x86-64 may make another instruction of the one that has the relocation: `call *f@GOT` is `call f`. */
const REWRITTEN_BEFORE = 3;

/** The members of an archive in their order: [{name, bytes}]. Names may come twice. */
export function readArchive(bytes) {
    assert.equal(bytes.toString('latin1', 0, AR_MAGIC.length), AR_MAGIC);
    const members = [];
    let names = '';
    for (let at = AR_MAGIC.length; at < bytes.length; ) {
        const field = (from, to) => bytes.toString('latin1', at + from, at + to).trimEnd();
        const size = Number(field(48, 58));
        const name = field(0, 16);
        const body = bytes.subarray(at + AR_HEADER, at + AR_HEADER + size);
        if (name === '//') names = body.toString('latin1');
        else if (/^\/\d/.test(name)) {
            const long = names.slice(Number(name.slice(1)));
            members.push({ name: long.slice(0, long.indexOf('/')), bytes: body });
        } else if (name !== '/') {
            members.push({ name: name.replace(/\/$/, ''), bytes: body });
        }
        at += AR_HEADER + size + (size % 2);
    }
    return members;
}

export class Elf {
    constructor(bytes) {
        assert.equal(bytes.toString('latin1', 0, 6), '\x7fELF\x02\x01', '64 bits, little endian');
        this.bytes = bytes;
        this.machine = bytes.readUInt16LE(18);
        this.sections = this.#readSections();
        this.symbols = this.#readSymbols();
    }

    #number(at) {
        return Number(this.bytes.readBigUInt64LE(at));
    }

    #text(table, offset) {
        const at = table.offset + offset;
        return this.bytes.toString('latin1', at, this.bytes.indexOf(0, at));
    }

    #readSections() {
        const table = this.#number(40);
        const sections = Array.from({ length: this.bytes.readUInt16LE(60) }, (_, index) => {
            const at = table + index * 64;
            return {
                index,
                nameAt: this.bytes.readUInt32LE(at),
                type: this.bytes.readUInt32LE(at + 4),
                flags: this.#number(at + 8),
                address: this.#number(at + 16),
                offset: this.#number(at + 24),
                size: this.#number(at + 32),
                link: this.bytes.readUInt32LE(at + 40),
                info: this.bytes.readUInt32LE(at + 44),
            };
        });
        const names = sections[this.bytes.readUInt16LE(62)];
        for (const section of sections) section.name = this.#text(names, section.nameAt);
        return sections;
    }

    #readSymbols() {
        const table = this.sections.find(({ type }) => type === TYPE.SYMTAB);
        assert.ok(table, 'the symbols were stripped');
        return Array.from({ length: table.size / SYMBOL_SIZE }, (_, index) => {
            const at = table.offset + index * SYMBOL_SIZE;
            const info = this.bytes[at + 4];
            return {
                name: this.#text(this.sections[table.link], this.bytes.readUInt32LE(at)),
                type: info & 15,
                isLocal: info >> 4 === 0,
                section: this.bytes.readUInt16LE(at + 6),
                value: this.#number(at + 8),
            };
        }).filter(({ name, type, section }) => name && section && NAMED.includes(type));
    }

    /**
     * What the linker carries over as it stands: code, constants, data. Not strings, which it
     * merges, nor what describes stack frames, which it writes anew.
     */
    get carried() {
        return this.sections.filter(({ type, flags, size, name }) =>
            type === TYPE.PROGBITS && size > 0 && flags & FLAG.ALLOC && !(flags & FLAG.MERGE)
            && !/^\.(eh_frame|note)/.test(name));
    }

    /** The octets of an object's section that the linker leaves alone: [[from, to]]. */
    fixedRanges(section) {
        const ranges = [];
        let from = 0;
        for (const { offset, size } of this.#relocations(section)) {
            if (offset - REWRITTEN_BEFORE > from) ranges.push([from, offset - REWRITTEN_BEFORE]);
            from = Math.max(from, offset + size);
        }
        if (from < section.size) ranges.push([from, section.size]);
        return ranges;
    }

    #relocations({ index }) {
        const table = this.sections.find(({ type, info }) => type === TYPE.RELA && info === index);
        return Array.from({ length: (table?.size ?? 0) / RELOCATION_SIZE }, (_, number) => {
            const at = table.offset + number * RELOCATION_SIZE;
            const isWide = this.bytes.readUInt32LE(at + 8) === WIDE_RELOCATION[this.machine];
            return { offset: this.#number(at), size: isWide ? 8 : 4 };
        }).sort((a, b) => a.offset - b.offset);
    }

    /** Where in a program's file the octet of this address stands; undefined when nowhere. */
    offsetOf(address) {
        const section = this.sections.find(({ type, flags, address: begin, size }) =>
            type === TYPE.PROGBITS && flags & FLAG.ALLOC
            && address >= begin && address < begin + size);
        return section && section.offset + address - section.address;
    }

    /** Whether the program has something of its own under a global name of the object. */
    hasPartOf(object) {
        const own = new Set(this.symbols.filter(({ isLocal }) => !isLocal).map(({ name }) => name));
        return object.symbols.some(({ name, isLocal }) => !isLocal && own.has(name));
    }

    /**
     * Whether the program carries an object's section unchanged: true, false, or undefined when
     * nothing in it has a name by which it could be found.
     */
    carries(object, section) {
        const anchors = object.symbols.filter((symbol) => symbol.section === section.index);
        const anchor = anchors.find(({ isLocal }) => !isLocal) ?? anchors[0];
        if (!anchor) return undefined;
        const ranges = object.fixedRanges(section);
        return this.symbols
            .filter(({ name, isLocal }) => name === anchor.name && isLocal === anchor.isLocal)
            .some(({ value }) => this.#hasAt(value - anchor.value, object, section, ranges));
    }

    #hasAt(address, object, section, ranges) {
        const start = this.offsetOf(address);
        if (start === undefined) return false;
        return ranges.every(([from, to]) => {
            const wanted = object.bytes.subarray(section.offset + from, section.offset + to);
            return this.bytes.subarray(start + from, start + to).equals(wanted);
        });
    }
}
