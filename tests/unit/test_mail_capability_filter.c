#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/passage_imap.h"

#define OUTPUT_MAX (256u * 1024)

static void append(void *owner, struct slice bytes)
{
    assert_true(bytes.size > 0);
    assert_int_equal(buf_append(owner, bytes), 0);
}

/* Feeds `input` cut at `cut`, or octet by octet when that is 0, each piece in memory of its own. */
static void run(struct slice input, size_t cut, struct buf *out)
{
    struct capability_filter filter;
    capability_filter_init(&filter, &passage_imap_capabilities);
    for (size_t at = 0; at < input.size;) {
        size_t size = cut == 0 ? 1 : at == 0 ? cut : input.size - at;
        uint8_t *piece = mem_new(size);
        memcpy(piece, input.data + at, size);
        capability_filter_feed(&filter, slice_of(piece, size), append, out);
        mem_free(piece);
        at += size;
    }
    struct slice rest = capability_filter_rest(&filter);
    if (rest.size > 0)
        append(out, rest);
    capability_filter_fini(&filter);
}

static void assert_filtered(struct slice input, struct slice expected)
{
    for (size_t cut = 0; cut <= input.size; cut++) {
        struct buf out;
        buf_init(&out, OUTPUT_MAX);
        run(input, cut, &out);
        assert_int_equal(buf_size(&out), expected.size);
        assert_memory_equal(buf_bytes(&out).data, expected.data, expected.size);
        buf_fini(&out);
    }
}

static void test_replies(void **state)
{
    static const struct {
        const char *input, *expected;
    } cases[] = {
        {"* CAPABILITY IMAP4rev1 IDLE COMPRESS=DEFLATE MOVE\r\na OK done\r\n",
         "* CAPABILITY IMAP4rev1 IDLE MOVE\r\na OK done\r\n"},
        {"* 3 EXISTS\r\n* capability AUTH=PLAIN STARTTLS\r\n", "* 3 EXISTS\r\n* capability \r\n"},
        {"* CAPABILITY IMAP4rev1\n* CAPABILITY AUTH=X A\n",
         "* CAPABILITY IMAP4rev1\n* CAPABILITY A\n"},
        /* not at the start of a line */
        {"a OK * CAPABILITY COMPRESS=DEFLATE\r\n", "a OK * CAPABILITY COMPRESS=DEFLATE\r\n"},
        /* within a literal, and behind it */
        {"* 1 FETCH (BODY[] {33}\r\n* CAPABILITY COMPRESS=DEFLATE\r\n\r\n)\r\n* CAPABILITY A "
         "AUTH=B\r\n",
         "* 1 FETCH (BODY[] {33}\r\n* CAPABILITY COMPRESS=DEFLATE\r\n\r\n)\r\n* CAPABILITY A\r\n"},
        {"* 1 FETCH (A {0}\r\n B {1}\r\nx)\r\n* CAPABILITY A AUTH=B\r\n",
         "* 1 FETCH (A {0}\r\n B {1}\r\nx)\r\n* CAPABILITY A\r\n"},
        {"* 1 FETCH (A {0}\r\n* CAPABILITY A AUTH=B\r\n* CAPABILITY C AUTH=D\r\n",
         "* 1 FETCH (A {0}\r\n* CAPABILITY A AUTH=B\r\n* CAPABILITY C\r\n"},
        /* what only begins like it */
        {"* CAPABILITIES AUTH=B\r\n* CAP\r\n*\r\n\r\n",
         "* CAPABILITIES AUTH=B\r\n* CAP\r\n*\r\n\r\n"},
        {"* CAP", "* CAP"},
        {"* CAPABILITY IMAP4rev1 COMPR", "* CAPABILITY IMAP4rev1 COMPR"},
        {"* OK {9}x\r\n* CAPABILITY A AUTH=B\r\n", "* OK {9}x\r\n* CAPABILITY A\r\n"},
        {"* OK {-9}\r\n* CAPABILITY A AUTH=B\r\n", "* OK {-9}\r\n* CAPABILITY A\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_filtered(slice_of_string(cases[i].input), slice_of_string(cases[i].expected));
}

/* A reply longer than can be held back passes as it is, and those behind it are filtered again. */
static void test_endless_reply(void **state)
{
    struct buf input, expected, out;
    (void)state;
    buf_init(&input, OUTPUT_MAX);
    buf_init(&expected, OUTPUT_MAX);
    assert_int_equal(buf_append_string(&input, "* CAPABILITY"), 0);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(buf_append_string(&input, " AUTH=X"), 0);
    assert_int_equal(buf_append_string(&input, "\r\n"), 0);
    assert_int_equal(buf_append(&expected, buf_bytes(&input)), 0);
    assert_int_equal(buf_append_string(&input, "* CAPABILITY A AUTH=B\r\n"), 0);
    assert_int_equal(buf_append_string(&expected, "* CAPABILITY A\r\n"), 0);
    for (size_t cut = 0; cut < 20000 && cut <= buf_size(&input);
         cut += cut % 4096 > 4090 ? 1 : 61) {
        buf_init(&out, OUTPUT_MAX);
        run(buf_bytes(&input), cut, &out);
        assert_true(slice_equal(buf_bytes(&out), buf_bytes(&expected)));
        buf_fini(&out);
    }
    buf_fini(&input);
    buf_fini(&expected);
}

static void test_nothing_is_held_without_need(void **state)
{
    struct capability_filter filter;
    struct buf out;
    (void)state;
    buf_init(&out, OUTPUT_MAX);
    capability_filter_init(&filter, &passage_imap_capabilities);
    capability_filter_feed(&filter, slice_of_string("+ idling\r\n* 4 EXI"), append, &out);
    assert_null(filter.held.memory);
    assert_int_equal(buf_size(&out), 17);
    capability_filter_feed(&filter, slice_of_string("STS\r\n* CAPABILITY A\r\n"), append, &out);
    assert_null(filter.held.memory);
    assert_int_equal(capability_filter_rest(&filter).size, 0);
    capability_filter_fini(&filter);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_endless_reply),
        cmocka_unit_test(test_nothing_is_held_without_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
