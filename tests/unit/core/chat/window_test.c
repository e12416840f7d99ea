#include "core/chat/window.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"

enum { SIZE = 8 };

struct name {
    char text[40];
};

static struct name id_of(unsigned number)
{
    struct name id;
    snprintf(id.text, sizeof id.text, "01890a5d-ac96-774b-bcce-%012x", number);
    return id;
}

static struct window_message message(const struct name *id, const char *sender)
{
    return (struct window_message){.id = slice_str(id->text),
                                   .room = slice_str("lobby"),
                                   .sender = slice_str(sender),
                                   .content = slice_str("{\"text\":\"hi\"}"),
                                   .timestamp_ms = 1000};
}

static struct window *make(size_t size)
{
    struct window *window = window_create(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(window);
    return window;
}

static void add(struct window *window, unsigned number, const char *sender)
{
    struct name id = id_of(number);
    struct window_message added = message(&id, sender);
    window_add(window, &added);
}

static enum window_owner owner(struct window *window, unsigned number, const char *sender)
{
    struct name id = id_of(number);
    return window_check_owner(window, slice_str(id.text), slice_str("lobby"), slice_str(sender));
}

static bool hear(struct window *window, unsigned number, const char *user, bool read)
{
    struct name id = id_of(number);
    const struct window_mark mark = {.id = slice_str(id.text),
                                     .room = slice_str("lobby"),
                                     .user = slice_str(user),
                                     .read = read};
    return window_hear_mark(window, &mark);
}

/* Whose message it was, when the mark is news. */
static const char *mark(struct window *window, unsigned number, const char *user, bool read)
{
    static char text[WINDOW_SENDER_MAX + 1];
    struct window_sender sender;
    struct name id = id_of(number);
    const struct window_mark mark = {.id = slice_str(id.text),
                                     .room = slice_str("lobby"),
                                     .user = slice_str(user),
                                     .read = read};
    if (!window_add_mark(window, &mark, &sender))
        return "";
    memcpy(text, sender.bytes, sender.len);
    text[sender.len] = '\0';
    return text;
}

static void the_same_again_is_a_duplicate(void)
{
    struct window *window = make(SIZE);
    struct name id = id_of(1);
    struct window_message first = message(&id, "ann"), again = first;
    uint64_t first_ms = 0;
    CU_ASSERT_EQUAL(window_claim(window, &first, &first_ms), WINDOW_NEW);
    again.timestamp_ms = 2000;
    CU_ASSERT_EQUAL(window_claim(window, &again, &first_ms), WINDOW_DUPLICATE);
    CU_ASSERT_EQUAL(first_ms, 1000);
    again.content = slice_str("{\"text\":\"ho\"}");
    CU_ASSERT_EQUAL(window_claim(window, &again, &first_ms), WINDOW_CONFLICT);
    again = first;
    again.room = slice_str("elsewhere");
    CU_ASSERT_EQUAL(window_claim(window, &again, &first_ms), WINDOW_CONFLICT);
    again = first;
    again.sender = slice_str("bob");
    CU_ASSERT_EQUAL(window_claim(window, &again, &first_ms), WINDOW_NEW);
    window_destroy(window);
}

static void a_message_from_elsewhere_that_comes_again_is_a_duplicate(void)
{
    struct window *window = make(SIZE);
    struct name id = id_of(1);
    struct window_message again = message(&id, "ann");
    uint64_t first_ms = 0;
    add(window, 1, "ann");
    again.timestamp_ms = 2000;
    CU_ASSERT_EQUAL(window_claim(window, &again, &first_ms), WINDOW_DUPLICATE);
    CU_ASSERT_EQUAL(first_ms, 1000);
    again.content = slice_str("{}");
    CU_ASSERT_EQUAL(window_claim(window, &again, &first_ms), WINDOW_CONFLICT);
    window_destroy(window);
}

static void a_mark_that_was_heard_is_no_news_here(void)
{
    struct window *window = make(SIZE);
    add(window, 1, "ann");
    CU_ASSERT_TRUE(hear(window, 1, "bob", false));
    CU_ASSERT_FALSE(hear(window, 1, "bob", false));
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", false), "");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", true), "ann");
    CU_ASSERT_FALSE(hear(window, 1, "bob", true));
    CU_ASSERT_FALSE(hear(window, 1, "bob", false));
    /* Who does not know the message passes everything on. */
    CU_ASSERT_TRUE(hear(window, 2, "bob", true));
    CU_ASSERT_TRUE(hear(window, 2, "bob", true));
    window_destroy(window);
    window = make(0);
    CU_ASSERT_TRUE(hear(window, 1, "bob", true));
    window_destroy(window);
}

