/*
 * Runs the unit tests: all of them, or the suites named as arguments.
 *
 *     unit                      everything
 *     unit core/ws app/config   what is in core/ws, and one suite
 *     unit -v core/base         with a line for each test
 *
 * A suite is a line here and a file tests/unit/<name>_test.c that exports the array of its tests.
 * Run it from the root of the repository: some tests read files of it.
 */
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUITES(SUITE)                                                                              \
    SUITE("core/base/agenda", agenda_tests)                                                        \
    SUITE("core/base/blob", blob_tests)                                                            \
    SUITE("core/base/buf", buf_tests)                                                              \
    SUITE("core/base/clock", clock_tests)                                                          \
    SUITE("core/base/digest", digest_tests)                                                        \
    SUITE("core/base/duration", duration_tests)                                                    \
    SUITE("core/base/err", err_tests)                                                              \
    SUITE("core/base/fault", fault_tests)                                                          \
    SUITE("core/base/json", json_tests)                                                            \
    SUITE("core/base/list", list_tests)                                                            \
    SUITE("core/base/lock", lock_tests)                                                            \
    SUITE("core/base/log", log_tests)                                                              \
    SUITE("core/base/map", map_tests)                                                              \
    SUITE("core/base/mem", mem_tests)                                                              \
    SUITE("core/base/slab", slab_tests)                                                            \
    SUITE("core/base/slice", slice_tests)                                                          \
    SUITE("core/base/utf8", utf8_tests)                                                            \
    SUITE("core/base/uuid", uuid_tests)                                                            \
    SUITE("core/net/burst", burst_tests)                                                           \
    SUITE("core/net/conn", conn_tests)                                                             \
    SUITE("core/net/loop", loop_tests)                                                             \
    SUITE("core/net/loop_wake", loop_wake_tests)                                                   \
    SUITE("core/ws/deflate", deflate_tests)                                                        \
    SUITE("core/ws/frame", frame_tests)                                                            \
    SUITE("core/ws/handshake", handshake_tests)                                                    \
    SUITE("core/ws/session", session_tests)                                                        \
    SUITE("core/ws/session_pool", session_pool_tests)                                              \
    SUITE("core/chat/announce", announce_tests)                                                    \
    SUITE("core/chat/batch", batch_tests)                                                          \
    SUITE("core/chat/client", client_tests)                                                        \
    SUITE("core/chat/client_chatter", client_chatter_tests)                                        \
    SUITE("core/chat/client_close", client_close_tests)                                            \
    SUITE("core/chat/client_rooms", client_rooms_tests)                                            \
    SUITE("core/chat/client_slow", client_slow_tests)                                              \
    SUITE("core/chat/client_midway", client_midway_tests)                                          \
    SUITE("core/chat/client_time", client_time_tests)                                              \
    SUITE("core/chat/client_user", client_user_tests)                                              \
    SUITE("core/chat/client_heavy", client_heavy_tests)                                            \
    SUITE("core/chat/client_hold", client_hold_tests)                                              \
    SUITE("core/chat/client_refusals", client_refusals_tests)                                      \
    SUITE("core/chat/client_work", client_work_tests)                                              \
    SUITE("core/chat/counters", counters_tests)                                                    \
    SUITE("core/chat/envelope", envelope_tests)                                                    \
    SUITE("core/chat/envelope_out", envelope_out_tests)                                            \
    SUITE("core/chat/envelope_program", envelope_program_tests)                                    \
    SUITE("core/chat/eviction", eviction_tests)                                                    \
    SUITE("core/chat/fields", fields_tests)                                                        \
    SUITE("core/chat/flush", flush_tests)                                                          \
    SUITE("core/chat/hub", hub_tests)                                                              \
    SUITE("core/chat/hub_memory", hub_memory_tests)                                                \
    SUITE("core/chat/hub_rooms", hub_rooms_tests)                                                  \
    SUITE("core/chat/json_read", json_read_tests)                                                  \
    SUITE("core/chat/message", message_tests)                                                      \
    SUITE("core/chat/outq", outq_tests)                                                            \
    SUITE("core/chat/passing", passing_tests)                                                      \
    SUITE("core/chat/room", room_tests)                                                            \
    SUITE("core/chat/window", window_tests)                                                        \
    SUITE("core/bus/backoff", backoff_tests)                                                       \
    SUITE("core/bus/bus", bus_tests)                                                               \
    SUITE("core/bus/bus_away", bus_away_tests)                                                     \
    SUITE("core/bus/bus_rights", bus_rights_tests)                                                 \
    SUITE("core/bus/channel", channel_tests)                                                       \
    SUITE("core/bus/commander", commander_tests)                                                   \
    SUITE("core/bus/interest", interest_tests)                                                     \
    SUITE("core/bus/outbox", outbox_tests)                                                         \
    SUITE("core/bus/pod_prefix", pod_prefix_tests)                                                 \
    SUITE("core/bus/recent", recent_tests)                                                         \
    SUITE("core/bus/redis_url", redis_url_tests)                                                   \
    SUITE("core/presence/record", record_tests)                                                    \
    SUITE("core/presence/replica", replica_tests)                                                  \
    SUITE("core/presence/roster", roster_tests)                                                    \
    SUITE("core/presence/typing", typing_tests)                                                    \
    SUITE("core/auth/auth", auth_tests)                                                            \
    SUITE("core/auth/base64url", base64url_tests)                                                  \
    SUITE("core/auth/claims", claims_tests)                                                        \
    SUITE("core/auth/glob", glob_tests)                                                            \
    SUITE("core/auth/jws", jws_tests)                                                              \
    SUITE("core/auth/key_set", key_set_tests)                                                      \
    SUITE("core/auth/user", user_tests)                                                            \
    SUITE("core/limit/address", address_tests)                                                     \
    SUITE("core/limit/limit", limit_tests)                                                         \
    SUITE("core/limit/limiter", limiter_tests)                                                     \
    SUITE("core/limit/limiter_share", limiter_share_tests)                                         \
    SUITE("core/limit/strikes", strikes_tests)                                                     \
    SUITE("openapi/embed", embed_tests)                                                            \
    SUITE("handlers/body", body_tests)                                                             \
    SUITE("handlers/events", events_tests)                                                         \
    SUITE("handlers/framing", framing_tests)                                                       \
    SUITE("handlers/limited", limited_tests)                                                       \
    SUITE("handlers/limits", limits_tests)                                                         \
    SUITE("handlers/origin", origin_tests)                                                         \
    SUITE("handlers/outage", outage_tests)                                                         \
    SUITE("handlers/replay", replay_tests)                                                         \
    SUITE("handlers/request", request_tests)                                                       \
    SUITE("handlers/room_list", room_list_tests)                                                   \
    SUITE("handlers/routes", routes_tests)                                                         \
    SUITE("handlers/status_news", status_news_tests)                                               \
    SUITE("handlers/targets", targets_tests)                                                       \
    SUITE("handlers/rights", rights_tests)                                                         \
    SUITE("handlers/token", token_tests)                                                           \
    SUITE("app/config", config_tests)                                                              \
    SUITE("app/heap", heap_tests)                                                                  \
    SUITE("bench/ledger", ledger_tests)                                                            \
    SUITE("bench/meter", meter_tests)                                                              \
    SUITE("bench/stamp", stamp_tests)

