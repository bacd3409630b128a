#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/line_terms.h"
#include "audit_world.h"

/* Of all lines here. */
static struct line_form form;

#define SEAL ",\"hash\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}}"

/* `line` as a chain seals it. */
static void finish(struct line *line)
{
    memcpy(line->text + line->size, SEAL, sizeof(SEAL) - 1);
    line->size += sizeof(SEAL) - 1;
}

static void check_same(const struct record *one, const struct record *other)
{
    assert_int_equal(one->action, other->action);
    assert_int_equal(one->why, other->why);
    assert_int_equal(one->time, other->time);
    assert_int_equal(one->count, other->count);
    for (size_t i = 0; i < one->count; i++) {
        assert_int_equal(one->values[i].field, other->values[i].field);
        assert_int_equal(one->values[i].number, other->values[i].number);
        assert_true(slice_equal(one->values[i].text, other->values[i].text));
    }
}

static void add_value(struct record *record, enum record_field field, struct slice text)
{
    if (record_field_kind(field) == RECORD_NUMBER)
        record_add_number(record, field, (uint64_t)random() << 20);
    else if (record_field_kind(field) == RECORD_FLAG)
        record_add_flag(record, field, random() % 2 == 0);
    else
        record_add_text(record, field, text);
}

/* Written and read back, a record is what it was, whatever it says in whichever order of lists. */
static void test_round_trip(void **state)
{
    static const char *const texts[] = {"x", "a \"quoted\" \\ text", "gr\xc3\xbcn\r\n\x01",
                                        "\xf0\x9f\x93\xac\xe2\x80\xae",
                                        "h:0123456789abcdef01234567@example.org"};
    struct line_place place = world_place();
    static struct reading reading;
    (void)state;
    place.level = AUDIT_FULL;
    srandom(17);
    for (int run = 0; run < 3000; run++) {
        struct record record;
        struct line line;
        enum why why = (enum why)(random() % WHY_COUNT);
        record_init(&record, (enum record_action)(random() % RECORD_ACTION_COUNT), why,
                    WORLD_TIME + (uint64_t)random() * 4000000);
        for (size_t field = 0; field < RECORD_FIELD_COUNT; field++)
            for (long copies = random() % 3; copies > 0 && record.count < RECORD_VALUES_MAX;
                 copies--)
                add_value(&record, (enum record_field)field,
                          slice_of_string(texts[(size_t)random() % LENGTH_OF(texts)]));
        assert_int_equal(line_write(&form, &place, 77, 5, &record, &line), 0);
        struct slice body = slice_of(line.text, line.size);
        finish(&line);
        assert_int_equal(reader_read(slice_of(line.text, line.size), &reading), 0);
        check_same(&reading.record, &record);
        assert_true(slice_equal(reading.body, body));
        assert_int_equal(reading.sequence, 77);
        assert_int_equal(reading.epoch, 5);
        assert_int_equal(reading.level, AUDIT_FULL);
        assert_int_equal(reading.is_success, line_is_success(&record));
        assert_false(reading.is_signed);
        assert_int_equal(reading.head[1], 0x11);
    }
}

/* A line whose `from` is `to`. Gives what the reader says of it. */
static int read_changed(const struct line *line, const char *from, const char *to)
{
    static struct reading reading;
    char text[LINE_CAPACITY];
    const char *place = memmem(line->text, line->size, from, strlen(from));
    assert_non_null(place);
    size_t before = (size_t)(place - line->text), behind = before + strlen(from);
    memcpy(text, line->text, before);
    memcpy(text + before, to, strlen(to));
    memcpy(text + before + strlen(to), line->text + behind, line->size - behind);
    size_t size = line->size - strlen(from) + strlen(to);
    /* Exactly as much memory as the line has, for the sanitizer. */
    char *copy = mem_new(size);
    memcpy(copy, text, size);
    int status = reader_read(slice_of(copy, size), &reading);
    mem_free(copy);
    return status;
}

static void write_command(struct line *line)
{
    struct record record;
    struct line_place place = world_place();
    world_command(&record, 7);
    assert_int_equal(line_write(&form, &place, 99, 3, &record, line), 0);
    finish(line);
}

