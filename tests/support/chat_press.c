#include "tests/support/chat_press.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/chat/client.h"
#include "core/chat/client_io.h"

void chat_publish_len(struct chat *chat, size_t frame_len, char fill)
{
    char *text = mem_zalloc(frame_len);
    size_t len = frame_len - (frame_len <= 127 ? 2 : frame_len <= 65539 ? 4 : 10);
    memset(text, fill, len);
    CU_ASSERT_TRUE(chat_publish_bytes(chat, "lobby", slice_of(text, len)));
    mem_free(text);
}

struct peek {
    struct client *client;
    uint32_t messages;
};

static void peek(void *arg)
{
    struct peek *peek = arg;
    const struct client_work *work = peek->client->work;
    peek->messages = work != NULL ? work->outq.messages : 0;
}

uint32_t chat_queued(struct chat *chat, struct peer *peer)
{
    struct peek seen = {.client = peer->client};
    chat_settle(chat);
    chat_run_on(chat, 0, peek, &seen);
    return seen.messages;
}

int chat_fill_socket(struct chat *chat, struct peer *peer)
{
    int count = 0;
    while (chat_queued(chat, peer) == 0 && count < 100000) {
        chat_publish_len(chat, 8000, (char)('a' + count % 26));
        count++;
    }
    return count;
}
