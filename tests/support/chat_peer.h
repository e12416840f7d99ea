#pragma once

/*
 * A hub with its real loops, and peers at the other end of its clients' sockets, for tests.
 *
 *     struct peer ⇄ socket pair ⇄ struct client ─ loop ─ struct hub
 *
 * What a peer sends is published to its client's room, to all when it has none, unless the test
 * says otherwise. Nothing waits longer than CHAT_WAIT_MS.
 *
 * Threads: the main thread, but for on_message.
 * Owns: chat: the hub. peer: its descriptor.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/slice.h"
#include "core/chat/client.h"
#include "core/chat/hub.h"
#include "core/chat/message.h"
#include "core/net/loop.h"

enum { CHAT_WAIT_MS = 20000, CHAT_LOOPS_MAX = 4 };

struct chat_gate; /* where a loop stands still until it is let go */

struct chat {
    struct hub *hub;
    struct loop *loops[CHAT_LOOPS_MAX];
    unsigned loops_count;
    struct compressor compressor; /* the main thread's */
    /* On the client's loop. NULL: the message is published. */
    void (*on_message)(struct chat *chat, struct client *client, struct slice payload);
    void *arg; /* the test's */
    atomic_uint interest_calls;
};

/* Bounds and times that no test reaches by chance. */
struct hub_opts chat_opts(unsigned loops);
/* The same, and time goes on for the loops only when the test says so: however slow the machine
 * is, nothing comes too late. One such hub at a time. */
struct hub_opts chat_opts_frozen(unsigned loops);

void chat_start(struct chat *chat, const struct hub_opts *opts);
/* Drops who is left. */
void chat_stop(struct chat *chat);

/* What was posted to the loops so far has run, and the turns that it ran in have ended. */
void chat_settle(struct chat *chat);
/* Frozen time goes on; the loops see it in their next turn. */
void chat_skip(uint64_t ms);
/* The same, and what comes due by that is done when this returns. */
void chat_advance(struct chat *chat, uint64_t ms);
/* Runs on the loop's thread, and waits for it. */
void chat_run_on(struct chat *chat, unsigned loop, void (*run)(void *arg), void *arg);
/* Lets the loop stand still, so that all that is posted until chat_release is one turn's. */
struct chat_gate *chat_hold(struct chat *chat, unsigned loop);
void chat_release(struct chat_gate *gate);
/* The same without waiting until it stands. While the loop stands at another gate already, this one
 * is reached in its next turn, behind that turn's events; what is posted behind it comes right
 * after it, with no events in between. */
struct chat_gate *chat_hold_next(struct chat *chat, unsigned loop);
void chat_await_gate(struct chat_gate *gate);
/* Looks in each turn of a loop how much a counter grew. */
struct chat_watch {
    struct loop_task task;
    atomic_int *counter;
    int until, last;           /* until it is so much; what it was before */
    int most_in_a_turn, turns; /* how much at most, and in how many turns it grew at all */
    atomic_bool is_over;
};
/* Begins with the loop's next turn; `until`, `last` and `counter` are set. */
void chat_watch_begin(struct chat *chat, unsigned loop, struct chat_watch *watch);
/* False: the counter never came to that, or went past it. */
bool chat_watch_await(struct chat *chat, struct chat_watch *watch);
/* Settles until it is so. False: it never came to be. */
bool chat_await(struct chat *chat, bool (*is_so)(struct chat *chat, void *arg), void *arg);
/* No client is there any more. */
bool chat_await_empty(struct chat *chat);

/* To the room, or with NULL to all; false when the room has no members. */
bool chat_publish(struct chat *chat, const char *room, const char *text);
bool chat_publish_bytes(struct chat *chat, const char *room, struct slice text);
/* What on_message NULL does. */
void chat_publish_for(struct chat *chat, struct client *client, struct slice text);
/* For on_message: that, then a reply "reply", then "after" to the room. */
void chat_reply_between(struct chat *chat, struct client *client, struct slice text);

struct hub_stats chat_stats(struct chat *chat);
/* One of the counters, all loops added up. */
#define chat_count(chat, name) chat_count_at(chat, offsetof(struct counters, name))
uint64_t chat_count_at(struct chat *chat, size_t offset);

/* --- the other end --- */

/* In place of an opcode. */
enum { PEER_END = -1, PEER_RESET = -2, PEER_SILENT = -3 };

struct peer {
    struct client *client; /* the loop's: it may be gone */
    int fd;
    char *in;
    size_t len, cap;
};

struct peer_frame {
    bool fin, compressed;
    unsigned close_code;  /* 0: none */
    struct slice payload; /* of a Close: the reason; good until the next one is read */
};

/* Admitted, without a socket. */
enum err peer_admit(struct chat *chat, struct peer *peer, const char *room);
enum err peer_admit_deflate(struct chat *chat, struct peer *peer, const char *room,
                            const struct deflate_params *deflate);
/* As an events client. */
enum err peer_admit_events(struct chat *chat, struct peer *peer, const char *room);
/* The socket arrives, with bytes that came early. */
void peer_attach(struct peer *peer, struct slice early);
/* The same with a TCP connection, and little room for what its client sends. */
void peer_attach_tcp(struct peer *peer, struct slice early);
/* Both, and waits until it is so. */
void peer_join(struct chat *chat, struct peer *peer, const char *room);
void peer_leave(struct peer *peer);
/* The peer (NULL: none) leaves; then nothing is left of anybody, and the hub is stopped. */
void chat_ends_well(struct chat *chat, struct peer *peer);

/* Octets as they are. False: the connection is broken. */
bool peer_send_raw(struct peer *peer, const void *bytes, size_t len);
/* A whole frame, masked. */
bool peer_send(struct peer *peer, enum ws_opcode opcode, struct slice payload);
bool peer_say(struct peer *peer, const char *text);
bool peer_send_close(struct peer *peer, unsigned code);
/* Writes the masked frame to `out`, which has `payload.len` + 14 bytes; returns its length. */
size_t peer_write_frame(unsigned first_octet, struct slice payload, char *out);

/* The next frame's opcode, PEER_END after a FIN. */
int peer_receive(struct peer *peer, struct peer_frame *frame);
/* Whether that comes next. */
bool peer_hears(struct peer *peer, const char *text);
bool peer_hears_close(struct peer *peer, unsigned code);
bool peer_hears_end(struct peer *peer);
/* Whether nothing has come. */
bool peer_hears_nothing(struct peer *peer);
