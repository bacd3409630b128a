/* The loop, what is deferred on it, and the deadline queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"

#define ROW_MAX 16

struct row {
    int numbers[ROW_MAX];
    size_t count;
};

static void note(struct row *row, int number)
{
    assert_true(row->count < ROW_MAX);
    row->numbers[row->count++] = number;
}

static void expect_row(const struct row *row, const int *numbers, size_t count)
{
    assert_int_equal(row->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(row->numbers[i], numbers[i]);
}

static void test_empty_loop_ends(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop, NULL), 0);
    loop_run(&loop);
    loop_fini(&loop);
}

/* -- deferrals -- */

struct task {
    struct deferral deferral;
    struct loop *loop;
    struct row *row;
    int number;
    struct task *then_defer, *then_cancel;
};

static void run_task(struct deferral *deferral)
{
    struct task *task = CONTAINER_OF(deferral, struct task, deferral);
    note(task->row, task->number);
    if (task->then_defer != NULL)
        loop_defer(task->loop, &task->then_defer->deferral);
    if (task->then_cancel != NULL)
        deferral_cancel(&task->then_cancel->deferral);
}

static void init_tasks(struct task *tasks, size_t count, struct loop *loop, struct row *row)
{
    for (size_t i = 0; i < count; i++) {
        tasks[i] = (struct task){.loop = loop, .row = row, .number = (int)i};
        deferral_init(&tasks[i].deferral, run_task);
    }
}

static void test_deferred_run_once_in_order(void **state)
{
    (void)state;
    struct loop loop;
    struct row row = {0};
    struct task tasks[3];
    assert_int_equal(loop_init(&loop, NULL), 0);
    init_tasks(tasks, 3, &loop, &row);
    loop_defer(&loop, &tasks[2].deferral);
    loop_defer(&loop, &tasks[0].deferral);
    loop_defer(&loop, &tasks[2].deferral);
    loop_defer(&loop, &tasks[1].deferral);
    assert_int_equal(row.count, 0);
    loop_run(&loop);
    expect_row(&row, (int[]){2, 0, 1}, 3);
    loop_fini(&loop);
}

static void test_deferred_may_defer_and_cancel(void **state)
{
    (void)state;
    struct loop loop;
    struct row row = {0};
    struct task tasks[4];
    assert_int_equal(loop_init(&loop, NULL), 0);
    init_tasks(tasks, 4, &loop, &row);
    tasks[0].then_defer = &tasks[3];
    tasks[0].then_cancel = &tasks[1];
    loop_defer(&loop, &tasks[0].deferral);
    loop_defer(&loop, &tasks[1].deferral);
    loop_defer(&loop, &tasks[2].deferral);
    loop_run(&loop);
    expect_row(&row, (int[]){0, 2, 3}, 3);
    loop_fini(&loop);
}

struct chatter {
    struct deferral deferral;
    struct loop *loop;
    int left;
    bool *is_timer_over;
};

static void chat(struct deferral *deferral)
{
    struct chatter *chatter = CONTAINER_OF(deferral, struct chatter, deferral);
    if (!*chatter->is_timer_over)
        loop_defer(chatter->loop, deferral);
    chatter->left++;
}

static void on_timer_over(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
    uv_close((uv_handle_t *)timer, NULL);
}

static void test_deferring_again_lets_the_loop_turn(void **state)
{
    (void)state;
    struct loop loop;
    bool is_over = false;
    uv_timer_t timer;
    assert_int_equal(loop_init(&loop, NULL), 0);
    uv_timer_init(&loop.uv, &timer);
    timer.data = &is_over;
    uv_timer_start(&timer, on_timer_over, 5, 0);
    struct chatter chatter = {.loop = &loop, .is_timer_over = &is_over};
    deferral_init(&chatter.deferral, chat);
    loop_defer(&loop, &chatter.deferral);
    loop_run(&loop);
    assert_true(is_over);
    loop_fini(&loop);
}

/* -- deadlines -- */

struct waiter {
    struct deadline deadline;
    struct deadline_queue *queue;
    struct row *row;
    int number;
    int restarts;
    struct waiter *then_stop, *then_start;
    bool then_close;
};

static void on_expired(struct deadline *deadline)
{
    struct waiter *waiter = CONTAINER_OF(deadline, struct waiter, deadline);
    assert_false(deadline_is_running(deadline));
    assert_true(clock_steady_milliseconds() >= deadline->expires);
    note(waiter->row, waiter->number);
    if (waiter->restarts-- > 0)
        deadline_start(waiter->queue, deadline);
    if (waiter->then_stop != NULL)
        deadline_stop(&waiter->then_stop->deadline);
    if (waiter->then_start != NULL)
        deadline_start(waiter->queue, &waiter->then_start->deadline);
    if (waiter->then_close)
        deadline_queue_close(waiter->queue);
}

