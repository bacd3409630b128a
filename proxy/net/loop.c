/*
 * The loop and its scratch memory, and what was put off to its next turn.
 *
 * Happy path: loop_init, loop_run until the last handle is closed, loop_fini.
 * Failures: no epoll descriptor to be had at loop_init (ERR_SYSTEM); a handle that nobody closed,
 * which is a broken invariant in loop_fini.
 */
#include "net/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The last of many sessions leave something behind that is freed a little later: records to be
 * written, connections that linger. */
#define EBB_MILLISECONDS 300

static void on_idle(uv_idle_t *idle)
{
    struct loop *loop = CONTAINER_OF(idle, struct loop, idle);
    /* What is deferred from now on is for the next turn, else two could keep each other busy. */
    struct list due;
    list_init(&due);
    while (!list_is_empty(&loop->deferred)) {
        struct list *node = loop->deferred.next;
        list_remove(node);
        list_append(&due, node);
    }
    while (!list_is_empty(&due)) {
        struct deferral *deferral = CONTAINER_OF(due.next, struct deferral, node);
        list_remove(&deferral->node);
        deferral->run(deferral);
    }
    if (list_is_empty(&loop->deferred))
        uv_idle_stop(idle);
}

int loop_init(struct loop *loop, struct err *err)
{
    /* What libuv lets grow, it aborts without: here with a word. */
    ENSURE(uv_replace_allocator(malloc, mem_resize, calloc, free) == 0);
    int status = uv_loop_init(&loop->uv);
    if (status != 0)
        return err_set(err, ERR_SYSTEM, "event loop: %s", uv_strerror(status));
    signal(SIGPIPE, SIG_IGN);
    ENSURE(uv_idle_init(&loop->uv, &loop->idle) == 0);
    list_init(&loop->deferred);
    loop->tide = (struct mem_tide){0};
    ENSURE(uv_timer_init(&loop->uv, &loop->ebb) == 0);
    uv_unref((uv_handle_t *)&loop->ebb);
    loop->stalls = deadline_queue_new(loop, LOOP_STALL_MILLISECONDS);
    loop->runner = NULL;
    loop->scratch_input = mem_new(LOOP_SCRATCH_SIZE);
    loop->scratch_plain = mem_new(LOOP_SCRATCH_SIZE);
    loop->scratch_cipher = mem_new(LOOP_CIPHER_SIZE);
    return 0;
}

static void free_scratch(uint8_t *memory, size_t size)
{
    mem_wipe(memory, size);
    mem_free(memory);
}

void loop_fini(struct loop *loop)
{
    ENSURE(list_is_empty(&loop->deferred));
    deadline_queue_close(loop->stalls);
    uv_close((uv_handle_t *)&loop->ebb, NULL);
    mem_tide_fini(&loop->tide);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    ENSURE(uv_loop_close(&loop->uv) == 0);
    free_scratch(loop->scratch_input, LOOP_SCRATCH_SIZE);
    free_scratch(loop->scratch_plain, LOOP_SCRATCH_SIZE);
    free_scratch(loop->scratch_cipher, LOOP_CIPHER_SIZE);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

/* Whole pages of it; they are all zero when they are used next. */
static void give_back_scratch(uint8_t *memory, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + size) / page * page;
    (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

static void on_ebb(uv_timer_t *timer)
{
    struct loop *loop = CONTAINER_OF(timer, struct loop, ebb);
    give_back_scratch(loop->scratch_input, LOOP_SCRATCH_SIZE);
    give_back_scratch(loop->scratch_plain, LOOP_SCRATCH_SIZE);
    give_back_scratch(loop->scratch_cipher, LOOP_CIPHER_SIZE);
    mem_tide_settle(&loop->tide);
}

void loop_note_tide(struct loop *loop, size_t count)
{
    if (mem_tide_note(&loop->tide, count))
        ENSURE(uv_timer_start(&loop->ebb, on_ebb, EBB_MILLISECONDS, 0) == 0);
}

void deferral_init(struct deferral *deferral, void (*run)(struct deferral *))
{
    list_init(&deferral->node);
    deferral->run = run;
}

void loop_defer(struct loop *loop, struct deferral *deferral)
{
    if (!list_is_empty(&deferral->node))
        return;
    list_append(&loop->deferred, &deferral->node);
    ENSURE(uv_idle_start(&loop->idle, on_idle) == 0);
}

void deferral_cancel(struct deferral *deferral)
{
    list_remove(&deferral->node);
}
