#include "app/config.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/config_table.h"
#include "tests/support/capture.h"

static void clear_environment(void)
{
    const struct config_variable *variable = NULL;
    for (size_t row = 0; (variable = config_variable_at(row)) != NULL; row++)
        unsetenv(variable->name);
}

/* Loads with one variable set (NULL: none); what was said is in `capture`. */
static enum err load_with(const char *name, const char *value, struct config *config,
                          struct capture *capture)
{
    clear_environment();
    if (name != NULL)
        CU_ASSERT_EQUAL(setenv(name, value, 1), 0);
    capture_begin(capture);
    enum err result = config_load(config);
    capture_end(capture);
    clear_environment();
    return result;
}

/* Good values say nothing. */
static void load_good(const char *name, const char *value, struct config *config)
{
    struct capture capture;
    if (load_with(name, value, config, &capture) != ERR_OK)
        CU_FAIL(value);
    CU_ASSERT_STRING_EQUAL(capture.text, "");
    capture_fini(&capture);
}

/* A bad value is one line and leaves nothing behind. */
static void is_refused_with(const char *name, const char *value, const char *line)
{
    struct config config;
    struct capture capture;
    CU_ASSERT_EQUAL(load_with(name, value, &config, &capture), ERR_INVALID);
    CU_ASSERT_TRUE(config.host == NULL && config.pod_id == NULL && config.allowed_origins == NULL);
    CU_ASSERT_FALSE(config.redis_enabled);
    CU_ASSERT_STRING_EQUAL(capture.text, line);
    capture_fini(&capture);
}

static void defaults_are_the_contracts(void)
{
    struct config config;
    load_good(NULL, NULL, &config);
    CU_ASSERT_STRING_EQUAL(config.host, "0.0.0.0");
    CU_ASSERT_EQUAL(config.port, 8080);
    CU_ASSERT_FALSE(config.redis_enabled);
    CU_ASSERT_EQUAL(config.redis_outbox, 10000);
    CU_ASSERT_EQUAL(config.redis_ready_grace_ms, CONFIG_OFF);
    CU_ASSERT_FALSE(config.auth_enabled);
    CU_ASSERT_STRING_EQUAL(config.allowed_origins, "*");
    CU_ASSERT_EQUAL(config.ws_max_message_bytes, 65536);
    CU_ASSERT_EQUAL(config.ws_send_queue, 256);
    CU_ASSERT_EQUAL(config.ws_send_queue_bytes, 4194304);
    CU_ASSERT_EQUAL(config.ws_send_total_bytes, 536870912);
    CU_ASSERT_EQUAL(config.ws_receive_total_bytes, 268435456);
    CU_ASSERT_EQUAL(config.http_header_timeout_ms, 10000);
    CU_ASSERT_EQUAL(config.ws_message_timeout_ms, 30000);
    CU_ASSERT_EQUAL(config.ws_ping_interval_ms, 25000);
    CU_ASSERT_EQUAL(config.presence_grace_ms, 5000);
    CU_ASSERT_EQUAL(config.presence_away_ms, 300000);
    CU_ASSERT_EQUAL(config.ws_pong_timeout_ms, 60000);
    CU_ASSERT_TRUE(config.ws_compression);
    CU_ASSERT_TRUE(config.io_uring);
    CU_ASSERT_EQUAL(config.shutdown_timeout_ms, 10000);
    CU_ASSERT_EQUAL(config.log_level, LOG_INFO);
    config_fini(&config);
}

static void defaults_from_the_machine_are_sensible(void)
{
    struct config config;
    struct rlimit limit;
    long cores = sysconf(_SC_NPROCESSORS_CONF);
    load_good(NULL, NULL, &config);
    CU_ASSERT_TRUE(config.connection_threads >= 1 && (long)config.connection_threads <= cores);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CU_ASSERT_EQUAL(limit.rlim_cur, limit.rlim_max);
    CU_ASSERT_TRUE(config.max_connections >= 1 && config.max_connections < limit.rlim_cur);
    config_fini(&config);
}

static void pod_id_begins_with_the_host_and_is_never_the_same(void)
{
    char host[256] = "";
    struct config one, other;
    CU_ASSERT_EQUAL(gethostname(host, sizeof host - 1), 0);
    host[119] = '\0';
    load_good(NULL, NULL, &one);
    load_good(NULL, NULL, &other);
    CU_ASSERT_NSTRING_EQUAL(one.pod_id, host, strlen(host));
    CU_ASSERT_EQUAL(strlen(one.pod_id), strlen(host) + 9);
    CU_ASSERT_STRING_NOT_EQUAL(one.pod_id, other.pod_id);
    config_fini(&one);
    config_fini(&other);
}

