#include "core/ws/session.h"

#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wslay/wslay.h>

#include "core/base/mem.h"
#include "core/ws/deflate.h"
#include "tests/unit/core/ws/peer.h"

enum {
    OCTETS_MAX = 4 * 1024 * 1024,
    SHORT_OCTETS = 300, /* inputs up to here are cut at each octet */
};

/* One rule: what is fed and what has to be heard. */
struct rule {
    const char *section; /* of RFC 6455; of RFC 7692 where deflate is on */
    const char *script;
    const char *events;
    size_t at; /* how many octets have come when the last event is heard; 0: not looked at */
};

static const struct rule plain_rules[] = {
    {"5.1 a client masks", "=8105", "error1002(frame not masked)", 2},
    {"5.1 empty frames too", "=8100", "error1002(frame not masked)", 2},
    {"5.1 control frames too", "=8900", "error1002(frame not masked)", 2},
    {"5.2 RSV1", "=c1", "error1002(reserved bits set)", 1},
    {"5.2 RSV2", "=a1", "error1002(reserved bits set)", 1},
    {"5.2 RSV3", "=91", "error1002(reserved bits set)", 1},
    {"5.2 RSV1 on control", "=c9", "error1002(reserved bits set)", 1},
    {"5.2 shortest form, 16 bits", "=81fe007d", "error1002(length not in shortest form)", 4},
    {"5.2 shortest form, 0 in 16 bits", "=81fe0000", "error1002(length not in shortest form)", 4},
    {"5.2 shortest form, 64 bits", "=81ff000000000000ffff",
     "error1002(length not in shortest form)", 10},
    {"5.2 top bit", "=81ff80", "error1002(length with the top bit set)", 3},
    {"5.2 7 bits", "82*125", "binary[125]", 131},
    {"5.2 16 bits", "82*126", "binary[126]", 134},
    {"5.2 16 bits, all set", "82*65535", "binary[65535]", 0},
    {"5.2 64 bits", "82*65536", "binary[65536]", 0},
    {"5.2 empty text", "81''", "text()", 6},
    {"5.2 empty binary", "82''", "binary()", 6},
    {"5.3 unmasking", "=818537fa213d7f9f4d5158", "text(Hello)", 11},
    {"5.4 fragments", "01'Hel' 80'lo'", "text(Hello)", 17},
    {"5.4 many fragments", "01'H' 00'e' 00'l' 00'l' 80'o'", "text(Hello)", 35},
    {"5.4 empty fragments", "01'' 00'' 80''", "text()", 18},
    {"5.4 last fragment empty", "01'Hi' 80''", "text(Hi)", 14},
    {"5.4 first fragment empty", "01'' 80'Hi'", "text(Hi)", 14},
    {"5.4 binary fragments", "02x01ff 80xfe", "binary(\x01\xff\xfe)", 15},
    {"5.4 control between fragments", "01'Hel' 89'p' 80'lo'", "ping(p) text(Hello)", 24},
    {"5.4 nothing to continue", "=80", "error1002(continuation without a message)", 1},
    {"5.4 nor not finally", "=00", "error1002(continuation without a message)", 1},
    {"5.4 nor behind a message", "81'a' =80", "text(a) error1002(continuation without a message)",
     8},
    {"5.4 nor behind fragments", "01'a' 80'b' =80",
     "text(ab) error1002(continuation without a message)", 15},
    {"5.4 interleaved text", "01'He' =81", "error1002(new message inside a fragmented one)", 9},
    {"5.4 interleaved binary", "02'He' =02", "error1002(new message inside a fragmented one)", 9},
    {"5.5 fragmented close", "=08", "error1002(fragmented control frame)", 1},
    {"5.5 fragmented ping", "=09", "error1002(fragmented control frame)", 1},
    {"5.5 fragmented pong", "=0a", "error1002(fragmented control frame)", 1},
    {"5.5 close over 125", "=88fe", "error1002(control frame over 125 bytes)", 2},
    {"5.5 ping over 125", "=89fe", "error1002(control frame over 125 bytes)", 2},
    {"5.5 pong over 125", "=8aff", "error1002(control frame over 125 bytes)", 2},
    {"5.5 ping of 125", "89*125", "ping[125]", 131},
    {"5.5 pong of 125", "8a*125 89'x'", "ping(x)", 0},
    {"5.5.1 no code", "88''", "close0()", 6},
    {"5.5.1 code", "88x03e8", "close1000()", 8},
    {"5.5.1 code and reason", "88x03e8627965", "close1000(bye)", 11},
    {"5.5.1 one octet", "=8881", "error1002(close frame of one byte)", 2},
    {"5.5.1 reason is UTF-8", "88x03e8c3", "error1007(close reason is not UTF-8)", 9},
    {"5.5.1 reason of 123",
     "88x03e8"
     "61616161616161616161616161616161616161616161616161616161616161616161"
     "61616161616161616161616161616161616161616161616161616161616161616161"
     "61616161616161616161616161616161616161616161616161616161616161616161"
     "616161616161616161616161616161616161616161",
     "close1000[123]", 131},
    {"5.5.1 nothing follows", "88x03e8 81'hi' =ff", "close1000()", 0},
    {"5.5.1 between fragments", "01'Hel' 88x03e9 80'lo'", "close1001()", 0},
    {"5.5.2 ping", "89'Hello'", "ping(Hello)", 11},
    {"5.5.2 empty ping", "89''", "ping()", 6},
    {"5.5.2 each ping", "89'1' 89'2' 89'3'", "ping(1) ping(2) ping(3)", 21},
    {"5.5.3 unsolicited pong", "8a'Hello' 8a''", "", 0},
    {"5.6 text", "81'Hello'", "text(Hello)", 11},
    {"5.6 binary is not looked into", "82xfffe", "binary(\xff\xfe)", 8},
    {"7.4.1 code bad, reason too", "88x03ecff", "error1002(invalid close code)", 9},
    {"8.1 not UTF-8", "81x48ff4848", "error1007(invalid UTF-8)", 8},
    {"8.1 continuation octet first", "81x8048", "error1007(invalid UTF-8)", 7},
    {"8.1 overlong", "81xc080", "error1007(invalid UTF-8)", 7},
    {"8.1 overlong of three", "81xe0808080", "error1007(invalid UTF-8)", 8},
    {"8.1 surrogate", "81xeda08080", "error1007(invalid UTF-8)", 8},
    {"8.1 past U+10FFFF", "81xf4908080", "error1007(invalid UTF-8)", 8},
    {"8.1 cut short", "81x48ce", "error1007(invalid UTF-8)", 8},
    {"8.1 cut short in fragments", "01xf09f 00x92 80''", "error1007(invalid UTF-8)", 0},
    {"8.1 code point over fragments", "01xce 00'' 80xba", "text(\xce\xba)", 20},
    {"8.1 a ping in a code point", "01xf09f 89'p' 80x92a9", "ping(p) text(\xf0\x9f\x92\xa9)", 0},
    {"8.1 fails in a fragment", "01xceba 00x41f8", "error1007(invalid UTF-8)", 16},
    {"10.4 message too big", "81*65536 =81ff000000000001000100000000",
     "text[65536] error1009(message too big)", 0},
    {"10.4 by its fragments", "02*65536 80*1", "error1009(message too big)", 65556},
    {"10.4 by a header alone", "=81ff7fffffffffffffff00000000", "error1009(message too big)", 14},
    {"10.4 exactly", "02*65535 80*1", "binary[65536]", 0},
    {"10.4 empty behind the limit", "02*65536 00'' 80''", "binary[65536]", 0},
    {"what came before garbage counts", "81'a' 89'b' 81'c' =ff 81'd'",
     "text(a) ping(b) text(c) error1002(reserved bits set)", 22},
    {"nothing follows an error", "=8105 81'a' 88x03e8", "error1002(frame not masked)", 0},
};