static void test_what_is_no_line(void **state)
{
    static const char *const changes[][2] = {
        {"{\"@", " {\"@"},
        {"\"ecs\":{", "\"ecs\": {"},
        {"2026-09-21", "2026-13-21"},
        {"2026-09-21", "2026-9-021"},
        {"\"sequence\":99", "\"sequence\":099"},
        {"\"sequence\":99", "\"sequence\":99999999999999999999"},
        {"\"sequence\":99", "\"sequence\":\"99\""},
        {",\"sequence\":99", ""},
        {",\"epoch\":3", ""},
        {"\"level\":\"standard\"", "\"level\":\"loud\""},
        {"\"action\":\"command\",\"outcome\":\"success\"",
         "\"outcome\":\"success\",\"action\":\"command\""},
        {"\"outcome\":\"success\"", "\"outcome\":\"success\",\"outcome\":\"failure\""},
        {"\"verb\":\"UID FETCH\"", "\"verb\":17"},
        {"\"verb\":\"UID FETCH\"", "\"verb\":true"},
        {"\"bytes\":31", "\"bytes\":\"31\""},
        {"\"bytes\":31", "\"bytes\":-31"},
        {"\"bytes\":31", "\"bytes\":3.1"},
        {"\"bytes\":31", "\"bytes\":[31"},
        {"\"mailbox\":\"Entw&APw-rfe\"", "\"mailbox\":\"\\x\""},
        {"\"mailbox\":\"Entw&APw-rfe\"", "\"mailbox\":\"\xff\""},
        {"\"mailbox\":\"Entw&APw-rfe\"", "\"mailbox\":null"},
        {"\"client\":{\"bytes\":31}", "\"client\":{}"},
        {"\"client\":{\"bytes\":31}", "\"client\":{\"bytes\":31}}"},
        {"\"client\":{\"bytes\":31}", "\"client.bytes\":31"},
        {"\"hash\":\"00", "\"hash\":\"0"},
        {"\"hash\":\"00", "\"hash\":\"000"},
        {"\"hash\":\"00", "\"hash\":\"0A"},
        {"ff\"}}", "ff\"}"},
        {"ff\"}}", "ff\"} }"},
    };
    struct line line;
    (void)state;
    write_command(&line);
    assert_int_equal(read_changed(&line, "{", "{"), 0);
    for (size_t i = 0; i < LENGTH_OF(changes); i++)
        if (read_changed(&line, changes[i][0], changes[i][1]) != ERR_SYNTAX)
            fail_msg("taken: %s", changes[i][1]);
}

/* What a later version may add. */
static void test_what_is_not_known_is_passed_over(void **state)
{
    static const char *const changes[][2] = {
        {"{\"@", "{\"first\":[1,2],\"@"},
        {"\"client\":{", "\"client\":{\"geo\":{\"name\":\"x\",\"deep\":{\"on\":true}},"},
        {"\"action\":\"command\"", "\"action\":\"unheard-of\""},
        {",\"outcome\"", ",\"new\":[\"a\",\"b\"],\"outcome\""},
        {"\"outcome\":\"success\"", "\"outcome\":\"failure\",\"code\":\"new-word\""},
    };
    struct line line;
    (void)state;
    write_command(&line);
    for (size_t i = 0; i < LENGTH_OF(changes); i++)
        if (read_changed(&line, changes[i][0], changes[i][1]) != 0)
            fail_msg("refused: %s", changes[i][1]);
}

/* No octet can be cut off or be another without the reader seeing it or saying something else. */
static void test_every_cut(void **state)
{
    static struct reading reading;
    struct line line;
    (void)state;
    write_command(&line);
    for (size_t size = 0; size < line.size; size++) {
        char *copy = mem_new(size + 1);
        memcpy(copy, line.text, size);
        assert_int_equal(reader_read(slice_of(copy, size), &reading), ERR_SYNTAX);
        assert_int_equal(reader_read(slice_of(line.text + line.size - size, size), &reading),
                         ERR_SYNTAX);
        mem_free(copy);
    }
}

static void test_signature(void **state)
{
    static struct reading reading;
    struct buf lines;
    struct line_place place = world_place();
    struct chain *chain = world_chain();
    uint8_t head[LINK_SIZE], zero[LINK_SIZE] = {0};
    (void)state;
    buf_init(&lines, 65536);
    assert_int_equal(chain_checkpoint(chain, &place, WORLD_TIME, "1.jsonl", &lines), 0);
    struct slice line = slice_take(buf_bytes(&lines), buf_size(&lines) - 1);
    assert_int_equal(reader_read(line, &reading), 0);
    assert_true(reading.is_signed);
    assert_true(reader_hash(&reading, FIELD_AUDIT_HEAD, head));
    assert_memory_equal(head, zero, sizeof(head));
    assert_false(reader_hash(&reading, FIELD_AUDIT_FILE, head));
    assert_false(reader_hash(&reading, FIELD_REASON, head));
    assert_int_equal(reader_number(&reading, FIELD_AUDIT_FIRST, 9), 1);
    assert_int_equal(reader_number(&reading, FIELD_DURATION, 9), 9);
    buf_fini(&lines);
    chain_free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_what_is_no_line),
        cmocka_unit_test(test_what_is_not_known_is_passed_over),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_signature),
    };
    return cmocka_run_group_tests_name("audit/reader", tests, NULL, NULL);
}