static void an_empty_value_is_the_default(void)
{
    struct config config;
    const struct config_variable *variable = NULL;
    for (size_t row = 0; (variable = config_variable_at(row)) != NULL; row++) {
        load_good(variable->name, "", &config);
        CU_ASSERT_EQUAL(config.port, 8080);
        CU_ASSERT_FALSE(config.redis_enabled);
        config_fini(&config);
    }
}

static void numbers_are_taken_from_bound_to_bound(void)
{
    static const struct {
        const char *name, *min, *max, *below, *above;
    } rows[] = {
        {"PORT", "0", "65535", NULL, "65536"},
        {"REDIS_OUTBOX", "1", "10000000", "0", "10000001"},
        {"CONNECTION_THREADS", "1", "256", "0", "257"},
        {"WS_MAX_MESSAGE_SIZE", "1", "16777216", "0", "16777217"},
        {"WS_SEND_QUEUE", "1", "1000000", "0", "1000001"},
        {"WS_SEND_QUEUE_BYTES", "1", "1073741824", "0", "1073741825"},
        {"WS_SEND_TOTAL_BYTES", "1", "1099511627776", "0", "1099511627777"},
        {"WS_RECEIVE_TOTAL_BYTES", "1", "1099511627776", "0", "1099511627777"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *bad[] = {rows[i].above,
                             "-1",
                             "1.5",
                             "0x10",
                             "1e3",
                             " 1",
                             "1 ",
                             "+1",
                             "ten",
                             "99999999999999999999",
                             "18446744073709551617",
                             rows[i].below};
        struct config config;
        load_good(rows[i].name, rows[i].min, &config);
        config_fini(&config);
        load_good(rows[i].name, rows[i].max, &config);
        config_fini(&config);
        for (size_t j = 0; j < sizeof bad / sizeof *bad && bad[j] != NULL; j++) {
            char line[256];
            (void)snprintf(line, sizeof line, "chat-api: %s=%s: must be a number from %s to %s\n",
                           rows[i].name, bad[j], rows[i].min, rows[i].max);
            is_refused_with(rows[i].name, bad[j], line);
        }
    }
}

static void numbers_go_where_they_belong(void)
{
    struct config config;
    load_good("PORT", "0", &config);
    CU_ASSERT_EQUAL(config.port, 0);
    config_fini(&config);
    load_good("CONNECTION_THREADS", "3", &config);
    CU_ASSERT_EQUAL(config.connection_threads, 3);
    config_fini(&config);
    load_good("WS_SEND_QUEUE", "7", &config);
    CU_ASSERT_EQUAL(config.ws_send_queue, 7);
    config_fini(&config);
    load_good("MAX_CONNECTIONS", "12", &config);
    CU_ASSERT_EQUAL(config.max_connections, 12);
    config_fini(&config);
}

/* The default is the most there may be, unless the limit is beyond a million. */
static void more_connections_than_files_are_refused(void)
{
    char most[32], more[32], line[256];
    struct config config;
    load_good(NULL, NULL, &config);
    size_t room = config.max_connections;
    config_fini(&config);
    (void)snprintf(most, sizeof most, "%zu", room);
    load_good("MAX_CONNECTIONS", most, &config);
    CU_ASSERT_EQUAL(config.max_connections, room);
    config_fini(&config);
    if (room < 1000000) {
        (void)snprintf(more, sizeof more, "%zu", room + 1);
        (void)snprintf(line, sizeof line,
                       "chat-api: MAX_CONNECTIONS=%s: must be a number from 1 to %s, which the "
                       "limit of open files (ulimit -n) leaves room for\n",
                       more, most);
        is_refused_with("MAX_CONNECTIONS", more, line);
    }
}

static void durations_take_their_units(void)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"10ms", 10},   {"500ms", 500},          {"1s", 1000},        {"0025s", 25000},
                {"90s", 90000}, {"2m", 120000},          {"1440m", 86400000}, {"86400s", 86400000},
                {"11ms", 11},   {"86400000ms", 86400000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config config;
        load_good("WS_PING_INTERVAL", rows[i].text, &config);
        CU_ASSERT_EQUAL(config.ws_ping_interval_ms, rows[i].ms);
        config_fini(&config);
    }
}