static void init_waiters(struct waiter *waiters, size_t count, struct deadline_queue *queue,
                         struct row *row)
{
    for (size_t i = 0; i < count; i++) {
        waiters[i] = (struct waiter){.queue = queue, .row = row, .number = (int)i};
        deadline_init(&waiters[i].deadline, on_expired);
    }
}

static void test_deadlines_expire_in_order(void **state)
{
    (void)state;
    struct loop loop;
    struct row row = {0};
    struct waiter waiters[4];
    assert_int_equal(loop_init(&loop, NULL), 0);
    struct deadline_queue *queue = deadline_queue_new(&loop, 10);
    init_waiters(waiters, 4, queue, &row);
    for (size_t i = 0; i < 4; i++)
        deadline_start(queue, &waiters[i].deadline);
    deadline_start(queue, &waiters[1].deadline);
    deadline_stop(&waiters[2].deadline);
    deadline_stop(&waiters[2].deadline);
    assert_true(deadline_is_running(&waiters[0].deadline));
    assert_false(deadline_is_running(&waiters[2].deadline));
    loop_run(&loop);
    expect_row(&row, (int[]){0, 3, 1}, 3);
    deadline_queue_close(queue);
    loop_fini(&loop);
}

static void test_empty_queue_lets_the_loop_end(void **state)
{
    (void)state;
    struct loop loop;
    struct row row = {0};
    struct waiter waiters[2];
    assert_int_equal(loop_init(&loop, NULL), 0);
    struct deadline_queue *queue = deadline_queue_new(&loop, 1000 * 1000);
    init_waiters(waiters, 2, queue, &row);
    deadline_start(queue, &waiters[0].deadline);
    deadline_start(queue, &waiters[1].deadline);
    deadline_stop(&waiters[0].deadline);
    deadline_stop(&waiters[1].deadline);
    loop_run(&loop);
    assert_int_equal(row.count, 0);
    deadline_queue_close(queue);
    loop_fini(&loop);
}

static void test_expired_may_start_stop_and_close(void **state)
{
    (void)state;
    struct loop loop;
    struct row row = {0};
    struct waiter waiters[4];
    assert_int_equal(loop_init(&loop, NULL), 0);
    struct deadline_queue *queue = deadline_queue_new(&loop, 5);
    init_waiters(waiters, 4, queue, &row);
    waiters[0].restarts = 2;
    waiters[0].then_stop = &waiters[1];
    waiters[2].then_start = &waiters[3];
    deadline_start(queue, &waiters[0].deadline);
    deadline_start(queue, &waiters[1].deadline);
    deadline_start(queue, &waiters[2].deadline);
    loop_run(&loop);
    assert_int_equal(row.count, 5);
    int times[4] = {0};
    for (size_t i = 0; i < row.count; i++)
        times[row.numbers[i]]++;
    assert_int_equal(times[0], 3);
    assert_int_equal(times[1], 0);
    assert_int_equal(times[2], 1);
    assert_int_equal(times[3], 1);
    waiters[3].then_close = true;
    deadline_start(queue, &waiters[3].deadline);
    loop_run(&loop);
    assert_int_equal(row.count, 6);
    loop_fini(&loop);
}

static void test_deadline_moves_between_queues(void **state)
{
    (void)state;
    struct loop loop;
    struct row row = {0};
    struct waiter waiters[1];
    assert_int_equal(loop_init(&loop, NULL), 0);
    struct deadline_queue *slow = deadline_queue_new(&loop, 1000 * 1000);
    struct deadline_queue *fast = deadline_queue_new(&loop, 1);
    init_waiters(waiters, 1, fast, &row);
    deadline_start(slow, &waiters[0].deadline);
    deadline_start(fast, &waiters[0].deadline);
    loop_run(&loop);
    expect_row(&row, (int[]){0}, 1);
    deadline_queue_close(slow);
    deadline_queue_close(fast);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_loop_ends),
        cmocka_unit_test(test_deferred_run_once_in_order),
        cmocka_unit_test(test_deferred_may_defer_and_cancel),
        cmocka_unit_test(test_deferring_again_lets_the_loop_turn),
        cmocka_unit_test(test_deadlines_expire_in_order),
        cmocka_unit_test(test_empty_queue_lets_the_loop_end),
        cmocka_unit_test(test_expired_may_start_stop_and_close),
        cmocka_unit_test(test_deadline_moves_between_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
