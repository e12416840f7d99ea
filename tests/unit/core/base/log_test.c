#include "core/base/log.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/support/capture.h"

static void log_begin(struct capture *capture, enum log_level level)
{
    capture_begin(capture);
    log_open(level);
}

/* Standard error is the real one again, for the log too. */
static void log_end(struct capture *capture)
{
    capture_end(capture);
    log_open(LOG_INFO);
}

/* The next line as JSON, NULL behind the last; fails the test when it is none or too long. */
static json_t *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    if (end == NULL) {
        CU_ASSERT_STRING_EQUAL(line, "");
        return NULL;
    }
    *text = end + 1;
    CU_ASSERT_TRUE(end + 1 - line <= LOG_LINE_MAX);
    json_t *read = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(read);
    return read;
}

static const char *text_in(const json_t *line, const char *member)
{
    const char *text = json_string_value(json_object_get(line, member));
    return text != NULL ? text : "(none)";
}

static void has_all_members_in_the_contracts_order(void)
{
    struct capture capture;
    log_begin(&capture, LOG_INFO);
    log_info("client:connected", log_uint("clients", 3), log_room(slice_str("lobby")),
             log_user(slice_str("u-1")));
    log_end(&capture);
    static const char start[] = "{\"timestamp\":\"";
    static const char rest[] = "\",\"level\":\"info\",\"event\":\"client:connected\","
                               "\"userId\":\"u-1\",\"channelId\":\"lobby\","
                               "\"metadata\":{\"clients\":3}}\n";
    CU_ASSERT_NSTRING_EQUAL(capture.text, start, strlen(start));
    CU_ASSERT_STRING_EQUAL(capture.text + strlen(start) + strlen("2026-02-05T00:00:00.000Z"), rest);
    capture_fini(&capture);
}

static void user_and_room_are_there_only_where_given(void)
{
    struct capture capture;
    log_begin(&capture, LOG_INFO);
    log_warn("server:started");
    log_warn("server:started", log_user(SLICE_NONE), log_room(SLICE_NONE), log_str("why", NULL));
    log_end(&capture);
    char *at = capture.text;
    for (int i = 0; i < 2; i++) {
        json_t *line = next_line(&at);
        CU_ASSERT_EQUAL(json_object_size(line), 4);
        CU_ASSERT_STRING_EQUAL(text_in(line, "level"), "warn");
        CU_ASSERT_TRUE(json_is_object(json_object_get(line, "metadata")));
        CU_ASSERT_EQUAL(json_object_size(json_object_get(line, "metadata")), 0);
        json_decref(line);
    }
    capture_fini(&capture);
}

static void values_keep_their_types(void)
{
    struct capture capture;
    log_begin(&capture, LOG_INFO);
    log_info("test:values", log_int("int", INT64_MIN), log_uint("uint", INT64_MAX),
             log_double("double", 0.25), log_double("infinite", INFINITY), log_double("nan", NAN),
             log_bool("yes", true), log_bool("no", false), log_str("text", "a\"\\\n\x01é\xFF"));
    log_end(&capture);
    char *at = capture.text;
    json_t *line = next_line(&at), *data = json_object_get(line, "metadata");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(data, "int")), INT64_MIN);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(data, "uint")), INT64_MAX);
    CU_ASSERT_EQUAL(json_real_value(json_object_get(data, "double")), 0.25);
    CU_ASSERT_TRUE(json_is_null(json_object_get(data, "infinite")));
    CU_ASSERT_TRUE(json_is_null(json_object_get(data, "nan")));
    CU_ASSERT_TRUE(json_is_true(json_object_get(data, "yes")));
    CU_ASSERT_TRUE(json_is_false(json_object_get(data, "no")));
    CU_ASSERT_STRING_EQUAL(text_in(data, "text"), "a\"\\\n\x01é\xEF\xBF\xBD");
    json_decref(line);
    capture_fini(&capture);
}

static void lines_below_the_level_are_not_even_built(void)
{
    struct capture capture;
    int built = 0;
    for (int level = 0; level < LOG_LEVELS; level++) {
        log_begin(&capture, (enum log_level)level);
        built = 0;
        log_debug("a:b", log_int("n", ++built));
        log_info("a:b", log_int("n", ++built));
        log_warn("a:b", log_int("n", ++built));
        log_error("a:b", log_int("n", ++built));
        log_end(&capture);
        CU_ASSERT_EQUAL(built, LOG_LEVELS - level);
        char *at = capture.text;
        for (json_t *line; (line = next_line(&at)) != NULL; built--)
            json_decref(line);
        CU_ASSERT_EQUAL(built, 0);
        capture_fini(&capture);
    }
}

