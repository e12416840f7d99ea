#include "handlers/token.h"

#include <CUnit/CUnit.h>

struct row {
    const char *header, *token; /* token NULL: there is none */
};

static void assert_rows(const struct row *rows, size_t count, struct slice (*find)(struct slice))
{
    for (size_t i = 0; i < count; i++) {
        struct slice token = find(slice_str(rows[i].header));
        bool same = rows[i].token == NULL
                        ? token.ptr == NULL
                        : token.ptr != NULL && slice_equals_str(token, rows[i].token);
        if (!same)
            CU_FAIL(rows[i].header != NULL ? rows[i].header : "(no header)");
    }
}

static void authorization_has_a_scheme_and_a_token(void)
{
    static const struct row rows[] = {
        {NULL, NULL},
        {"", NULL},
        {"Bearer a.b.c", "a.b.c"},
        {"bearer a.b.c", "a.b.c"},
        {"BEARER   a.b.c", "a.b.c"},
        {"Bearer a.b.c, Bearer d.e.f", "a.b.c, Bearer d.e.f"},
        {"Bearer", ""},
        {"Bearer ", ""},
        {"Bearera.b.c", NULL},
        {"Bearer\ta.b.c", NULL},
        {"Beare", NULL},
        {"Basic YTpi", NULL},
        {"a.b.c", NULL},
    };
    assert_rows(rows, sizeof rows / sizeof *rows, token_of_authorization);
}

static void protocols_have_a_token_among_them(void)
{
    static const struct row rows[] = {
        {NULL, NULL},
        {"", NULL},
        {"chat.events.v1", NULL},
        {"bearer.a.b.c", "a.b.c"},
        {"chat.events.v1, bearer.a.b.c", "a.b.c"},
        {"bearer.a.b.c,chat.events.v1", "a.b.c"},
        {" , bearer.a.b.c ,", "a.b.c"},
        {"bearer.a, bearer.b", "a"},
        {"bearer.", ""},
        {"bearer", NULL},
        {"Bearer.a", NULL},
        {"xbearer.a", NULL},
    };
    assert_rows(rows, sizeof rows / sizeof *rows, token_of_protocols);
}

CU_TestInfo token_tests[] = {
    {"authorization_has_a_scheme_and_a_token", authorization_has_a_scheme_and_a_token},
    {"protocols_have_a_token_among_them", protocols_have_a_token_among_them},
    CU_TEST_INFO_NULL,
};
