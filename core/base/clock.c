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

struct date {
    unsigned year, month, day;
};

/* Of so many days since 1970-01-01; see days_since_epoch for the year that begins in March. */
static struct date date_of(uint64_t days)
{
    uint64_t since_march = days + 719468; /* of the year 0 */
    unsigned era = (unsigned)(since_march / 146097), day = (unsigned)(since_march % 146097);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365; /* of 400 */
    day -= 365 * year + year / 4 - year / 100;
    unsigned month = (5 * day + 2) / 153;
    return (struct date){.year = 400 * era + year + (month >= 10),
                         .month = month < 10 ? month + 3 : month - 9,
                         .day = day - (153 * month + 2) / 5 + 1};
}

static void format_second(uint64_t wall_s, char *out)
{
    unsigned second = (unsigned)(wall_s % 86400u);
    struct date date = date_of(wall_s / 86400u);
    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_SIZE);
    put_digits(out, date.year, 4);
    put_digits(out + 5, date.month, 2);
    put_digits(out + 8, date.day, 2);
    put_digits(out + 11, second / 3600, 2);
    put_digits(out + 14, second / 60 % 60, 2);
    put_digits(out + 17, second % 60, 2);
}

/* Reckons and writes digits itself, and a second's only once: a message costs one timestamp, and
 * gmtime_r and snprintf would be most of its price. */
void clock_format_rfc3339(uint64_t wall_ms, char *out)
{
    static const uint64_t last_ms = 253402300799999u; /* 9999-12-31T23:59:59.999Z */
    static _Thread_local uint64_t written_s;
    static _Thread_local char written[CLOCK_RFC3339_SIZE]; /* for written_s; empty: none yet */
    if (wall_ms > last_ms)
        wall_ms = last_ms;
    if (written_s != wall_ms / 1000u || written[0] == '\0') {
        written_s = wall_ms / 1000u;
        format_second(written_s, written);
    }
    memcpy(out, written, sizeof written);
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

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01. A year that begins in March has its odd day at its end, and each five of
 * its months have 153 days. timegm does the same, at twenty times the cost. */
static uint64_t days_since_epoch(unsigned year, unsigned month, unsigned day)
{
    unsigned from_march = month > 2 ? month - 3 : month + 9;
    unsigned march_year = year - (month <= 2);
    uint64_t leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    return march_year * UINT64_C(365) + leap_days + (153 * from_march + 2) / 5 + day - 1 - 719468;
}

bool clock_parse_rfc3339(struct slice text, uint64_t *wall_ms)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    static const struct {
        int at, digits;
        unsigned min, max;
    } parts[] = {{0, 4, 1970, 9999}, {5, 2, 1, 12},  {8, 2, 1, 31},  {11, 2, 0, 23},
                 {14, 2, 0, 59},     {17, 2, 0, 59}, {20, 3, 0, 999}};
    unsigned values[sizeof parts / sizeof *parts];
    if (text.len != sizeof form - 1)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (form[i] != '0' && text.ptr[i] != form[i])
            return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!take_digits(text.ptr + parts[i].at, parts[i].digits, &values[i]) ||
            values[i] < parts[i].min || values[i] > parts[i].max)
            return false;
    if (values[2] > days_in_month(values[0], values[1]))
        return false;
    uint64_t hours = days_since_epoch(values[0], values[1], values[2]) * 24 + values[3];
    *wall_ms = ((hours * 60 + values[4]) * 60 + values[5]) * 1000 + values[6];
    return true;
}
