/*
 * RECORDS: batches written and read back, full frames, and what no sound gate would send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/message_probe.h"
#include "auth/message.h"
#include "base/pack.h"

#define HEAD_SIZE 9u

static struct buf wire;

static int setup(void **state)
{
    (void)state;
    buf_init(&wire, MESSAGE_SIZE_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_fini(&wire);
    return 0;
}

static struct message_record sample(uint64_t session)
{
    struct message_record sample = {.session = session, .listener = 3, .receipt = session + 1};
    record_init(&sample.record, ACTION_COMMAND, WHY_POLICY, 1234567);
    record_add_text(&sample.record, FIELD_ARGUMENTS, SLICE_LITERAL("\xff\0\r\n"));
    record_add_number(&sample.record, FIELD_CLIENT_BYTES, INT64_MAX);
    record_add_flag(&sample.record, FIELD_TLS_RESUMED, true);
    return sample;
}

static void assert_same(const struct message_record *a, const struct message_record *b)
{
    assert_true(a->session == b->session && a->receipt == b->receipt);
    assert_int_equal(a->listener, b->listener);
    assert_int_equal(a->record.action, b->record.action);
    assert_int_equal(a->record.why, b->record.why);
    assert_true(a->record.time == b->record.time);
    assert_int_equal(a->record.count, b->record.count);
    for (size_t i = 0; i < a->record.count; i++) {
        assert_int_equal(a->record.values[i].field, b->record.values[i].field);
        assert_true(a->record.values[i].number == b->record.values[i].number);
        assert_true(slice_equal(a->record.values[i].text, b->record.values[i].text));
    }
}

static struct slice batch(void)
{
    struct message message;
    assert_int_equal(message_read(buf_bytes(&wire), &message), 0);
    assert_int_equal(message.kind, MESSAGE_RECORDS);
    assert_true(message.session == 0);
    return message.fields;
}

static void a_batch_keeps_its_order(void **state)
{
    (void)state;
    struct message_record read;
    for (uint64_t i = 0; i < 100; i++) {
        struct message_record record = sample(i);
        assert_int_equal(message_write_record(&wire, &record), 0);
    }
    struct slice rest = batch();
    for (uint64_t i = 0; i < 100; i++) {
        struct message_record record = sample(i);
        assert_int_equal(message_read_record(&rest, &read), 0);
        assert_same(&record, &read);
    }
    assert_int_equal(rest.size, 0);
    assert_int_equal(message_read_record(&rest, &read), ERR_SYNTAX);
}

/* Each field with what its kind allows, and as many values as there can be. */
static void every_field_passes(void **state)
{
    (void)state;
    static uint8_t longest[RECORD_TEXT_MAX];
    memset(longest, 0x80, sizeof(longest));
    for (int field = 0; field < RECORD_FIELD_COUNT; field++) {
        struct message_record read, record = {.session = UINT64_MAX, .listener = UINT16_MAX};
        enum record_kind kind = record_field_kind((enum record_field)field);
        record_init(&record.record, ACTION_TAP_OFF, WHY_NONE, UINT64_MAX);
        for (size_t i = 0; i < RECORD_VALUES_MAX; i++)
            if (kind == RECORD_NUMBER)
                record_add_number(&record.record, (enum record_field)field, i);
            else if (kind == RECORD_FLAG)
                record_add_flag(&record.record, (enum record_field)field, i % 2 == 1);
            else
                record_add_text(&record.record, (enum record_field)field,
                                slice_of(longest, sizeof(longest)));
        buf_clear(&wire);
        assert_int_equal(message_write_record(&wire, &record), 0);
        struct slice rest = batch();
        assert_int_equal(message_read_record(&rest, &read), 0);
        assert_int_equal(read.record.count, RECORD_VALUES_MAX);
        assert_same(&record, &read);
    }
}

