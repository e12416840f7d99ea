#pragma once

/* Envelopes as tests read them. Threads: any. */

#include "core/base/fault.h"
#include "core/chat/envelope.h"

/* What stands against the text; its code is FAULT_NONE when nothing does. */
struct fault envelope_fault_of(struct slice json, enum envelope_source source,
                               struct envelope *out);