static const struct rule deflate_rules[] = {
    {"6 uncompressed in between", "81'Hello' c1xf248cdc9c90700 81'Hello'",
     "text(Hello) text(Hello) text(Hello)", 0},
    {"6 RSV2", "=a1", "error1002(reserved bits set)", 1},
    {"6 RSV1 and RSV3", "=d1", "error1002(reserved bits set)", 1},
    {"6.1 RSV1 on continuation", "41xf248cd =c0", "error1002(RSV1 on a continuation frame)", 10},
    {"6.1 RSV1 on continuation of plain", "01'He' =40", "error1002(RSV1 on a continuation frame)",
     9},
    {"6.1 RSV1 on ping", "=c9", "error1002(compressed control frame)", 1},
    {"6.1 RSV1 on close", "=c8", "error1002(compressed control frame)", 1},
    {"6.1 RSV1 on reserved opcode", "=c3", "error1002(unknown opcode)", 1},
    {"6.1 interleaved", "41xf248cd =c1", "error1002(new message inside a fragmented one)", 10},
    {"6.2 binary", "c2xf248cdc9c90700", "binary(Hello)", 13},
    {"6.2 control frames between", "41xf248cd 89'p' 80xc9c90700", "ping(p) text(Hello)", 0},
    {"7.2.3.1 one block", "c1xf248cdc9c90700", "text(Hello)", 13},
    {"7.2.3.1 fragments", "41xf248cd 80xc9c90700", "text(Hello)", 0},
    {"7.2.3.1 empty fragments", "41'' 00xf248cd 00'' 00xc9c907 00x00 80''", "text(Hello)", 0},
    {"7.2.3.2 twice the same", "c1xf248cdc9c90700 c1xf248cdc9c90700", "text(Hello) text(Hello)", 0},
    {"7.2.3.2 no context is kept", "c1xf248cdc9c90700 c1xf200110000",
     "text(Hello) error1007(invalid compressed data)", 0},
    {"7.2.3.3 no compression", "c1x000500faff48656c6c6f00", "text(Hello)", 0},
    {"7.2.3.4 final block", "c1xf348cdc9c9070000", "text(Hello)", 0},
    {"7.2.3.4 nothing behind it", "c1xf348cdc9c90700", "text(Hello)", 0},
    {"7.2.3.4 in fragments", "41xf348cdc9c907 00x00 80x00", "text(Hello)", 0},
    {"7.2.3.4 two final blocks", "c1xf348cdc9c90700f348cdc9c9070000", "text(HelloHello)", 0},
    {"7.2.3.4 blocks behind it", "c1xf348cdc9c90700f248cdc9c90700", "text(HelloHello)", 0},
    {"7.2.3.5 two blocks", "c1xf24805000000ffffcac9c90700", "text(Hello)", 0},
    {"7.2.3.6 empty", "c1x00", "text()", 7},
    {"7.2.3.6 empty, not one octet", "c1''", "text()", 6},
    {"7.2.3.6 empty, static block", "c1x0200", "text()", 0},
    {"7.2.2 no deflate data", "c1x07", "error1007(invalid compressed data)", 7},
    {"7.2.2 cut short", "c1xf248", "error1007(invalid compressed data)", 0},
    {"7.2.2 the tail was sent", "c1xf248cdc9c907000000ffff", "error1007(invalid compressed data)",
     0},
    {"8.1 after inflating", "c1x000100feffff00", "error1007(invalid UTF-8)", 0},
    {"8.1 fails as it comes", "41x000200fdffff41", "error1007(invalid UTF-8)", 12},
    {"8.1 fails before what is broken", "c1xf2487ac9c901070006", "error1007(invalid UTF-8)", 0},
    {"8.1 cut short", "c1x000100feffce00", "error1007(invalid UTF-8)", 0},
    {"8.1 code point over fragments", "41x000200fdffce 80xba00", "text(\xce\xba)", 0},
};

