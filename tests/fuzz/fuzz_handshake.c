/*
 * The headers of an upgrade, a line each: Upgrade, Connection, Sec-WebSocket-Version,
 * Sec-WebSocket-Key, Sec-WebSocket-Protocol; a line that is missing is a header that is. Regular
 * expressions say how they must be judged (RFC 6455 4.2.1), OpenSSL's decoder whether a key is 16
 * bytes and the answer a digest.
 */
#include <openssl/evp.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/ws/handshake.h"

enum { HEADERS = 5, VALUE_MAX = 4096, KEY_BYTES = 16, KEY_LEN = 24, DIGEST_BYTES = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* --- the model --- */

static bool fits(size_t header, struct slice value)
{
    static const char *const patterns[HEADERS] = {
        "(^|,)[ \t]*websocket[ \t]*(,|$)",
        "(^|,)[ \t]*upgrade[ \t]*(,|$)",
        "^[ \t]*13[ \t]*$",
        "^[ \t]*[A-Za-z0-9+/]{22}==[ \t]*$",
        "(^|,)[ \t]*chat[.]events[.]v1[ \t]*(,|$)",
    };
    static regex_t compiled[HEADERS];
    static bool is_compiled[HEADERS];
    char text[VALUE_MAX + 1];
    int flags = REG_EXTENDED | REG_NOSUB | (header < 2 ? REG_ICASE : 0);
    if (value.ptr == NULL)
        return false;
    if (!is_compiled[header])
        require(regcomp(&compiled[header], patterns[header], flags) == 0);
    is_compiled[header] = true;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    return regexec(&compiled[header], text, 0, NULL, 0) == 0;
}

static enum handshake_result model_check(const struct slice values[HEADERS])
{
    if (!fits(0, values[0]) || !fits(1, values[1]))
        return HANDSHAKE_NOT_AN_UPGRADE;
    if (!fits(2, values[2]))
        return HANDSHAKE_BAD_VERSION;
    return fits(3, values[3]) ? HANDSHAKE_OK : HANDSHAKE_BAD_KEY;
}

/* --- what must hold --- */

/* The padding counts as zero octets there. */
static void check_accept(struct slice key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char octets[KEY_BYTES + 2], told[DIGEST_BYTES + 1], digest[EVP_MAX_MD_SIZE];
    char accept[HANDSHAKE_ACCEPT_SIZE];
    struct buf text;
    while (*key.ptr == ' ' || *key.ptr == '\t')
        key = slice_skip(key, 1);
    const unsigned char *start = (const unsigned char *)key.ptr;
    require(EVP_DecodeBlock(octets, start, KEY_LEN) == (int)sizeof octets);

    handshake_accept(key, accept);
    require(strlen(accept) == sizeof accept - 1 && accept[sizeof accept - 2] == '=');
    require(EVP_DecodeBlock(told, (unsigned char *)accept, sizeof accept - 1) == (int)sizeof told);
    buf_init(&text, sizeof guid + KEY_LEN);
    buf_append(&text, key.ptr, KEY_LEN);
    buf_append_str(&text, guid);
    require(EVP_Digest(text.ptr, text.len, digest, NULL, EVP_sha1(), NULL) == 1);
    require(memcmp(told, digest, DIGEST_BYTES) == 0);
    buf_fini(&text);
}

/* A token is found in the list, and in each longer one. */
static void check_longer_lists(struct slice list, const char *token, bool expected)
{
    struct buf longer;
    buf_init(&longer, (size_t)2 * VALUE_MAX);
    buf_append_str(&longer, "x ,");
    buf_append_slice(&longer, list);
    buf_append_str(&longer, ",\ty");
    require(handshake_has_token(buf_slice(&longer), token) == expected);
    buf_fini(&longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice values[HEADERS] = {{NULL, 0}};
    struct slice rest = slice_of(data, size);
    /* No header of libmicrohttpd's has a NUL. */
    if (size > VALUE_MAX || memchr(data, '\0', size) != NULL)
        return 0;
    for (size_t i = 0; i < HEADERS && rest.ptr != NULL; i++) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        values[i] = end != NULL ? slice_of(rest.ptr, (size_t)(end - rest.ptr)) : rest;
        rest = end != NULL ? slice_skip(rest, values[i].len + 1) : SLICE_NONE;
    }
    const struct handshake_request request = {values[0], values[1], values[2], values[3]};
    enum handshake_result result = handshake_check(&request);
    require(result == model_check(values));
    check_longer_lists(values[0], "WebSocket", fits(0, values[0]));
    check_longer_lists(values[1], "Upgrade", fits(1, values[1]));
    require(handshake_has_protocol(values[4], "chat.events.v1") == fits(4, values[4]));
    if (result == HANDSHAKE_OK)
        check_accept(values[3]);
    return 0;
}
