#include "openapi/embed.h"

#include <CUnit/CUnit.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void finds_pages_by_exact_path(void)
{
    const struct asset *page = embed_find("/");
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    CU_ASSERT_STRING_EQUAL(page->content_type, "text/html; charset=utf-8");
    CU_ASSERT_NSTRING_EQUAL(page->plain, "<!doctype html>", 15);

    CU_ASSERT_PTR_NOT_NULL(embed_find("/docs"));
    CU_ASSERT_PTR_NOT_NULL(embed_find("/docs/swagger-ui.css"));
    CU_ASSERT_PTR_NOT_NULL(embed_find("/openapi.json"));
}

static void finds_nothing_for_other_paths(void)
{
    static const char *const paths[] = {"", "/docs/", "/index.html", "/assets", "/assets/../docs"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        CU_ASSERT_PTR_NULL(embed_find(paths[i]));
    }
}

static void both_paths_of_a_document_lead_to_one_file(void)
{
    static const char *const paths[][2] = {
        {"/openapi.json", "/api/chat-api/openapi.json"},
        {"/asyncapi.json", "/api/chat-api/asyncapi.json"},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct asset *a = embed_find(paths[i][0]);
        const struct asset *b = embed_find(paths[i][1]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(a);
        CU_ASSERT_PTR_NOT_NULL_FATAL(b);
        CU_ASSERT_PTR_EQUAL(a->plain, b->plain);
    }
}

/* A file that nobody listed in embed.c would be a 404 that only a browser sees. */
static void carries_every_file_of_the_page(void)
{
    glob_t found;
    CU_ASSERT_EQUAL_FATAL(glob("app/web/*", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "/assets/%s", name);
        bool is_page = strcmp(name, "index.html") == 0;
        CU_ASSERT_PTR_NOT_NULL(embed_find(is_page ? "/" : path));
    }
    globfree(&found);
}

/* Unpacks gzip into a new buffer of *len bytes; NULL when it is damaged. */
static unsigned char *unpack(const struct asset *asset, size_t *len)
{
    enum { UNPACKED_MAX = 8 << 20, GZIP_FORMAT = 16 };
    unsigned char *out = malloc(UNPACKED_MAX);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    z_stream stream = {
        .next_in = (unsigned char *)asset->gzip,
        .avail_in = (uInt)asset->gzip_len,
        .next_out = out,
        .avail_out = UNPACKED_MAX,
    };
    int result = inflateInit2(&stream, GZIP_FORMAT + MAX_WBITS);
    if (result == Z_OK) {
        result = inflate(&stream, Z_FINISH);
        *len = stream.total_out;
        (void)inflateEnd(&stream);
    }
    if (result != Z_STREAM_END || stream.avail_in != 0) {
        free(out);
        return NULL;
    }
    return out;
}

static void gzip_form_is_whole_and_holds_the_plain_form(void)
{
    for (size_t i = 0; i < embed_count(); i++) {
        const struct asset *asset = embed_at(i);
        size_t len = 0;
        unsigned char *unpacked = unpack(asset, &len);
        CU_ASSERT_PTR_NOT_NULL_FATAL(unpacked);
        CU_ASSERT_TRUE(len > 0);
        if (asset->plain != NULL) {
            CU_ASSERT_EQUAL_FATAL(len, asset->plain_len);
            CU_ASSERT_EQUAL(memcmp(unpacked, asset->plain, len), 0);
        }
        free(unpacked);
    }
}

static bool is_strong_tag(const char *tag)
{
    size_t len = strlen(tag);
    return len > 2 && tag[0] == '"' && tag[len - 1] == '"';
}

static void each_form_has_a_strong_tag_of_its_own(void)
{
    for (size_t i = 0; i < embed_count(); i++) {
        const struct asset *asset = embed_at(i);
        CU_ASSERT_TRUE(is_strong_tag(asset->etag));
        CU_ASSERT_TRUE(is_strong_tag(asset->etag_gzip));
        if (asset->plain != NULL) {
            CU_ASSERT_STRING_NOT_EQUAL(asset->etag, asset->etag_gzip);
        }
    }
}

CU_TestInfo embed_tests[] = {
    {"finds_pages_by_exact_path", finds_pages_by_exact_path},
    {"finds_nothing_for_other_paths", finds_nothing_for_other_paths},
    {"both_paths_of_a_document_lead_to_one_file", both_paths_of_a_document_lead_to_one_file},
    {"carries_every_file_of_the_page", carries_every_file_of_the_page},
    {"gzip_form_is_whole_and_holds_the_plain_form", gzip_form_is_whole_and_holds_the_plain_form},
    {"each_form_has_a_strong_tag_of_its_own", each_form_has_a_strong_tag_of_its_own},
    CU_TEST_INFO_NULL,
};
