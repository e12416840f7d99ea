#pragma once

/*
 * IP addresses, lists of networks, and whose request it is that came through proxies.
 *
 * An IPv4 address is kept as the IPv6 address that stands for it (RFC 4291 2.5.5.2), so that the
 * same peer is the same address whichever way it came.
 *
 * Threads: any; plain data.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/base/slice.h"

enum { ADDRESS_BYTES = 16, ADDRESS_BITS = 128, NETWORKS_MAX = 64 };

struct address {
    unsigned char bytes[ADDRESS_BYTES];
};

struct network {
    struct address address; /* bits behind the prefix are zero */
    unsigned bits;          /* of the prefix */
};

struct network_list {
    size_t count;
    struct network networks[NETWORKS_MAX];
};

/* 127.0.0.1, ::1; no port, no brackets, no zone. */
bool address_parse(struct slice text, struct address *out);
/* False for anything but IPv4 and IPv6. */
bool address_of_socket(const struct sockaddr *socket_address, struct address *out);

/*
 * What a limit for each address goes by: the address, of IPv6 its first 64 bits, for whoever has a
 * line at home has as many addresses as it likes behind those. Good as long as the address.
 */
struct slice address_key(const struct address *address);

/* Addresses and networks (10.0.0.0/8, fd00::/8) with commas between them; empty: none. False when
 * one is no such thing, has bits set behind its prefix, or there are more than NETWORKS_MAX. */
bool network_list_parse(struct slice text, struct network_list *out);
bool network_list_has(const struct network_list *list, const struct address *address);

/*
 * Whose request it is: the peer itself, unless that is one of our proxies; then the right-most
 * entry of X-Forwarded-For (its fields joined by commas; ptr NULL: absent) that is not one of them.
 * An entry that cannot be read ends the search: all left of it may be made up.
 */
struct address address_behind(const struct address *peer, struct slice forwarded_for,
                              const struct network_list *proxies);
