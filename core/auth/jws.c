#include "core/auth/jws.h"

#include <jansson.h>

static enum err refuse(const char **why, const char *reason)
{
    *why = reason;
    return ERR_INVALID;
}

/* The part up to the next dot, which is skipped. */
static bool take_part(struct slice *rest, struct slice *part)
{
    const char *dot = rest->len != 0 ? memchr(rest->ptr, '.', rest->len) : NULL;
    if (dot == NULL)
        return false;
    *part = slice_of(rest->ptr, (size_t)(dot - rest->ptr));
    *rest = slice_skip(*rest, part->len + 1);
    return true;
}

static enum err read_kid(const json_t *header, struct jws *out, const char **why)
{
    const json_t *kid = json_object_get(header, "kid");
    out->kid = SLICE_NONE;
    if (kid == NULL)
        return ERR_OK;
    size_t len = json_string_length(kid);
    if (!json_is_string(kid) || len > sizeof out->kid_bytes)
        return refuse(why, "the token's kid must be a string of at most 256 bytes");
    memcpy(out->kid_bytes, json_string_value(kid), len);
    out->kid = slice_of(out->kid_bytes, len);
    return ERR_OK;
}

static enum err read_header(const json_t *header, struct jws *out, const char **why)
{
    const json_t *alg = json_object_get(header, "alg");
    if (!json_is_object(header))
        return refuse(why, "the token's header is not a JSON object");
    if (!json_is_string(alg) ||
        !alg_parse(slice_of(json_string_value(alg), json_string_length(alg)), &out->alg))
        return refuse(why, "the token's algorithm is not supported");
    /* RFC 7515 4.1.11: what must be understood is not, for there are no extensions here. */
    if (json_object_get(header, "crit") != NULL)
        return refuse(why, "the token's header asks for extensions (crit)");
    return read_kid(header, out, why);
}

static enum err parse_header(struct slice text, struct jws *out, const char **why)
{
    size_t len;
    json_error_t error;
    if (!base64url_decode(text, out->bytes, &len))
        return refuse(why, "the token's header is not base64url");
    json_t *header = json_loadb((const char *)out->bytes, len, JWS_JSON_FLAGS, &error);
    if (header == NULL)
        return refuse(why, "the token's header is not JSON");
    enum err err = read_header(header, out, why);
    json_decref(header);
    return err;
}

enum err jws_parse(struct slice token, struct jws *out, const char **why)
{
    struct slice rest = token, header, payload;
    size_t payload_len, signature_len;
    if (token.len > JWS_TOKEN_MAX)
        return refuse(why, "the token is longer than 8192 bytes");
    if (!take_part(&rest, &header) || !take_part(&rest, &payload) ||
        memchr(rest.ptr, '.', rest.len) != NULL)
        return refuse(why, "the token is not three parts with dots between them");
    enum err err = parse_header(header, out, why);
    if (err != ERR_OK)
        return err;
    /* The header's bytes are no longer needed; each part decodes to less than its text. */
    unsigned char *behind = out->bytes + base64url_decoded_max(payload.len);
    if (!base64url_decode(payload, out->bytes, &payload_len) ||
        !base64url_decode(rest, behind, &signature_len))
        return refuse(why, "the token is not base64url");
    out->signed_text = slice_of(token.ptr, header.len + 1 + payload.len);
    out->payload = slice_of(out->bytes, payload_len);
    out->signature = slice_of(behind, signature_len);
    return ERR_OK;
}
