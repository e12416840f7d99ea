// Tokens that no service may take: forged, changed, malformed, out of time.

import {
    ALGORITHMS,
    SECRET,
    base64url,
    claims,
    forge,
    inSeconds,
    json64,
    signature,
    token,
} from './tokens.js';

/** name → token: all of them must be refused. `keys` are the service's, of every kind. */
export function forgeries(keys) {
    const all = {};
    const rsa = keys.of('RS256');
    const good = token();
    const [header, payload, sign] = good.split('.');

    for (const none of ['none', 'None', 'NONE', 'nOnE', 'nONE', '']) {
        const text = `${json64({ alg: none })}.${json64(claims())}`;
        all[`alg ${none} without a signature`] = `${text}.`;
        all[`alg ${none} with a signature`] = `${text}.${sign}`;
        all[`alg ${none} in two parts`] = text;
    }
    for (const alg of ['HS1', 'RS1', 'PS384', 'PS512', 'ES512', 'ES256K', 'Ed448', 'A128KW', 'dir']) {
        all[`alg ${alg}`] = forge({ alg }, claims(), { alg: 'HS256' });
    }
    for (const alg of [null, 256, ['HS256'], { a: 1 }, true, undefined]) {
        all[`alg that is ${JSON.stringify(alg)}`] = forge({ alg }, claims(), { alg: 'HS256' });
    }

    // A public key taken for a secret, in every form in which somebody may have it.
    for (const alg of ['HS256', 'HS384', 'HS512']) {
        for (const key of Object.values(keys.byName)) {
            const forms = {
                PEM: key.pem,
                'trimmed PEM': key.pem.trim(),
                DER: key.public.export({ type: 'spki', format: 'der' }),
                JWK: JSON.stringify(key.jwk()),
            };
            for (const [form, secret] of Object.entries(forms)) {
                all[`${alg} keyed with the ${form} of ${key.kid}`] = forge(
                    { alg, kid: key.kid },
                    claims(),
                    { key: secret },
                );
                all[`${alg} keyed with the ${form} of ${key.kid}, no kid`] = forge(
                    { alg },
                    claims(),
                    { key: secret },
                );
            }
        }
        for (const secret of ['', 'secret', `${SECRET} `, SECRET.slice(1), '\0'.repeat(32)]) {
            all[`${alg} keyed with ${JSON.stringify(secret)}`] = forge({ alg }, claims(), {
                key: secret,
            });
        }
    }

    // Each algorithm under each other's name, with and without the other's kid.
    for (const named of ALGORITHMS) {
        for (const signer of ALGORITHMS) {
            if (named === signer) continue;
            const key = keys.of(signer) ?? SECRET;
            const kid = keys.of(named)?.kid;
            all[`${signer} called ${named}`] = forge({ alg: named }, claims(), {
                alg: signer,
                key,
            });
            all[`${signer} called ${named} with its kid`] = forge({ alg: named, kid }, claims(), {
                alg: signer,
                key,
            });
        }
    }

    for (const kid of ['unknown', '', 'RSA', 'rsa ', '../../etc/passwd', 'p256', "' OR 1=1"]) {
        all[`RS256 with kid ${kid}`] = forge({ alg: 'RS256', kid }, claims(), { key: rsa });
    }
    for (const kid of [null, 1, ['rsa'], {}, 'x'.repeat(257)]) {
        all[`RS256 with kid ${JSON.stringify(kid)?.slice(0, 20)}`] = forge(
            { alg: 'RS256', kid },
            claims(),
            { key: rsa },
        );
    }

    // A key that the token brings along.
    const own = keys.make('rsa', 'mine');
    const bring = {
        jwk: own.jwk(),
        jku: 'https://evil.example/jwks',
        x5u: 'https://evil.example/x5u',
        x5c: ['AAAA'],
    };
    for (const [name, value] of Object.entries(bring)) {
        all[`a key of its own by ${name}`] = forge(
            { alg: 'RS256', kid: 'mine', [name]: value },
            claims(),
            { key: own },
        );
    }
    for (const crit of [['exp'], ['b64'], [], null, 'x']) {
        all[`crit ${JSON.stringify(crit)}`] = token({}, { crit, b64: true });
    }

    // The form.
    const other = token({ sub: 'ben' }).split('.');
    Object.assign(all, {
        'the signature of another': `${header}.${payload}.${other[2]}`,
        'the payload of another': `${header}.${other[1]}.${sign}`,
        'no signature': `${header}.${payload}.`,
        'two parts': `${header}.${payload}`,
        'one part': header,
        'four parts': `${good}.`,
        'five parts': `${good}.${sign}.${sign}`,
        'a dot in front': `.${good}`,
        'dots only': '..',
        'no payload': `${header}..${sign}`,
        'no header': `.${payload}.${sign}`,
        'padding behind': `${good}=`,
        'padding in the header': `${header}=.${payload}.${sign}`,
        'a blank inside': `${header}. ${payload}.${sign}`,
        'the other alphabet': `${header}.${payload}.${sign.replace(/.$/, '+')}`,
        'bits left over': `${header}.${payload}.${nextDigit(sign)}`,
        'letters of another script': `${header}.${payload}.ä${sign}`,
        'too long': token({ filler: 'x'.repeat(8000) }),
        'a header that is no object': forge('[]', claims(), { alg: 'HS256' }),
        'a header that is no JSON': forge('{', claims(), { alg: 'HS256' }),
        'a header with alg twice': forge('{"alg":"HS256","alg":"HS256"}', claims(), {
            alg: 'HS256',
        }),
        'a header with none and HS256': forge('{"alg":"none","alg":"HS256"}', claims(), {
            alg: 'HS256',
        }),
        'a payload that is no JSON': forge({ alg: 'HS256' }, 'hello'),
        'a payload that is an array': forge({ alg: 'HS256' }, JSON.stringify([claims()])),
        'a payload that is null': forge({ alg: 'HS256' }, 'null'),
        'an empty payload': forge({ alg: 'HS256' }, ''),
        'something behind the payload': forge({ alg: 'HS256' }, `${JSON.stringify(claims())}{}`),
        'a payload that is not UTF-8': forge(
            { alg: 'HS256' },
            Buffer.from(JSON.stringify(claims({ name: '\xff' })), 'latin1'),
        ),
    });
    for (const length of [1, 10, 100]) {
        all[`cut by ${length}`] = good.slice(0, -length);
        all[`cut in front by ${length}`] = good.slice(length);
    }
    const exp = inSeconds(600);
    for (const twice of [
        `{"sub":"anna","sub":"ben","exp":${exp}}`,
        `{"sub":"anna","exp":1,"exp":${exp}}`,
        `{"sub":"anna","exp":${exp},"rooms":[],"rooms":[{"match":"*"}]}`,
        `{"sub":"anna","exp":${exp},"other":{"a":1,"a":1}}`,
    ]) {
        all[`claims twice: ${twice}`] = forge({ alg: 'HS256' }, twice);
    }

    addBadClaims(all);
    addBadSignatures(all, keys);
    return all;
}

