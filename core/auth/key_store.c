/*
 * The file is read whole and compared with what was read last: a time stamp can stay the same over
 * a change, and a mounted secret changes by a link being turned. It is small, and read by a thread
 * that may wait.
 */
#include "core/auth/key_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/lock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

struct key_store {
    /* The main thread's, or fixed at the start: no lock. */
    const char *path; /* NULL: there is no file */
    char *secret;     /* NULL: there is none */
    struct buf text;  /* of the file when it was last read */
    int read_errno;   /* why it could not be read the last time; 0 */
    uint64_t next_ms;

    struct lock lock;
    struct key_set *keys GUARDED_BY(lock);
};

/* --- the file --- */

static int read_all(int fd, struct buf *out)
{
    char part[4096];
    struct stat status;
    if (fstat(fd, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EINVAL;
    for (;;) {
        ssize_t got = read(fd, part, sizeof part);
        if (got == 0)
            return 0;
        if (got > 0)
            buf_append(out, part, (size_t)got);
        else if (errno != EINTR)
            return errno;
        if (out->err != ERR_OK)
            return EFBIG;
    }
}

/* Returns 0 or an errno. A pipe must not keep the service from starting: no waiting. */
static int read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1)
        return errno;
    int result = read_all(fd, out);
    close(fd);
    return result;
}

static void describe(int error, char why[KEY_WHY_SIZE])
{
    if (error == EFBIG)
        snprintf(why, KEY_WHY_SIZE, "it is larger than 256 KiB");
    else if (error == EINVAL)
        snprintf(why, KEY_WHY_SIZE, "it is no regular file");
    else
        snprintf(why, KEY_WHY_SIZE, "it cannot be read: %s", strerror(error));
}

/* --- sets --- */

/* The set of the secret and the text's keys, or NULL. */
static struct key_set *make_set(const struct key_store *store, struct slice text,
                                char why[KEY_WHY_SIZE])
{
    struct key_set *set = key_set_create();
    enum err err = text.ptr != NULL ? key_set_add_text(set, text, why) : ERR_OK;
    if (err == ERR_OK && store->secret != NULL && set->count == KEY_SET_MAX) {
        snprintf(why, KEY_WHY_SIZE, "it has too many keys beside a secret");
        err = ERR_FULL;
    }
    if (err != ERR_OK) {
        key_set_release(set);
        return NULL;
    }
    if (store->secret != NULL)
        key_init_secret(&set->keys[set->count++], slice_str(store->secret));
    return set;
}

static void use_set(struct key_store *store, struct key_set *set)
{
    lock_acquire(&store->lock);
    struct key_set *old = store->keys;
    store->keys = set;
    lock_release(&store->lock);
    key_set_release(old);
}

/* Reads the file; true when it is as it was. False: `text` is what is new, or `*error` says why
 * there is none. */
static bool is_unchanged(struct key_store *store, struct buf *text, int *error)
{
    *error = read_file(store->path, text);
    if (*error != 0)
        return *error == store->read_errno;
    return store->read_errno == 0 && slice_equals(buf_slice(text), buf_slice(&store->text));
}

static void keep_text(struct key_store *store, struct buf *text)
{
    buf_fini(&store->text);
    store->text = *text;
    buf_init(text, KEY_FILE_MAX);
}

static bool load(struct key_store *store, struct buf *text, int error, char why[KEY_WHY_SIZE])
{
    store->read_errno = error;
    if (error != 0) {
        describe(error, why);
        return false;
    }
    struct slice bytes = text->len != 0 ? buf_slice(text) : slice_str("");
    struct key_set *set = make_set(store, bytes, why);
    keep_text(store, text);
    if (set == NULL)
        return false;
    log_info("auth:keys_loaded", log_uint("keys", set->count), log_uint("skipped", set->skipped));
    use_set(store, set);
    return true;
}

static bool load_first(struct key_store *store, char why[KEY_WHY_SIZE])
{
    struct buf text;
    if (store->path == NULL) {
        use_set(store, make_set(store, SLICE_NONE, why));
        return true;
    }
    buf_init(&text, KEY_FILE_MAX);
    bool loaded = load(store, &text, read_file(store->path, &text), why);
    buf_fini(&text);
    return loaded;
}

struct key_store *key_store_create(struct slice secret, const char *path, char why[KEY_WHY_SIZE])
{
    struct key_store *store = mem_zalloc(sizeof *store);
    lock_init(&store->lock);
    buf_init(&store->text, KEY_FILE_MAX);
    store->path = path;
    if (secret.ptr != NULL)
        store->secret = mem_strdup(secret.ptr);
    if (load_first(store, why))
        return store;
    key_store_destroy(store);
    return NULL;
}

void key_store_destroy(struct key_store *store)
{
    if (store == NULL)
        return;
    if (store->secret != NULL)
        explicit_bzero(store->secret, strlen(store->secret));
    mem_free(store->secret);
    buf_fini(&store->text);
    key_set_release(store->keys);
    lock_fini(&store->lock);
    mem_free(store);
}

void key_store_tick(struct key_store *store, uint64_t monotonic_ms)
{
    struct buf text;
    int error;
    char why[KEY_WHY_SIZE] = "";
    if (store->path == NULL || monotonic_ms < store->next_ms)
        return;
    store->next_ms = monotonic_ms + KEY_STORE_TICK_MS;
    buf_init(&text, KEY_FILE_MAX);
    if (!is_unchanged(store, &text, &error) && !load(store, &text, error, why))
        log_warn("auth:keys_kept", log_str("reason", why), log_str("file", store->path));
    buf_fini(&text);
}

struct key_set *key_store_keys(struct key_store *store)
{
    lock_acquire(&store->lock);
    struct key_set *keys = key_set_retain(store->keys);
    lock_release(&store->lock);
    return keys;
}
