#include "core/limit/standing.h"

#include "core/base/mem.h"
#include "core/limit/strikes.h"

struct standing *standing_try_create(const struct address *address)
{
    struct standing *standing = mem_try_alloc(sizeof *standing);
    if (standing == NULL)
        return NULL;
    *standing = (struct standing){.refusals = NULL};
    if (address != NULL)
        standing->address = *address;
    return standing;
}

void standing_destroy(struct standing *standing)
{
    if (standing == NULL)
        return;
    mem_free(standing->refusals);
    mem_free(standing);
}

unsigned standing_count_refusal(struct standing *standing, uint64_t now_ms)
{
    if (standing->refusals == NULL) {
        standing->refusals = mem_try_alloc(sizeof *standing->refusals);
        if (standing->refusals == NULL)
            return 0;
        *standing->refusals = (struct strikes){0};
    }
    return strikes_add(standing->refusals, now_ms);
}