static void check_cut(const struct rule *rule, bool deflate, struct slice octets, size_t first)
{
    struct peer peer;
    peer_init(&peer, &peer_limits, deflate);
    peer_feed(&peer, slice_of(octets.ptr, first), 0);
    peer_feed(&peer, slice_skip(octets, first), 0);
    CU_ASSERT_STRING_EQUAL(peer_events(&peer), rule->events);
    peer_fini(&peer);
}

/* Octet by octet; returns how many had come when the last event was heard. */
static size_t check_octets(const struct rule *rule, bool deflate, struct slice octets)
{
    struct peer peer;
    size_t at = 0;
    peer_init(&peer, &peer_limits, deflate);
    for (size_t i = 0; i < octets.len; i++) {
        size_t before = peer.event_count;
        peer_feed(&peer, slice_of(octets.ptr + i, 1), 0);
        if (peer.event_count != before)
            at = i + 1;
    }
    CU_ASSERT_STRING_EQUAL(peer_events(&peer), rule->events);
    peer_fini(&peer);
    return at;
}

static void check_rules(const struct rule *rules, size_t count, bool deflate)
{
    for (const struct rule *rule = rules; rule < rules + count; rule++) {
        unsigned failures = CU_get_number_of_failures();
        struct buf octets;
        buf_init(&octets, OCTETS_MAX);
        peer_write(&octets, rule->script);
        struct slice input = buf_slice(&octets);

        check_cut(rule, deflate, input, 0);
        for (size_t cut = 1; cut < input.len && input.len <= SHORT_OCTETS; cut++)
            check_cut(rule, deflate, input, cut);
        size_t at = check_octets(rule, deflate, input);
        CU_ASSERT(rule->at == 0 || rule->at == at);
        if (CU_get_number_of_failures() != failures)
            fprintf(stderr, "\nRFC rule broken: %s (last event at octet %zu)\n", rule->section, at);
        buf_fini(&octets);
    }
}

