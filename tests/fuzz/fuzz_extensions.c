/*
 * A Sec-WebSocket-Extensions value, and what is agreed on. A second implementation of RFC 7692 7.1,
 * the model below, says what the answer must be: the grammar as one regular expression, after
 * which the value can be cut at its separators without a thought for quotes.
 */
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ws/handshake.h"

#define SPACE     "[ \t]*"
#define PARAM     SPACE ";" SPACE TOKEN_RUN "(" SPACE "=" SPACE "(" TOKEN_RUN "|\"" TOKEN_RUN "\"))?"
#define TOKEN_RUN "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
#define EXTENSION TOKEN_RUN "(" PARAM ")*" SPACE
#define LIST      "^" SPACE "(" EXTENSION ")?(," SPACE "(" EXTENSION ")?)*$"

enum { MODEL_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* --- the model --- */

struct offer {
    bool acceptable, server_flag, client_flag;
    const char *server_bits, *client_bits; /* NULL: absent; "": without a value */
};

static bool is_well_formed(const char *header)
{
    static regex_t regex;
    static bool compiled;
    if (!compiled)
        require(regcomp(&regex, LIST, REG_EXTENDED | REG_NOSUB) == 0);
    compiled = true;
    return regexec(&regex, header, 0, NULL, 0) == 0;
}

/* Without white space and quotes around it. */
static char *strip(char *text)
{
    text += strspn(text, " \t\"");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\"", text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

/* The value as it must be written; NULL when it is none of `from` to 15. */
static const char *known_bits(const char *value, size_t from)
{
    static const char *const bits[] = {"8", "9", "10", "11", "12", "13", "14", "15"};
    for (size_t i = from - 8; i < sizeof bits / sizeof *bits; i++)
        if (strcmp(value, bits[i]) == 0)
            return bits[i];
    return NULL;
}

static bool model_flag(bool *flag, const char *value)
{
    bool again = *flag;
    *flag = true;
    return !again && value == NULL;
}

static bool model_param(struct offer *offer, const char *name, const char *value)
{
    if (strcmp(name, "server_no_context_takeover") == 0)
        return model_flag(&offer->server_flag, value);
    if (strcmp(name, "client_no_context_takeover") == 0)
        return model_flag(&offer->client_flag, value);
    bool server = strcmp(name, "server_max_window_bits") == 0;
    if (!server && strcmp(name, "client_max_window_bits") != 0)
        return false;
    const char **bits = server ? &offer->server_bits : &offer->client_bits;
    if (*bits != NULL || (server && value == NULL))
        return false;
    /* zlib keeps to no window of 256 bytes, but can read what was made with one. */
    *bits = value == NULL ? "" : known_bits(value, server ? 9 : 8);
    return *bits != NULL;
}

static void model_offer(struct offer *offer, char *text)
{
    *offer =
        (struct offer){.acceptable = strcmp(strip(strsep(&text, ";")), "permessage-deflate") == 0};
    for (char *param; (param = strsep(&text, ";")) != NULL;) {
        const char *name = strip(strsep(&param, "="));
        bool good = model_param(offer, name, param != NULL ? strip(param) : NULL);
        offer->acceptable = offer->acceptable && good;
    }
}

static struct offer model_choose(char *header)
{
    struct offer offer = {0};
    if (!is_well_formed(header))
        return offer;
    for (char *element; !offer.acceptable && (element = strsep(&header, ",")) != NULL;)
        model_offer(&offer, element);
    return offer;
}

/* Cuts the header to pieces. */
static void check_against_model(char *header, const struct deflate_params *params,
                                const char *answer)
{
    char expected[256] = "";
    struct offer offer = model_choose(header);
    bool server = offer.server_bits != NULL;
    bool client = offer.client_bits != NULL && *offer.client_bits != '\0' &&
                  strcmp(offer.client_bits, "15") != 0;
    if (!offer.acceptable) {
        require(!params->enabled && *answer == '\0');
        return;
    }
    (void)snprintf(expected, sizeof expected,
                   "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
                   "%s%s%s%s",
                   server ? "; server_max_window_bits=" : "", server ? offer.server_bits : "",
                   client ? "; client_max_window_bits=" : "", client ? offer.client_bits : "");
    require(strcmp(answer, expected) == 0);
    unsigned long client_bits = client ? strtoul(offer.client_bits, NULL, 10) : 15;
    require(params->enabled);
    require(params->server_window_bits == (server ? strtoul(offer.server_bits, NULL, 10) : 15));
    require(params->client_window_bits == (client_bits < 9 ? 9 : client_bits));
}

/* --- what must hold --- */

/* What we answer could as well be offered, and then agrees on the same. */
static void offer_the_answer(const struct deflate_params *params, const char *answer)
{
    struct deflate_params again;
    char second[HANDSHAKE_EXTENSIONS_SIZE];
    handshake_negotiate_deflate(slice_str(answer), &again, second);
    require(strcmp(answer, second) == 0 && again.enabled == params->enabled);
    require(again.server_window_bits == params->server_window_bits);
    require(again.client_window_bits == params->client_window_bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct deflate_params params;
    char answer[HANDSHAKE_EXTENSIONS_SIZE], header[MODEL_MAX + 1];
    memset(answer, 'x', sizeof answer);
    handshake_negotiate_deflate(slice_of(data, size), &params, answer);
    require(memchr(answer, '\0', sizeof answer) != NULL);
    offer_the_answer(&params, answer);
    if (size > MODEL_MAX)
        return 0;
    memcpy(header, data, size);
    header[size] = '\0';
    if (strlen(header) == size)
        check_against_model(header, &params, answer);
    else
        require(!params.enabled); /* NUL is in no token */
    return 0;
}
