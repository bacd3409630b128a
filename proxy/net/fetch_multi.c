/*
 * Happy path: libcurl says which descriptors to watch (on_socket) and when to be woken (on_timer);
 * each event goes to curl_multi_socket_action, and after each of those the transfers that have
 * ended are collected.
 *
 * Rules that libcurl and libuv set, each learnt from a bug somewhere:
 *  - nothing is called back into the multi from on_socket and on_timer; a timeout of 0 is a timer
 *    of 0, not a call
 *  - a descriptor has one uv_poll: it stops watching at once on REMOVE, since libcurl may close the
 *    descriptor and get the same number again before libuv's close callback comes
 *  - REMOVE may come for a descriptor that never got a context
 *  - an error of uv_poll goes to libcurl as CURL_CSELECT_ERR, else the transfer would hang until
 *    its timeout
 *
 * Closing: first the timer, then, outside of every callback of libcurl, the multi, which removes
 * its descriptors; on_closed when the last handle is closed.
 */
#include "net/fetch_multi.h"

#define CONNECTIONS_MAX      8
#define CONNECTIONS_KEPT_MAX 4

struct fetch_multi {
    struct loop *loop;
    CURLM *curl;
    uv_timer_t timer;
    const struct fetch_multi_ops *ops;
    void *owner;
    size_t transfers;
    size_t handles; /* not closed yet: the timer and every watch */
    bool closing;
};

struct watch {
    uv_poll_t poll;
    struct fetch_multi *multi;
    curl_socket_t socket;
};

/* ---- transfers that have ended ---- */

static void collect(struct fetch_multi *multi)
{
    CURLMsg *message;
    int left;
    while (!multi->closing && (message = curl_multi_info_read(multi->curl, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *transfer = message->easy_handle;
        CURLcode result = message->data.result;
        fetch_multi_remove(multi, transfer);
        multi->ops->on_done(multi->owner, transfer, result);
    }
}

static void act(struct fetch_multi *multi, curl_socket_t socket, int events)
{
    int running;
    ENSURE(curl_multi_socket_action(multi->curl, socket, events, &running) == CURLM_OK);
    collect(multi);
}

/* ---- descriptors ---- */

static void drop_handle(struct fetch_multi *multi)
{
    if (--multi->handles > 0)
        return;
    const struct fetch_multi_ops *ops = multi->ops;
    void *owner = multi->owner;
    mem_free(multi);
    ops->on_closed(owner);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = CONTAINER_OF(handle, struct watch, poll);
    struct fetch_multi *multi = watch->multi;
    mem_free(watch);
    drop_handle(multi);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = CONTAINER_OF(poll, struct watch, poll);
    if (watch->multi->closing)
        return;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if ((events & UV_READABLE) != 0)
        flags |= CURL_CSELECT_IN;
    if ((events & UV_WRITABLE) != 0)
        flags |= CURL_CSELECT_OUT;
    act(watch->multi, watch->socket, flags);
}

static struct watch *watch_new(struct fetch_multi *multi, curl_socket_t socket)
{
    struct watch *watch = mem_new(sizeof(*watch));
    watch->multi = multi;
    watch->socket = socket;
    ENSURE(uv_poll_init_socket(&multi->loop->uv, &watch->poll, socket) == 0);
    multi->handles++;
    ENSURE(curl_multi_assign(multi->curl, socket, watch) == CURLM_OK);
    return watch;
}

static void watch_drop(struct watch *watch)
{
    uv_poll_stop(&watch->poll);
    (void)curl_multi_assign(watch->multi->curl, watch->socket, NULL);
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static int on_socket(CURL *transfer, curl_socket_t socket, int what, void *owner, void *context)
{
    struct fetch_multi *multi = owner;
    struct watch *watch = context;
    (void)transfer;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL)
            watch_drop(watch);
        return 0;
    }
    if (multi->closing)
        return 0;
    if (watch == NULL)
        watch = watch_new(multi, socket);
    int events = 0;
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    ENSURE(uv_poll_start(&watch->poll, events, on_ready) == 0);
    return 0;
}

/* ---- the timer ---- */

static void on_expired(uv_timer_t *timer)
{
    struct fetch_multi *multi = CONTAINER_OF(timer, struct fetch_multi, timer);
    act(multi, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *curl, long milliseconds, void *owner)
{
    struct fetch_multi *multi = owner;
    (void)curl;
    if (multi->closing)
        return 0;
    if (milliseconds < 0)
        uv_timer_stop(&multi->timer);
    else
        ENSURE(uv_timer_start(&multi->timer, on_expired, (uint64_t)milliseconds, 0) == 0);
    return 0;
}

/* ---- life ---- */

int fetch_multi_add(struct fetch_multi *multi, CURL *transfer)
{
    ENSURE(!multi->closing);
    int status = curl_multi_add_handle(multi->curl, transfer);
    if (status == CURLM_OK)
        multi->transfers++;
    return status;
}

void fetch_multi_remove(struct fetch_multi *multi, CURL *transfer)
{
    ENSURE(curl_multi_remove_handle(multi->curl, transfer) == CURLM_OK);
    multi->transfers--;
}

static void set_options(struct fetch_multi *multi)
{
    CURLM *curl = multi->curl;
    ENSURE(curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK);
    ENSURE(curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, multi) == CURLM_OK);
    ENSURE(curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK);
    ENSURE(curl_multi_setopt(curl, CURLMOPT_TIMERDATA, multi) == CURLM_OK);
    ENSURE(curl_multi_setopt(curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX) ==
           CURLM_OK);
    ENSURE(curl_multi_setopt(curl, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT_MAX) == CURLM_OK);
}

struct fetch_multi *fetch_multi_open(struct loop *loop, const struct fetch_multi_ops *ops,
                                     void *owner)
{
    struct fetch_multi *multi = mem_new(sizeof(*multi));
    multi->loop = loop;
    multi->ops = ops;
    multi->owner = owner;
    multi->curl = curl_multi_init();
    ENSURE(multi->curl != NULL);
    set_options(multi);
    ENSURE(uv_timer_init(&loop->uv, &multi->timer) == 0);
    multi->handles = 1;
    return multi;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fetch_multi *multi = CONTAINER_OF(handle, struct fetch_multi, timer);
    ENSURE(curl_multi_cleanup(multi->curl) == CURLM_OK);
    drop_handle(multi);
}

void fetch_multi_close(struct fetch_multi *multi)
{
    ENSURE(multi->transfers == 0 && !multi->closing);
    multi->closing = true;
    uv_close((uv_handle_t *)&multi->timer, on_timer_closed);
}
