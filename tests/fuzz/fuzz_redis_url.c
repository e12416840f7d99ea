/*
 * REDIS_URL: what is taken can be connected to, and written as a URL again is taken for the same;
 * what is refused leaves nothing and has a reason.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/bus/redis_url.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* Every octet as an escape. */
static void encode(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
}

static void write_url(struct buf *out, const struct redis_url *url)
{
    if (url->unix_path != NULL) {
        buf_append_str(out, "unix://");
        encode(out, url->unix_path);
        buf_printf(out, "?db=%d", url->db);
    } else {
        bool is_address = strchr(url->host, ':') != NULL;
        buf_append_str(out, "redis://");
        encode(out, url->user != NULL ? url->user : "");
        buf_append_str(out, url->password != NULL ? ":" : "");
        encode(out, url->password != NULL ? url->password : "");
        buf_append_str(out, url->password != NULL ? "@" : "");
        buf_printf(out, is_address ? "[%s]:%d/%d" : "%s:%d/%d", url->host, url->port, url->db);
    }
    buf_append_char(out, '\0');
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_again(const struct redis_url *url, size_t size)
{
    struct redis_url again;
    const char *why = NULL;
    struct buf text;
    buf_init(&text, 3 * size + 64);
    write_url(&text, url);
    must(text.err == ERR_OK && redis_url_parse(text.ptr, &again, &why) == ERR_OK);
    must(is_same(url->host, again.host) && is_same(url->unix_path, again.unix_path));
    must(is_same(url->user, again.user) && is_same(url->password, again.password));
    must((url->port == again.port || url->host == NULL) && url->db == again.db);
    redis_url_fini(&again);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char *text = mem_zalloc(size + 1);
    struct redis_url url;
    const char *why = NULL;
    memcpy(text, data, size);
    if (redis_url_parse(text, &url, &why) == ERR_OK) {
        must(why == NULL && url.db >= 0);
        must((url.host == NULL) != (url.unix_path == NULL));
        must(url.host == NULL || (url.host[0] != '\0' && url.port >= 1 && url.port <= 65535));
        must(url.unix_path == NULL || (url.unix_path[0] == '/' && strlen(url.unix_path) < 108));
        must(url.user == NULL || url.password != NULL);
        check_again(&url, size);
    } else {
        must(why != NULL && url.host == NULL && url.unix_path == NULL && url.password == NULL);
    }
    redis_url_fini(&url);
    mem_free(text);
    return 0;
}
