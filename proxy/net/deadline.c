/*
 * Deadlines of equal length: since each is appended with the same distance, the list is in order of
 * expiry by itself.
 *
 * Happy path: deadline_start puts one at the end; the timer stands for the head. When the head is
 * moved or removed the timer is left alone: it then comes early, finds nothing due and is set anew.
 * That makes the usual case, moving a deadline with every packet, two list operations.
 * Failures: none; the timer may come late when the loop is busy, or the machine slept.
 */
#include "base/clock.h"
#include "net/loop.h"

struct deadline_queue {
    uv_timer_t timer;
    struct list running;
    int64_t milliseconds;
};

static void on_timer(uv_timer_t *timer);

static void set_timer(struct deadline_queue *queue, int64_t now)
{
    struct deadline *head = CONTAINER_OF(queue->running.next, struct deadline, node);
    int64_t wait = head->expires > now ? head->expires - now : 0;
    ENSURE(uv_timer_start(&queue->timer, on_timer, (uint64_t)wait, 0) == 0);
}

static struct deadline *first_due(struct deadline_queue *queue, int64_t now)
{
    if (list_is_empty(&queue->running))
        return NULL;
    struct deadline *head = CONTAINER_OF(queue->running.next, struct deadline, node);
    return head->expires <= now ? head : NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct deadline_queue *queue = CONTAINER_OF(timer, struct deadline_queue, timer);
    int64_t now = clock_steady_milliseconds();
    for (struct deadline *due = first_due(queue, now); due != NULL; due = first_due(queue, now)) {
        list_remove(&due->node);
        due->on_expired(due);
    }
    /* A callback may have closed the queue: its memory is there until the close callback. */
    if (!list_is_empty(&queue->running))
        set_timer(queue, now);
}

struct deadline_queue *deadline_queue_new(struct loop *loop, int64_t milliseconds)
{
    ENSURE(milliseconds > 0);
    struct deadline_queue *queue = mem_new(sizeof(*queue));
    ENSURE(uv_timer_init(&loop->uv, &queue->timer) == 0);
    list_init(&queue->running);
    queue->milliseconds = milliseconds;
    return queue;
}

static void on_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF(handle, struct deadline_queue, timer));
}

void deadline_queue_close(struct deadline_queue *queue)
{
    ENSURE(list_is_empty(&queue->running));
    uv_close((uv_handle_t *)&queue->timer, on_closed);
}

void deadline_init(struct deadline *deadline, void (*on_expired)(struct deadline *))
{
    *deadline = (struct deadline){.on_expired = on_expired};
    list_init(&deadline->node);
}

void deadline_start(struct deadline_queue *queue, struct deadline *deadline)
{
    /* Stopping it first when it is the only one would stop and start the timer each time. */
    if (deadline->queue == queue)
        list_remove(&deadline->node);
    else
        deadline_stop(deadline);
    int64_t now = clock_steady_milliseconds();
    deadline->queue = queue;
    deadline->expires = now + queue->milliseconds;
    list_append(&queue->running, &deadline->node);
    if (!uv_is_active((uv_handle_t *)&queue->timer))
        set_timer(queue, now);
}

void deadline_stop(struct deadline *deadline)
{
    if (!deadline_is_running(deadline))
        return;
    list_remove(&deadline->node);
    if (list_is_empty(&deadline->queue->running))
        uv_timer_stop(&deadline->queue->timer);
}

bool deadline_is_running(const struct deadline *deadline)
{
    return !list_is_empty(&deadline->node);
}
