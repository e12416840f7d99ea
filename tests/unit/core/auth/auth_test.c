#include "core/auth/auth.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/auth/key_store.h"
#include "core/base/log.h"
#include "tests/support/capture.h"
#include "tests/support/jwt.h"

enum { TEXT_MAX = 64 * 1024, NOW_S = 1700000000 };

#define GOOD "{\"sub\":\"anna\",\"exp\":1700000060,\"iss\":\"i\",\"aud\":\"a\"}"

/* A file of keys that tests write anew, and a clock for the ticks. */
struct fixture {
    char path[64];
    uint64_t now_ms;
    struct auth *auth;
};

static void write_file(const struct fixture *fixture, struct slice text)
{
    FILE *file = fopen(fixture->path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(text.ptr, 1, text.len, file), text.len);
    fclose(file);
}

static void write_key(const struct fixture *fixture, EVP_PKEY *key)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    jwt_append_pem(&text, key);
    write_file(fixture, buf_slice(&text));
    buf_fini(&text);
}

static void open_fixture(struct fixture *fixture, EVP_PKEY *key)
{
    char why[KEY_WHY_SIZE];
    *fixture = (struct fixture){.path = "/tmp/chat-api-keys-XXXXXX"};
    int fd = mkstemp(fixture->path);
    CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
    close(fd);
    write_key(fixture, key);
    fixture->auth = auth_create(&(struct auth_opts){.keys_path = fixture->path}, why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fixture->auth);
}

static void close_fixture(struct fixture *fixture)
{
    auth_destroy(fixture->auth);
    unlink(fixture->path);
}

static void tick(struct fixture *fixture)
{
    fixture->now_ms += KEY_STORE_TICK_MS;
    auth_tick(fixture->auth, fixture->now_ms);
}

static bool takes(struct auth *auth, struct slice token)
{
    struct user *user = NULL;
    struct fault fault = {.code = FAULT_NONE};
    enum err err = auth_check(auth, token, NOW_S * 1000ULL, &user, &fault);
    CU_ASSERT_EQUAL(err == ERR_OK, user != NULL);
    CU_ASSERT_EQUAL(fault.code, err == ERR_OK ? FAULT_NONE : FAULT_AUTH_FAILED);
    user_release(user);
    return err == ERR_OK;
}

static bool takes_signed(struct auth *auth, enum alg alg, EVP_PKEY *key, const char *payload)
{
    char header[64];
    struct buf token;
    snprintf(header, sizeof header, "{\"alg\":\"%s\"}", alg_info(alg)->name);
    buf_init(&token, TEXT_MAX);
    jwt_append(&token, alg, key, header, payload);
    bool taken = takes(auth, buf_slice(&token));
    buf_fini(&token);
    return taken;
}

