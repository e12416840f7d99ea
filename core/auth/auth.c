#include "core/auth/auth.h"

#include "core/auth/claims.h"
#include "core/auth/jws.h"
#include "core/auth/key_store.h"
#include "core/base/mem.h"

struct auth {
    struct auth_opts opts;
    struct key_store *store;
};

struct auth *auth_create(const struct auth_opts *opts, char why[KEY_WHY_SIZE])
{
    struct key_store *store = key_store_create(slice_str(opts->secret), opts->keys_path, why);
    if (store == NULL)
        return NULL;
    struct auth *auth = mem_zalloc(sizeof *auth);
    *auth = (struct auth){.opts = *opts, .store = store};
    return auth;
}

void auth_destroy(struct auth *auth)
{
    if (auth == NULL)
        return;
    key_store_destroy(auth->store);
    mem_free(auth);
}

void auth_tick(struct auth *auth, uint64_t monotonic_ms)
{
    key_store_tick(auth->store, monotonic_ms);
}

static enum err verify(struct auth *auth, const struct jws *jws, const char **why)
{
    struct key_set *keys = key_store_keys(auth->store);
    enum err err = key_set_verify(keys, jws, why);
    key_set_release(keys);
    return err;
}

enum err auth_check(struct auth *auth, struct slice token, uint64_t wall_ms, struct user **out,
                    struct fault *fault)
{
    struct jws jws;
    const struct claims_opts opts = {
        .issuer = auth->opts.issuer, .audience = auth->opts.audience, .now_ms = wall_ms};
    const char *why = NULL;
    *out = NULL;
    enum err err = jws_parse(token, &jws, &why);
    if (err == ERR_OK)
        err = verify(auth, &jws, &why);
    if (err == ERR_OK)
        err = claims_read(jws.payload, &opts, out, &why);
    if (err != ERR_OK)
        *fault = (struct fault){.code = FAULT_AUTH_FAILED, .message = why, .field = "token"};
    return err;
}