static void level_names_are_read_as_written(void)
{
    enum log_level level = LOG_LEVELS;
    CU_ASSERT_TRUE(log_level_parse(slice_str("debug"), &level) && level == LOG_DEBUG);
    CU_ASSERT_TRUE(log_level_parse(slice_str("info"), &level) && level == LOG_INFO);
    CU_ASSERT_TRUE(log_level_parse(slice_str("warn"), &level) && level == LOG_WARN);
    CU_ASSERT_TRUE(log_level_parse(slice_str("error"), &level) && level == LOG_ERROR);
    CU_ASSERT_FALSE(log_level_parse(slice_str("INFO"), &level));
    CU_ASSERT_FALSE(log_level_parse(slice_str("warning"), &level));
    CU_ASSERT_FALSE(log_level_parse(slice_str(""), &level));
}

/* One octet, quote or code point after the other, over every length that may be cut. */
static void long_values_are_cut_and_the_line_stays_json(void)
{
    static const char *const units[] = {"x", "\"", "\x01", "é", "€", "😀", "\xFF"};
    static char text[5000];
    struct capture capture;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t unit = strlen(units[i]);
        for (size_t j = 0; j < sizeof text; j++)
            text[j] = units[i][j % unit];
        for (size_t len = 0; len < sizeof text; len += 1 + len / 4) {
            struct log_site site = {0};
            struct slice value = slice_of(text, len);
            const struct log_field fields[] = {log_user(value),      log_room(value),
                                               log_text("a", value), log_text("b", value),
                                               log_text("c", value), log_text("d", value),
                                               log_text("e", value), log_uint("n", 1)};
            log_begin(&capture, LOG_INFO);
            log_write(&site, LOG_INFO, "test:long", fields, sizeof fields / sizeof *fields);
            log_end(&capture);
            char *at = capture.text;
            json_t *line = next_line(&at);
            CU_ASSERT_PTR_NOT_NULL(json_object_get(line, "metadata"));
            CU_ASSERT_TRUE(json_is_string(json_object_get(line, "channelId")));
            json_decref(line);
            capture_fini(&capture);
        }
    }
}

static void a_value_of_256_octets_is_whole_and_one_of_257_is_cut(void)
{
    char text[257];
    struct capture capture;
    memset(text, '"', sizeof text);
    log_begin(&capture, LOG_INFO);
    log_info("a:b", log_room(slice_of(text, 255)));
    log_info("a:b", log_room(slice_of(text, 256)));
    log_info("a:b", log_room(slice_of(text, 257)));
    log_end(&capture);
    char *at = capture.text;
    for (size_t len = 255; len <= 257; len++) {
        json_t *line = next_line(&at);
        const char *room = text_in(line, "channelId");
        CU_ASSERT_TRUE(len <= 256 ? strlen(room) == len : strstr(room, "\"…") != NULL);
        json_decref(line);
    }
    capture_fini(&capture);
}

static void a_line_takes_no_memory(void)
{
    struct capture capture;
    log_begin(&capture, LOG_INFO);
    mem_fail_after(1);
    log_info("a:b", log_user(slice_str("u")), log_str("text", "t"));
    CU_ASSERT_EQUAL(mem_fail_after(0), 0);
    log_end(&capture);
    CU_ASSERT_NOT_EQUAL(strlen(capture.text), 0);
    capture_fini(&capture);
}

/* The site's second is set past all seconds to come, so that none turns during the test. */
static void a_flood_is_held_back_and_counted(void)
{
    enum { HELD_BACK = 25 };
    struct capture capture;
    struct log_site site = {0};
    atomic_store(&site.second, UINT64_MAX);
    log_begin(&capture, LOG_INFO);
    for (int i = 0; i < LOG_BURST + HELD_BACK; i++)
        log_write(&site, LOG_INFO, "test:flood", NULL, 0);
    atomic_store(&site.second, 0);
    log_write(&site, LOG_INFO, "test:flood", NULL, 0);
    log_write(&site, LOG_INFO, "test:flood", NULL, 0);
    log_end(&capture);
    char *at = capture.text;
    for (int i = 0; i < LOG_BURST + 2; i++) {
        json_t *line = next_line(&at);
        json_t *held_back = json_object_get(json_object_get(line, "metadata"), "suppressed");
        CU_ASSERT_EQUAL(json_integer_value(held_back), i == LOG_BURST ? HELD_BACK : 0);
        json_decref(line);
    }
    CU_ASSERT_PTR_NULL(next_line(&at));
    capture_fini(&capture);
}