static void the_case_of_an_id_makes_no_other(void)
{
    struct window *window = make(SIZE);
    struct name id = id_of(0xabc);
    struct window_message first = message(&id, "ann");
    uint64_t first_ms;
    CU_ASSERT_EQUAL(window_claim(window, &first, &first_ms), WINDOW_NEW);
    first.id = slice_str("01890A5D-AC96-774B-BCCE-000000000ABC");
    CU_ASSERT_EQUAL(window_claim(window, &first, &first_ms), WINDOW_DUPLICATE);
    window_destroy(window);
}

static void only_the_sender_owns_a_message(void)
{
    struct window *window = make(SIZE);
    struct name id = id_of(1);
    CU_ASSERT_EQUAL(owner(window, 1, "ann"), WINDOW_UNKNOWN);
    add(window, 1, "ann");
    CU_ASSERT_EQUAL(owner(window, 1, "ann"), WINDOW_OWN);
    CU_ASSERT_EQUAL(owner(window, 1, "bob"), WINDOW_NOT_OWN);
    CU_ASSERT_EQUAL(
        window_check_owner(window, slice_str(id.text), slice_str("other"), slice_str("ann")),
        WINDOW_OTHER_ROOM);
    window_delete(window, slice_str(id.text), slice_str("lobby"), slice_str("bob"));
    window_delete(window, slice_str(id.text), slice_str("other"), slice_str("ann"));
    CU_ASSERT_EQUAL(owner(window, 1, "ann"), WINDOW_OWN);
    window_delete(window, slice_str(id.text), slice_str("lobby"), slice_str("ann"));
    CU_ASSERT_EQUAL(owner(window, 1, "ann"), WINDOW_DELETED);
    window_destroy(window);
}

/* Exactly the last SIZE messages are known, however often the ring went round. */
static void the_oldest_is_forgotten_first(void)
{
    struct window *window = make(SIZE);
    for (unsigned last = 0; last < 5 * SIZE; last++) {
        add(window, last,
            last % 3 == 0 ? "a user with a name that is longer than forty bytes" : "ann");
        for (unsigned number = 0; number <= last; number++) {
            bool known = number + SIZE > last;
            CU_ASSERT_EQUAL(owner(window, number, "nobody"),
                            known ? WINDOW_NOT_OWN : WINDOW_UNKNOWN);
        }
    }
    CU_ASSERT_EQUAL(owner(window, 5 * SIZE - 2, "ann"), WINDOW_OWN);
    window_destroy(window);
}

static void a_senders_name_has_its_bound(void)
{
    for (size_t len = WINDOW_SENDER_MAX - 1; len <= WINDOW_SENDER_MAX + 1; len++) {
        struct window *window = make(SIZE);
        char name[WINDOW_SENDER_MAX + 2] = "";
        memset(name, 'n', len);
        add(window, 1, name);
        bool kept = len <= WINDOW_SENDER_MAX;
        CU_ASSERT_EQUAL(owner(window, 1, name), kept ? WINDOW_OWN : WINDOW_UNKNOWN);
        CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", false), kept ? name : "");
        window_destroy(window);
    }
}

static void a_mark_is_news_once(void)
{
    struct window *window = make(SIZE);
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", false), "");
    add(window, 1, "ann");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", false), "ann");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", false), "");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", true), "ann");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", true), "");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", false), ""); /* read implies delivered */
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "cid", true), "ann");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "cid", false), "");
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "ann", true), ""); /* one's own */
    window_destroy(window);
}

/* While the message is in the window, not longer, through two turns of the tables and many users.
 */
static void a_mark_lives_as_long_as_its_message(void)
{
    enum { USERS = 700 };
    struct window *window = make(SIZE);
    for (unsigned last = 0; last < 4 * SIZE; last++) {
        add(window, last, "ann");
        for (unsigned user = 0; user < USERS; user++) {
            char name[16];
            snprintf(name, sizeof name, "u%u", user);
            CU_ASSERT_STRING_EQUAL(mark(window, last, name, false), "ann");
        }
        unsigned oldest = last + 1 > SIZE ? last + 1 - SIZE : 0;
        for (unsigned number = oldest; number <= last; number++)
            CU_ASSERT_STRING_EQUAL(mark(window, number, "u77", false), "");
    }
    window_destroy(window);
}

