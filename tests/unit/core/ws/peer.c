#include "tests/unit/core/ws/peer.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OCTETS_MAX = 4 * 1024 * 1024,
    SHOWN_MAX = 64, /* longer payloads are noted by their length */
};

const struct ws_limits peer_limits = {.max_message_bytes = 65536, .max_fragments = 1024};

static void note(struct peer *peer, const char *what, struct slice payload)
{
    if (peer->events.len > 0)
        buf_append_char(&peer->events, ' ');
    if (payload.len > SHOWN_MAX)
        buf_printf(&peer->events, "%s[%zu]", what, payload.len);
    else
        buf_printf(&peer->events, "%s(%.*s)", what, (int)payload.len, payload.ptr);
    CU_ASSERT_PTR_NOT_NULL(payload.ptr);
    CU_ASSERT_FALSE(peer->session.stopped && strcmp(what, "text") == 0);
    peer->event_count++;
    if (peer->event_count == peer->stop_after)
        ws_session_stop(&peer->session);
    if (peer->event_count == peer->ignore_after)
        ws_session_ignore_data(&peer->session);
}

static void on_message(void *arg, enum ws_opcode opcode, struct slice payload)
{
    note(arg, opcode == WS_TEXT ? "text" : "binary", payload);
}

static void on_ping(void *arg, struct slice payload)
{
    note(arg, "ping", payload);
}

static void on_close(void *arg, unsigned code, struct slice reason)
{
    char what[32];
    snprintf(what, sizeof what, "close%u", code);
    note(arg, what, reason);
}

static void on_error(void *arg, unsigned code, const char *reason)
{
    char what[32];
    snprintf(what, sizeof what, "error%u", code);
    note(arg, what, slice_str(reason));
}

void peer_init(struct peer *peer, const struct ws_limits *limits, bool deflate)
{
    static const struct ws_handlers handlers = {on_message, on_ping, on_close, on_error};
    const struct deflate_params params = {.enabled = deflate};
    *peer = (struct peer){.pool = ws_pool_create(limits, &handlers)};
    buf_init(&peer->events, OCTETS_MAX);
    ws_session_init(&peer->session, &params);
}

void peer_fini(struct peer *peer)
{
    ws_session_fini(&peer->session, peer->pool);
    CU_ASSERT_FALSE(ws_session_is_midway(&peer->session));
    CU_ASSERT_EQUAL(ws_pool_in_use(peer->pool), 0);
    ws_pool_destroy(peer->pool);
    buf_fini(&peer->events);
}

void ws_peer_write_frame(struct buf *octets, unsigned char octet0, struct slice payload)
{
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    buf_append_char(octets, (char)octet0);
    size_t length_octets = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;
    buf_append_char(octets, (char)(0x80 | (length_octets == 0   ? payload.len
                                           : length_octets == 2 ? 126
                                                                : 127)));
    for (size_t i = length_octets; i-- > 0;)
        buf_append_char(octets, (char)(payload.len >> (8 * i)));
    buf_append(octets, key, sizeof key);
    for (size_t i = 0; i < payload.len; i++)
        buf_append_char(octets, (char)((unsigned char)payload.ptr[i] ^ key[i % sizeof key]));
}

static void append_hex(struct buf *octets, const char *hex, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        char pair[3] = {hex[i], hex[i + 1], '\0'};
        buf_append_char(octets, (char)strtoul(pair, NULL, 16));
    }
}

static void append_payload(struct buf *payload, const char *word, size_t len)
{
    char kind = word[0];
    if (kind == '\'') {
        buf_append(payload, word + 1, len - 2);
    } else if (kind == 'x') {
        append_hex(payload, word + 1, len - 1);
    } else {
        for (unsigned long left = strtoul(word + 1, NULL, 10); left > 0; left--)
            buf_append_char(payload, 'a');
    }
}

void peer_write(struct buf *octets, const char *script)
{
    while (*script != '\0') {
        size_t len = strcspn(script, " ");
        if (script[0] == '=') {
            append_hex(octets, script + 1, len - 1);
        } else {
            struct buf payload;
            buf_init(&payload, OCTETS_MAX);
            unsigned char octet0 =
                (unsigned char)strtoul((char[]){script[0], script[1], 0}, NULL, 16);
            append_payload(&payload, script + 2, len - 2);
            ws_peer_write_frame(octets, octet0, buf_slice(&payload));
            buf_fini(&payload);
        }
        script += len + strspn(script + len, " ");
    }
}

void peer_feed(struct peer *peer, struct slice octets, size_t step)
{
    while (octets.len > 0) {
        size_t len = step == 0 || step > octets.len ? octets.len : step;
        /* In memory of its own, so that a sanitizer sees a look behind the piece. */
        char *piece = malloc(len);
        memcpy(piece, octets.ptr, len);
        ws_session_feed(&peer->session, peer->pool, peer, slice_of(piece, len));
        free(piece);
        octets = slice_skip(octets, len);
    }
}

void peer_feed_script(struct peer *peer, const char *script)
{
    struct buf octets;
    buf_init(&octets, OCTETS_MAX);
    peer_write(&octets, script);
    peer_feed(peer, buf_slice(&octets), 0);
    buf_fini(&octets);
}

const char *peer_events(const struct peer *peer)
{
    static char text[OCTETS_MAX];
    if (peer->events.len > 0)
        memcpy(text, peer->events.ptr, peer->events.len);
    text[peer->events.len] = '\0';
    return text;
}
