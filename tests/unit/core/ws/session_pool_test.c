#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <string.h>
#include <wslay/wslay.h>

#include "core/base/mem.h"
#include "core/ws/deflate.h"
#include "core/ws/parser.h"
#include "core/ws/session.h"
#include "tests/unit/core/ws/peer.h"

enum { OCTETS_MAX = 4 * 1024 * 1024 };

/* wslay's own allocation is not ours to fail, so its constructor is: this definition comes first.
 */
static _Thread_local bool wslay_starved;

int wslay_frame_context_init(wslay_frame_context_ptr *ctx,
                             const struct wslay_frame_callbacks *callbacks, void *user_data)
{
    int (*real)(wslay_frame_context_ptr *, const struct wslay_frame_callbacks *, void *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "wslay_frame_context_init");
    return wslay_starved ? WSLAY_ERR_NOMEM : real(ctx, callbacks, user_data);
}

static void a_parser_is_held_only_while_something_is_under_way(void)
{
    static const struct {
        const char *script;
        bool midway;
    } steps[] = {
        {"81'a'", false}, {"=81", true},        {"=81", true},         {"=37fa213d", true},
        {"=00", false},   {"01'a'", true},      {"89''", true},        {"80'b'", false},
        {"8a'x'", false}, {"41x00", true},      {"80''", false},       {"81'a' 81'b' =82", true},
        {"=80", true},    {"=01020304", false}, {"89'p' 88''", false},
    };
    struct peer peer;
    peer_init(&peer, &peer_limits, true);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        peer_feed_script(&peer, steps[i].script);
        CU_ASSERT_EQUAL(ws_session_is_midway(&peer.session), steps[i].midway);
        CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), steps[i].midway ? 1 : 0);
        CU_ASSERT_EQUAL(ws_session_bytes(&peer.session) > 0, steps[i].midway);
    }
    peer_fini(&peer);
}

/* The parser, the buffer, which doubles as it fills and stays with it, and the inflater. */
static void what_is_under_way_is_counted(void)
{
    static const struct {
        const char *script;
        size_t bytes;
    } steps[] = {
        {"=81", WS_PARSER_BYTES},
        {"=8537fa213d7f9f4d5158", 0},
        {"01*256", WS_PARSER_BYTES + 256},
        {"00*1", WS_PARSER_BYTES + 512},
        {"89'ping'", WS_PARSER_BYTES + 512},
        {"80'b'", 0},
        {"41xf248cd", WS_PARSER_BYTES + WS_INFLATER_BYTES + 512},
        {"80xc9c90700", 0},
        {"02*256", WS_PARSER_BYTES + 512},
    };
    struct peer peer, other;
    peer_init(&peer, &peer_limits, true);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        peer_feed_script(&peer, steps[i].script);
        CU_ASSERT_EQUAL(ws_session_bytes(&peer.session), steps[i].bytes);
        CU_ASSERT_EQUAL(ws_pool_bytes_in_use(peer.pool), steps[i].bytes);
    }
    /* Of several sessions the sum, and what is ignored is given back at once. */
    peer_feed_script(&peer, "00*30000");
    other = peer;
    ws_session_init(&other.session, &(struct deflate_params){.enabled = true});
    ws_session_feed(&other.session, peer.pool, &other, slice_str("\x81"));
    CU_ASSERT_EQUAL(ws_pool_bytes_in_use(peer.pool), 2 * WS_PARSER_BYTES + 32768);
    ws_session_ignore_data(&peer.session);
    ws_session_forget_message(&peer.session, peer.pool);
    CU_ASSERT_EQUAL(ws_pool_bytes_in_use(peer.pool), 2 * WS_PARSER_BYTES);
    ws_session_fini(&other.session, peer.pool);
    CU_ASSERT_EQUAL(ws_pool_bytes_in_use(peer.pool), WS_PARSER_BYTES);
    ws_session_fini(&peer.session, peer.pool);
    CU_ASSERT_EQUAL(ws_pool_bytes_in_use(peer.pool), 0);
    peer_fini(&peer);
}

/* In the middle of a message, with an inflater and without; the Close is made out all the same. */
static void a_message_may_be_forgotten_once_it_is_ignored(void)
{
    static const char *const begun[] = {"81'a'", "=81", "01*3000", "41xf248cd", "41xf248cd =80"};
    static const char *const rest[] = {"88''", "=8037fa213d 88''", "00'b' 80'c' 88''",
                                       "00xc9c9 80x0700 88''", "=8037fa213d 88''"};
    for (size_t i = 0; i < sizeof begun / sizeof *begun; i++) {
        struct peer peer;
        peer_init(&peer, &peer_limits, true);
        peer_feed_script(&peer, begun[i]);
        ws_session_ignore_data(&peer.session);
        ws_session_forget_message(&peer.session, peer.pool);
        CU_ASSERT_EQUAL(ws_session_bytes(&peer.session), i == 0 ? 0 : WS_PARSER_BYTES);
        peer_feed_script(&peer, rest[i]);
        CU_ASSERT_STRING_EQUAL(peer_events(&peer), i == 0 ? "text(a) close0()" : "close0()");
        peer_fini(&peer);
    }
}

