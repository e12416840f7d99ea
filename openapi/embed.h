#pragma once

/*
 * The files that the binary carries: the chat page, openapi.json, asyncapi.json and the docs
 * pages.
 *
 *     "/"                      -> text/html, plain and gzip
 *     "/openapi.json"          -> application/json, plain and gzip
 *     "/docs/swagger-ui.css"   -> text/css, gzip alone
 *
 * Threads: any; nothing here ever changes.
 * Owns: nothing on the heap; every pointer is good for the life of the process.
 */

#include <stddef.h>

/* A file as it is served. The two forms are two representations, so each has its own entity tag. */
struct asset {
    const char *path;           /* of the URL, such as "/docs/swagger-ui.css" */
    const char *content_type;   /* with the charset where the type has one */
    const unsigned char *plain; /* NULL where only the gzip form is carried */
    size_t plain_len;           /* bytes, 0 without the plain form */
    const unsigned char *gzip;
    size_t gzip_len;  /* bytes */
    const char *etag; /* strong, quoted: of the plain form; where there is none, of the other */
    const char *etag_gzip; /* strong, quoted: of the gzip form */
};

/* The asset of exactly this path; NULL when there is none. */
const struct asset *embed_find(const char *path);

size_t embed_count(void);

/* The asset at `i`, which is less than embed_count(). */
const struct asset *embed_at(size_t i);
