// Keys and tokens: made and signed by the openssl program, by a JWT library (jose), or by hand where
// a test wants one that no library would make.

import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { load } from './packages.js';

export const SECRET = 'an e2e secret of more than sixty-four bytes, so that every HS fits in it';

/** Algorithm: what the openssl program makes the key of; a secret has none. */
const KEY_OF = {
    HS256: null,
    HS384: null,
    HS512: null,
    RS256: 'rsa',
    RS384: 'rsa',
    RS512: 'rsa',
    PS256: 'rsa',
    ES256: 'p256',
    ES384: 'p384',
    EdDSA: 'ed25519',
};
export const ALGORITHMS = Object.keys(KEY_OF);

const GENPKEY = {
    rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
    p256: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    p384: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ed25519: ['-algorithm', 'ED25519'],
};

export function base64url(value) {
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
    return bytes.toString('base64url');
}

export function json64(value) {
    return base64url(JSON.stringify(value));
}

/** Seconds since 1970, so many from now. */
export function inSeconds(seconds) {
    return Math.floor(Date.now() / 1000) + seconds;
}

/** The claims of a good token, changed; undefined leaves one out. */
export function claims(changes = {}) {
    return { sub: 'anna', exp: inSeconds(600), ...changes };
}

/** A key that the openssl program made: its private key's file, and Node's view of both halves. */
class Key {
    constructor(folder, name, kid = name) {
        this.kid = kid;
        this.file = path.join(folder, `${kid}.pem`);
        execFileSync('openssl', ['genpkey', ...GENPKEY[name], '-out', this.file], {
            stdio: 'ignore',
        });
        this.private = crypto.createPrivateKey(fs.readFileSync(this.file));
        this.public = crypto.createPublicKey(this.private);
    }

    get pem() {
        return this.public.export({ type: 'spki', format: 'pem' });
    }

    /** As an entry of a JWKS. */
    jwk(more = {}) {
        return { ...this.public.export({ format: 'jwk' }), kid: this.kid, use: 'sig', ...more };
    }
}

/** A folder with one key of each kind and a JWKS of them; removed by `remove`. */
export class Keys {
    constructor() {
        this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chat-api-keys-'));
        this.byName = Object.fromEntries(
            Object.keys(GENPKEY).map((name) => [name, new Key(this.folder, name)]),
        );
        this.jwksFile = path.join(this.folder, 'jwks.json');
        this.writeJwks(Object.values(this.byName).map((key) => key.jwk()));
    }

    /** A further key, for rotation. */
    make(name, kid) {
        return new Key(this.folder, name, kid);
    }

    writeJwks(keys) {
        fs.writeFileSync(this.jwksFile, JSON.stringify({ keys }));
    }

    /** The key for an algorithm; undefined for a secret. */
    of(alg) {
        return this.byName[KEY_OF[alg]];
    }

    remove() {
        fs.rmSync(this.folder, { recursive: true });
    }
}

function digestOf(alg) {
    return alg === 'EdDSA' ? null : `sha${alg.slice(2)}`;
}

/** The signature over any text; `key` is a Key or a secret. */
export function signature(alg, key, text) {
    const bytes = Buffer.from(text);
    if (alg.startsWith('HS')) {
        return crypto.createHmac(digestOf(alg), key).update(bytes).digest();
    }
    const options = { key: key.private };
    if (alg.startsWith('PS')) {
        options.padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
        options.saltLength = crypto.constants.RSA_PSS_SALTLEN_DIGEST;
    }
    if (alg.startsWith('ES')) options.dsaEncoding = 'ieee-p1363';
    return crypto.sign(digestOf(alg), bytes, options);
}

/** A token of these two texts, bytes or objects, signed by hand: nothing is checked. */
export function forge(header, payload, { alg = header.alg, key = SECRET } = {}) {
    const part = (value) =>
        typeof value === 'object' && !Buffer.isBuffer(value) ? json64(value) : base64url(value);
    const text = `${part(header)}.${part(payload)}`;
    return `${text}.${base64url(signature(alg, key, text))}`;
}

/** A good token with the secret. */
export function token(changes = {}, header = {}) {
    return forge({ alg: 'HS256', typ: 'JWT', ...header }, claims(changes));
}

/** A good token, signed by jose. */
export async function joseToken(alg, keys, payload = claims()) {
    const { SignJWT } = await load('jose');
    const key = keys.of(alg);
    const header = key ? { alg, kid: key.kid } : { alg };
    return new SignJWT(payload)
        .setProtectedHeader(header)
        .sign(key ? key.private : new TextEncoder().encode(SECRET));
}

/** r and s of a DER signature, each in its full length. */
export function rawOfDer(der, half) {
    const numbers = [];
    for (let at = 2; numbers.length < 2; ) {
        const length = der[at + 1];
        const number = der.subarray(at + 2, at + 2 + length);
        const bare = number[0] === 0 ? number.subarray(1) : number;
        numbers.push(Buffer.concat([Buffer.alloc(half - bare.length), bare]));
        at += 2 + length;
    }
    return Buffer.concat(numbers);
}

/** The signature as the openssl program makes it. */
function opensslSignature(alg, key, file) {
    const hash = `-sha${alg.slice(2)}`;
    const run = (...args) => execFileSync('openssl', args);
    if (alg.startsWith('HS')) {
        const hex = Buffer.from(SECRET).toString('hex');
        return run('dgst', hash, '-mac', 'HMAC', '-macopt', `hexkey:${hex}`, '-binary', file);
    }
    if (alg === 'EdDSA') {
        return run('pkeyutl', '-sign', '-rawin', '-inkey', key.file, '-in', file);
    }
    const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'];
    const der = run('dgst', hash, ...(alg === 'PS256' ? pss : []), '-sign', key.file, file);
    return alg.startsWith('ES') ? rawOfDer(der, Number(alg.slice(2)) / 8) : der;
}

/** A good token, signed by the openssl program. */
export function opensslToken(alg, keys, payload = claims()) {
    const key = keys.of(alg);
    const text = `${json64(key ? { alg, kid: key.kid } : { alg })}.${json64(payload)}`;
    const file = path.join(keys.folder, `text-${alg}`);
    fs.writeFileSync(file, text);
    return `${text}.${base64url(opensslSignature(alg, key, file))}`;
}

/** The headers of a request that bears the token. */
export function bearer(value) {
    return { Authorization: `Bearer ${value}` };
}
