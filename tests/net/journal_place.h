/*
 * For the tests of the journal in its loop: one with a vault, a disk that fails when a test says
 * so, and ears for what it says.
 */
#ifndef ECLUSE_TESTS_NET_JOURNAL_PLACE_H
#define ECLUSE_TESTS_NET_JOURNAL_PLACE_H

#include "journal_world.h"

#include "base/clock.h"
#include "config_file.h"
#include "keeper/journal.h"
#include "keeper/vault_key.h"

#define PATIENCE_MILLISECONDS 20000

struct place {
    char *folder;
    struct config *config;
    struct loop loop;
    struct state_folder *state;
    struct vault *vault;
    struct log log;
    struct journal *journal;
    unsigned told, refused; /* tickets */
    uint64_t receipts[64];
    size_t receipt_count;
    unsigned congested, relieved, failing, mended;
    bool in_call; /* nobody may be told while this is set */
    uint64_t numbers;
    char padding[401]; /* of records */
};

/* ---- what the journal says ---- */

static inline void on_congested(void *owner, bool is_congested)
{
    struct place *place = owner;
    place->congested += is_congested;
    place->relieved += !is_congested;
}

static inline void on_failing(void *owner, bool is_failing)
{
    struct place *place = owner;
    assert_false(place->in_call);
    place->failing += is_failing;
    place->mended += !is_failing;
}

static inline void on_receipt(void *owner, unsigned gate, uint64_t receipt)
{
    struct place *place = owner;
    assert_false(place->in_call);
    assert_int_equal(gate, 1);
    assert_true(place->receipt_count < LENGTH_OF(place->receipts));
    place->receipts[place->receipt_count++] = receipt;
}

static inline void on_durable(void *owner, int status)
{
    struct place *place = owner;
    assert_false(place->in_call);
    place->told += status == 0;
    place->refused += status != 0;
}

static const struct journal_ops ops = {on_congested, on_failing, on_receipt};

/* ---- the place ---- */

#define CONFIGURATION "[listen imap]\naddress = 127.0.0.1:1143\n"

static inline void open_journal(struct place *place)
{
    const struct journal_parts parts = {.loop = &place->loop,
                                        .vault = place->vault,
                                        .state = place->state,
                                        .log = &place->log,
                                        .disk = &faulty_disk,
                                        .ops = &ops,
                                        .owner = place};
    struct err err;
    int status = journal_open(&parts, place->config, &place->journal, &err);
    if (status != 0)
        print_error("%s\n", err.text);
    assert_int_equal(status, 0);
}

static inline void close_journal(struct place *place)
{
    journal_close(place->journal);
    place->journal = NULL;
    loop_run(&place->loop);
}

static inline struct config *configuration(const struct place *place, const char *options)
{
    char text[400];
    const char *anchor = strstr(options, "audit_anchor") == NULL ? "audit_anchor = none\n" : "";
    snprintf(text, sizeof(text), "%s%s" CONFIGURATION, anchor, options);
    return config_from_text(place->folder, text);
}

static inline struct place *set_up_with(const char *options)
{
    struct place *place = mem_new(sizeof(*place));
    struct secret key = {0};
    struct err err;
    memset(&disk, 0, sizeof(disk));
    place->folder = scratch_folder_new();
    place->config = configuration(place, options);
    assert_int_equal(loop_init(&place->loop, &err), 0);
    assert_int_equal(state_folder_open(place->folder, &place->state, &err), 0);
    assert_int_equal(vault_key_from_file(place->state, &key, &err), 0);
    assert_int_equal(vault_open(place->state, &key, &place->vault, &err), 0);
    secret_wipe(&key);
    log_init(&place->log, LOG_LEVEL_DEBUG, "test");
    place->log.descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
    open_journal(place);
    return place;
}

static inline void tear_down(struct place *place)
{
    close_journal(place);
    loop_fini(&place->loop);
    vault_close(place->vault);
    state_folder_close(place->state);
    config_free(place->config);
    close(place->log.descriptor);
    scratch_folder_remove(place->folder);
    mem_free(place);
}

static inline void reload(struct place *place, const char *options)
{
    struct config *config = configuration(place, options);
    struct err err;
    assert_int_equal(journal_set_config(place->journal, config, &err), 0);
    config_free(place->config);
    place->config = config;
}

static inline void give_up(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("it does not happen");
}

/* Turns the loop until `is_so`. */
#define wait_until(place, is_so)                                                                   \
    do {                                                                                           \
        uv_timer_t patience;                                                                       \
        uv_timer_init(&(place)->loop.uv, &patience);                                               \
        uv_timer_start(&patience, give_up, PATIENCE_MILLISECONDS, 0);                              \
        while (!(is_so))                                                                           \
            uv_run(&(place)->loop.uv, UV_RUN_ONCE);                                                \
        uv_close((uv_handle_t *)&patience, NULL);                                                  \
        uv_run(&(place)->loop.uv, UV_RUN_NOWAIT);                                                  \
    } while (false)

static inline void turn(struct place *place)
{
    for (int i = 0; i < 5; i++)
        uv_run(&place->loop.uv, UV_RUN_NOWAIT);
}

static inline void write_action(struct place *place, enum record_action action, enum why why)
{
    struct record record;
    const struct journal_place at = {
        .gate = 1, .session = 7, .listener = "imap", .protocol = "imap", .account = "work"};
    record_init(&record, action, why, (uint64_t)clock_wall_microseconds());
    record_add_number(&record, FIELD_COMMAND_NUMBER, ++place->numbers);
    record_add_string(&record, FIELD_LOGIN, "alice@example.test");
    record_add_string(&record, FIELD_QUEUE_REPLY, place->padding);
    place->in_call = true;
    journal_write(place->journal, &at, &record);
    place->in_call = false;
}

static inline void write_command(struct place *place)
{
    write_action(place, ACTION_COMMAND, WHY_NONE);
}

static inline struct journal_ticket *ask(struct place *place)
{
    place->in_call = true;
    struct journal_ticket *ticket = journal_when_durable(place->journal, on_durable, place);
    place->in_call = false;
    return ticket;
}

static inline uint64_t queued(const struct place *place)
{
    return journal_status(place->journal).queued;
}

static inline bool is_failing(const struct place *place)
{
    return journal_status(place->journal).is_failing;
}

/* Numbers from 1 to the last are there once, in order. */
static inline void assert_complete(const struct seen *seen, uint64_t last)
{
    uint64_t next = 1;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->lines[i].number > 0)
            assert_int_equal(seen->lines[i].number, next++);
    assert_int_equal(next, last + 1);
}

#endif
