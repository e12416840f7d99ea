#include "handlers/limited.h"

#include "core/limit/limit.h"

void limited_extras(const struct limited *limited, struct buf *scratch,
                    struct fault_extra extras[LIMITED_EXTRAS])
{
    size_t ends[LIMITED_EXTRAS], start = 0;
    static const char *const names[LIMITED_EXTRAS] = {"class", "limit", "retry_after_ms"};
    buf_clear(scratch);
    buf_printf(scratch, "\"%s\"", limited->class);
    ends[0] = scratch->len;
    buf_append_char(scratch, '"');
    limit_append(scratch, limited->limit);
    buf_append_char(scratch, '"');
    ends[1] = scratch->len;
    buf_printf(scratch, "%ju", (uintmax_t)limited->retry_after_ms);
    ends[2] = scratch->len;
    for (size_t i = 0; i < LIMITED_EXTRAS; i++) {
        bool is_good = scratch->err == ERR_OK;
        extras[i] = (struct fault_extra){
            .name = names[i],
            .json = is_good ? slice_of(scratch->ptr + start, ends[i] - start) : SLICE_NONE};
        start = ends[i];
    }
}
