#include "openapi/embed.h"

#include <assert.h>
#include <string.h>

/* SIZE_x and ETAG_x of each file below; the build makes it from the files' contents. */
#include "assets.h"

/*
 * The assembler copies the files in (.incbin), with paths relative to the root of the project,
 * where the compiler runs. EMBED_DIR is where the build put the compressed files.
 *
 * A new file is a BLOB here, a row in the table, and a name in openapi.json.
 */

/* A declaration's name takes no parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define EMBED_FILE(name, file)                                                                     \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 16\n"                                                                         \
            ".global " #name "\n"                                                                  \
            ".hidden " #name "\n" #name ":\n"                                                      \
            ".incbin \"" file "\"\n"                                                               \
            ".popsection\n");                                                                      \
    extern const unsigned char name[SIZE_##name] __attribute__((visibility("hidden")))
/* NOLINTEND(bugprone-macro-parentheses) */

#define BLOB_GZIP(name, file) EMBED_FILE(name##_gz, EMBED_DIR "/" file ".gz")
#define BLOB(name, file)                                                                           \
    EMBED_FILE(name, file);                                                                        \
    BLOB_GZIP(name, file)

BLOB(app_web_index_html, "app/web/index.html");
BLOB(app_web_app_js, "app/web/app.js");
BLOB(app_web_asking_js, "app/web/asking.js");
BLOB(app_web_chat_client_js, "app/web/chat-client.js");
BLOB(app_web_composer_js, "app/web/composer.js");
BLOB(app_web_dom_js, "app/web/dom.js");
BLOB(app_web_icon_svg, "app/web/icon.svg");
BLOB(app_web_message_log_js, "app/web/message-log.js");
BLOB(app_web_people_js, "app/web/people.js");
BLOB(app_web_room_view_js, "app/web/room-view.js");
BLOB(app_web_sign_in_js, "app/web/sign-in.js");
BLOB(app_web_style_css, "app/web/style.css");

BLOB(openapi_openapi_json, "openapi/openapi.json");
BLOB(openapi_asyncapi_json, "openapi/asyncapi.json");
BLOB(openapi_docs_html, "openapi/docs.html");
BLOB(openapi_docs_css, "openapi/docs.css");
BLOB(openapi_docs_js, "openapi/docs.js");
BLOB(openapi_events_html, "openapi/events.html");
BLOB(openapi_events_css, "openapi/events.css");
BLOB(openapi_events_js, "openapi/events.js");

/* swagger-ui is large, and whoever reads its page has a browser: the gzip form is enough. */
BLOB_GZIP(swagger_swagger_ui_css, "swagger/swagger-ui.css");
BLOB_GZIP(swagger_swagger_ui_bundle_js, "swagger/swagger-ui-bundle.js");
BLOB_GZIP(swagger_swagger_ui_bundle_js_LICENSE_txt, "swagger/swagger-ui-bundle.js.LICENSE.txt");
BLOB_GZIP(swagger_LICENSE, "swagger/LICENSE");
BLOB_GZIP(swagger_NOTICE, "swagger/NOTICE");

#define ASSET(path, type, name)                                                                    \
    {                                                                                              \
        path, type, name, SIZE_##name, name##_gz, SIZE_##name##_gz, ETAG_##name, ETAG_##name##_gz  \
    }
#define ASSET_GZIP(path, type, name)                                                               \
    {                                                                                              \
        path, type, NULL, 0, name##_gz, SIZE_##name##_gz, ETAG_##name##_gz, ETAG_##name##_gz       \
    }

#define CSS  "text/css; charset=utf-8"
#define HTML "text/html; charset=utf-8"
#define JS   "text/javascript; charset=utf-8"
#define JSON "application/json"
#define SVG  "image/svg+xml"
#define TEXT "text/plain; charset=utf-8"

static const struct asset assets[] = {
    ASSET("/", HTML, app_web_index_html),
    ASSET("/assets/app.js", JS, app_web_app_js),
    ASSET("/assets/asking.js", JS, app_web_asking_js),
    ASSET("/assets/chat-client.js", JS, app_web_chat_client_js),
    ASSET("/assets/composer.js", JS, app_web_composer_js),
    ASSET("/assets/dom.js", JS, app_web_dom_js),
    ASSET("/assets/icon.svg", SVG, app_web_icon_svg),
    ASSET("/assets/message-log.js", JS, app_web_message_log_js),
    ASSET("/assets/people.js", JS, app_web_people_js),
    ASSET("/assets/room-view.js", JS, app_web_room_view_js),
    ASSET("/assets/sign-in.js", JS, app_web_sign_in_js),
    ASSET("/assets/style.css", CSS, app_web_style_css),

    ASSET("/openapi.json", JSON, openapi_openapi_json),
    ASSET("/api/chat-api/openapi.json", JSON, openapi_openapi_json),

    ASSET("/asyncapi.json", JSON, openapi_asyncapi_json),
    ASSET("/api/chat-api/asyncapi.json", JSON, openapi_asyncapi_json),

    ASSET("/docs", HTML, openapi_docs_html),
    ASSET("/docs/docs.css", CSS, openapi_docs_css),
    ASSET("/docs/docs.js", JS, openapi_docs_js),
    ASSET("/docs/events", HTML, openapi_events_html),
    ASSET("/docs/events.css", CSS, openapi_events_css),
    ASSET("/docs/events.js", JS, openapi_events_js),
    ASSET_GZIP("/docs/swagger-ui.css", CSS, swagger_swagger_ui_css),
    ASSET_GZIP("/docs/swagger-ui-bundle.js", JS, swagger_swagger_ui_bundle_js),
    ASSET_GZIP("/docs/swagger-ui-bundle.js.LICENSE.txt", TEXT,
               swagger_swagger_ui_bundle_js_LICENSE_txt),
    ASSET_GZIP("/docs/swagger-ui.LICENSE.txt", TEXT, swagger_LICENSE),
    ASSET_GZIP("/docs/swagger-ui.NOTICE.txt", TEXT, swagger_NOTICE),
};

size_t embed_count(void)
{
    return sizeof assets / sizeof assets[0];
}

const struct asset *embed_at(size_t i)
{
    assert(i < embed_count());
    return &assets[i];
}

const struct asset *embed_find(const char *path)
{
    for (size_t i = 0; i < embed_count(); i++) {
        if (strcmp(assets[i].path, path) == 0) {
            return &assets[i];
        }
    }
    return NULL;
}
