#include "core/base/fault.h"

#include "core/base/json.h"

static void append_member(struct buf *buf, const char *separator, const char *name)
{
    buf_append_str(buf, separator);
    json_append_string(buf, slice_str(name));
    buf_append_char(buf, ':');
}

void fault_append_json(struct buf *buf, const struct fault *fault, const struct fault_extra *extras,
                       size_t extras_count)
{
    const char *separator = ",\"data\":{";
    buf_append_str(buf, "{\"status\":\"error\",\"code\":\"");
    buf_append_str(buf, fault_code_name(fault->code));
    buf_append_str(buf, "\",\"message\":");
    json_append_string(buf, slice_str(fault->message));
    if (fault->field != NULL) {
        append_member(buf, separator, "field");
        json_append_string(buf, slice_str(fault->field));
        separator = ",";
    }
    for (size_t i = 0; i < extras_count; i++) {
        if (extras[i].json.ptr == NULL)
            continue;
        append_member(buf, separator, extras[i].name);
        buf_append_slice(buf, extras[i].json);
        separator = ",";
    }
    buf_append_str(buf, separator[1] == '\0' ? "}}" : "}");
}