/** The same text with its last digit's unused bits set: it stands for the same bytes. */
function nextDigit(text) {
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return text.slice(0, -1) + digits[digits.indexOf(text.at(-1)) + 1];
}

function addBadClaims(all) {
    const add = (name, values) => {
        for (const value of values) {
            const changed = typeof value === 'string' ? value.slice(0, 30) : value;
            all[`${name} ${JSON.stringify(changed)}`] = token({ [name]: value });
        }
    };
    add('exp', [
        undefined,
        null,
        `${inSeconds(600)}`,
        '',
        true,
        [inSeconds(600)],
        { a: 1 },
        -1,
        0,
        1,
        inSeconds(-31),
        inSeconds(-3600),
        1e300,
        Number.MAX_SAFE_INTEGER,
        253402300800,
        -1e300,
    ]);
    for (const number of ['1e400', '18446744073709551616', '-0.5', '9'.repeat(400), 'NaN', '0x7f']) {
        all[`exp ${number.slice(0, 30)} as it stands`] = forge(
            { alg: 'HS256' },
            `{"sub":"anna","exp":${number}}`,
        );
    }
    // Over the leeway still when the last one of all is tried.
    add('nbf', [inSeconds(300), inSeconds(3600), 1e300, '0', null, -1, true, [], {}]);
    add('sub', [undefined, null, '', 1, true, ['anna'], { a: 1 }, 'x'.repeat(124), 'ü'.repeat(62)]);
    add('sub', ['a/b', '/', 'a\0b', 'a\nb', '\x7f', 'a\u0085', '\t', '\x1b[0m', '\x00']);
    add('name', [1, null, ['x'], {}, 'x'.repeat(65), 'a\nb', '\0', '\u009f', '\x7f']);
    add('scope', [1, null, {}, [1], [['admin']], true]);
    add('rooms', [null, {}, '*', ['*'], [null], [[]], [{}], [{ can: ['join'] }], 1, true]);
    add('rooms', [
        [{ match: '' }],
        [{ match: 1 }],
        [{ match: ['*'] }],
        [{ match: '*', can: 'join' }],
        [{ match: '*', can: ['read'] }],
        [{ match: '*', can: [1] }],
        [{ match: '*', can: null }],
        [{ match: '*', cannot: ['publish'] }],
        [{ match: 'x'.repeat(257) }],
        [{ match: '*' }, { match: '' }],
        Array.from({ length: 101 }, () => ({ match: 'x' })),
    ]);
}

