/*
 * The environment, in the form of /proc/PID/environ: NAME=value, each ended by NUL. Whatever is in
 * it, either every value of the configuration keeps its bounds and nothing is said, or the
 * configuration is empty and there is one printable line for each variable that is bad. A second
 * set of readers, the model below, says which ones are.
 */
#include <jansson.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "app/config_table.h"
#include "core/base/slice.h"

/* Stands for a password in seeds and dictionary: it may never be shown. */
#define PASSWORD "s3cret"

enum { LINE_MAX_BYTES = 1024, VARIABLES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* --- the model --- */

enum verdict { GOOD, BAD, EITHER };

/* What texts may look like; compiled at the first use. */
enum form { NUMBER, DURATION, FEW, MANY, BOOL, POD_ID, VISIBLE, LIMIT, LEVEL, FORMS };

static bool fits(enum form form, const char *text)
{
    static const char *const patterns[FORMS] = {
        [NUMBER] = "^[0-9]+$",
        [DURATION] = "^[0-9]+(ms|s|m)$",
        [FEW] = "^0*[1-9][0-9]?$",
        [MANY] = "^0*[1-9][0-9]{2,}$",
        [BOOL] = "^(true|false)$",
        [POD_ID] = "^[A-Za-z0-9._:-]{1,128}$",
        [VISIBLE] = "^[!-~]+$",
        [LIMIT] = "^(off|[0-9]+/[0-9]+(ms|s|m))$",
        [LEVEL] = "^(debug|info|warn|error)$",
    };
    static regex_t compiled[FORMS];
    static bool is_compiled[FORMS];
    if (!is_compiled[form])
        require(regcomp(&compiled[form], patterns[form], REG_EXTENDED | REG_NOSUB) == 0);
    is_compiled[form] = true;
    return regexec(&compiled[form], text, 0, NULL, 0) == 0;
}

static bool is_between(long double number, const struct config_variable *variable)
{
    return number >= (long double)variable->min && number <= (long double)variable->max;
}

static bool is_duration(const struct config_variable *variable, const char *text)
{
    if (!fits(DURATION, text))
        return false;
    char *unit = NULL;
    long double number = strtold(text, &unit);
    long double ms = strcmp(unit, "ms") == 0 ? 1 : *unit == 's' ? 1000 : 60000;
    return is_between(number * ms, variable);
}

/* Hosts, origins and URLs have parsers of their own, with targets of their own. */
static enum verdict judge(const struct config_variable *variable, const char *text)
{
    bool good = true;
    switch (variable->kind) {
    case CONFIG_UNSIGNED:
    case CONFIG_SIZE:
        good = fits(NUMBER, text) && is_between(strtold(text, NULL), variable);
        break;
    case CONFIG_CONNECTIONS: /* the bound depends on the machine */
        if (fits(FEW, text))
            return GOOD;
        return fits(MANY, text) ? EITHER : BAD;
    case CONFIG_DURATION:
        good = is_duration(variable, text);
        break;
    case CONFIG_DURATION_OR_OFF:
        good = strcmp(text, "off") == 0 || is_duration(variable, text);
        break;
    case CONFIG_BOOL:
        /* Authentication needs keys, too. */
        if (strcmp(text, "true") == 0 && strcmp(variable->name, "AUTH_ENABLED") == 0)
            return EITHER;
        good = fits(BOOL, text);
        break;
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        break;
    case CONFIG_LIMIT:
        return fits(LIMIT, text) ? EITHER : BAD;
    case CONFIG_POD_ID:
        good = fits(POD_ID, text);
        break;
    case CONFIG_KEY:
        good = fits(VISIBLE, text) && is_between((long double)strlen(text), variable);
        break;
    case CONFIG_LOG_LEVEL:
        good = fits(LEVEL, text);
        break;
    default:
        return EITHER;
    }
    return good ? GOOD : BAD;
}

/* --- what must hold --- */

static void check_values(const struct config *config)
{
    const struct config_variable *variable = NULL;
    for (size_t row = 0; (variable = config_variable_at(row)) != NULL; row++) {
        const void *value = (const char *)config + variable->offset;
        if (variable->kind == CONFIG_UNSIGNED)
            require(is_between(*(const unsigned *)value, variable));
        if (variable->kind == CONFIG_SIZE)
            require(is_between((long double)*(const size_t *)value, variable));
        if (variable->kind == CONFIG_DURATION)
            require(is_between((long double)*(const uint64_t *)value, variable));
        if (variable->kind == CONFIG_DURATION_OR_OFF)
            require(*(const uint64_t *)value == CONFIG_OFF ||
                    is_between((long double)*(const uint64_t *)value, variable));
    }
    require(config->host != NULL && *config->host != '\0');
    require(config->allowed_origins != NULL && *config->allowed_origins != '\0');
    require(config->pod_id != NULL && fits(POD_ID, config->pod_id));
    require(config->max_connections >= 1);
    require(config->log_level <= LOG_ERROR);
    require(!config->auth_enabled || config->auth_jwt_secret != NULL ||
            config->auth_jwt_keys != NULL);
    const struct redis_url *url = &config->redis_url;
    require(config->redis_enabled == (url->host != NULL || url->unix_path != NULL));
}

static bool is_printable(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char)line.ptr[i] < ' ' || line.ptr[i] == '\x7f')
            return false;
    json_t *json = json_stringn(line.ptr, line.len); /* which looks whether it is UTF-8 */
    json_decref(json);
    return json != NULL;
}