static struct auth *with_secret(const char *issuer, const char *audience)
{
    char why[KEY_WHY_SIZE];
    const struct auth_opts opts = {.secret = JWT_SECRET, .issuer = issuer, .audience = audience};
    struct auth *auth = auth_create(&opts, why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(auth);
    return auth;
}

static void a_good_token_names_its_user(void)
{
    struct auth *auth = with_secret("i", "a");
    struct buf token;
    struct user *user;
    struct fault fault;
    buf_init(&token, TEXT_MAX);
    jwt_append(&token, ALG_HS256, NULL, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", GOOD);
    CU_ASSERT_EQUAL_FATAL(auth_check(auth, buf_slice(&token), NOW_S * 1000ULL, &user, &fault),
                          ERR_OK);
    CU_ASSERT_TRUE(slice_equals_str(user->id, "anna"));
    user_release(user);
    CU_ASSERT_EQUAL(auth_check(auth, buf_slice(&token), (NOW_S + 90) * 1000ULL, &user, &fault),
                    ERR_INVALID);
    CU_ASSERT_PTR_NULL(user);
    CU_ASSERT_PTR_NOT_NULL(strstr(fault.message, "expired"));
    buf_fini(&token);
    auth_destroy(auth);
}

static void issuer_and_audience_are_those_of_the_options(void)
{
    struct auth *auth = with_secret("other", NULL);
    CU_ASSERT_FALSE(takes_signed(auth, ALG_HS256, NULL, GOOD));
    auth_destroy(auth);
    auth = with_secret(NULL, "other");
    CU_ASSERT_FALSE(takes_signed(auth, ALG_HS256, NULL, GOOD));
    auth_destroy(auth);
}

static void a_token_cut_or_changed_anywhere_is_refused(void)
{
    struct auth *auth = with_secret(NULL, NULL);
    struct buf token;
    buf_init(&token, TEXT_MAX);
    jwt_append(&token, ALG_HS256, NULL, "{\"alg\":\"HS256\"}", GOOD);
    CU_ASSERT_TRUE(takes(auth, buf_slice(&token)));
    for (size_t i = 0; i < token.len; i++) {
        char was = token.ptr[i];
        CU_ASSERT_FALSE(takes(auth, slice_of(token.ptr, i)));
        token.ptr[i] = was == 'A' ? 'B' : 'A';
        CU_ASSERT_FALSE(takes(auth, buf_slice(&token)));
        token.ptr[i] = '\0';
        CU_ASSERT_FALSE(takes(auth, buf_slice(&token)));
        token.ptr[i] = was;
    }
    buf_fini(&token);
    auth_destroy(auth);
}

static void a_secret_and_a_file_go_together(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_ES256);
    struct fixture fixture;
    char why[KEY_WHY_SIZE];
    open_fixture(&fixture, key);
    CU_ASSERT_FALSE(takes_signed(fixture.auth, ALG_HS256, NULL, GOOD));
    auth_destroy(fixture.auth);
    fixture.auth =
        auth_create(&(struct auth_opts){.keys_path = fixture.path, .secret = JWT_SECRET}, why);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fixture.auth);
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_HS256, NULL, GOOD));
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_ES256, key, GOOD));
    close_fixture(&fixture);
    EVP_PKEY_free(key);
}

static void a_file_that_changes_is_read_anew(void)
{
    EVP_PKEY *old = jwt_make_key(ALG_ES256), *new = jwt_make_key(ALG_ES256);
    struct fixture fixture;
    open_fixture(&fixture, old);
    tick(&fixture);
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_ES256, old, GOOD));
    write_key(&fixture, new);
    auth_tick(fixture.auth, fixture.now_ms + KEY_STORE_TICK_MS - 1);
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_ES256, old, GOOD));
    tick(&fixture);
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_ES256, new, GOOD));
    CU_ASSERT_FALSE(takes_signed(fixture.auth, ALG_ES256, old, GOOD));
    close_fixture(&fixture);
    EVP_PKEY_free(old);
    EVP_PKEY_free(new);
}

static unsigned count_lines(const char *text, const char *event)
{
    unsigned count = 0;
    for (; (text = strstr(text, event)) != NULL; text++)
        count++;
    return count;
}

/* How many warnings `count` ticks wrote. */
static unsigned warnings_of_ticks(struct fixture *fixture, unsigned count)
{
    struct capture capture;
    capture_begin(&capture);
    log_open(LOG_INFO);
    for (unsigned i = 0; i < count; i++)
        tick(fixture);
    capture_end(&capture);
    log_open(LOG_INFO);
    unsigned warnings = count_lines(capture.text, "auth:keys_kept");
    capture_fini(&capture);
    return warnings;
}

static void a_broken_file_changes_nothing_and_is_told_once(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_ES256), *new = jwt_make_key(ALG_ES256);
    struct fixture fixture;
    open_fixture(&fixture, key);
    write_file(&fixture, slice_str("{\"keys\":["));
    CU_ASSERT_EQUAL(warnings_of_ticks(&fixture, 3), 1);
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_ES256, key, GOOD));
    write_file(&fixture, slice_str(""));
    CU_ASSERT_EQUAL(warnings_of_ticks(&fixture, 3), 1);
    unlink(fixture.path);
    CU_ASSERT_EQUAL(warnings_of_ticks(&fixture, 3), 1);
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_ES256, key, GOOD));
    write_key(&fixture, new);
    CU_ASSERT_EQUAL(warnings_of_ticks(&fixture, 3), 0);
    CU_ASSERT_TRUE(takes_signed(fixture.auth, ALG_ES256, new, GOOD));
    close_fixture(&fixture);
    EVP_PKEY_free(key);
    EVP_PKEY_free(new);
}