/** Signatures that are no signatures of a kind. */
function addBadSignatures(all, keys) {
    for (const alg of ['ES256', 'ES384']) {
        const key = keys.of(alg);
        const half = Number(alg.slice(2)) / 8;
        const text = `${json64({ alg, kid: key.kid })}.${json64(claims())}`;
        const good = signature(alg, key, text);
        const r = good.subarray(0, half);
        const s = good.subarray(half);
        const zero = Buffer.alloc(half);
        const ones = Buffer.alloc(half, 0xff);
        const rows = {
            'r of zero': [zero, s],
            's of zero': [r, zero],
            'all zero': [zero, zero],
            'all ones': [ones, ones],
            'r over the order': [ones, s],
            'r and s swapped': [s, r],
            'a byte less': [good.subarray(0, -1)],
            'a byte more': [good, Buffer.alloc(1)],
            'a zero in front': [Buffer.alloc(1), good],
            'zeros in front of both': [Buffer.alloc(1), r, Buffer.alloc(1), s],
            'r alone': [r],
            'nothing': [],
        };
        for (const [name, parts] of Object.entries(rows)) {
            all[`${alg} with ${name}`] = `${text}.${base64url(Buffer.concat(parts))}`;
        }
        const der = derOfRaw(r, s);
        all[`${alg} in DER`] = `${text}.${base64url(der)}`;
        all[`${alg} in DER, in the right length`] =
            `${text}.${base64url(Buffer.concat([der, Buffer.alloc(2 * half)]).subarray(0, 2 * half))}`;
    }
    for (const alg of ['RS256', 'PS256', 'EdDSA', 'HS256']) {
        const key = keys.of(alg);
        const text = `${json64(key ? { alg, kid: key.kid } : { alg })}.${json64(claims())}`;
        const good = signature(alg, key ?? SECRET, text);
        const rows = {
            zeros: Buffer.alloc(good.length),
            ones: Buffer.alloc(good.length, 0xff),
            'a byte less': good.subarray(1),
            'a byte more': Buffer.concat([good, Buffer.alloc(1)]),
            'a zero in front': Buffer.concat([Buffer.alloc(1), good]),
            'a byte turned': Buffer.concat([good.subarray(0, -1), Buffer.from([good.at(-1) ^ 1])]),
            nothing: Buffer.alloc(0),
            'its first half': good.subarray(0, good.length / 2),
        };
        for (const [name, bytes] of Object.entries(rows)) {
            all[`${alg} with ${name}`] = `${text}.${base64url(bytes)}`;
        }
    }
}

function derOfRaw(...numbers) {
    const integers = numbers.map((number) => {
        const bare = number.subarray(number.findIndex((byte) => byte !== 0));
        const value = bare[0] & 0x80 ? Buffer.concat([Buffer.alloc(1), bare]) : bare;
        return Buffer.concat([Buffer.from([2, value.length]), value]);
    });
    const body = Buffer.concat(integers);
    return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}