/* The value as it stands in the line, and what is wrong with it. */
static void check_line(struct slice line, const struct config_variable *variable)
{
    char start[128];
    bool is_secret = variable->kind == CONFIG_SECRET || variable->kind == CONFIG_KEY;
    int len =
        snprintf(start, sizeof start, "chat-api: %s=%s", variable->name, is_secret ? "***: " : "");
    require(slice_starts_with(line, slice_of(start, (size_t)len)));
    require(line.len < LINE_MAX_BYTES && is_printable(line));
    require(memmem(line.ptr, line.len, ": ", 2) != NULL);
}

/* One line for each variable that is bad, in the table's order. */
static unsigned check_lines(const char *said)
{
    const struct config_variable *variable = NULL;
    unsigned lines = 0;
    for (size_t row = 0; (variable = config_variable_at(row)) != NULL; row++) {
        const char *text = getenv(variable->name), *end = strchr(said, '\n');
        enum verdict verdict = text == NULL || *text == '\0' ? GOOD : judge(variable, text);
        char start[128];
        (void)snprintf(start, sizeof start, "chat-api: %s=", variable->name);
        bool is_here = strncmp(said, start, strlen(start)) == 0;
        require(verdict == EITHER || is_here == (verdict == BAD));
        if (!is_here)
            continue;
        require(end != NULL);
        check_line(slice_of(said, (size_t)(end - said)), variable);
        said = end + 1;
        lines++;
    }
    require(*said == '\0');
    return lines;
}

/* What stands between the first colon and the last @ is not for the log. */
static void check_secrecy(const char *said)
{
    const char *url = getenv("REDIS_URL");
    const char *secret = url != NULL ? strstr(url, PASSWORD) : NULL;
    const char *line = strstr(said, "chat-api: REDIS_URL=");
    if (secret == NULL || line == NULL || strncmp(url, "redis", strlen("redis")) != 0)
        return;
    const char *colon = strchrnul(url, ':'), *at = strrchr(url, '@'), *end = strchrnul(line, '\n');
    bool is_password = secret > colon && at != NULL && strstr(at, PASSWORD) == NULL;
    require(!is_password || memmem(line, (size_t)(end - line), PASSWORD, strlen(PASSWORD)) == NULL);
}

static void check_empty(const struct config *config)
{
    const struct redis_url *url = &config->redis_url;
    require(config->host == NULL && config->pod_id == NULL && config->allowed_origins == NULL);
    require(!config->redis_enabled && url->host == NULL && url->password == NULL);
    require(config->max_connections == 0 && config->ws_send_queue == 0);
}

/* --- the environment --- */

static void clear_environment(void)
{
    const struct config_variable *variable = NULL;
    for (size_t row = 0; (variable = config_variable_at(row)) != NULL; row++)
        unsetenv(variable->name);
}

static bool is_variable(const char *name)
{
    const struct config_variable *variable = NULL;
    for (size_t row = 0; (variable = config_variable_at(row)) != NULL; row++)
        if (strcmp(variable->name, name) == 0)
            return true;
    return false;
}

/* Nothing but our own variables: others would change how the program itself runs. */
static void set_environment(const char *block, size_t len)
{
    const char *end = block + len;
    for (int count = 0; block < end && count < VARIABLES_MAX; count++) {
        char name[64] = "";
        size_t name_len = strcspn(block, "=");
        if (name_len < sizeof name && block[name_len] == '=') {
            memcpy(name, block, name_len);
            if (is_variable(name))
                require(setenv(name, block + name_len + 1, 1) == 0);
        }
        block += strlen(block) + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    char *block = calloc(size + 1, 1), *said = NULL;
    size_t said_len = 0;
    FILE *real = stderr;
    require(block != NULL);
    memcpy(block, data, size);
    clear_environment();
    set_environment(block, size);

    stderr = open_memstream(&said, &said_len);
    require(stderr != NULL);
    enum err err = config_load(&config);
    require(fclose(stderr) == 0);
    stderr = real;

    require(strlen(said) == said_len && (err == ERR_OK) == (check_lines(said) == 0));
    check_secrecy(said);
    if (err == ERR_OK)
        check_values(&config);
    else
        check_empty(&config);
    config_fini(&config);
    clear_environment();
    free(said);
    free(block);
    return 0;
}
