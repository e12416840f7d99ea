#pragma once

/*
 * One client of the generator: just enough of RFC 6455 to receive much at little cost.
 *
 *     connecting ─▶ upgrading ─▶ (greeting) ─▶ open ─▶ gone
 *
 * Every client has a source address of its own among 127.0.0.2 to 127.0.0.201, so that ports do not
 * run out, and ends with RST, so that none is left in TIME_WAIT.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/load/options.h"

enum {
    /* One read. What a member has not taken yet waits in the kernel, so a read takes much. */
    PEER_READ_BYTES = 256 * 1024,
    PEER_OUT_MAX = 1024 * 1024,
};

enum peer_state {
    PEER_NEW,
    PEER_CONNECTING,
    PEER_UPGRADING,
    PEER_GREETING, /* upgraded; its flavour has something to say first */
    PEER_OPEN,
    PEER_GONE,
};

/* What a client is there for. */
enum peer_role {
    PEER_MEMBER, /* must get all that its room gets */
    PEER_SLOW,   /* does not read while the measurement runs */
    PEER_CHURNER /* comes and goes; what it gets does not count */
};

struct peer {
    int fd;
    enum peer_state state;
    enum peer_role role;
    uint32_t number; /* among all clients */
    uint32_t room;   /* from 0, among this generator's */
    bool deflate;    /* offers permessage-deflate */
    bool wants_write, paused;
    char *in; /* the beginning of a frame whose rest has not come */
    uint32_t in_len;
    char *text; /* a message whose last fragment has not come */
    uint32_t text_len;
    bool text_compressed;
    char *out; /* what the socket did not take yet */
    uint32_t out_len, out_cap;
};

struct peers;

struct peers_handlers {
    /* This and on_refused may close the peer and connect it again. */
    void (*on_open)(void *arg, struct peer *peer);
    /* It did not get as far as that. The peer is closed already. */
    void (*on_refused)(void *arg, struct peer *peer);
    /* A whole message, without what its flavour puts around it. Compressed ones come as they are.
     */
    void (*on_text)(void *arg, struct peer *peer, const char *text, size_t len, bool compressed);
    /* Closed by the server (with its code) or reset (0). The peer is closed already. */
    void (*on_gone)(void *arg, struct peer *peer, unsigned code);
};

/* The epoll set and the read buffer that all clients share. */
struct peers {
    const struct options *options;
    struct peers_handlers handlers;
    void *arg;
    int epoll_fd;
    uint64_t read_ns;    /* when the read under way returned */
    uint64_t bytes_read; /* frames and what belongs to them */
    char buffer[PEER_READ_BYTES];
};

/* Ends the program when there is no epoll set. */
struct peers *peers_create(const struct options *options, const struct peers_handlers *handlers,
                           void *arg);
void peers_destroy(struct peers *peers);

/* Waits until something happens, at most until then, and handles it. */
void peers_turn(struct peers *peers, uint64_t until_ns);

/* False when the system refuses even to begin. */
bool peer_connect(struct peers *peers, struct peer *peer);

/* Adds a masked text message to what goes out, as it is; false when PEER_OUT_MAX is reached. */
bool peer_add_text(struct peer *peer, const char *text, size_t len);
/* Sends what the socket takes, and hears of it when it takes the rest. */
void peer_flush(struct peers *peers, struct peer *peer);

/* A paused client reads nothing; what comes fills the kernel's buffers. */
void peer_pause(struct peers *peers, struct peer *peer, bool paused);

/* How many segments with data came so far. Over loopback a segment is a send of the server's: 64 kB
 * fit in one. 0 when it is closed. */
uint64_t peer_segments_in(const struct peer *peer);

/* With RST. Harmless when it is closed. */
void peer_close(struct peer *peer);
