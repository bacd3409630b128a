#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void fill(struct buf *buf, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(buf_append(buf, slice_of(&byte, 1)), 0);
    }
}

static void test_holds_nothing_at_first(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 10);
    assert_null(buf.memory);
    assert_int_equal(buf_size(&buf), 0);
    assert_int_equal(buf_room(&buf), 10);
    assert_int_equal(buf_bytes(&buf).size, 0);
    buf_fini(&buf);
}

static void test_appends_in_order(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 100);
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("a\0b")), 0);
    assert_int_equal(buf_append_string(&buf, "cd"), 0);
    assert_int_equal(buf_append_format(&buf, "%d-%s", 7, "e"), 0);
    assert_true(slice_equal(buf_bytes(&buf), SLICE_LITERAL("a\0bcd7-e")));
    assert_int_equal(buf_room(&buf), 92);
    buf_fini(&buf);
}

static void test_appending_nothing_takes_no_memory(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 0);
    assert_int_equal(buf_append(&buf, SLICE_NONE), 0);
    assert_null(buf.memory);
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("x")), ERR_FULL);
    buf_fini(&buf);
}

static void test_full_is_all_or_nothing(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 5);
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("abc")), 0);
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("def")), ERR_FULL);
    assert_int_equal(buf_append_string(&buf, "def"), ERR_FULL);
    assert_int_equal(buf_append_format(&buf, "%s", "def"), ERR_FULL);
    assert_true(slice_is(buf_bytes(&buf), "abc"));
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("de")), 0);
    assert_int_equal(buf_room(&buf), 0);
    assert_true(slice_is(buf_bytes(&buf), "abcde"));
    buf_fini(&buf);
}

static void test_consumes_from_the_start(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("abcdef")), 0);
    buf_consume(&buf, 0);
    buf_consume(&buf, 4);
    assert_true(slice_is(buf_bytes(&buf), "ef"));
    assert_int_equal(buf_room(&buf), 8);
    /* The room in front counts: the bytes move. */
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("ghijklmn")), 0);
    assert_true(slice_is(buf_bytes(&buf), "efghijklmn"));
    buf_fini(&buf);
}

static void test_gives_memory_back_when_empty(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 4096);
    fill(&buf, 1000);
    assert_non_null(buf.memory);
    buf_consume(&buf, 1000);
    assert_null(buf.memory);
    assert_int_equal(buf.capacity, 0);
    assert_int_equal(buf_append(&buf, SLICE_LITERAL("again")), 0);
    buf_clear(&buf);
    assert_null(buf.memory);
    assert_int_equal(buf_room(&buf), 4096);
}

static void test_grows_up_to_its_maximum_only(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 1000);
    fill(&buf, 1000);
    assert_int_equal(buf.capacity, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(buf_bytes(&buf).data[i], (uint8_t)i);
    buf_fini(&buf);
}

/* Bytes that were moved to the front must not stay behind: they may be secret. */
static void test_wipes_what_it_moved(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 256);
    fill(&buf, 200);
    buf_consume(&buf, 190);
    size_t used = 10, added = 100;
    fill(&buf, added);
    assert_int_equal(buf.start, 0);
    for (size_t i = used + added; i < 200; i++)
        assert_int_equal(buf.memory[i], 0);
    buf_fini(&buf);
}

/* Any sequence of appends and consumes gives what a plain array gives. */
static void test_agrees_with_a_plain_queue(void **state)
{
    uint8_t model[3000];
    size_t first = 0, last = 0;
    unsigned random = 1;
    struct buf buf;
    (void)state;
    buf_init(&buf, 300);
    while (last < sizeof(model)) {
        random = random * 1103515245u + 12345u;
        size_t count = random >> 16 & 63;
        if ((random >> 30 & 1) != 0) {
            count = count < last - first ? count : last - first;
            buf_consume(&buf, count);
            first += count;
        } else {
            bool fits = count <= 300 - (last - first);
            if (last + count > sizeof(model))
                break;
            for (size_t i = 0; i < count; i++)
                model[last + i] = (uint8_t)(random >> (i & 15));
            assert_int_equal(buf_append(&buf, slice_of(model + last, count)), fits ? 0 : ERR_FULL);
            last += fits ? count : 0;
        }
        assert_true(slice_equal(buf_bytes(&buf), slice_of(model + first, last - first)));
    }
    assert_true(last > 2900);
    buf_fini(&buf);
}

static void test_rewinding_keeps_what_it_may(void **state)
{
    struct buf buf;
    uint8_t bytes[1000] = {1};
    (void)state;
    buf_init(&buf, 4096);
    buf_rewind(&buf, 4096);
    assert_int_equal(buf_append(&buf, slice_of(bytes, sizeof(bytes))), 0);
    buf_consume(&buf, 10);
    const uint8_t *memory = buf.memory;
    buf_rewind(&buf, 4096);
    assert_int_equal(buf_size(&buf), 0);
    assert_int_equal(buf_room(&buf), 4096);
    assert_int_equal(buf_append(&buf, slice_of(bytes, sizeof(bytes))), 0);
    assert_ptr_equal(buf.memory, memory);
    assert_memory_equal(buf_bytes(&buf).data, bytes, sizeof(bytes));
    buf_rewind(&buf, 100);
    assert_null(buf.memory);
    assert_int_equal(buf_append(&buf, slice_of(bytes, 5)), 0);
    assert_int_equal(buf_size(&buf), 5);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewinding_keeps_what_it_may),
        cmocka_unit_test(test_holds_nothing_at_first),
        cmocka_unit_test(test_appends_in_order),
        cmocka_unit_test(test_appending_nothing_takes_no_memory),
        cmocka_unit_test(test_full_is_all_or_nothing),
        cmocka_unit_test(test_consumes_from_the_start),
        cmocka_unit_test(test_gives_memory_back_when_empty),
        cmocka_unit_test(test_grows_up_to_its_maximum_only),
        cmocka_unit_test(test_wipes_what_it_moved),
        cmocka_unit_test(test_agrees_with_a_plain_queue),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