static void durations_without_unit_or_out_of_bounds_are_refused(void)
{
    static const char *const bad[] = {"0",
                                      "30",
                                      "9ms",
                                      "0s",
                                      "1441m",
                                      "86400001ms",
                                      "10h",
                                      "-5s",
                                      "s",
                                      "1.5s",
                                      "1s2",
                                      "5 s",
                                      "5S",
                                      "5sec",
                                      "ms",
                                      " 5s",
                                      "off",
                                      "soon",
                                      "99999999999999999999s",
                                      "18446744073709551615m"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[256];
        (void)snprintf(line, sizeof line,
                       "chat-api: WS_PONG_TIMEOUT=%s: must be a whole number with its unit (ms, s "
                       "or m), from 10ms to 1440m\n",
                       bad[i]);
        is_refused_with("WS_PONG_TIMEOUT", bad[i], line);
    }
}

static void the_ready_grace_may_be_off_or_nothing(void)
{
    struct config config;
    load_good("REDIS_READY_GRACE", "off", &config);
    CU_ASSERT_EQUAL(config.redis_ready_grace_ms, CONFIG_OFF);
    config_fini(&config);
    load_good("REDIS_READY_GRACE", "0s", &config);
    CU_ASSERT_EQUAL(config.redis_ready_grace_ms, 0);
    config_fini(&config);
    is_refused_with("REDIS_READY_GRACE", "OFF",
                    "chat-api: REDIS_READY_GRACE=OFF: must be a whole number with its unit (ms, s "
                    "or m), from 0ms to 1440m, or off\n");
}

static void booleans_are_true_or_false(void)
{
    static const char *const bad[] = {"1", "0", "yes", "no", "on", "TRUE", "truee", " true"};
    struct config config;
    load_good("WS_COMPRESSION", "false", &config);
    CU_ASSERT_FALSE(config.ws_compression);
    config_fini(&config);
    load_good("WS_COMPRESSION", "true", &config);
    CU_ASSERT_TRUE(config.ws_compression);
    config_fini(&config);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "chat-api: AUTH_ENABLED=%s: must be true or false\n",
                       bad[i]);
        is_refused_with("AUTH_ENABLED", bad[i], line);
    }
}

static void authentication_needs_something_to_check_tokens_with(void)
{
    struct config config;
    is_refused_with("AUTH_ENABLED", "true",
                    "chat-api: AUTH_ENABLED=true: needs AUTH_JWT_SECRET or AUTH_JWT_KEYS, for "
                    "tokens are checked with them\n");
    clear_environment();
    setenv("AUTH_ENABLED", "true", 1);
    setenv("AUTH_JWT_KEYS", "/nowhere", 1);
    CU_ASSERT_EQUAL(config_load(&config), ERR_OK);
    CU_ASSERT_TRUE(config.auth_enabled && config.rate_limit_enabled);
    CU_ASSERT_STRING_EQUAL(config.auth_jwt_keys, "/nowhere");
    CU_ASSERT_PTR_NULL(config.auth_jwt_secret);
    config_fini(&config);
    setenv("RATE_LIMIT_ENABLED", "false", 1);
    CU_ASSERT_EQUAL(config_load(&config), ERR_OK);
    CU_ASSERT_FALSE(config.rate_limit_enabled);
    config_fini(&config);
    clear_environment();
}

static void secrets_may_be_short(void)
{
    static const char *const secrets[] = {"0123456789abcdef0123456789abcdef", "s3cret", "x", " "};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        struct config config;
        load_good("AUTH_JWT_SECRET", secrets[i], &config);
        CU_ASSERT_STRING_EQUAL(config.auth_jwt_secret, secrets[i]);
        config_fini(&config);
    }
}

static void texts_may_be_absent(void)
{
    struct config config;
    load_good("AUTH_JWT_ISSUER", "https://id.example", &config);
    CU_ASSERT_STRING_EQUAL(config.auth_jwt_issuer, "https://id.example");
    CU_ASSERT_PTR_NULL(config.auth_jwt_audience);
    config_fini(&config);
    load_good("AUTH_JWT_AUDIENCE", "", &config);
    CU_ASSERT_PTR_NULL(config.auth_jwt_audience);
    config_fini(&config);
}