static void a_flood_at_one_place_leaves_others_alone(void)
{
    struct capture capture;
    log_begin(&capture, LOG_INFO);
    for (int i = 0; i < 5 * LOG_BURST; i++)
        log_info("test:flood");
    log_info("test:other");
    log_end(&capture);
    CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "test:other"));
    capture_fini(&capture);
}

/* Puts `fd` (taken) in the place of standard error; the real one is returned. */
static int replace_stderr(int fd)
{
    int saved = dup(STDERR_FILENO);
    CU_ASSERT_FATAL(saved >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    close(fd);
    log_open(LOG_INFO);
    return saved;
}

static void restore_stderr(int saved)
{
    CU_ASSERT_FATAL(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
    close(saved);
    log_open(LOG_INFO);
}

/* Writes lines until some are dropped. Were one to block, the alarm would end the process. */
static unsigned write_until_dropped(void)
{
    enum { DEADLINE_SECONDS = 20, DROPPED = 10 };
    unsigned lines = 0;
    uint64_t before = log_dropped_total();
    alarm(DEADLINE_SECONDS);
    for (; log_dropped_total() < before + DROPPED && lines < 1000000; lines++) {
        struct log_site site = {0};
        const struct log_field field = log_uint("line", lines);
        log_write(&site, LOG_INFO, "test:stuck", &field, 1);
    }
    alarm(0);
    return lines;
}

/* Reads what is there until the end, and takes the lines apart. */
static unsigned count_lines(int fd)
{
    static char text[4 << 20];
    unsigned lines = 0;
    size_t len = 0;
    for (ssize_t got; (got = read(fd, text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    char *at = text;
    for (json_t *line; (line = next_line(&at)) != NULL; lines++) {
        json_t *number = json_object_get(json_object_get(line, "metadata"), "line");
        CU_ASSERT_EQUAL(json_integer_value(number), lines);
        json_decref(line);
    }
    return lines;
}

static void a_pipe_that_nobody_reads_does_not_block(void)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    int saved = replace_stderr(ends[1]);
    /* What other processes share stays as it was. */
    CU_ASSERT_EQUAL(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
    unsigned written = write_until_dropped();
    restore_stderr(saved);
    unsigned read_back = count_lines(ends[0]);
    CU_ASSERT_TRUE(read_back > 100);
    CU_ASSERT_EQUAL(read_back, written - 10);
    close(ends[0]);
}

/* With no descriptor left, /proc/self/fd/2 cannot be opened. */
static void a_pipe_that_cannot_be_opened_anew_does_not_block_either(void)
{
    int ends[2];
    struct rlimit limit;
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    int saved = replace_stderr(ends[1]);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {.rlim_cur = STDERR_FILENO + 1, .rlim_max = limit.rlim_max};
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &none), 0);
    log_open(LOG_INFO);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    unsigned written = write_until_dropped();
    restore_stderr(saved);
    unsigned read_back = count_lines(ends[0]);
    CU_ASSERT_TRUE(read_back > 100);
    CU_ASSERT_EQUAL(read_back, written - 10);
    close(ends[0]);
}

static void a_socket_that_nobody_reads_does_not_block(void)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    int saved = replace_stderr(ends[1]);
    unsigned written = write_until_dropped();
    restore_stderr(saved);
    unsigned read_back = count_lines(ends[0]);
    CU_ASSERT_TRUE(read_back > 10);
    CU_ASSERT_EQUAL(read_back, written - 10);
    close(ends[0]);
}

static int open_terminal(int *other_end)
{
    *other_end = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    CU_ASSERT_FATAL(*other_end >= 0 && grantpt(*other_end) == 0 && unlockpt(*other_end) == 0);
    int terminal = open(ptsname(*other_end), O_RDWR | O_NOCTTY);
    CU_ASSERT_FATAL(terminal >= 0);
    return terminal;
}

static size_t drain(int fd, char *text, size_t size)
{
    size_t len = 0;
    for (ssize_t got; (got = read(fd, text + len, size - 1 - len)) > 0;)
        len += (size_t)got;
    text[len] = '\0';
    return len;
}

/* A terminal takes part of a line when it is nearly full. */
static void a_line_that_was_cut_does_not_spoil_the_next(void)
{
    static char text[1 << 20];
    struct log_site site = {0};
    int other_end = -1, saved = replace_stderr(open_terminal(&other_end));
    write_until_dropped();
    size_t len = drain(other_end, text, sizeof text);
    CU_ASSERT_NOT_EQUAL(text[len - 1], '\n');
    log_write(&site, LOG_INFO, "test:next", NULL, 0);
    restore_stderr(saved);
    CU_ASSERT_NOT_EQUAL(drain(other_end, text, sizeof text), 0);
    CU_ASSERT_NSTRING_EQUAL(text, "\r\n{\"timestamp\"", 14);
    close(other_end);
}

static void a_reader_that_went_away_costs_only_the_lines(void)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    close(ends[0]);
    int saved = replace_stderr(ends[1]);
    CU_ASSERT_EQUAL(write_until_dropped(), 10);
    restore_stderr(saved);
}

/* Its number may be a client's socket by then. */
static void nothing_is_written_where_standard_error_was_closed(void)
{
    int ends[2], saved = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    log_open(LOG_INFO);
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    CU_ASSERT_TRUE(ends[0] == STDERR_FILENO || ends[1] == STDERR_FILENO);
    CU_ASSERT_EQUAL(write_until_dropped(), 10);
    int other = ends[0] == STDERR_FILENO ? ends[1] : ends[0];
    restore_stderr(saved);
    close(other);
}

enum { THREADS = 4, LINES_EACH = 500 };

static void *write_lines(void *name)
{
    for (uint64_t i = 0; i < LINES_EACH; i++) {
        struct log_site site = {0};
        const struct log_field fields[] = {log_user(slice_str(name)), log_uint("line", i)};
        log_write(&site, LOG_INFO, "test:thread", fields, 2);
    }
    return NULL;
}

static void lines_of_many_threads_do_not_mix(void)
{
    static char names[THREADS][2] = {"0", "1", "2", "3"};
    struct capture capture;
    pthread_t threads[THREADS];
    json_int_t next[THREADS] = {0};
    log_begin(&capture, LOG_INFO);
    for (size_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_end(&capture);
    char *at = capture.text;
    for (json_t *line; (line = next_line(&at)) != NULL; json_decref(line)) {
        size_t thread = (size_t)(text_in(line, "userId")[0] - '0');
        CU_ASSERT_TRUE_FATAL(thread < THREADS);
        json_t *number = json_object_get(json_object_get(line, "metadata"), "line");
        CU_ASSERT_EQUAL(json_integer_value(number), next[thread]);
        next[thread]++;
    }
    for (size_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL(next[i], LINES_EACH);
    capture_fini(&capture);
}

CU_TestInfo log_tests[] = {
    {"has_all_members_in_the_contracts_order", has_all_members_in_the_contracts_order},
    {"user_and_room_are_there_only_where_given", user_and_room_are_there_only_where_given},
    {"values_keep_their_types", values_keep_their_types},
    {"lines_below_the_level_are_not_even_built", lines_below_the_level_are_not_even_built},
    {"level_names_are_read_as_written", level_names_are_read_as_written},
    {"long_values_are_cut_and_the_line_stays_json", long_values_are_cut_and_the_line_stays_json},
    {"a_value_of_256_octets_is_whole_and_one_of_257_is_cut",
     a_value_of_256_octets_is_whole_and_one_of_257_is_cut},
    {"a_line_takes_no_memory", a_line_takes_no_memory},
    {"a_flood_is_held_back_and_counted", a_flood_is_held_back_and_counted},
    {"a_flood_at_one_place_leaves_others_alone", a_flood_at_one_place_leaves_others_alone},
    {"a_pipe_that_nobody_reads_does_not_block", a_pipe_that_nobody_reads_does_not_block},
    {"a_pipe_that_cannot_be_opened_anew_does_not_block_either",
     a_pipe_that_cannot_be_opened_anew_does_not_block_either},
    {"a_socket_that_nobody_reads_does_not_block", a_socket_that_nobody_reads_does_not_block},
    {"a_line_that_was_cut_does_not_spoil_the_next", a_line_that_was_cut_does_not_spoil_the_next},
    {"a_reader_that_went_away_costs_only_the_lines", a_reader_that_went_away_costs_only_the_lines},
    {"nothing_is_written_where_standard_error_was_closed",
     nothing_is_written_where_standard_error_was_closed},
    {"lines_of_many_threads_do_not_mix", lines_of_many_threads_do_not_mix},
    CU_TEST_INFO_NULL,
};
