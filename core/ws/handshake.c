#include "core/ws/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/ws/extensions.h"

/*
 * Values are judged as RFC 9110 5.6 has lists and tokens: white space around an element is no part
 * of it, empty elements are nothing. Whether fields came once or several times is the caller's: it
 * joins them, so that a second key or version makes a value that no rule here takes.
 */

enum {
    KEY_LEN = 24,       /* base64 of 16 bytes ... */
    KEY_DIGITS_LEN = 22 /* ... of which the last two characters are padding */
};

/* The next element of a comma-separated list, which is left with what follows. */
struct slice handshake_next_element(struct slice *list)
{
    const char *comma = memchr(list->ptr, ',', list->len);
    size_t until = comma != NULL ? (size_t)(comma - list->ptr) : list->len;
    struct slice element = slice_trim(slice_of(list->ptr, until));
    *list = slice_skip(*list, comma != NULL ? until + 1 : until);
    return element;
}

bool handshake_has_token(struct slice list, const char *token)
{
    size_t len = strlen(token);
    while (list.len > 0) {
        struct slice element = handshake_next_element(&list);
        if (element.len == len && strncasecmp(element.ptr, token, len) == 0)
            return true;
    }
    return false;
}

bool handshake_has_protocol(struct slice list, const char *protocol)
{
    while (list.len > 0)
        if (slice_equals_str(handshake_next_element(&list), protocol))
            return true;
    return false;
}