static void keeps_the_rules_of_rfc_6455(void)
{
    check_rules(plain_rules, sizeof plain_rules / sizeof *plain_rules, false);
}

static void keeps_the_rules_of_rfc_7692(void)
{
    check_rules(deflate_rules, sizeof deflate_rules / sizeof *deflate_rules, true);
}

/* Compression being agreed on changes nothing for whom does not use it (RFC 7692 6). */
static void uncompressed_frames_mean_the_same_with_deflate(void)
{
    for (size_t i = 0; i < sizeof plain_rules / sizeof *plain_rules; i++) {
        if (strstr(plain_rules[i].section, "RSV1") == NULL &&
            strstr(plain_rules[i].script, "=ff") == NULL)
            check_rules(&plain_rules[i], 1, true);
    }
}

/* RFC 6455 5.2. */
static void refuses_reserved_opcodes(void)
{
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
        char script[8];
        snprintf(script, sizeof script, "=%02x", 0x80 | opcode);
        const struct rule rule = {"5.2 opcodes", script, "error1002(unknown opcode)", 1};
        if (!known)
            check_rules(&rule, 1, false);
    }
}

/* RFC 6455 7.4, and what IANA added. */
static void takes_the_close_codes_that_may_be_sent(void)
{
    for (unsigned code = 0; code < 65536; code++) {
        char script[16], events[64];
        struct peer peer;
        snprintf(script, sizeof script, "88x%04x", code);
        snprintf(events, sizeof events, "close%u()", code);
        bool valid = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                     (code >= 3000 && code <= 4999);
        peer_init(&peer, &peer_limits, false);
        peer_feed_script(&peer, script);
        CU_ASSERT_STRING_EQUAL(peer_events(&peer),
                               valid ? events : "error1002(invalid close code)");
        peer_fini(&peer);
    }
}

static void counts_fragments(void)
{
    const struct ws_limits limits = {.max_message_bytes = 100, .max_fragments = 3};
    static const struct {
        const char *script, *events;
    } cases[] = {
        {"01'a' 80'b'", "text(ab)"},
        {"01'a' 00'b' 80'c'", "text(abc)"},
        {"01'a' 00'b' 00'c' 80'd'", "error1009(too many fragments)"},
        {"01'' 00'' 00'' 00''", "error1009(too many fragments)"},
        {"01'' 00'' 89'' 8a'' 80'' 01'' 00'' 80''", "ping() text() text()"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 0; step <= 9; step++) {
            struct peer peer;
            struct buf octets;
            buf_init(&octets, OCTETS_MAX);
            peer_write(&octets, cases[i].script);
            peer_init(&peer, &limits, false);
            peer_feed(&peer, buf_slice(&octets), step);
            CU_ASSERT_STRING_EQUAL(peer_events(&peer), cases[i].events);
            peer_fini(&peer);
            buf_fini(&octets);
        }
    }
}

/* A frame whose compressed payload inflates to so many times 'a', in so many fragments. */
static void write_compressed(struct buf *octets, size_t len, size_t fragment_len)
{
    struct deflater *deflater = deflater_create(15);
    struct buf plain, packed;
    buf_init(&plain, OCTETS_MAX);
    buf_init(&packed, OCTETS_MAX);
    for (size_t i = 0; i < len; i++)
        buf_append_char(&plain, 'a');
    CU_ASSERT_EQUAL(deflater_run(deflater, buf_slice(&plain), &packed), ERR_OK);
    struct slice rest = buf_slice(&packed);
    unsigned char octet0 = 0x41;
    while (rest.len > fragment_len) {
        ws_peer_write_frame(octets, octet0, slice_of(rest.ptr, fragment_len));
        rest = slice_skip(rest, fragment_len);
        octet0 = 0x00;
    }
    ws_peer_write_frame(octets, octet0 | 0x80, rest);
    buf_fini(&plain);
    buf_fini(&packed);
    deflater_destroy(deflater);
}

