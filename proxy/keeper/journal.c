/*
 * Happy path: a record gets the fields that say where it happened, is put at the end of the queue,
 * and counted; journal_work.c brings it to the disk, and whoever waits for that count is told.
 *
 * Failures: see keeper/journal.h for the disk's. An account whose pseudonym key cannot be had: its
 * addresses are left out of the lines. A queue that is full all the same, of the keeper's own
 * records while nothing can be written: they are lost, and counted.
 */
#include "keeper/journal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "auth/message.h"
#include "base/clock.h"
#include "base/hex.h"
#include "keeper/journal_internal.h"
#include "keeper/vault_audit.h"

/* Twice what is queued when nobody may bring more: for the keeper's own. */
#define QUEUE_MAX (16ul * 1024 * 1024)
#define MEGABYTE  (1024ul * 1024)
#define DAY       86400

#define SESSION_TEXT 48

/* ---- what must be on disk first ---- */

static bool is_urgent(const struct journal *journal, const struct record *record)
{
    switch (record->action) {
    case ACTION_CLIENT_AUTH:
        return record->why != WHY_NONE || journal->sync == AUDIT_SYNC_STRICT;
    case ACTION_OAUTH_AUTHORIZE:
    case ACTION_TOKEN_REFRESH:
    case ACTION_TOKEN_REVOKE:
    case ACTION_GRANT_CREATE:
    case ACTION_GRANT_REVOKE:
    case ACTION_KEY_ROTATE:
    case ACTION_AUDIT_ERASE:
        return true;
    default:
        return false;
    }
}

/* ---- pseudonyms ---- */

/* At the head of the list: what is behind it may be in use by the thread. */
static void add_subject(struct journal *journal, const char *account, struct secret *key)
{
    struct journal_subject *subject = mem_new(sizeof(*subject));
    subject->account = mem_copy_string(account);
    secret_move(&subject->key, key);
    subject->next = journal->subjects;
    journal->subjects = subject;
}

static void need_subject(struct journal *journal, struct slice account)
{
    struct secret key = {0};
    struct err err;
    for (const struct journal_subject *subject = journal->subjects; subject != NULL;
         subject = subject->next)
        if (slice_is(account, subject->account))
            return;
    char *label = mem_copy_bytes_as_string(account.data, account.size);
    if (vault_pseudonym_key(journal->parts.vault, label, &key, &err) != 0)
        log_error(journal->parts.log, "audit: account %s: %s", label, err.text);
    else
        add_subject(journal, label, &key);
    mem_free(label);
}

/* ---- writing ---- */

static char *write_digits_before(char *end, uint64_t number)
{
    do
        *--end = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return end;
}

/* Gate and number. Of each command: snprintf would take as long as all the rest. */
static struct slice name_session(const struct journal_place *place, char memory[SESSION_TEXT])
{
    char *end = &memory[SESSION_TEXT - 1], *at = write_digits_before(end, place->session);
    *--at = '.';
    at = write_digits_before(at, place->gate);
    return slice_of(at, (size_t)(end - at));
}

static void add_missing(struct record *record, const struct record *given, enum record_field field,
                        struct slice text)
{
    if (record_find(given, field) == NULL)
        record_add_text(record, field, text);
}

static struct slice slice_of_any(const char *text)
{
    return text == NULL ? SLICE_NONE : slice_of_string(text);
}

/* Where it happened comes first, so that a long list does not leave it out. `session` is borrowed
 * by the record. */
static void place_record(const struct journal_place *place, const struct record *given,
                         char session[SESSION_TEXT], struct record *record_out)
{
    record_init(record_out, given->action, given->why, given->time);
    if (place != NULL) {
        if (place->session != 0)
            add_missing(record_out, given, FIELD_SESSION, name_session(place, session));
        add_missing(record_out, given, FIELD_PROTOCOL, slice_of_any(place->protocol));
        add_missing(record_out, given, FIELD_USER_NAME, slice_of_any(place->account));
        add_missing(record_out, given, FIELD_LISTENER, slice_of_any(place->listener));
    }
    size_t room = RECORD_VALUES_MAX - record_out->count;
    size_t count = given->count < room ? given->count : room;
    memcpy(record_out->values + record_out->count, given->values, count * sizeof(*given->values));
    record_out->count += count;
}

static void enqueue(struct journal *journal, const struct message_record *message)
{
    bool is_given_up = journal->is_failing && journal->failure == AUDIT_FAILURE_WARN;
    if (is_given_up || message_write_record(&journal->queue, message) != 0) {
        journal->lost++;
        journal->lost_untold++;
        return;
    }
    if (journal->queued++ == 0)
        journal->oldest = clock_steady_milliseconds();
    journal->accepted++;
    if (is_urgent(journal, &message->record))
        journal->urgent = journal->accepted;
}

