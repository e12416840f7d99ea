/*
 * What pods tell each other about presence, from a hash in Redis or in a signal: whatever is taken
 * keeps its bounds, and a record that was taken is taken again as it was when it is written anew.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"
#include "core/presence/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void compare(void *arg, const struct record *again)
{
    const struct record *record = arg;
    require(again->rev == record->rev && again->clients == record->clients);
    require(again->since_ms == record->since_ms && again->stamp_ms == record->stamp_ms);
    require(again->status == record->status && slice_equals(again->text, record->text));
    require(slice_equals(again->name, record->name));
    require((again->name.ptr == NULL) == (record->name.ptr == NULL));
}

static void check(void *arg, const struct record *record)
{
    struct record copy = *record;
    struct buf text;
    (void)arg;
    require(record->status < PRESENCE_STATUSES && record->text.ptr != NULL);
    /* What half a surrogate pair stands for cannot be written. */
    if (!utf8_is_valid(record->text.ptr, record->text.len) ||
        !utf8_is_valid(record->name.ptr, record->name.len))
        return;
    buf_init(&text, 256 + 6 * (record->name.len + record->text.len));
    record_append(&text, record);
    require(text.err == ERR_OK && record_read(buf_slice(&text), compare, &copy));
    buf_fini(&text);
}

static void on_set(void *arg, struct slice lease, struct slice user, const struct record *record)
{
    require(lease.len == LEASE_ID_LEN && user.len >= 1 && user.len <= PRESENCE_USER_MAX);
    check(arg, record);
}

static void on_note(void *arg, struct slice lease, const struct note *note)
{
    (void)arg;
    require(lease.len == LEASE_ID_LEN && note->status < PRESENCE_STATUSES);
    require(note->text.ptr != NULL);
}

static void on_typing(void *arg, struct slice user, bool typing)
{
    (void)arg;
    (void)typing;
    require(user.len >= 1 && user.len <= PRESENCE_USER_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct signal_handlers handlers = {NULL, on_set, on_note, on_typing};
    struct slice json = slice_of(data, size);
    if (size == 0 || !utf8_is_valid(data, size))
        return 0;
    record_read(json, check, NULL);
    if (signal_is_presence(json))
        signal_read(json, &handlers);
    return 0;
}
