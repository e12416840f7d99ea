#include "core/limit/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/base/duration.h"

enum { V4_AT = 12, V4_BITS = 96, KEY_BYTES_V6 = 8 };

static const unsigned char v4_prefix[V4_AT] = {[10] = 0xFF, [11] = 0xFF};

static bool is_v4(const struct address *address)
{
    return memcmp(address->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

static void set_v4(struct address *out, const void *four_bytes)
{
    memcpy(out->bytes, v4_prefix, sizeof v4_prefix);
    memcpy(out->bytes + V4_AT, four_bytes, 4);
}

bool address_parse(struct slice text, struct address *out)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char v4[4];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1) {
        set_v4(out, v4);
        return true;
    }
    return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

bool address_of_socket(const struct sockaddr *socket_address, struct address *out)
{
    if (socket_address->sa_family == AF_INET) {
        set_v4(out, &((const struct sockaddr_in *)(const void *)socket_address)->sin_addr);
        return true;
    }
    if (socket_address->sa_family != AF_INET6)
        return false;
    memcpy(out->bytes, &((const struct sockaddr_in6 *)(const void *)socket_address)->sin6_addr,
           ADDRESS_BYTES);
    return true;
}

struct slice address_key(const struct address *address)
{
    return slice_of(address->bytes, is_v4(address) ? ADDRESS_BYTES : KEY_BYTES_V6);
}

/* --- networks --- */

static bool bit_at(const struct address *address, unsigned bit)
{
    return (address->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

static bool parse_network(struct slice text, struct network *out)
{
    const char *slash = text.len != 0 ? memchr(text.ptr, '/', text.len) : NULL;
    struct slice address = slash != NULL ? slice_of(text.ptr, (size_t)(slash - text.ptr)) : text;
    uint64_t bits = ADDRESS_BITS;
    if (!address_parse(address, &out->address))
        return false;
    bool v4 = is_v4(&out->address) && memchr(address.ptr, ':', address.len) == NULL;
    if (slash != NULL) {
        if (!duration_parse_number(slice_skip(text, address.len + 1), &bits) ||
            bits > (v4 ? 32 : ADDRESS_BITS))
            return false;
        bits += v4 ? V4_BITS : 0;
    }
    out->bits = (unsigned)bits;
    for (unsigned bit = out->bits; bit < ADDRESS_BITS; bit++)
        if (bit_at(&out->address, bit))
            return false;
    return true;
}

bool network_list_parse(struct slice text, struct network_list *out)
{
    out->count = 0;
    while (text.len != 0) {
        const char *comma = memchr(text.ptr, ',', text.len);
        struct slice entry = comma != NULL ? slice_of(text.ptr, (size_t)(comma - text.ptr)) : text;
        if (out->count == NETWORKS_MAX ||
            !parse_network(slice_trim(entry), &out->networks[out->count]))
            return false;
        out->count++;
        if (comma == NULL)
            return true;
        text = slice_skip(text, entry.len + 1);
        if (text.len == 0)
            return false;
    }
    return true;
}

static bool has_prefix(const struct address *address, const struct network *network)
{
    size_t whole = network->bits / 8;
    if (memcmp(address->bytes, network->address.bytes, whole) != 0)
        return false;
    for (unsigned bit = (unsigned)whole * 8; bit < network->bits; bit++)
        if (bit_at(address, bit) != bit_at(&network->address, bit))
            return false;
    return true;
}

bool network_list_has(const struct network_list *list, const struct address *address)
{
    for (size_t i = 0; i < list->count; i++)
        if (has_prefix(address, &list->networks[i]))
            return true;
    return false;
}

/* --- behind proxies --- */

/* Takes the last entry of the list off; false when there is none left. */
static bool take_last(struct slice *list, struct slice *entry)
{
    if (list->ptr == NULL)
        return false;
    const char *comma = list->len != 0 ? memrchr(list->ptr, ',', list->len) : NULL;
    size_t start = comma != NULL ? (size_t)(comma - list->ptr) + 1 : 0;
    *entry = slice_trim(slice_skip(*list, start));
    *list = comma != NULL ? slice_of(list->ptr, start - 1) : SLICE_NONE;
    return true;
}

/* An entry as proxies write it: some add a port, and brackets around IPv6. */
static bool parse_entry(struct slice entry, struct address *out)
{
    if (address_parse(entry, out))
        return true;
    const char *end = NULL;
    if (entry.len != 0 && entry.ptr[0] == '[') {
        entry = slice_skip(entry, 1);
        end = memchr(entry.ptr, ']', entry.len);
    } else if (entry.len != 0) {
        end = memchr(entry.ptr, ':', entry.len);
    }
    return end != NULL && address_parse(slice_of(entry.ptr, (size_t)(end - entry.ptr)), out);
}

struct address address_behind(const struct address *peer, struct slice forwarded_for,
                              const struct network_list *proxies)
{
    struct address found = *peer, next;
    struct slice entry;
    while (network_list_has(proxies, &found) && take_last(&forwarded_for, &entry) &&
           parse_entry(entry, &next))
        found = next;
    return found;
}