static void a_window_of_none_remembers_nothing(void)
{
    struct window *window = make(0);
    struct name id = id_of(1);
    struct window_message first = message(&id, "ann");
    uint64_t first_ms;
    CU_ASSERT_EQUAL(window_claim(window, &first, &first_ms), WINDOW_NEW);
    CU_ASSERT_EQUAL(window_claim(window, &first, &first_ms), WINDOW_NEW);
    add(window, 2, "ann");
    CU_ASSERT_EQUAL(owner(window, 2, "bob"), WINDOW_UNKNOWN);
    CU_ASSERT_STRING_EQUAL(mark(window, 2, "bob", true), "");
    window_destroy(window);
}

/* What cannot be remembered is let through. */
static void without_memory_nothing_is_lost(void)
{
    mem_fail_after(1);
    CU_ASSERT_PTR_NULL(window_create(SIZE));
    mem_fail_after(2);
    CU_ASSERT_PTR_NULL(window_create(SIZE));
    mem_fail_after(0);
    struct window *window = make(SIZE);
    add(window, 1, "ann");
    mem_fail_after(1);
    CU_ASSERT_STRING_EQUAL(mark(window, 1, "bob", true), "ann");
    mem_fail_after(1);
    add(window, 2, "a user with a name that is longer than forty bytes");
    mem_fail_after(0);
    CU_ASSERT_EQUAL(owner(window, 2, "bob"), WINDOW_UNKNOWN);
    CU_ASSERT_EQUAL(owner(window, 1, "ann"), WINDOW_OWN);
    window_destroy(window);
}

/* Beside a list of all that was ever added, with ids that come again and chains that are shared. */
static void whatever_comes_the_last_ones_are_known(void)
{
    enum { ADDED = 500, IDS = 24, SENDERS = 3 };
    static const char *const senders[SENDERS] = {"ann", "bob", "cem"};
    static const size_t sizes[] = {1, 2, 7, 16, 17, 40};
    unsigned random = 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct window *window = make(sizes[i]);
        unsigned ids[ADDED], by[ADDED];
        for (size_t count = 0; count < ADDED;) {
            random = random * 1103515245 + 12345;
            ids[count] = random >> 16 & (IDS - 1);
            by[count] = random >> 8 & 0xFF;
            by[count] %= SENDERS;
            add(window, ids[count], senders[by[count]]);
            count++;
            unsigned asked = random >> 24 & (IDS - 1), who = random % SENDERS;
            enum window_owner expected = WINDOW_UNKNOWN;
            size_t oldest = count > sizes[i] ? count - sizes[i] : 0;
            for (size_t j = oldest; j < count && expected != WINDOW_OWN; j++)
                if (ids[j] == asked)
                    expected = by[j] == who ? WINDOW_OWN : WINDOW_NOT_OWN;
            CU_ASSERT_EQUAL(owner(window, asked, senders[who]), expected);
        }
        window_destroy(window);
    }
}

CU_TestInfo window_tests[] = {
    {"whatever_comes_the_last_ones_are_known", whatever_comes_the_last_ones_are_known},
    {"the_same_again_is_a_duplicate", the_same_again_is_a_duplicate},
    {"a_message_from_elsewhere_that_comes_again_is_a_duplicate",
     a_message_from_elsewhere_that_comes_again_is_a_duplicate},
    {"a_mark_that_was_heard_is_no_news_here", a_mark_that_was_heard_is_no_news_here},
    {"the_case_of_an_id_makes_no_other", the_case_of_an_id_makes_no_other},
    {"only_the_sender_owns_a_message", only_the_sender_owns_a_message},
    {"the_oldest_is_forgotten_first", the_oldest_is_forgotten_first},
    {"a_senders_name_has_its_bound", a_senders_name_has_its_bound},
    {"a_mark_is_news_once", a_mark_is_news_once},
    {"a_mark_lives_as_long_as_its_message", a_mark_lives_as_long_as_its_message},
    {"a_window_of_none_remembers_nothing", a_window_of_none_remembers_nothing},
    {"without_memory_nothing_is_lost", without_memory_nothing_is_lost},
    CU_TEST_INFO_NULL,
};
