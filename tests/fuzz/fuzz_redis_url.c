/* REDIS_URL: what is taken can be connected to, what is refused leaves nothing and has a reason. */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/bus/redis_url.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
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
    } else {
        must(why != NULL && url.host == NULL && url.unix_path == NULL && url.password == NULL);
    }
    redis_url_fini(&url);
    mem_free(text);
    return 0;
}