/* RFC 7692 8: the limit holds for what comes out, whatever the ratio. */
static void limits_what_comes_out_of_inflating(void)
{
    static const size_t lengths[] = {65535, 65536, 65537, 3 * 1024 * 1024};
    static const char *const events[] = {"text[65535]", "text[65536]", "error1009(message too big)",
                                         "error1009(message too big)"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t fragment_len = 16; fragment_len <= 4096; fragment_len *= 16) {
            for (size_t step = 0; step <= 2; step++) {
                struct buf octets;
                struct peer peer;
                buf_init(&octets, OCTETS_MAX);
                write_compressed(&octets, lengths[i], fragment_len);
                peer_init(&peer, &peer_limits, true);
                peer_feed(&peer, buf_slice(&octets), step);
                CU_ASSERT_STRING_EQUAL(peer_events(&peer), events[i]);
                peer_fini(&peer);
                buf_fini(&octets);
            }
        }
    }
}

/* A limit of any size would be no limit if memory were taken for what a header announces. */
static void takes_no_memory_for_an_announced_length(void)
{
    const struct ws_limits limits = {.max_message_bytes = SIZE_MAX, .max_fragments = 4};
    struct peer peer;
    peer_init(&peer, &limits, false);
    peer_feed_script(&peer, "=82ff7fffffffffffffff37fa213d 37fa213d =0102030405060708");
    CU_ASSERT_STRING_EQUAL(peer_events(&peer), "");
    CU_ASSERT_TRUE(ws_session_is_midway(&peer.session));
    peer_fini(&peer);
}

/* Payloads around wslay's own buffer (4 KiB), which a frame's header shares. */
static void payloads_of_every_size_near_the_buffer_come_whole(void)
{
    for (size_t len = 4000; len < 4200; len++) {
        char payload[4200];
        struct buf octets;
        struct peer peer;
        for (size_t i = 0; i < len; i++)
            payload[i] = (char)('a' + i % 26);
        buf_init(&octets, OCTETS_MAX);
        ws_peer_write_frame(&octets, 0x81, slice_of(payload, len));
        ws_peer_write_frame(&octets, 0x01, slice_of(payload, len));
        ws_peer_write_frame(&octets, 0x80, slice_of(payload, 1));
        peer_write(&octets, "81'end'");
        char events[64];
        snprintf(events, sizeof events, "text[%zu] text[%zu] text(end)", len, len + 1);
        static const size_t steps[] = {0, 7, 1000, 4095, 4096, 4097};
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            peer_init(&peer, &peer_limits, false);
            peer_feed(&peer, buf_slice(&octets), steps[i]);
            CU_ASSERT_STRING_EQUAL(peer_events(&peer), events);
            peer_fini(&peer);
        }
        buf_fini(&octets);
    }
}

/* --- contents: every octet has to be the one that was sent --- */

static char heard[8192];
static size_t heard_len;

static void hear_message(void *arg, enum ws_opcode opcode, struct slice payload)
{
    (void)arg;
    (void)opcode;
    CU_ASSERT_FATAL(payload.len <= sizeof heard);
    memcpy(heard, payload.ptr, payload.len);
    heard_len = payload.len;
}

static void hear_error(void *arg, unsigned code, const char *reason)
{
    (void)arg;
    (void)code;
    CU_FAIL("no rule is broken");
    fprintf(stderr, "%s\n", reason);
}

static void payload_is_unmasked_however_it_is_cut(void)
{
    const struct ws_handlers handlers = {.on_message = hear_message, .on_error = hear_error};
    const struct deflate_params params = {0};
    char payload[5000];
    struct buf octets;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)(i * 31 + i / 251);
    buf_init(&octets, OCTETS_MAX);
    ws_peer_write_frame(&octets, 0x02, slice_of(payload, 1237));
    ws_peer_write_frame(&octets, 0x80, slice_of(payload + 1237, sizeof payload - 1237));
    struct ws_pool *pool = ws_pool_create(&peer_limits, &handlers);
    for (size_t step = 1; step < 70; step++) {
        struct ws_session session;
        ws_session_init(&session, &params);
        heard_len = 0;
        for (size_t at = 0; at < octets.len; at += step) {
            size_t left = octets.len - at;
            ws_session_feed(&session, pool, NULL,
                            slice_of(octets.ptr + at, left < step ? left : step));
        }
        CU_ASSERT_EQUAL(heard_len, sizeof payload);
        CU_ASSERT_EQUAL(memcmp(heard, payload, sizeof payload), 0);
        ws_session_fini(&session, pool);
    }
    ws_pool_destroy(pool);
    buf_fini(&octets);
}