static void limits_are_a_number_in_a_time_or_off(void)
{
    struct config config;
    load_good(NULL, NULL, &config);
    CU_ASSERT_EQUAL(config.rate_limit_connects.count, 10);
    CU_ASSERT_EQUAL(config.rate_limit_connects.period_ms, 60000);
    CU_ASSERT_EQUAL(config.rate_limit_messages.count, 60);
    CU_ASSERT_EQUAL(config.rate_limit_messages.period_ms, 60000);
    CU_ASSERT_EQUAL(config.rate_limit_typing.count, 10);
    CU_ASSERT_EQUAL(config.rate_limit_typing.period_ms, 60000);
    CU_ASSERT_EQUAL(config.rate_limit_presence.count, 30);
    CU_ASSERT_EQUAL(config.rate_limit_presence.period_ms, 60000);
    CU_ASSERT_FALSE(config.rate_limit_enabled);
    config_fini(&config);
    load_good("RATE_LIMIT_CONNECTS", "off", &config);
    CU_ASSERT_TRUE(limit_is_off(&config.rate_limit_connects));
    config_fini(&config);
    is_refused_with(
        "RATE_LIMIT_CONNECTS", "often",
        "chat-api: RATE_LIMIT_CONNECTS=often: must be a number (1 to 1000000) in a time "
        "(10ms to 1440m), such as 60/1m, or off\n");
}

static void proxies_are_networks(void)
{
    struct config config;
    load_good("TRUSTED_PROXIES", "10.0.0.0/8, ::1", &config);
    CU_ASSERT_EQUAL(config.trusted_proxies.count, 2);
    config_fini(&config);
    load_good(NULL, NULL, &config);
    CU_ASSERT_EQUAL(config.trusted_proxies.count, 0);
    config_fini(&config);
    is_refused_with("TRUSTED_PROXIES", "proxy.example",
                    "chat-api: TRUSTED_PROXIES=proxy.example: must be a comma-separated list of at "
                    "most 64 addresses and networks such as 10.0.0.0/8 or fd00::/8\n");
}

static void hosts_are_addresses_or_names(void)
{
    static const char *const good[] = {"127.0.0.1",   "::",          "::1",
                                       "2001:db8::1", "localhost",   "pod-1.chat.example",
                                       "my_host",     "3com.example"};
    static const char *const bad[] = {"999.1.1.1",   "1.2.3.4.5", "not an address", "[::1]", "a:b",
                                      "http://host", "host/path", "höst",           ".",     "a."};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct config config;
        load_good("HOST", good[i], &config);
        CU_ASSERT_STRING_EQUAL(config.host, good[i]);
        config_fini(&config);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        (void)snprintf(line, sizeof line,
                       "chat-api: HOST=%s: must be an IPv4 address, an IPv6 address or a host "
                       "name\n",
                       bad[i]);
        is_refused_with("HOST", bad[i], line);
    }
}

static void pod_ids_have_up_to_128_plain_characters(void)
{
    static const char *const bad[] = {"a b", "a/b", "\"", "pöd", "a,b"};
    char id[130] = "";
    struct config config;
    for (size_t len = 127; len <= 128; len++) {
        memset(id, 'x', len);
        load_good("POD_ID", id, &config);
        CU_ASSERT_STRING_EQUAL(config.pod_id, id);
        config_fini(&config);
    }
    load_good("POD_ID", "A-z_0.9:pod", &config);
    config_fini(&config);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        (void)snprintf(line, sizeof line,
                       "chat-api: POD_ID=%s: must be 1 to 128 letters, digits or any of . _ : -\n",
                       bad[i]);
        is_refused_with("POD_ID", bad[i], line);
    }
    memset(id, 'x', 129);
    struct capture capture;
    CU_ASSERT_EQUAL(load_with("POD_ID", id, &config, &capture), ERR_INVALID);
    capture_fini(&capture);
}

static void origins_are_kept_as_given(void)
{
    struct config config;
    load_good("ALLOWED_ORIGINS", "https://a.example, https://*.b.example", &config);
    CU_ASSERT_STRING_EQUAL(config.allowed_origins, "https://a.example, https://*.b.example");
    config_fini(&config);
    is_refused_with("ALLOWED_ORIGINS", "example.org",
                    "chat-api: ALLOWED_ORIGINS=example.org: must be * or a comma-separated list of "
                    "origins such as https://example.org, https://*.example.org or "
                    "http://localhost:3000, without a path\n");
}

