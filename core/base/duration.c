#include "core/base/duration.h"

struct unit {
    const char *suffix;
    uint64_t ms;
};

static const struct unit units[] = {{"m", 60000}, {"s", 1000}, {"ms", 1}};

bool duration_parse_number(struct slice text, uint64_t *out)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return false;
    }
    *out = number;
    return text.len > 0;
}

bool duration_parse(struct slice text, uint64_t *ms)
{
    size_t digits = 0;
    uint64_t number = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (!duration_parse_number(slice_of(text.ptr, digits), &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (slice_equals_str(slice_skip(text, digits), units[i].suffix))
            return !__builtin_mul_overflow(number, units[i].ms, ms);
    return false;
}

void duration_append(struct buf *buf, uint64_t ms)
{
    size_t i = 0;
    while (ms % units[i].ms != 0 || (ms == 0 && units[i].ms != 1))
        i++;
    buf_printf(buf, "%ju%s", (uintmax_t)(ms / units[i].ms), units[i].suffix);
}