void journal_write(struct journal *journal, const struct journal_place *place,
                   const struct record *given)
{
    char session[SESSION_TEXT];
    struct message_record message FILLED_LATER;
    journal_log(journal->parts.log, place, given);
    if (journal->level == AUDIT_OFF || journal->is_closing)
        return;
    message.session = message.receipt = message.listener = 0;
    place_record(place, given, session, &message.record);
    const struct record_value *account = record_find(&message.record, FIELD_USER_NAME);
    if (journal->level == AUDIT_MINIMAL && account != NULL)
        need_subject(journal, account->text);
    enqueue(journal, &message);
    journal_check_congestion(journal);
    /* Those between begin nothing that is not due already. */
    if (journal->queued == 1 || journal->queued == JOURNAL_GROUP_RECORDS)
        journal_schedule(journal);
}

/* ---- waiting ---- */

bool journal_refuses(const struct journal *journal)
{
    return journal->is_failing && journal->failure == AUDIT_FAILURE_CLOSE;
}

bool journal_is_durable(const struct journal *journal)
{
    return journal->urgent <= journal->durable;
}

struct journal_ticket *journal_when_durable(struct journal *journal,
                                            void (*on_durable)(void *owner, int status),
                                            void *owner)
{
    struct journal_ticket *ticket = mem_new(sizeof(*ticket));
    ticket->record = journal->urgent;
    ticket->on_durable = on_durable;
    ticket->owner = owner;
    list_init(&ticket->node);
    list_append(&journal->tickets, &ticket->node);
    loop_defer(journal->parts.loop, &journal->turn);
    return ticket;
}

void journal_cancel(struct journal_ticket *ticket)
{
    list_remove(&ticket->node);
    mem_free(ticket);
}

void journal_want_receipt(struct journal *journal, unsigned gate, uint64_t receipt)
{
    struct journal_receipt *wanted = mem_new(sizeof(*wanted));
    wanted->record = journal->accepted;
    wanted->gate = gate;
    wanted->receipt = receipt;
    list_init(&wanted->node);
    list_append(&journal->receipts, &wanted->node);
    loop_defer(journal->parts.loop, &journal->turn);
}

static void free_receipt(struct journal_receipt *receipt)
{
    list_remove(&receipt->node);
    mem_free(receipt);
}

void journal_forget_gate(struct journal *journal, unsigned gate)
{
    LIST_FOREACH_SAFE (node, &journal->receipts) {
        struct journal_receipt *receipt = CONTAINER_OF(node, struct journal_receipt, node);
        if (receipt->gate == gate)
            free_receipt(receipt);
    }
}

/* ---- keys ---- */

void journal_fingerprint(const struct journal *journal, const struct secret *token,
                         char fingerprint_out[JOURNAL_FINGERPRINT])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    *fingerprint_out = '\0';
    if (!secret_is_set(&journal->token_key) || !secret_is_set(token))
        return;
    const struct secret *key = &journal->token_key;
    if (HMAC(EVP_sha256(), key->bytes, (int)key->size, token->bytes, token->size, digest, NULL) ==
        NULL)
        return;
    hex_write(slice_of(digest, (JOURNAL_FINGERPRINT - 1) / 2), fingerprint_out);
    fingerprint_out[JOURNAL_FINGERPRINT - 1] = '\0';
}

int journal_seal_anew(struct journal *journal, struct secret *seed,
                      void (*on_sealed)(void *owner, int status, uint64_t first), void *owner,
                      struct err *err)
{
    if (journal->level == AUDIT_OFF)
        return err_set(err, ERR_UNAVAILABLE, "audit is off; there is no journal to seal");
    if (secret_is_set(&journal->seed))
        return err_set(err, ERR_BUSY, "another seed is being put in place; try again");
    if (journal->is_failing)
        return err_set(err, ERR_UNAVAILABLE, JOURNAL_REFUSAL);
    secret_move(&journal->seed, seed);
    journal->on_sealed = on_sealed;
    journal->seed_owner = owner;
    journal_schedule(journal);
    return 0;
}

void journal_seal_anew_cancel(struct journal *journal, const void *owner)
{
    if (journal->seed_owner == owner)
        journal->on_sealed = NULL;
}

int journal_erase(struct journal *journal, const char *account, struct err *err)
{
    struct secret key = {0};
    struct record record;
    int status = vault_pseudonym_forget(journal->parts.vault, account, err);
    if (status != 0)
        return status;
    status = vault_pseudonym_key(journal->parts.vault, account, &key, err);
    if (status != 0)
        return status;
    add_subject(journal, account, &key);
    journal_drop_old_subjects(journal);
    record_init(&record, ACTION_AUDIT_ERASE, WHY_NONE, (uint64_t)clock_wall_microseconds());
    record_add_string(&record, FIELD_USER_NAME, account);
    journal_write(journal, NULL, &record);
    return 0;
}

