/*
 * One batch after the other.
 *
 * Happy path: what is queued is taken, a thread writes it, and back in the loop whoever waits for
 * it is told. What has come meanwhile is the next batch: so the more there is to do, the more goes
 * to disk at a time.
 *
 * A failure is told to the log and to the policy, and the next try comes after a pause that doubles
 * to ten seconds; the batch is tried again unless it was given up. At the end one try must do.
 */
#include <inttypes.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "auth/message.h"
#include "base/clock.h"
#include "keeper/journal_internal.h"

#define QUEUE_HIGH             (4ul * 1024 * 1024) /* a frame of a gate may come on top: 8 MiB */
#define QUEUE_LOW              (1024ul * 1024)
#define QUEUE_KEPT             (128ul * 1024) /* of the memory of what is written */
#define PAUSE_MIN_MILLISECONDS 100
#define PAUSE_MAX_MILLISECONDS 10000
#define TICK_MILLISECONDS      60000

/* ---- who waits ---- */

static void answer_tickets(struct journal *journal)
{
    while (!list_is_empty(&journal->tickets)) {
        struct journal_ticket *ticket =
            CONTAINER_OF(journal->tickets.next, struct journal_ticket, node);
        bool is_there = ticket->record <= journal->durable;
        if (!is_there && !journal_refuses(journal))
            return;
        struct journal_ticket copy = *ticket;
        journal_cancel(ticket);
        copy.on_durable(copy.owner, is_there ? 0 : ERR_UNAVAILABLE);
    }
}

static void answer_receipts(struct journal *journal)
{
    while (!list_is_empty(&journal->receipts)) {
        struct journal_receipt *receipt =
            CONTAINER_OF(journal->receipts.next, struct journal_receipt, node);
        if (receipt->record > journal->durable)
            return;
        struct journal_receipt copy = *receipt;
        list_remove(&receipt->node);
        mem_free(receipt);
        journal->ops.on_durable(journal->parts.owner, copy.gate, copy.receipt);
    }
}

static void answer_seed(struct journal *journal)
{
    void (*on_sealed)(void *, int, uint64_t) = journal->on_sealed;
    if (!secret_is_set(&journal->seed) || journal->work.seed == NULL)
        return;
    secret_wipe(&journal->seed);
    journal->on_sealed = NULL;
    if (on_sealed != NULL)
        on_sealed(journal->seed_owner, journal->result.seed_first > 0 ? 0 : ERR_UNAVAILABLE,
                  journal->result.seed_first);
}

/* ---- limits and policy ---- */

void journal_check_congestion(struct journal *journal)
{
    size_t size = buf_size(&journal->queue) + journal->rest.size;
    bool is_blocked = journal->is_failing && journal->failure == AUDIT_FAILURE_BLOCK;
    bool is = is_blocked || size > (journal->is_congested ? QUEUE_LOW : QUEUE_HIGH);
    if (is == journal->is_congested)
        return;
    journal->is_congested = is;
    journal->ops.on_congested(journal->parts.owner, is);
}

static void give_up(struct journal *journal)
{
    uint64_t count = journal->accepted - journal->durable;
    buf_clear(&journal->queue);
    buf_clear(&journal->taken);
    journal->rest = SLICE_NONE;
    journal->queued = 0;
    journal->durable = journal->accepted;
    journal->lost += count;
    journal->lost_untold += count;
}

void journal_policy(struct journal *journal)
{
    bool refuses = journal_refuses(journal);
    if (journal->is_failing && journal->failure == AUDIT_FAILURE_WARN && !journal->is_working)
        give_up(journal);
    if (refuses == journal->has_told)
        return;
    journal->has_told = refuses;
    journal->ops.on_failing(journal->parts.owner, refuses);
}

void journal_drop_old_subjects(struct journal *journal)
{
    if (journal->is_working)
        return;
    for (struct journal_subject *newest = journal->subjects; newest != NULL;
         newest = (struct journal_subject *)(uintptr_t)newest->next) {
        const struct journal_subject **link = &newest->next;
        while (*link != NULL) {
            struct journal_subject *old = (struct journal_subject *)(uintptr_t)*link;
            if (strcmp(old->account, newest->account) != 0) {
                link = &old->next;
                continue;
            }
            *link = old->next;
            secret_wipe(&old->key);
            mem_free(old->account);
            mem_free(old);
        }
    }
}

/* ---- the work ---- */

static void do_work(uv_work_t *request)
{
    struct journal *journal = CONTAINER_OF(request, struct journal, request);
    journal->status =
        journal_writer_write(journal->writer, &journal->work, &journal->result, &journal->error);
    ERR_clear_error(); /* it would be kept with this thread of the pool */
}

static void take_queue(struct journal *journal)
{
    struct message message;
    buf_rewind(&journal->taken, QUEUE_KEPT);
    if (buf_size(&journal->queue) == 0)
        return;
    struct buf empty = journal->taken;
    journal->taken = journal->queue;
    journal->queue = empty;
    journal->queued = 0;
    /* A gate could not have sent that much; only the head of it is read as a message. */
    struct slice bytes = buf_bytes(&journal->taken);
    ENSURE(message_read(slice_take(bytes, MESSAGE_SIZE_MAX), &message) == 0);
    journal->rest = slice_skip(bytes, (size_t)(message.fields.data - bytes.data));
}

static void on_worked(uv_work_t *request, int status);

