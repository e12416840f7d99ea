#include "core/base/clock.h"

#include <string.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_monotonic_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000u;
}

static void put_digits(char *out, unsigned value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        out[i] = (char)('0' + value % 10);
}

/* Writes digits itself: a message costs one timestamp, and snprintf is most of its price. */
void clock_format_rfc3339(uint64_t wall_ms, char *out)
{
    static const uint64_t last_ms = 253402300799999u; /* 9999-12-31T23:59:59.999Z */
    if (wall_ms > last_ms)
        wall_ms = last_ms;
    time_t seconds = (time_t)(wall_ms / 1000u);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_SIZE);
    put_digits(out, (unsigned)tm.tm_year + 1900u, 4);
    put_digits(out + 5, (unsigned)tm.tm_mon + 1u, 2);
    put_digits(out + 8, (unsigned)tm.tm_mday, 2);
    put_digits(out + 11, (unsigned)tm.tm_hour, 2);
    put_digits(out + 14, (unsigned)tm.tm_min, 2);
    put_digits(out + 17, (unsigned)tm.tm_sec, 2);
    put_digits(out + 20, (unsigned)(wall_ms % 1000u), 3);
}

static bool take_digits(const char *text, int digits, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return true;
}

/* What is written again as it stood was a time; the 30th of February becomes another day. */
bool clock_parse_rfc3339(struct slice text, uint64_t *wall_ms)
{
    static const struct {
        int at, digits;
    } parts[] = {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}, {20, 3}};
    unsigned values[sizeof parts / sizeof *parts];
    char again[CLOCK_RFC3339_SIZE];
    if (text.len != sizeof again - 1)
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!take_digits(text.ptr + parts[i].at, parts[i].digits, &values[i]))
            return false;
    struct tm tm = {.tm_year = (int)values[0] - 1900,
                    .tm_mon = (int)values[1] - 1,
                    .tm_mday = (int)values[2],
                    .tm_hour = (int)values[3],
                    .tm_min = (int)values[4],
                    .tm_sec = (int)values[5]};
    time_t seconds = timegm(&tm);
    if (seconds < 0)
        return false;
    *wall_ms = (uint64_t)seconds * 1000u + values[6];
    clock_format_rfc3339(*wall_ms, again);
    return memcmp(again, text.ptr, text.len) == 0;
}