struct journal_status journal_status(const struct journal *journal)
{
    return (struct journal_status){.level = journal->level,
                                   .sequence = journal->sequence,
                                   .queued = journal->accepted - journal->durable,
                                   .lost = journal->lost,
                                   .failures = journal->failures,
                                   .is_failing = journal->is_failing,
                                   .error = journal->error.text};
}

/* ---- open and close ---- */

static int open_writer(struct journal *journal, struct err *err)
{
    struct secret state_key = {0}, signing_key = {0};
    const struct journal_parts *parts = &journal->parts;
    int status = vault_audit_key(parts->vault, VAULT_AUDIT_STATE, &state_key, err);
    if (status == 0)
        status = vault_audit_key(parts->vault, VAULT_AUDIT_SIGN, &signing_key, err);
    if (status == 0)
        status = vault_audit_key(parts->vault, VAULT_AUDIT_TOKEN, &journal->token_key, err);
    const struct journal_writer_parts writer_parts = {.state = parts->state,
                                                      .state_key = &state_key,
                                                      .signing_key = &signing_key,
                                                      .anchor = journal->anchor,
                                                      .disk = parts->disk};
    if (status == 0)
        status = journal_writer_open(&writer_parts, &journal->writer, err);
    secret_wipe(&state_key);
    secret_wipe(&signing_key);
    return status;
}

static void ignore_change(void *owner, bool is)
{
    (void)owner;
    (void)is;
}

static void ignore_receipt(void *owner, unsigned gate, uint64_t receipt)
{
    (void)owner;
    (void)gate;
    (void)receipt;
}

static struct journal *journal_new(const struct journal_parts *parts)
{
    static const struct journal_ops nobody = {ignore_change, ignore_change, ignore_receipt};
    struct journal *journal = mem_new(sizeof(*journal));
    journal->parts = *parts;
    journal->ops = parts->ops != NULL ? *parts->ops : nobody;
    buf_init(&journal->queue, QUEUE_MAX);
    buf_init(&journal->taken, QUEUE_MAX);
    list_init(&journal->tickets);
    list_init(&journal->receipts);
    deferral_init(&journal->turn, journal_on_turn);
    ENSURE(uv_timer_init(&parts->loop->uv, &journal->timer) == 0);
    return journal;
}

struct journal *journal_open_off(struct loop *loop, const struct log *log)
{
    return journal_new(&(struct journal_parts){.loop = loop, .log = log});
}

static void take_config(struct journal *journal, const struct config *config)
{
    journal->level = config->audit;
    journal->failure = config->audit_failure;
    journal->sync = config->audit_sync;
    journal->segment_max = (uint64_t)config->audit_segment * MEGABYTE;
    journal->keep = config->audit_keep * DAY;
}

int journal_open(const struct journal_parts *parts, const struct config *config,
                 struct journal **journal_out, struct err *err)
{
    struct journal *journal = journal_new(parts);
    take_config(journal, config);
    journal->anchor = mem_copy_string(config->audit_anchor);
    int status = journal->level == AUDIT_OFF ? 0 : open_writer(journal, err);
    if (status != 0) {
        journal_close(journal);
        return status;
    }
    journal_schedule(journal);
    *journal_out = journal;
    return 0;
}

/* A writer that there is hears of it with its next work. */
static void take_anchor(struct journal *journal, const char *anchor)
{
    bool is_new = journal->writer != NULL && strcmp(journal->anchor, anchor) != 0;
    mem_free(journal->anchor);
    journal->anchor = mem_copy_string(anchor);
    if (!is_new)
        return;
    mem_free(journal->next_anchor);
    journal->next_anchor = mem_copy_string(anchor);
}

int journal_set_config(struct journal *journal, const struct config *config, struct err *err)
{
    take_anchor(journal, config->audit_anchor);
    int status =
        config->audit == AUDIT_OFF || journal->writer != NULL ? 0 : open_writer(journal, err);
    if (status != 0)
        return status;
    take_config(journal, config);
    loop_defer(journal->parts.loop, &journal->turn);
    return 0;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    while (!list_is_empty(&journal->tickets))
        journal_cancel(CONTAINER_OF(journal->tickets.next, struct journal_ticket, node));
    while (!list_is_empty(&journal->receipts))
        free_receipt(CONTAINER_OF(journal->receipts.next, struct journal_receipt, node));
    journal->on_sealed = NULL;
    journal->is_closing = true;
    deferral_cancel(&journal->turn);
    uv_timer_stop(&journal->timer);
    journal_finish(journal);
}
