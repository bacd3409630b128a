/*
 * Happy path: a resolver of its own for each question, in a thread of libuv's pool, which reads
 * resolv.conf, asks by UDP, and by TCP when the answer is too long for that.
 *
 * Failures: no such name or record; no answer within the patience below; a server that refuses. A
 * thread that has begun is not waited for when its owner cancels: the memory is freed behind it.
 */
#include "net/record_query.h"

#include <netdb.h>
#include <resolv.h>
#include <string.h>

#define SECONDS_A_TRY 2
#define TRIES         2
#define CLASS_IN      1
#define HEADER_SIZE   12

struct record_query {
    uv_work_t work;
    char *name;
    unsigned type;
    bool has_server;
    struct sockaddr_in server;
    int status;
    size_t size;
    uint8_t *answer;                                                 /* RECORD_ANSWER_MAX */
    void (*on_answer)(void *owner, int status, struct slice answer); /* NULL: cancelled */
    void *owner;
};

static void query_free(struct record_query *query)
{
    mem_free(query->name);
    mem_free(query->answer);
    mem_free(query);
}

static void set_patience(struct __res_state *state, const struct record_query *query)
{
    state->retrans = SECONDS_A_TRY;
    state->retry = TRIES;
    if (!query->has_server)
        return;
    state->nscount = 1;
    state->nsaddr_list[0] = query->server;
}

static int ask(struct record_query *query, struct __res_state *state)
{
    int size = res_nquery(state, query->name, CLASS_IN, (int)query->type, query->answer,
                          (int)RECORD_ANSWER_MAX);
    if (size < 0)
        return state->res_h_errno == HOST_NOT_FOUND || state->res_h_errno == NO_DATA
                   ? ERR_NOT_FOUND
                   : ERR_UNAVAILABLE;
    /* It tells the length of an answer that it had to cut. */
    if ((size_t)size > RECORD_ANSWER_MAX || size < HEADER_SIZE)
        return ERR_UNAVAILABLE;
    query->size = (size_t)size;
    return 0;
}

static void on_work(uv_work_t *work)
{
    struct record_query *query = CONTAINER_OF(work, struct record_query, work);
    struct __res_state state;
    memset(&state, 0, sizeof(state));
    query->status = ERR_UNAVAILABLE;
    if (res_ninit(&state) != 0)
        return;
    set_patience(&state, query);
    query->status = ask(query, &state);
    res_nclose(&state);
}

static void on_worked(uv_work_t *work, int failure)
{
    struct record_query *query = CONTAINER_OF(work, struct record_query, work);
    if (failure != 0)
        query->status = ERR_UNAVAILABLE;
    if (query->on_answer != NULL)
        query->on_answer(query->owner, query->status, slice_of(query->answer, query->size));
    query_free(query);
}

struct record_query *
record_query_start(struct loop *loop, const char *name, unsigned type,
                   const struct sockaddr_in *server,
                   void (*on_answer)(void *owner, int status, struct slice answer), void *owner)
{
    struct record_query *query = mem_new(sizeof(*query));
    query->name = mem_copy_string(name);
    query->type = type;
    query->has_server = server != NULL;
    if (server != NULL)
        query->server = *server;
    query->answer = mem_new(RECORD_ANSWER_MAX);
    query->on_answer = on_answer;
    query->owner = owner;
    int status = uv_queue_work(&loop->uv, &query->work, on_work, on_worked);
    ENSURE(status == 0);
    return query;
}

void record_query_cancel(struct record_query *query)
{
    query->on_answer = NULL;
    (void)uv_cancel((uv_req_t *)&query->work);
}