static void a_full_frame_stays_as_it_was(void **state)
{
    (void)state;
    struct message_record record = sample(1), read;
    assert_int_equal(message_write_record(&wire, &record), 0);
    size_t size = buf_size(&wire);
    for (size_t maximum = 0; maximum < 2 * size - HEAD_SIZE; maximum++) {
        struct buf frame;
        buf_init(&frame, maximum);
        assert_int_equal(message_write_record(&frame, &record), maximum < size ? ERR_FULL : 0);
        if (maximum < size) {
            assert_int_equal(buf_size(&frame), 0);
        } else {
            assert_int_equal(message_write_record(&frame, &record), ERR_FULL);
            assert_true(slice_equal(buf_bytes(&frame), buf_bytes(&wire)));
        }
        buf_fini(&frame);
    }
    struct slice rest = batch();
    assert_int_equal(message_read_record(&rest, &read), 0);
}

static void a_record_that_is_cut(void **state)
{
    (void)state;
    struct message_record record = sample(1);
    assert_int_equal(message_write_record(&wire, &record), 0);
    assert_int_equal(message_write_record(&wire, &record), 0);
    struct slice whole = buf_bytes(&wire);
    size_t half = HEAD_SIZE + (whole.size - HEAD_SIZE) / 2;
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *cut = mem_new(size);
        memcpy(cut, whole.data, size);
        assert_int_equal(message_probe(slice_of(cut, size)), size == half ? 0 : ERR_SYNTAX);
        mem_free(cut);
    }
}

struct raw {
    uint64_t session;
    uint8_t action, why, count, field;
    uint64_t number;
    struct slice text;
};

static int probe_raw(const struct raw *raw)
{
    struct pack_writer writer = pack_writer(&wire);
    buf_clear(&wire);
    pack_u8(&writer, MESSAGE_RECORDS);
    pack_u64(&writer, raw->session);
    pack_u64(&writer, 1);
    pack_u16(&writer, 0);
    pack_u64(&writer, 0);
    pack_u8(&writer, raw->action);
    pack_u8(&writer, raw->why);
    pack_u64(&writer, 0);
    pack_u8(&writer, raw->count);
    for (uint8_t i = 0; i < raw->count; i++) {
        pack_u8(&writer, raw->field);
        if (raw->text.data != NULL)
            pack_bytes(&writer, raw->text);
        else
            pack_u64(&writer, raw->number);
    }
    return message_probe(buf_bytes(&wire));
}

static void spoiled(void **state)
{
    (void)state;
    static uint8_t many[RECORD_TEXT_MAX + 1];
    const struct slice longest = slice_of(many, RECORD_TEXT_MAX);
    const struct raw good[] = {
        {.count = 0},
        {.count = RECORD_VALUES_MAX, .field = FIELD_REASON, .text = longest},
        {.count = 1, .field = FIELD_DURATION, .number = INT64_MAX},
        {.count = 1, .field = FIELD_TLS_RESUMED, .number = 1},
        {.action = RECORD_ACTION_COUNT - 1, .why = WHY_COUNT - 1},
    };
    const struct raw bad[] = {
        {.session = 1},
        {.action = RECORD_ACTION_COUNT},
        {.action = 255},
        {.why = WHY_COUNT},
        {.count = RECORD_VALUES_MAX + 1, .field = FIELD_REASON, .text = longest},
        {.count = 255, .field = FIELD_REASON, .text = longest},
        {.count = 1, .field = RECORD_FIELD_COUNT, .number = 1},
        {.count = 1, .field = 255, .number = 1},
        {.count = 1, .field = FIELD_DURATION, .number = 1ull << 63},
        {.count = 1, .field = FIELD_TLS_RESUMED, .number = 2},
        {.count = 1, .field = FIELD_REASON, .text = {many, 0}},
        {.count = 1, .field = FIELD_REASON, .text = {many, RECORD_TEXT_MAX + 1}},
    };
    for (size_t i = 0; i < LENGTH_OF(good); i++)
        assert_int_equal(probe_raw(&good[i]), 0);
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        assert_int_equal(probe_raw(&bad[i]), ERR_SYNTAX);
}

#define WITH_WIRE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WIRE(a_batch_keeps_its_order),
        WITH_WIRE(every_field_passes),
        WITH_WIRE(a_full_frame_stays_as_it_was),
        WITH_WIRE(a_record_that_is_cut),
        WITH_WIRE(spoiled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