static void log_levels_are_the_four(void)
{
    struct config config;
    load_good("LOG_LEVEL", "error", &config);
    CU_ASSERT_EQUAL(config.log_level, LOG_ERROR);
    config_fini(&config);
    is_refused_with("LOG_LEVEL", "loud",
                    "chat-api: LOG_LEVEL=loud: must be one of debug, info, warn, error\n");
}

static void a_redis_url_is_taken_apart(void)
{
    struct config config;
    load_good("REDIS_URL", "redis://user:p%40ss@redis.example:6380/2", &config);
    CU_ASSERT_TRUE(config.redis_enabled);
    CU_ASSERT_STRING_EQUAL(config.redis_url.host, "redis.example");
    CU_ASSERT_STRING_EQUAL(config.redis_url.password, "p@ss");
    CU_ASSERT_EQUAL(config.redis_url.port, 6380);
    CU_ASSERT_EQUAL(config.redis_url.db, 2);
    config_fini(&config);
    CU_ASSERT_FALSE(config.redis_enabled);
}

static void a_bad_redis_url_is_shown_without_its_password(void)
{
    static const struct {
        const char *url, *shown;
    } rows[] = {
        {"redis://:s3cret@host:99999", "REDIS_URL=redis://***@host:99999: "},
        {"redis://us:s3cret@s3cret@host:x", "REDIS_URL=redis://***@host:x: "},
        {"http://user:s3cret@host", "REDIS_URL=http://***@host: "},
        {"rediss://user:s3cret@host", "REDIS_URL=rediss://***@host: "},
        {"redis://:s3cret@host/x", "REDIS_URL=redis://***@host/x: "},
        {"redis://:s3cret", "REDIS_URL=redis://***: "},
        {"user:s3cret@host", "REDIS_URL=***@host: "},
        {"redis:/u:s3cret@host,redis://other", "REDIS_URL=***@host,redis://other: "},
        {"redis://host?password=s3cret", "REDIS_URL=redis://host?***: "},
        {"unix://relative?db=x", "REDIS_URL=unix://relative?db=x: "},
        {"localhost:6379", "REDIS_URL=localhost:6379: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config config;
        struct capture capture;
        CU_ASSERT_EQUAL(load_with("REDIS_URL", rows[i].url, &config, &capture), ERR_INVALID);
        CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, rows[i].shown));
        CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "it takes redis://"));
        CU_ASSERT_PTR_NULL(strstr(capture.text, "s3cret"));
        capture_fini(&capture);
    }
}

static void a_secret_is_taken_and_never_shown(void)
{
    static const char *const good[] = {"s3cret7890123456", "s3cret", "x"};
    static const char *const bad[] = {"s3cret with blanks", "s3cret\twith a tab",
                                      "s3cret\xC3\xBC with an umlaut"};
    struct config config;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        load_good("API_KEY", good[i], &config);
        CU_ASSERT_STRING_EQUAL(config.api_key, good[i]);
        config_fini(&config);
    }
    load_good("API_KEY", "", &config);
    CU_ASSERT_PTR_NULL(config.api_key);
    config_fini(&config);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct capture capture;
        CU_ASSERT_EQUAL(load_with("API_KEY", bad[i], &config, &capture), ERR_INVALID);
        CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "chat-api: API_KEY=***: must be 1 to 512 "));
        CU_ASSERT_PTR_NULL(strstr(capture.text, "s3cret"));
        capture_fini(&capture);
    }
}

static void all_bad_variables_are_reported_at_once(void)
{
    struct config config;
    struct capture capture;
    clear_environment();
    setenv("PORT", "http", 1);
    setenv("WS_PING_INTERVAL", "often", 1);
    setenv("LOG_LEVEL", "loud", 1);
    setenv("POD_ID", "a good one is freed again", 1);
    setenv("ALLOWED_ORIGINS", "https://good.example", 1);
    setenv("REDIS_URL", "redis://good.example", 1);
    capture_begin(&capture);
    CU_ASSERT_EQUAL(config_load(&config), ERR_INVALID);
    capture_end(&capture);
    clear_environment();
    size_t lines = 0;
    for (const char *at = capture.text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    CU_ASSERT_EQUAL(lines, 4);
    CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "chat-api: PORT=http: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "chat-api: WS_PING_INTERVAL=often: "));
    CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "chat-api: LOG_LEVEL=loud: "));
    capture_fini(&capture);
}

