#pragma once

/*
 * The envelope of a message (CONTRACT: messages): reading what a client or another program wrote,
 * and writing what clients get.
 *
 *     {"id":"…","type":"chat","event":"…","room":"…","from":"…","data":…,"timestamp":"…"}
 *
 * `data` is never taken apart: it is passed on as the very bytes that came, after the whole text
 * was found to be strict JSON, at most ENVELOPE_DEPTH_MAX levels deep, without lone surrogates. Of
 * a member that comes twice, the last one counts.
 *
 * Threads: any; plain data.
 */

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/base/uuid.h"
#include "core/chat/room.h"

struct fault_extra;

enum {
    ENVELOPE_DEPTH_MAX = 64,  /* the envelope itself is the first level */
    ENVELOPE_EVENT_MAX = 129, /* entity:action, each side of 1 to 64 characters */
    ENVELOPE_FROM_MAX = 128,
    ENVELOPE_TIMESTAMP_MAX = 40,
    ENVELOPE_REPEAT_MAX = 128, /* a longer id or ref is not repeated in an error */
    ENVELOPE_REF_MAX = 64,
    ENVELOPE_EXTRAS_MAX = 4,
};

enum envelope_type {
    ENVELOPE_CHAT,
    ENVELOPE_PRESENCE,
    ENVELOPE_NOTIFICATION,
    ENVELOPE_SYSTEM,
    ENVELOPE_TYPES,
};

/* As it stands in the envelope. */
const char *envelope_type_name(enum envelope_type type);

enum envelope_target {
    ENVELOPE_OWN_ROOM, /* no room was named: the sender's own */
    ENVELOPE_GLOBAL,
    ENVELOPE_ROOM,
};

/* A short text, kept apart from the input because escapes were decoded. */
struct envelope_text {
    unsigned len;                   /* 0: absent */
    char bytes[ENVELOPE_EVENT_MAX]; /* the longest of them */
};

struct envelope {
    enum envelope_type type;
    enum envelope_target target;
    bool type_given; /* otherwise it is the default */
    bool ref_given;  /* the sender wants a reply: raw_ref is good for it */
    struct envelope_text id, event, room, from, timestamp;
    struct slice data;   /* JSON in the input; ptr NULL: absent */
    struct slice raw_id; /* the value as it came, for repeating in an error; ptr NULL: absent */
    struct slice raw_ref;
    struct slice rooms, users; /* JSON in the input, of the HTTP API only; ptr NULL: absent */
};

enum envelope_source {
    ENVELOPE_OF_CLIENT,  /* a field that breaks a rule is a fault; from and timestamp are ignored */
    ENVELOPE_OF_PROGRAM, /* such a field is taken for absent; from and timestamp are kept */
    ENVELOPE_OF_API,     /* such a field is a fault; from is kept, rooms and users are told */
};

/*
 * Reads a text that is valid UTF-8. ERR_INVALID: `fault` says what; raw_id and raw_ref of `out` are
 * good nevertheless. ERR_NOMEM: `fault` says so.
 */
MUST_USE enum err envelope_parse(struct slice json, enum envelope_source source,
                                 struct envelope *out, struct fault *fault);

/*
 * Appends the envelope as clients get it. What is absent is filled in: a new id, `from` (a text
 * that is used when the envelope has none), the time now. `room` ptr NULL: a global message.
 */
void envelope_append(struct buf *buf, const struct envelope *envelope, struct slice room,
                     struct slice from);

/* Fills id and timestamp in where they are absent, so that they can be told before they are
 * written. */
void envelope_stamp(struct envelope *envelope);

/*
 * What the service itself says: everything up to the value of `data`, which the caller appends, and
 * what follows it. `room` ptr NULL: none is named.
 */
void envelope_begin_server(struct buf *buf, enum envelope_type type, const char *event,
                           struct slice room);
void envelope_end_server(struct buf *buf);

/* The reply to a message that was taken: `members` (JSON, each with a comma in front; may be empty)
 * stand behind ref and status. A message without a ref gets none in its reply. */
void envelope_append_reply(struct buf *buf, const struct envelope *taken, struct slice members);

/* What stands at the front of an envelope that a pod wrote (envelope_append). */
struct envelope_front {
    struct slice id;
    struct slice type;
    struct slice event; /* empty: none */
    struct envelope_text from;
    struct slice data;
    struct slice timestamp;
};

/* False when it does not look like one; no JSON is parsed. */
bool envelope_read_front(struct slice json, struct envelope_front *out);

/* Appends an error envelope that repeats the id and ref of the message that failed. */
void envelope_append_error(struct buf *buf, const struct fault *fault,
                           const struct envelope *failed);
/* The same with further members of the fault's data, ENVELOPE_EXTRAS_MAX at most. */
void envelope_append_error_with(struct buf *buf, const struct fault *fault,
                                const struct envelope *failed, const struct fault_extra *extras,
                                size_t extras_count);