static void sessions_share_a_pool_without_mixing(void)
{
    enum { SESSIONS = 40 };
    const struct deflate_params params = {.enabled = true};
    struct peer peer;
    struct ws_session sessions[SESSIONS];
    struct buf octets;
    peer_init(&peer, &peer_limits, true);
    buf_init(&octets, OCTETS_MAX);
    peer_write(&octets, "41xf248cd 00xc9c9 80x0700");
    for (size_t i = 0; i < SESSIONS; i++)
        ws_session_init(&sessions[i], &params);
    for (int round = 0; round < 2; round++) {
        for (size_t at = 0; at < octets.len; at++) {
            for (size_t i = 0; i < SESSIONS; i++)
                ws_session_feed(&sessions[i], peer.pool, &peer, slice_of(octets.ptr + at, 1));
            CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), at + 1 < octets.len ? SESSIONS : 0);
        }
    }
    CU_ASSERT_EQUAL(peer.event_count, 2 * SESSIONS);
    CU_ASSERT_PTR_NULL(strstr(peer_events(&peer), "error"));
    for (size_t i = 0; i < SESSIONS; i++)
        ws_session_fini(&sessions[i], peer.pool);
    buf_fini(&octets);
    peer_fini(&peer);
}

static void nobody_finds_what_another_left_unfinished(void)
{
    static const char *const left[] = {"01xf09f", "41xf248cd", "=81", "=818537fa213d7f",
                                       "02*30000"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        const struct deflate_params params = {.enabled = true};
        struct peer peer;
        peer_init(&peer, &peer_limits, true);
        peer_feed_script(&peer, left[i]);
        ws_session_fini(&peer.session, peer.pool);
        ws_session_init(&peer.session, &params);
        peer_feed_script(&peer, "81'a' c1xf248cdc9c90700");
        CU_ASSERT_STRING_EQUAL(peer_events(&peer), "text(a) text(Hello)");
        peer_fini(&peer);
    }
}

static void fini_may_come_at_any_time_and_twice(void)
{
    struct buf octets;
    buf_init(&octets, OCTETS_MAX);
    peer_write(&octets, "41xf248cd 89'ping' 80xc9c90700 01'ab' 80'c' 88''");
    for (size_t len = 0; len <= octets.len; len++) {
        struct peer peer;
        peer_init(&peer, &peer_limits, true);
        peer_feed(&peer, slice_of(octets.ptr, len), 0);
        ws_session_fini(&peer.session, peer.pool);
        CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), 0);
        peer_fini(&peer);
    }
    buf_fini(&octets);
}

/* --- memory --- */

static void each_lack_of_memory_ends_the_session_alone(void)
{
    static const char script[] = "01*300 80*3000 41xf248cd 80xc9c90700 81'end'";
    static const char whole[] = "text[3300] text(Hello) text(end)";
    struct buf octets;
    bool failed = true;
    buf_init(&octets, OCTETS_MAX);
    peer_write(&octets, script);
    for (unsigned nth = 1; failed; nth++) {
        struct peer peer;
        CU_ASSERT_FATAL(nth < 100);
        peer_init(&peer, &peer_limits, true);
        buf_reserve(&peer.events, 1000); /* of the test itself: not to be failed */
        mem_fail_after(nth);
        ws_session_feed(&peer.session, peer.pool, &peer, buf_slice(&octets));
        failed = mem_fail_after(0) >= nth;
        const char *events = peer_events(&peer);
        bool told = strstr(events, "error1011(out of memory)") != NULL;
        CU_ASSERT_EQUAL(told, failed);
        CU_ASSERT(failed || strcmp(events, whole) == 0);
        CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), 0);

        /* The pool serves the next one. */
        const struct deflate_params params = {.enabled = true};
        buf_clear(&peer.events);
        ws_session_init(&peer.session, &params);
        ws_session_feed(&peer.session, peer.pool, &peer, buf_slice(&octets));
        CU_ASSERT_STRING_EQUAL(peer_events(&peer), whole);
        peer_fini(&peer);
    }
    buf_fini(&octets);
}

static void a_lack_of_memory_in_wslay_is_reported(void)
{
    struct peer peer;
    peer_init(&peer, &peer_limits, false);
    wslay_starved = true;
    peer_feed_script(&peer, "81'a'");
    wslay_starved = false;
    CU_ASSERT_STRING_EQUAL(peer_events(&peer), "error1011(out of memory)");
    CU_ASSERT_EQUAL(ws_pool_in_use(peer.pool), 0);
    peer_fini(&peer);
}

CU_TestInfo session_pool_tests[] = {
    {"a_parser_is_held_only_while_something_is_under_way",
     a_parser_is_held_only_while_something_is_under_way},
    {"what_is_under_way_is_counted", what_is_under_way_is_counted},
    {"a_message_may_be_forgotten_once_it_is_ignored",
     a_message_may_be_forgotten_once_it_is_ignored},
    {"sessions_share_a_pool_without_mixing", sessions_share_a_pool_without_mixing},
    {"nobody_finds_what_another_left_unfinished", nobody_finds_what_another_left_unfinished},
    {"fini_may_come_at_any_time_and_twice", fini_may_come_at_any_time_and_twice},
    {"each_lack_of_memory_ends_the_session_alone", each_lack_of_memory_ends_the_session_alone},
    {"a_lack_of_memory_in_wslay_is_reported", a_lack_of_memory_in_wslay_is_reported},
    CU_TEST_INFO_NULL,
};
