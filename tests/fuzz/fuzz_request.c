/*
 * A request target, asked of the real HTTP side over a kept connection: libmicrohttpd's cutting of
 * queries, the table of routes, percent-decoding, the choice of the room. A second implementation
 * of the rules, the model below, says what must come out.
 *
 *     /api/chat-api/ws/a%20b?x=1&room=a+b
 *
 * No route is really answered: the answer tells the route's template and what was made of the room.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <fnmatch.h>
#include <jansson.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "handlers/http.h"
#include "handlers/named_room.h"
#include "handlers/reply.h"
#include "handlers/request.h"
#include "handlers/routes.h"
#include "handlers/service.h"
#include "handlers/upgrade.h"

/* For longer ones, or more parameters, libmicrohttpd may have no memory left to answer with. */
enum { TARGET_MAX = 2048, PARAMETERS_MAX = 100 };
enum { ANSWER_MAX = 16384, MEMORY_MAX = 1024 * 1024, QUERY_ROOMS_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* --- the server --- */

/* Body: the template, a newline, "room:" and the name, or "none", or "bad". */
static enum MHD_Result tell(struct request *request)
{
    struct buf body;
    struct named_room room;
    struct route_match match;
    routes_find(request->path, request->method, true, &match);
    require(match.route != NULL && slice_equals(match.rest, request->rest));
    buf_init(&body, MEMORY_MAX);
    buf_append_str(&body, match.route->template);
    buf_append_char(&body, '\n');
    struct fault fault = named_room_find(request, &room);
    require((fault.code == FAULT_NONE) == (fault.message == NULL));
    if (fault.code != FAULT_NONE) {
        require(fault.code == FAULT_CHANNEL_ERROR && room.name.ptr == NULL);
        buf_append_str(&body, "bad");
    } else if (room.name.ptr == NULL) {
        buf_append_str(&body, "none");
    } else {
        buf_append_str(&body, "room:");
        buf_append_slice(&body, room.name);
    }
    return reply_text(request->connection, MHD_HTTP_OK, "text/plain", &body);
}

/* Every route is there, and open. */
static void find_route(const char *path, const char *method, bool with_api,
                       struct route_match *match)
{
    static const struct route telling = {
        .method = ROUTE_GET, .template = "", .answer = tell, .access = ROUTE_OPEN};
    (void)with_api;
    routes_find(path, method, true, match);
    if (match->route != NULL)
        match->route = &telling;
}

static unsigned start_server(void)
{
    struct http *http = NULL;
    const char *why = NULL;
    static struct service service;
    const struct http_opts opts = {.service = &service,
                                   .find_route = find_route,
                                   .host = "127.0.0.1",
                                   .header_timeout_ms = 10000,
                                   .connections_max = 64};
    require(http_create(&opts, &http, &why) == ERR_OK);
    return http_port(http);
}

/* --- the client --- */

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd != -1 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

struct answer {
    char text[ANSWER_MAX];
    size_t len;
    unsigned status;
    struct slice body;
};

/* Whether the answer is whole; its parts are filled in then. */
static bool is_whole(struct answer *answer)
{
    const char *end = memmem(answer->text, answer->len, "\r\n\r\n", 4);
    const char *length = memmem(answer->text, answer->len, "Content-Length: ", 16);
    if (end == NULL)
        return false;
    require(length != NULL && length < end);
    answer->body.ptr = end + 4;
    answer->body.len = strtoul(length + 16, NULL, 10);
    answer->status = (unsigned)strtoul(answer->text + strlen("HTTP/1.1 "), NULL, 10);
    size_t whole = (size_t)(answer->body.ptr - answer->text) + answer->body.len;
    require(answer->len <= whole);
    return answer->len == whole;
}

static bool try_ask(int fd, const struct buf *question, struct answer *answer)
{
    answer->len = 0;
    if (send(fd, question->ptr, question->len, MSG_NOSIGNAL) != (ssize_t)question->len)
        return false;
    while (answer->len == 0 || !is_whole(answer)) {
        ssize_t len = recv(fd, answer->text + answer->len, sizeof answer->text - answer->len, 0);
        if (len <= 0)
            return false;
        answer->len += (size_t)len;
    }
    return true;
}

/* A connection that has idled for long may be gone: once more, then, on a new one. */
static void ask(struct slice target, struct answer *answer)
{
    static unsigned port;
    static int fd = -1;
    struct buf question;
    if (port == 0)
        port = start_server();
    buf_init(&question, MEMORY_MAX);
    buf_append_str(&question, "GET ");
    buf_append_slice(&question, target);
    buf_append_str(&question, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (fd == -1)
        fd = connect_to(port);
    if (!try_ask(fd, &question, answer)) {
        close(fd);
        fd = connect_to(port);
        require(try_ask(fd, &question, answer));
    }
    /* libmicrohttpd closes after what it refuses by itself. */
    if (answer->status == MHD_HTTP_BAD_REQUEST) {
        close(fd);
        fd = -1;
    }
    buf_fini(&question);
}

/* --- the model --- */

struct model {
    const char *template;   /* NULL: none for GET */
    bool bad, named, known; /* the path is, for some method */
    struct buf room;
};

/* The pattern of shells that a template is. */
static void model_pattern(const char *template, char *out, size_t size)
{
    const char *brace = strchrnul(template, '{'), *behind = strchrnul(brace, '}');
    (void)snprintf(out, size, "%.*s%s%s", (int)(brace - template), template,
                   *brace != '\0' ? "?*" : "", *behind != '\0' ? behind + 1 : "");
}

/* The first template of GET that fits; of its segment the end is marked in the path. */
static void model_route(struct model *model, char *path, char **segment)
{
    *segment = NULL;
    for (size_t i = 0; i < routes_count() && model->template == NULL; i++) {
        char pattern[256];
        const struct route *route = routes_at(i);
        model_pattern(route->template, pattern, sizeof pattern);
        if (fnmatch(pattern, path, FNM_PATHNAME | FNM_NOESCAPE) != 0)
            continue;
        model->known = true;
        if (route->method != ROUTE_GET)
            continue;
        model->template = route->template;
        const char *brace = strchr(route->template, '{');
        *segment = brace != NULL ? path + (brace - route->template) : NULL;
    }
    if (*segment != NULL)
        (*segment)[strcspn(*segment, "/")] = '\0';
}

/* False for a % without two digits behind it. */
static bool model_decode(const char *text, struct buf *out)
{
    for (; *text != '\0'; text++) {
        char digits[3] = "";
        if (*text != '%') {
            buf_append_char(out, *text);
            continue;
        }
        if (!isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
            return false;
        memcpy(digits, text + 1, 2);
        buf_append_char(out, (char)strtoul(digits, NULL, 16));
        text += 2;
    }
    return true;
}

static bool model_is_room(struct slice name)
{
    if (name.len < 1 || name.len > 128 || memchr(name.ptr, '/', name.len) != NULL)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool c1 = c == 0xC2 && i + 1 < name.len && (unsigned char)name.ptr[i + 1] < 0xA0;
        if (c < 0x20 || c == 0x7F || c1)
            return false;
    }
    json_t *json = json_stringn(name.ptr, name.len); /* which looks whether it is UTF-8 */
    json_decref(json);
    return json != NULL;
}

static void model_name(struct model *model, const char *encoded)
{
    struct buf name;
    buf_init(&name, MEMORY_MAX);
    bool good = model_decode(encoded, &name) && model_is_room(buf_slice(&name));
    if (good && model->named)
        good = slice_equals(buf_slice(&name), buf_slice(&model->room));
    if (good && !model->named)
        buf_append_slice(&model->room, buf_slice(&name));
    model->named = true;
    model->bad = model->bad || !good;
    buf_fini(&name);
}

static void model_query(struct model *model, char *query)
{
    unsigned rooms = 0;
    char *part;
    for (char *c = query; *c != '\0'; c++)
        if (*c == '+')
            *c = ' ';
    while ((part = strsep(&query, "&")) != NULL) {
        const char *name = strsep(&part, "=");
        if (strcmp(name, "room") != 0)
            continue;
        rooms++;
        model_name(model, part != NULL ? part : "");
    }
    model->bad = model->bad || rooms > QUERY_ROOMS_MAX;
}

/* Of http://host/path the path; of anything else all of it. */
static char *model_path(char *text)
{
    static regex_t absolute;
    static bool is_ready;
    static char root[] = "/";
    regmatch_t parts[2];
    if (!is_ready)
        require(regcomp(&absolute, "^https?://[^/]+(/.*)?$", REG_EXTENDED | REG_ICASE) == 0);
    is_ready = true;
    if (regexec(&absolute, text, 2, parts, 0) != 0)
        return text;
    return parts[1].rm_so != -1 ? text + parts[1].rm_so : root;
}

static void model_request(struct model *model, struct slice target)
{
    char text[TARGET_MAX + 1], *segment;
    memcpy(text, target.ptr, target.len);
    text[target.len] = '\0';
    char *rest = text;
    model_route(model, model_path(strsep(&rest, "?")), &segment);
    if (segment != NULL)
        model_name(model, segment);
    if (rest != NULL)
        model_query(model, rest);
}

/* --- the comparison --- */

static void compare(const struct model *model, const struct answer *answer)
{
    struct buf expected;
    if (model->template == NULL) {
        require(answer->status ==
                (model->known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND));
        return;
    }
    require(answer->status == MHD_HTTP_OK);
    buf_init(&expected, MEMORY_MAX);
    buf_append_str(&expected, model->template);
    buf_append_str(&expected, model->bad ? "\nbad" : model->named ? "\nroom:" : "\nnone");
    if (!model->bad)
        buf_append_slice(&expected, buf_slice(&model->room));
    require(slice_equals(buf_slice(&expected), answer->body));
    buf_fini(&expected);
}

/* Every octet written as an escape comes back. */
static void there_and_back(struct slice name)
{
    char encoded[3 * ROOM_NAME_MAX + 1], decoded[ROOM_NAME_MAX];
    size_t len;
    for (size_t i = 0; i < name.len; i++)
        (void)snprintf(encoded + 3 * i, 4, i % 2 ? "%%%02X" : "%%%02x",
                       (unsigned)(unsigned char)name.ptr[i]);
    enum err err = request_decode(slice_of(encoded, 3 * name.len), decoded, sizeof decoded, &len);
    require(err == ERR_OK && slice_equals(slice_of(decoded, len), name));
}

/* What an HTTP client could not send as a target at all is another parser's. */
static bool is_target(struct slice text)
{
    unsigned parameters = 1;
    for (size_t i = 0; i < text.len; i++) {
        if (isspace((unsigned char)text.ptr[i]) || text.ptr[i] == '\0')
            return false;
        parameters += text.ptr[i] == '&';
    }
    return text.len > 0 && text.len <= TARGET_MAX && parameters <= PARAMETERS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice target = slice_of(data, size);
    struct model model = {.template = NULL};
    struct answer answer;
    if (!is_target(target))
        return 0;
    buf_init(&model.room, MEMORY_MAX);
    model_request(&model, target);
    ask(target, &answer);
    compare(&model, &answer);
    if (model.named && !model.bad)
        there_and_back(buf_slice(&model.room));
    buf_fini(&model.room);
    return 0;
}