static void a_bad_value_stays_on_one_short_line(void)
{
    static const char *const bad[] = {"a\nb", "a\033[31m", "\xFF\xFE", "a\xC3"};
    static const char *const shown[] = {"=a?b: ", "=a?[31m: ", "=??: ", "=a?: "};
    struct config config;
    struct capture capture;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(load_with("LOG_LEVEL", bad[i], &config, &capture), ERR_INVALID);
        CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, shown[i]));
        CU_ASSERT_PTR_EQUAL(strchr(capture.text, '\n'), strrchr(capture.text, '\n'));
        capture_fini(&capture);
    }
    char *text = calloc(10001, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, 'x', 10000);
    CU_ASSERT_EQUAL(load_with("LOG_LEVEL", text, &config, &capture), ERR_INVALID);
    CU_ASSERT_TRUE(strlen(capture.text) < 512);
    CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "xxx…: must be"));
    capture_fini(&capture);
    free(text);
}

static void fini_may_be_called_twice(void)
{
    struct config config;
    load_good("REDIS_URL", "redis://host", &config);
    config_fini(&config);
    config_fini(&config);
    CU_ASSERT_PTR_NULL(config.host);
}

/* Each line NAME=default of the example is the table's row of the same place. */
static void the_example_has_every_variable_with_its_default(void)
{
    size_t row = 0;
    char line[512], expected[512];
    FILE *file = fopen(".env.example", "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        const struct config_variable *variable = config_variable_at(row++);
        CU_ASSERT_PTR_NOT_NULL_FATAL(variable);
        (void)snprintf(expected, sizeof expected, "%s=%s\n", variable->name, variable->fallback);
        CU_ASSERT_STRING_EQUAL(line, expected);
    }
    CU_ASSERT_PTR_NULL(config_variable_at(row));
    (void)fclose(file);
}

CU_TestInfo config_tests[] = {
    {"defaults_are_the_contracts", defaults_are_the_contracts},
    {"defaults_from_the_machine_are_sensible", defaults_from_the_machine_are_sensible},
    {"pod_id_begins_with_the_host_and_is_never_the_same",
     pod_id_begins_with_the_host_and_is_never_the_same},
    {"an_empty_value_is_the_default", an_empty_value_is_the_default},
    {"numbers_are_taken_from_bound_to_bound", numbers_are_taken_from_bound_to_bound},
    {"numbers_go_where_they_belong", numbers_go_where_they_belong},
    {"more_connections_than_files_are_refused", more_connections_than_files_are_refused},
    {"durations_take_their_units", durations_take_their_units},
    {"durations_without_unit_or_out_of_bounds_are_refused",
     durations_without_unit_or_out_of_bounds_are_refused},
    {"the_ready_grace_may_be_off_or_nothing", the_ready_grace_may_be_off_or_nothing},
    {"booleans_are_true_or_false", booleans_are_true_or_false},
    {"authentication_needs_something_to_check_tokens_with",
     authentication_needs_something_to_check_tokens_with},
    {"secrets_may_be_short", secrets_may_be_short},
    {"texts_may_be_absent", texts_may_be_absent},
    {"limits_are_a_number_in_a_time_or_off", limits_are_a_number_in_a_time_or_off},
    {"proxies_are_networks", proxies_are_networks},
    {"hosts_are_addresses_or_names", hosts_are_addresses_or_names},
    {"pod_ids_have_up_to_128_plain_characters", pod_ids_have_up_to_128_plain_characters},
    {"origins_are_kept_as_given", origins_are_kept_as_given},
    {"log_levels_are_the_four", log_levels_are_the_four},
    {"a_redis_url_is_taken_apart", a_redis_url_is_taken_apart},
    {"a_bad_redis_url_is_shown_without_its_password",
     a_bad_redis_url_is_shown_without_its_password},
    {"a_secret_is_taken_and_never_shown", a_secret_is_taken_and_never_shown},
    {"all_bad_variables_are_reported_at_once", all_bad_variables_are_reported_at_once},
    {"a_bad_value_stays_on_one_short_line", a_bad_value_stays_on_one_short_line},
    {"fini_may_be_called_twice", fini_may_be_called_twice},
    {"the_example_has_every_variable_with_its_default",
     the_example_has_every_variable_with_its_default},
    CU_TEST_INFO_NULL,
};
