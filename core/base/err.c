#include "core/base/err.h"

const char *fault_code_name(enum fault_code code)
{
    static const char *const names[FAULT_CODES] = {
        [FAULT_NONE] = "NONE",
        [FAULT_AUTH_FAILED] = "AUTH_FAILED",
        [FAULT_RATE_LIMITED] = "RATE_LIMITED",
        [FAULT_INVALID_PAYLOAD] = "INVALID_PAYLOAD",
        [FAULT_CHANNEL_ERROR] = "CHANNEL_ERROR",
        [FAULT_NOT_FOUND] = "NOT_FOUND",
        [FAULT_METHOD_NOT_ALLOWED] = "METHOD_NOT_ALLOWED",
        [FAULT_UPGRADE_REQUIRED] = "UPGRADE_REQUIRED",
        [FAULT_UNAVAILABLE] = "UNAVAILABLE",
        [FAULT_INTERNAL] = "INTERNAL",
    };
    return code < FAULT_CODES ? names[code] : "INTERNAL";
}
