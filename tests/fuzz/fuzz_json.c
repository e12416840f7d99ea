/*
 * Any octets become a JSON string that jansson reads, and valid UTF-8 comes back as it was. The
 * pieces in which UTF-8 is fed change nothing.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_valid_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    struct utf8_state state = {0};
    for (size_t at = 0; at < size; at += piece)
        if (!utf8_feed(&state, data + at, size - at < piece ? size - at : piece))
            return false;
    return utf8_is_complete(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf buf;
    bool is_valid = utf8_is_valid(data, size);
    for (size_t piece = 1; piece <= 5; piece++)
        assert(is_valid_in_pieces(data, size, piece) == is_valid);

    buf_init(&buf, 2 + 6 * size);
    json_append_string(&buf, slice_of(data, size));
    assert(buf.err == ERR_OK);
    json_t *read = json_loadb(buf.ptr, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert(json_is_string(read));
    if (is_valid)
        assert(json_string_length(read) == size &&
               (size == 0 || memcmp(json_string_value(read), data, size) == 0));
    json_decref(read);
    buf_fini(&buf);
    return 0;
}