static void a_start_without_good_keys_says_why(void)
{
    static const struct {
        const char *path, *why;
    } rows[] = {{"/nonexistent/keys", "read"}, {"/tmp", "regular"}, {"/dev/null", "regular"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[KEY_WHY_SIZE] = "";
        CU_ASSERT_PTR_NULL(auth_create(&(struct auth_opts){.keys_path = rows[i].path}, why));
        if (strstr(why, rows[i].why) == NULL)
            CU_FAIL(why);
    }
}

static void a_file_has_at_most_256_kib(void)
{
    EVP_PKEY *key = jwt_make_key(ALG_EDDSA);
    struct fixture fixture;
    struct buf text;
    buf_init(&text, (size_t)2 * KEY_FILE_MAX);
    open_fixture(&fixture, key);
    jwt_append_pem(&text, key);
    while (text.len <= KEY_FILE_MAX)
        buf_append_str(&text, "a line that says nothing of any importance\n");
    for (size_t len = KEY_FILE_MAX - 1; len <= KEY_FILE_MAX + 1; len++) {
        write_file(&fixture, slice_of(text.ptr, len));
        CU_ASSERT_EQUAL(warnings_of_ticks(&fixture, 2), len > KEY_FILE_MAX ? 1 : 0);
    }
    close_fixture(&fixture);
    buf_fini(&text);
    EVP_PKEY_free(key);
}

struct checker {
    pthread_t thread;
    struct auth *auth;
    struct slice tokens[2];
    unsigned taken;
};

static void *check_often(void *arg)
{
    struct checker *checker = arg;
    for (unsigned i = 0; i < 300; i++) {
        struct user *user = NULL;
        struct fault fault;
        if (auth_check(checker->auth, checker->tokens[i % 2], NOW_S * 1000ULL, &user, &fault) ==
            ERR_OK)
            checker->taken++;
        user_release(user);
    }
    return NULL;
}

/* For the thread sanitizer: checks on several threads while the keys change under them. */
static void keys_may_change_while_tokens_are_checked(void)
{
    EVP_PKEY *keys[2] = {jwt_make_key(ALG_ES256), jwt_make_key(ALG_ES256)};
    struct buf tokens[2];
    struct fixture fixture;
    struct checker checkers[3] = {0};
    open_fixture(&fixture, keys[0]);
    for (unsigned i = 0; i < 2; i++) {
        buf_init(&tokens[i], TEXT_MAX);
        jwt_append(&tokens[i], ALG_ES256, keys[i], "{\"alg\":\"ES256\"}", GOOD);
    }
    for (unsigned i = 0; i < 3; i++) {
        checkers[i].auth = fixture.auth;
        checkers[i].tokens[0] = buf_slice(&tokens[0]);
        checkers[i].tokens[1] = buf_slice(&tokens[1]);
        CU_ASSERT_EQUAL_FATAL(pthread_create(&checkers[i].thread, NULL, check_often, &checkers[i]),
                              0);
    }
    for (unsigned i = 0; i < 20; i++) {
        write_key(&fixture, keys[i % 2]);
        tick(&fixture);
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(checkers[i].thread, NULL);
        /* At every moment one of the two is good. */
        CU_ASSERT_TRUE(checkers[i].taken > 0 && checkers[i].taken < 300);
    }
    close_fixture(&fixture);
    for (unsigned i = 0; i < 2; i++) {
        buf_fini(&tokens[i]);
        EVP_PKEY_free(keys[i]);
    }
}

CU_TestInfo auth_tests[] = {
    {"a_good_token_names_its_user", a_good_token_names_its_user},
    {"issuer_and_audience_are_those_of_the_options", issuer_and_audience_are_those_of_the_options},
    {"a_token_cut_or_changed_anywhere_is_refused", a_token_cut_or_changed_anywhere_is_refused},
    {"a_secret_and_a_file_go_together", a_secret_and_a_file_go_together},
    {"a_file_that_changes_is_read_anew", a_file_that_changes_is_read_anew},
    {"a_broken_file_changes_nothing_and_is_told_once",
     a_broken_file_changes_nothing_and_is_told_once},
    {"a_start_without_good_keys_says_why", a_start_without_good_keys_says_why},
    {"a_file_has_at_most_256_kib", a_file_has_at_most_256_kib},
    {"keys_may_change_while_tokens_are_checked", keys_may_change_while_tokens_are_checked},
    CU_TEST_INFO_NULL,
};
