/* A stream that is told how much is to come: it reads larger portions, and leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream_fixture.h"

#define PORTION (128 * 1024)
#define MUCH    (4u * 1024 * 1024)
#define BEGUN   (300u * 1024) /* more than a portion, and fast */

/* As many octets as make the socket wake its reader. */
static int waits_for(int descriptor)
{
    int octets = 0;
    socklen_t size = sizeof(octets);
    assert_int_equal(getsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &octets, &size), 0);
    return octets;
}

/* Of the one stream of a test. */
static struct expectation {
    size_t total;
    int descriptor;
    unsigned portions; /* reads that were waited for */
} expected;

static void expect_the_rest(struct side *side, enum told told)
{
    if (told != TOLD_READ)
        return;
    size_t got = buf_size(&side->got);
    expected.portions += waits_for(expected.descriptor) == PORTION;
    stream_expect(side->stream, got < expected.total ? expected.total - got : 0);
}

static void open_expecting(struct fixture *f, enum kind kind, size_t total)
{
    open_plain(f, kind);
    expected = (struct expectation){.total = total, .descriptor = f->descriptor};
    f->side.react = expect_the_rest;
}

/* So much has come already when it is read for the first time. */
static void begin(struct fixture *f, struct slice bytes)
{
    far_send(&f->far, bytes);
    settle(f);
    side_call(&f->side, stream_read_start);
    wait_for_side(f, bytes.size);
    assert_slice(buf_bytes(&f->side.got), bytes);
}

static void check_all_comes(enum kind kind, size_t size, bool is_in_portions)
{
    struct fixture f;
    uint8_t *bytes = pattern(size);
    open_expecting(&f, kind, size);
    begin(&f, slice_of(bytes, size));
    assert_int_equal(expected.portions > 0, is_in_portions);
    assert_int_equal(waits_for(f.descriptor), 1);
    mem_free(bytes);
    finish(&f);
}

static void test_much_comes_in_portions(void **state)
{
    (void)state;
    check_all_comes(KIND_TCP, MUCH, true);
}

static void test_little_comes_as_it_is(void **state)
{
    (void)state;
    check_all_comes(KIND_TCP, PORTION, false);
    check_all_comes(KIND_UNIX, MUCH, false);
}

/* Every octet is there soon, though a portion is waited for when it comes; and then no more. */
static void test_a_stall_and_drips(void **state)
{
    struct fixture f;
    uint8_t *bytes = pattern(BEGUN + 5);
    (void)state;
    open_expecting(&f, KIND_TCP, MUCH);
    begin(&f, slice_of(bytes, BEGUN));
    for (size_t i = 0; i < 5; i++) {
        far_send(&f.far, slice_of(bytes + BEGUN + i, 1));
        wait_for_side(&f, BEGUN + i + 1);
        assert_int_equal(waits_for(f.descriptor), 1);
    }
    assert_slice(buf_bytes(&f.side.got), slice_of(bytes, BEGUN + 5));
    mem_free(bytes);
    finish(&f);
}

static void begin_and_wait_for_more(struct fixture *f)
{
    uint8_t *bytes = pattern(BEGUN);
    open_expecting(f, KIND_TCP, MUCH);
    far_send(&f->far, slice_of(bytes, BEGUN));
    settle(f);
    side_call(&f->side, stream_read_start);
    while (waits_for(f->descriptor) == 1)
        turn(f);
    mem_free(bytes);
}

static void test_an_early_end(void **state)
{
    struct fixture f;
    (void)state;
    begin_and_wait_for_more(&f);
    assert_int_equal(send(f.far.descriptor, "the last words", 14, 0), 14);
    shutdown(f.far.descriptor, SHUT_WR);
    wait_until(&f, &f.side.told[TOLD_END], 1);
    assert_int_equal(buf_size(&f.side.got), BEGUN + 14);
    finish(&f);
}

static void test_expected_no_more(void **state)
{
    struct fixture f;
    (void)state;
    begin_and_wait_for_more(&f);
    f.side.react = NULL;
    stream_expect(f.side.stream, PORTION);
    assert_int_equal(waits_for(f.descriptor), 1);
    far_send(&f.far, SLICE_LITERAL("more"));
    wait_for_side(&f, BEGUN + 4);
    finish(&f);
}

/* Nothing is left of it: loop_fini looks. */
static void test_closed_meanwhile(void **state)
{
    struct fixture f;
    (void)state;
    begin_and_wait_for_more(&f);
    finish(&f);
    begin_and_wait_for_more(&f);
    close_after_flush(&f, 1000);
    finish(&f);
    begin_and_wait_for_more(&f);
    stream_close_lingering(f.side.stream, 1000);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_much_comes_in_portions), cmocka_unit_test(test_little_comes_as_it_is),
        cmocka_unit_test(test_a_stall_and_drips),      cmocka_unit_test(test_an_early_end),
        cmocka_unit_test(test_expected_no_more),       cmocka_unit_test(test_closed_meanwhile),
    };
    return cmocka_run_group_tests_name("net/stream, portions", tests, NULL, NULL);
}
