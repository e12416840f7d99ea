#include "handlers/post_batch.h"

#include "core/base/fault.h"
#include "core/chat/json_read.h"
#include "handlers/api.h"
#include "handlers/body.h"
#include "handlers/entry.h"
#include "handlers/request.h"
#include "handlers/service.h"

enum { ENTRIES_MAX = 1000 };

/* The text is read twice: first it is found to be an array of so many entries, since nothing may be
 * done for one that is not; then each entry is taken. */
struct batch_reading {
    struct api *api;
    size_t count;
    struct entry_budget budget;
    size_t accepted, rejected;
    struct buf *results;
};

static void count_entry(void *arg, struct slice name, const struct json_value *value)
{
    struct batch_reading *reading = arg;
    (void)name;
    (void)value;
    reading->count++;
}

static void take_entry(void *arg, struct slice name, const struct json_value *value)
{
    struct batch_reading *reading = arg;
    struct entry entry;
    (void)name;
    struct refusal refusal = entry_read(reading->api, value->raw, SLICE_NONE, &entry);
    if (refusal.status == 0)
        refusal = entry_publish(reading->api, &entry, &reading->budget);
    if (reading->accepted + reading->rejected != 0)
        buf_append_char(reading->results, ',');
    if (refusal.status != 0) {
        reading->rejected++;
        fault_append_json(reading->results, &refusal.fault, NULL, 0);
    } else {
        reading->accepted++;
        buf_append_str(reading->results, "{\"status\":\"ok\",");
        entry_append(reading->results, &entry);
        buf_append_char(reading->results, '}');
    }
}

static struct refusal invalid(const char *message)
{
    return api_refuse(MHD_HTTP_BAD_REQUEST,
                      (struct fault){.code = FAULT_INVALID_PAYLOAD, .message = message});
}

/* How deep an entry may be is judged with the entry, so that one that is too deep spoils no other:
 * here nothing can be deeper than the body is long. */
static struct refusal read_array(struct slice body, json_each *each, struct batch_reading *reading)
{
    enum json_kind kind;
    enum json_result result = json_read(body, REQUEST_BODY_MAX, each, reading, &kind);
    if (result == JSON_NO_MEMORY)
        return api_refuse(MHD_HTTP_INTERNAL_SERVER_ERROR,
                          (struct fault){.code = FAULT_INTERNAL, .message = "out of memory"});
    if (result != JSON_OK)
        return invalid("a body must be valid JSON");
    if (kind != JSON_IS_ARRAY)
        return invalid("a batch must be an array");
    return (struct refusal){0};
}

static struct refusal act(struct request *request, struct slice body, struct buf *answer)
{
    struct api *api = request->service->api;
    struct batch_reading reading = {.api = api};
    struct buf results;
    entry_budget_init(&reading.budget);
    struct refusal refusal = read_array(body, count_entry, &reading);
    if (refusal.status == 0 && reading.count > ENTRIES_MAX)
        refusal = invalid("a batch has at most 1000 entries");
    if (refusal.status != 0)
        return refusal;
    buf_init(&results, API_ANSWER_MAX);
    reading.results = &results;
    refusal = read_array(body, take_entry, &reading);
    api->counts.accepted += reading.accepted;
    api->counts.rejected += reading.rejected;
    buf_printf(answer, "{\"accepted\":%zu,\"rejected\":%zu,\"results\":[", reading.accepted,
               reading.rejected);
    if (results.len != 0)
        buf_append_slice(answer, buf_slice(&results));
    buf_append_str(answer, "]}");
    if (results.err != ERR_OK)
        answer->err = results.err;
    buf_fini(&results);
    return refusal;
}

enum MHD_Result post_batch_answer(struct request *request)
{
    return api_post(request, act);
}
