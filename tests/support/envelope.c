#include "tests/support/envelope.h"

#include <CUnit/CUnit.h>

struct fault envelope_fault_of(struct slice json, enum envelope_source source, struct envelope *out)
{
    struct fault fault = {.code = FAULT_INTERNAL};
    enum err err = envelope_parse(json, source, out, &fault);
    CU_ASSERT_EQUAL(err, fault.code == FAULT_NONE ? ERR_OK : ERR_INVALID);
    return fault;
}
