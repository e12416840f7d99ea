#pragma once

/*
 * The events: what clients may say and what the service says to them, in one table (events.c), and
 * the way of a client's message to the row that is meant for it.
 *
 * Threads: the client's loop.
 */

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/fault.h"
#include "core/base/slice.h"
#include "core/chat/envelope.h"

struct client;
struct room;
struct service;

/* What a rate limit counts together (EVENTS: limits). */
enum event_class {
    EVENT_UNLIMITED,
    EVENT_MESSAGES,
    EVENT_TYPING,
    EVENT_PRESENCE,
    EVENT_CLASSES,
};

/* A client's message on its way through its handler. */
struct event_call {
    struct service *service;
    struct client *client;
    const struct event *event;
    struct envelope *envelope;
    struct slice room_name; /* where it goes; ptr NULL: to everybody */
    struct room *room;      /* its members on this pod; NULL: there are none */
    bool is_member;
    uint64_t received_ns;
};

/*
 * What `data` holds is told by the names of its members, "status, text?" (those with a question
 * mark may be missing), by EVENT_ANYTHING, or by "" where nothing of it is looked at. The documents
 * (openapi/asyncapi.json, docs/events.md) are compared with these rows.
 */
#define EVENT_ANYTHING "anything"

struct event {
    const char *name;
    enum envelope_type type;
    enum event_class class;
    const char *in;    /* what a client says; NULL: only the service says it */
    const char *out;   /* what clients are told; NULL: nothing by this name */
    const char *reply; /* what stands behind ref and status in the reply; NULL where `in` is */
    void (*handle)(const struct event_call *call); /* NULL where `in` is */
};

/* All events, ended by one without a name. */
extern const struct event events_table[];

/* As in RATE_LIMIT_MESSAGES and the data of RATE_LIMITED; NULL for EVENT_UNLIMITED. */
const char *event_class_name(enum event_class class);

/* NULL when there is none of that name. */
const struct event *events_find(struct slice name);

/* Takes a message of a client, whose envelope was found good. */
void events_take(struct service *service, struct client *client, struct envelope *envelope,
                 uint64_t received_ns);

/* --- for handlers --- */

/* Tells the sender what was wrong. */
void event_refuse(const struct event_call *call, const struct fault *fault);
/* The same with further members of the fault's data. */
void event_refuse_with(const struct event_call *call, const struct fault *fault,
                       const struct fault_extra *extras, size_t extras_count);
void event_refuse_data(const struct event_call *call, const char *message, const char *field);

/* The reply to a message that has a ref: `members` as in envelope_append_reply. */
void event_reply(const struct event_call *call, struct slice members);

/* An error envelope to the client alone, counted. */
void event_send_error(struct client *client, const struct fault *fault,
                      const struct envelope *failed);