#define DECLARE(name, tests) extern CU_TestInfo tests[];
SUITES(DECLARE)

#define LIST(name, tests) {.pName = (name), .pTests = (tests)},
static const CU_SuiteInfo suites[] = {SUITES(LIST)};

enum { SUITE_COUNT = sizeof suites / sizeof *suites, EXIT_USAGE = 2 };

/* `core/ws` names itself and all that is below it. */
static bool is_named_by(const char *suite, const char *argument)
{
    size_t len = strlen(argument);
    while (len > 0 && argument[len - 1] == '/')
        len--;
    return strncmp(suite, argument, len) == 0 && (suite[len] == '\0' || suite[len] == '/');
}

/* How many suites are registered for it, or -1. */
static int register_named(const char *argument)
{
    int count = 0;
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        CU_SuiteInfo chosen[] = {suites[i], CU_SUITE_INFO_NULL};
        if (argument != NULL && !is_named_by(suites[i].pName, argument))
            continue;
        if (CU_register_suites(chosen) != CUE_SUCCESS)
            return -1;
        count++;
    }
    return count;
}

static bool register_chosen(char **names, int count)
{
    if (count == 0)
        return register_named(NULL) > 0;
    for (int i = 0; i < count; i++) {
        if (register_named(names[i]) <= 0) {
            fprintf(stderr, "unit: no suite is called %s (or it is named twice)\n", names[i]);
            return false;
        }
    }
    return true;
}

/* Once more at the end: the logs of the code under test may have pushed them far up. */
static void print_failures(void)
{
    for (const CU_FailureRecord *failure = CU_get_failure_list(); failure != NULL;
         failure = failure->pNext)
        printf("failed: %s: %s (%s:%u: %s)\n", failure->pSuite ? failure->pSuite->pName : "-",
               failure->pTest ? failure->pTest->pName : "-", failure->strFileName,
               failure->uiLineNumber, failure->strCondition);
}

/* The log opens a way of its own to standard error, and appends. Were that a file in which our own
 * lines have a place, either would overwrite the other. */
static void append_output(void)
{
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags != -1)
            (void)fcntl(fd, F_SETFL, flags | O_APPEND);
    }
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    int first = verbose ? 2 : 1;
    int status = EXIT_USAGE;

    /* As in the service; and what was printed before a crash is there to be read. */
    signal(SIGPIPE, SIG_IGN);
    append_output();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_USAGE;
    if (register_chosen(argv + first, argc - first)) {
        CU_basic_set_mode(verbose ? CU_BRM_VERBOSE : CU_BRM_NORMAL);
        CU_ErrorCode result = CU_basic_run_tests();
        status = result == CUE_SUCCESS && CU_get_number_of_failure_records() == 0 ? EXIT_SUCCESS
                                                                                  : EXIT_FAILURE;
        print_failures();
    }
    CU_cleanup_registry();
    return status;
}