/* --- stop and ignore --- */

static void a_stopped_session_reports_nothing(void)
{
    static const char script[] = "81'a' 89'b' 01'c' 80'd' 88x03e8";
    static const char *const events[] = {"text(a)", "text(a) ping(b)", "text(a) ping(b) text(cd)"};
    for (unsigned n = 1; n <= 3; n++) {
        struct peer peer;
        peer_init(&peer, &peer_limits, false);
        peer.stop_after = n;
        peer_feed_script(&peer, script);
        peer_feed_script(&peer, script);
        CU_ASSERT_STRING_EQUAL(peer_events(&peer), events[n - 1]);
        CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), 0);
        peer_fini(&peer);
    }
}

static void stop_in_the_middle_of_a_frame_gives_back_all(void)
{
    struct peer peer;
    peer_init(&peer, &peer_limits, true);
    peer_feed_script(&peer, "41xf248cd =808537fa213d7f");
    CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), 1);
    ws_session_stop(&peer.session);
    peer_feed_script(&peer, "=00");
    CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), 0);
    CU_ASSERT_FALSE(ws_session_is_midway(&peer.session));
    CU_ASSERT_STRING_EQUAL(peer_events(&peer), "");
    peer_fini(&peer);
}

/* Our Close is out: RFC 6455 5.5.1 lets us drop data, and the peer's Close is waited for. */
static void data_is_ignored_on_demand_but_not_the_close(void)
{
    static const struct {
        const char *script, *events;
    } cases[] = {
        {"81'a' 81'b' 89'c' 01'd' 00'e' 80'f' 88x03e8", "text(a) close1000()"},
        {"81'a' c1xf248cdc9c90700 41x07 80xff 88''", "text(a) close0()"},
        {"81'a' 81xff 82*70000 88x03e8", "text(a) close1000()"},
        {"81'a' 88x03ec", "text(a) error1002(invalid close code)"},
        {"81'a' =8305", "text(a) error1002(unknown opcode)"},
        {"81'a' =80", "text(a) error1002(continuation without a message)"},
        {"41xf2 89'p' 00x07 80xff 88''", "ping(p) close0()"},
        {"01'x' 89'p' 00*65536 80xff 82xff 88''", "ping(p) close0()"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 0; step < 5; step++) {
            struct peer peer;
            struct buf octets;
            buf_init(&octets, OCTETS_MAX);
            peer_write(&octets, cases[i].script);
            peer_init(&peer, &peer_limits, true);
            peer.ignore_after = 1;
            peer_feed(&peer, buf_slice(&octets), step);
            CU_ASSERT_STRING_EQUAL(peer_events(&peer), cases[i].events);
            peer_fini(&peer);
            buf_fini(&octets);
        }
    }
}

CU_TestInfo session_tests[] = {
    {"keeps_the_rules_of_rfc_6455", keeps_the_rules_of_rfc_6455},
    {"keeps_the_rules_of_rfc_7692", keeps_the_rules_of_rfc_7692},
    {"uncompressed_frames_mean_the_same_with_deflate",
     uncompressed_frames_mean_the_same_with_deflate},
    {"refuses_reserved_opcodes", refuses_reserved_opcodes},
    {"takes_the_close_codes_that_may_be_sent", takes_the_close_codes_that_may_be_sent},
    {"counts_fragments", counts_fragments},
    {"limits_what_comes_out_of_inflating", limits_what_comes_out_of_inflating},
    {"takes_no_memory_for_an_announced_length", takes_no_memory_for_an_announced_length},
    {"payloads_of_every_size_near_the_buffer_come_whole",
     payloads_of_every_size_near_the_buffer_come_whole},
    {"payload_is_unmasked_however_it_is_cut", payload_is_unmasked_however_it_is_cut},
    {"a_stopped_session_reports_nothing", a_stopped_session_reports_nothing},
    {"stop_in_the_middle_of_a_frame_gives_back_all", stop_in_the_middle_of_a_frame_gives_back_all},
    {"data_is_ignored_on_demand_but_not_the_close", data_is_ignored_on_demand_but_not_the_close},
    CU_TEST_INFO_NULL,
};