static void start_work(struct journal *journal)
{
    ENSURE(!journal->is_working);
    uv_timer_stop(&journal->timer);
    if (journal->rest.size == 0)
        take_queue(journal);
    journal->taken_anchor = journal->next_anchor;
    journal->next_anchor = NULL;
    journal->work = (struct journal_work){
        .level = journal->level == AUDIT_OFF ? AUDIT_STANDARD : journal->level,
        .segment_max = journal->segment_max,
        .keep = journal->keep,
        .now = (uint64_t)clock_wall_microseconds(),
        .subjects = journal->subjects,
        .records = journal->rest,
        .lost = journal->lost_untold,
        .is_last = journal->is_closing,
        .seed = secret_is_set(&journal->seed) ? &journal->seed : NULL,
        .anchor = journal->taken_anchor,
    };
    journal->is_working = true;
    ENSURE(uv_queue_work(&journal->parts.loop->uv, &journal->request, do_work, on_worked) == 0);
}

static void succeed(struct journal *journal)
{
    if (journal->is_failing)
        log_warn(journal->parts.log,
                 "audit: the journal is written again; %" PRIu64 " records are missing in it",
                 journal->lost);
    journal->is_failing = false;
    journal->pause = 0;
}

static void fail(struct journal *journal)
{
    journal->failures++;
    journal->pause = journal->pause == 0 ? PAUSE_MIN_MILLISECONDS : 2 * journal->pause;
    if (journal->pause > PAUSE_MAX_MILLISECONDS)
        journal->pause = PAUSE_MAX_MILLISECONDS;
    journal->retry_at = clock_steady_milliseconds() + journal->pause;
    journal->is_failing = true;
    log_error(journal->parts.log, "audit: the journal cannot be written: %s (next try in %u ms)",
              journal->error.text, journal->pause);
}

static void take_result(struct journal *journal)
{
    const struct journal_result *result = &journal->result;
    journal->rest = slice_skip(journal->rest, result->consumed);
    journal->durable += result->count;
    journal->sequence = result->sequence;
    journal->lost_untold -= result->lost_told;
    if (*result->warning != '\0')
        log_warn(journal->parts.log, "audit: %s", result->warning);
    if (journal->rest.size == 0)
        buf_rewind(&journal->taken, QUEUE_KEPT);
    if (journal->status == 0)
        succeed(journal);
    else
        fail(journal);
}

static void on_worked(uv_work_t *request, int status)
{
    struct journal *journal = CONTAINER_OF(request, struct journal, request);
    ENSURE(status == 0);
    journal->is_working = false;
    mem_free(journal->taken_anchor);
    journal->taken_anchor = NULL;
    take_result(journal);
    journal_drop_old_subjects(journal);
    if (journal->is_closing) {
        journal_finish(journal);
        return;
    }
    answer_seed(journal);
    journal_policy(journal);
    journal_check_congestion(journal);
    answer_receipts(journal);
    answer_tickets(journal);
    journal_schedule(journal);
}

/* ---- when ---- */

static bool is_awaited(const struct journal *journal)
{
    return !list_is_empty(&journal->tickets) || !list_is_empty(&journal->receipts);
}

static int64_t milliseconds_to_work(const struct journal *journal)
{
    int64_t now = clock_steady_milliseconds(), left = TICK_MILLISECONDS;
    if (journal->is_failing)
        left = journal->retry_at - now;
    else if (secret_is_set(&journal->seed) || journal->rest.size > 0 ||
             journal->queued >= JOURNAL_GROUP_RECORDS ||
             (journal->queued > 0 && is_awaited(journal)))
        left = 0;
    else if (journal->queued > 0)
        left = journal->oldest + JOURNAL_GROUP_MILLISECONDS - now;
    return left > 0 ? left : 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct journal *journal = CONTAINER_OF(timer, struct journal, timer);
    start_work(journal);
}

void journal_schedule(struct journal *journal)
{
    if (journal->is_closing || journal->is_working || journal->writer == NULL)
        return;
    int64_t left = milliseconds_to_work(journal);
    if (left == 0) {
        uv_timer_stop(&journal->timer);
        loop_defer(journal->parts.loop, &journal->turn);
    } else {
        ENSURE(uv_timer_start(&journal->timer, on_timer, (uint64_t)left, 0) == 0);
    }
}

void journal_on_turn(struct deferral *deferral)
{
    struct journal *journal = CONTAINER_OF(deferral, struct journal, turn);
    journal_policy(journal);
    journal_check_congestion(journal);
    answer_receipts(journal);
    answer_tickets(journal);
    if (journal->writer != NULL && !journal->is_working && milliseconds_to_work(journal) == 0)
        start_work(journal);
    else
        journal_schedule(journal);
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct journal *journal = CONTAINER_OF(handle, struct journal, timer);
    while (journal->subjects != NULL) {
        struct journal_subject *subject = journal->subjects;
        journal->subjects = (struct journal_subject *)(uintptr_t)subject->next;
        secret_wipe(&subject->key);
        mem_free(subject->account);
        mem_free(subject);
    }
    secret_wipe(&journal->token_key);
    secret_wipe(&journal->seed);
    buf_fini(&journal->queue);
    buf_fini(&journal->taken);
    mem_free(journal->anchor);
    mem_free(journal->next_anchor);
    mem_free(journal);
}

void journal_finish(struct journal *journal)
{
    bool is_empty = journal->queued == 0 && journal->rest.size == 0;
    bool is_over = journal->is_ending && (is_empty || journal->status != 0);
    bool has_lines = journal->sequence > 0 || journal->accepted > 0;
    if (journal->is_working)
        return;
    if (journal->writer != NULL && has_lines && !is_over) {
        journal->is_ending = true;
        start_work(journal);
        return;
    }
    if (journal->accepted > journal->durable)
        log_error(journal->parts.log, "audit: %" PRIu64 " records could not be written",
                  journal->accepted - journal->durable);
    journal_writer_close(journal->writer);
    uv_close((uv_handle_t *)&journal->timer, on_timer_closed);
}
