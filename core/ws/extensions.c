#include "core/ws/extensions.h"

/*
 *     extension-list  = 1#extension
 *     extension       = extension-token *( ";" extension-param )
 *     extension-param = token [ "=" (token | quoted-string) ]
 *
 * White space may stand around every separator. A list may have empty elements (RFC 9110 5.6.1.2).
 * What a quoted string holds has to be a token (RFC 6455 9.1), so the only octets that an escape
 * could stand for are ones that need none: a backslash counts as malformed.
 */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

size_t extension_token_len(struct slice text)
{
    size_t len = 0;
    while (len < text.len && is_token_char(text.ptr[len]))
        len++;
    return len;
}

static void skip_space(struct slice *text)
{
    while (text->len > 0 && (text->ptr[0] == ' ' || text->ptr[0] == '\t'))
        *text = slice_skip(*text, 1);
}

static bool take_char(struct extension_reader *reader, char c)
{
    skip_space(&reader->rest);
    if (reader->rest.len == 0 || reader->rest.ptr[0] != c)
        return false;
    reader->rest = slice_skip(reader->rest, 1);
    return true;
}

static bool take_token(struct extension_reader *reader, struct slice *token)
{
    size_t len = extension_token_len(reader->rest);
    *token = slice_of(reader->rest.ptr, len);
    reader->rest = slice_skip(reader->rest, len);
    reader->malformed = len == 0;
    return len != 0;
}

static bool take_value(struct extension_reader *reader, struct slice *value)
{
    skip_space(&reader->rest);
    bool quoted = reader->rest.len > 0 && reader->rest.ptr[0] == '"';
    if (!quoted)
        return take_token(reader, value);
    reader->rest = slice_skip(reader->rest, 1);
    if (!take_token(reader, value))
        return false;
    reader->malformed = reader->rest.len == 0 || reader->rest.ptr[0] != '"';
    if (!reader->malformed)
        reader->rest = slice_skip(reader->rest, 1);
    return !reader->malformed;
}

bool extension_reader_name(struct extension_reader *reader, struct slice *name)
{
    if (reader->malformed)
        return false;
    while (take_char(reader, ','))
        continue;
    return reader->rest.len > 0 && take_token(reader, name);
}

bool extension_reader_param(struct extension_reader *reader, struct extension_param *param)
{
    if (reader->malformed)
        return false;
    if (!take_char(reader, ';')) {
        /* Behind the last parameter comes the next element or nothing. */
        reader->malformed = reader->rest.len > 0 && reader->rest.ptr[0] != ',';
        return false;
    }
    skip_space(&reader->rest);
    param->value = SLICE_NONE;
    if (!take_token(reader, &param->name))
        return false;
    return !take_char(reader, '=') || take_value(reader, &param->value);
}