static bool is_base64_digit(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* RFC 6455 4.1: "a randomly selected 16-byte value that has been base64-encoded". */
static bool is_key(struct slice key)
{
    if (key.len != KEY_LEN || memcmp(key.ptr + KEY_DIGITS_LEN, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_DIGITS_LEN; i++) {
        if (!is_base64_digit(key.ptr[i]))
            return false;
    }
    return true;
}

enum handshake_result handshake_check(const struct handshake_request *request)
{
    if (!handshake_has_token(request->upgrade, "websocket") ||
        !handshake_has_token(request->connection, "upgrade"))
        return HANDSHAKE_NOT_AN_UPGRADE;
    if (!slice_equals_str(slice_trim(request->version), "13"))
        return HANDSHAKE_BAD_VERSION;
    if (!is_key(slice_trim(request->key)))
        return HANDSHAKE_BAD_KEY;
    return HANDSHAKE_OK;
}

void handshake_accept(struct slice key, char out[HANDSHAKE_ACCEPT_SIZE])
{
    /* RFC 6455 1.3: nobody who does not know WebSocket answers with a hash over this. */
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char text[KEY_LEN + sizeof guid - 1], digest[SHA_DIGEST_LENGTH];

    key = slice_trim(key);
    memcpy(text, key.ptr, KEY_LEN);
    memcpy(text + KEY_LEN, guid, sizeof guid - 1);
    SHA1(text, sizeof text, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

void handshake_prepare(void)
{
    static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    char accept[HANDSHAKE_ACCEPT_SIZE];
    handshake_accept(slice_str(key), accept);
}

/* --- permessage-deflate (RFC 7692 7.1) --- */

enum {
    BITS_ABSENT = 0,
    BITS_NO_VALUE = 1, /* client_max_window_bits alone: "I can be told" */
    BITS_MIN = 8,
    BITS_MAX = 15,
    /* zlib's raw deflate cannot keep to a window of 256 bytes; to inflate it makes no difference.
     */
    BITS_MIN_DEFLATE = 9,
};

/* What one offer asks for. */
struct offer {
    bool acceptable; /* permessage-deflate, and every parameter of it can be kept */
    bool server_no_takeover, client_no_takeover;
    unsigned char server_bits, client_bits;
};

/* 8 to 15 without leading zeros (RFC 7692 7.1.2.1), or 0. */
static unsigned char parse_bits(struct slice value)
{
    if (value.len == 1 && (value.ptr[0] == '8' || value.ptr[0] == '9'))
        return (unsigned char)(value.ptr[0] - '0');
    if (value.len == 2 && value.ptr[0] == '1' && value.ptr[1] >= '0' && value.ptr[1] <= '5')
        return (unsigned char)(10 + value.ptr[1] - '0');
    return 0;
}

/* A parameter that has no value and may come once. */
static bool take_flag(bool *seen, struct slice value)
{
    bool ok = !*seen && value.ptr == NULL;
    *seen = true;
    return ok;
}

static bool take_bits(unsigned char *bits, struct slice value, bool value_optional)
{
    if (*bits != BITS_ABSENT)
        return false;
    *bits = value.ptr == NULL && value_optional ? BITS_NO_VALUE : parse_bits(value);
    return *bits != 0;
}

/* False when the offer cannot be accepted with it (RFC 7692 7.1). */
static bool take_param(struct offer *offer, const struct extension_param *param)
{
    if (slice_equals_str(param->name, "server_no_context_takeover"))
        return take_flag(&offer->server_no_takeover, param->value);
    if (slice_equals_str(param->name, "client_no_context_takeover"))
        return take_flag(&offer->client_no_takeover, param->value);
    if (slice_equals_str(param->name, "server_max_window_bits"))
        return take_bits(&offer->server_bits, param->value, false) &&
               offer->server_bits >= BITS_MIN_DEFLATE;
    if (slice_equals_str(param->name, "client_max_window_bits"))
        return take_bits(&offer->client_bits, param->value, true);
    return false;
}

/* Reads one element of the list; false when there is none or it breaks the grammar. */
static bool read_offer(struct extension_reader *reader, struct offer *offer)
{
    struct slice name;
    if (!extension_reader_name(reader, &name))
        return false;
    *offer = (struct offer){.acceptable = slice_equals_str(name, "permessage-deflate")};
    struct extension_param param;
    while (extension_reader_param(reader, &param))
        offer->acceptable = offer->acceptable && take_param(offer, &param);
    return !reader->malformed;
}

/*
 * Finds the first offer that can be accepted. A header that breaks the grammar anywhere counts as
 * none at all: RFC 6455 9.1 wants such a connection failed, and no compression is the mild form.
 */
static bool find_offer(struct slice offers, struct offer *found)
{
    struct extension_reader reader = {.rest = offers};
    struct offer offer = {0};
    *found = (struct offer){0};
    while (read_offer(&reader, &offer)) {
        if (offer.acceptable && !found->acceptable)
            *found = offer;
    }
    return found->acceptable && !reader.malformed;
}

/* Appends "; name=bits", for which HANDSHAKE_EXTENSIONS_SIZE has room. */
static void append_bits(char *out, const char *name, unsigned bits)
{
    size_t len = strlen(out);
    snprintf(out + len, HANDSHAKE_EXTENSIONS_SIZE - len, "; %s=%u", name, bits);
}

void handshake_negotiate_deflate(struct slice offers, struct deflate_params *params,
                                 char out[HANDSHAKE_EXTENSIONS_SIZE])
{
    struct offer offer = {0};
    *params = (struct deflate_params){0};
    out[0] = '\0';
    if (!find_offer(offers, &offer))
        return;

    *params = (struct deflate_params){
        .enabled = true, .server_window_bits = BITS_MAX, .client_window_bits = BITS_MAX};
    snprintf(out, HANDSHAKE_EXTENSIONS_SIZE, "%s",
             "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if (offer.server_bits != BITS_ABSENT) {
        params->server_window_bits = offer.server_bits;
        append_bits(out, "server_max_window_bits", offer.server_bits);
    }
    /* Only a client that knows the parameter may be sent it (7.1.2.2); 15 says nothing new. */
    if (offer.client_bits >= BITS_MIN && offer.client_bits < BITS_MAX) {
        params->client_window_bits =
            offer.client_bits < BITS_MIN_DEFLATE ? BITS_MIN_DEFLATE : offer.client_bits;
        append_bits(out, "client_max_window_bits", offer.client_bits);
    }
}
