/*
 * For the tests of the journal's writer: one with keys and a disk that fails when a test says so.
 */
#ifndef ECLUSE_TESTS_NET_WRITER_WORLD_H
#define ECLUSE_TESTS_NET_WRITER_WORLD_H

#include "journal_world.h"

#define NOW ((uint64_t)1700000000 * 1000000)

struct place {
    char *folder;
    struct state_folder *state;
    struct secret state_key, signing_key;
    char *anchor;
    struct journal_writer *writer;
    struct journal_work work;
    struct journal_result result;
    uint64_t numbers; /* of records, given out */
    struct err err;
};

static inline void open_writer(struct place *place)
{
    const struct journal_writer_parts parts = {.state = place->state,
                                               .state_key = &place->state_key,
                                               .signing_key = &place->signing_key,
                                               .anchor = place->anchor,
                                               .disk = &faulty_disk};
    int status = journal_writer_open(&parts, &place->writer, &place->err);
    if (status != 0)
        print_error("%s\n", place->err.text);
    assert_int_equal(status, 0);
}

static inline void restart(struct place *place)
{
    journal_writer_close(place->writer);
    open_writer(place);
}

static inline int set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    memset(&disk, 0, sizeof(disk));
    place->folder = scratch_folder_new();
    place->anchor = scratch_path(place->folder, "anchor");
    assert_int_equal(state_folder_open(place->folder, &place->state, &place->err), 0);
    secret_set(&place->state_key, SLICE_LITERAL("0123456789abcdef0123456789abcdef"));
    secret_set(&place->signing_key, SLICE_LITERAL("fedcba9876543210fedcba9876543210"));
    place->work = (struct journal_work){
        .level = AUDIT_STANDARD, .segment_max = 64ul * 1024 * 1024, .keep = 86400, .now = NOW};
    open_writer(place);
    *state = place;
    return 0;
}

static inline int tear_down(void **state)
{
    struct place *place = *state;
    journal_writer_close(place->writer);
    secret_wipe(&place->state_key);
    secret_wipe(&place->signing_key);
    state_folder_close(place->state);
    scratch_folder_remove(place->folder);
    free(place->anchor);
    mem_free(place);
    return 0;
}

/* ---- writing ---- */

static inline void add_record(struct place *place, struct buf *frame)
{
    struct message_record message = {0};
    record_init(&message.record, ACTION_COMMAND, WHY_NONE, NOW);
    record_add_number(&message.record, FIELD_COMMAND_NUMBER, ++place->numbers);
    record_add_string(&message.record, FIELD_USER_NAME, "work");
    record_add_string(&message.record, FIELD_LOGIN, "alice@example.test");
    assert_int_equal(message_write_record(frame, &message), 0);
}

/* One call for `count` new records. */
static inline int write_once(struct place *place, size_t count)
{
    struct buf frame;
    struct message message;
    buf_init(&frame, MESSAGE_SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        add_record(place, &frame);
    place->work.records = SLICE_NONE;
    if (count > 0) {
        assert_int_equal(message_read(buf_bytes(&frame), &message), 0);
        place->work.records = message.fields;
    }
    int status = journal_writer_write(place->writer, &place->work, &place->result, &place->err);
    if (status == 0 && place->result.consumed < place->work.records.size)
        assert_true(place->result.count >= 7000);
    buf_fini(&frame);
    return status;
}

static inline void write_records(struct place *place, size_t count)
{
    int status = write_once(place, count);
    if (status != 0)
        print_error("%s\n", place->err.text);
    assert_int_equal(status, 0);
    assert_int_equal(place->result.count, count);
    assert_int_equal(place->result.consumed, place->work.records.size);
    assert_string_equal(place->result.warning, "");
}

static inline struct seen look(struct place *place)
{
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    return seen;
}

/* Every record from 1 to `count` is there once, in order. */
static inline void assert_has_all(const struct seen *seen, uint64_t count)
{
    uint64_t next = 1;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->lines[i].action == ACTION_COMMAND)
            assert_int_equal(seen->lines[i].number, next++);
    assert_int_equal(next, count + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
