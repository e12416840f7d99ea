#include "core/presence/leases.h"

#include <assert.h>
#include <string.h>

#include "core/base/mem.h"

void leases_init(struct leases *leases)
{
    map_init(&leases->by_id);
}

void leases_fini(struct leases *leases)
{
    assert(leases->by_id.count == 0);
    map_fini(&leases->by_id);
}

/* The table grows by pods, which are few: without memory for that nothing can go on. */
static void add(struct leases *leases, struct lease *lease)
{
    enum err err = map_add(&leases->by_id, lease_id(lease), lease);
    assert(err == ERR_OK);
    (void)err;
}

struct lease *leases_get(struct leases *leases, struct slice id)
{
    struct lease *lease = map_get(&leases->by_id, id);
    assert(id.len == LEASE_ID_LEN);
    if (lease == NULL) {
        lease = mem_zalloc(sizeof *lease);
        memcpy(lease->id, id.ptr, LEASE_ID_LEN);
        add(leases, lease);
    }
    return lease_retain(lease);
}

struct lease *lease_retain(struct lease *lease)
{
    lease->refs++;
    return lease;
}

void leases_put(struct leases *leases, struct lease *lease)
{
    if (--lease->refs != 0)
        return;
    map_remove(&leases->by_id, lease_id(lease));
    mem_free(lease);
}

/* The digits of the number, as in an odometer; behind the last one it would begin anew. */
static void count_up(char *digits, size_t count)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = count; i-- > 0;) {
        const char *digit = memchr(hex, digits[i], sizeof hex - 1);
        assert(digit != NULL);
        digits[i] = digit[1] != '\0' ? digit[1] : hex[0];
        if (digits[i] != hex[0])
            return;
    }
}

void leases_advance(struct leases *leases, struct lease *lease)
{
    map_remove(&leases->by_id, lease_id(lease));
    count_up(lease->id + LEASE_POD_LEN, LEASE_ID_LEN - LEASE_POD_LEN);
    add(leases, lease);
}

bool lease_is_followed_by(const struct lease *lease, const struct lease *later)
{
    return memcmp(lease->id, later->id, LEASE_POD_LEN) == 0 &&
           memcmp(lease->id, later->id, LEASE_ID_LEN) < 0;
}
