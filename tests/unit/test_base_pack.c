#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pack.h"

static void test_layout(void **state)
{
    static const char expected[] = "\x12\x12\x34\x12\x34\x56\x78\x12\x34\x56\x78\x9a\xbc\xde\xf0"
                                   "\0\0\0\x03"
                                   "a\0b"
                                   "\0\0\0\x02hi"
                                   "\0\0\0\0";
    struct buf buf;
    (void)state;
    buf_init(&buf, 100);
    struct pack_writer writer = pack_writer(&buf);
    pack_u8(&writer, 0x12);
    pack_u16(&writer, 0x1234);
    pack_u32(&writer, 0x12345678);
    pack_u64(&writer, 0x123456789abcdef0);
    pack_bytes(&writer, SLICE_LITERAL("a\0b"));
    pack_string(&writer, "hi");
    pack_bytes(&writer, SLICE_NONE);
    assert_int_equal(writer.status, 0);
    assert_true(slice_equal(buf_bytes(&buf), slice_of(expected, sizeof(expected) - 1)));

    struct pack_reader reader = pack_reader(buf_bytes(&buf));
    assert_int_equal(unpack_u8(&reader), 0x12);
    assert_int_equal(unpack_u16(&reader), 0x1234);
    assert_int_equal(unpack_u32(&reader), 0x12345678);
    assert_true(unpack_u64(&reader) == 0x123456789abcdef0);
    assert_true(slice_equal(unpack_bytes(&reader), SLICE_LITERAL("a\0b")));
    char *string = unpack_string(&reader);
    assert_string_equal(string, "hi");
    mem_free(string);
    string = unpack_string(&reader);
    assert_string_equal(string, "");
    mem_free(string);
    assert_int_equal(unpack_end(&reader), 0);
    buf_fini(&buf);
}

static void test_writer_keeps_its_first_failure(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 6);
    struct pack_writer writer = pack_writer(&buf);
    pack_u32(&writer, 1);
    pack_u32(&writer, 2);
    assert_int_equal(writer.status, ERR_FULL);
    pack_u8(&writer, 3); /* would fit, but what stands before it is missing */
    assert_int_equal(writer.status, ERR_FULL);
    assert_int_equal(buf_size(&buf), 4);
    buf_fini(&buf);
}

static void test_short_input(void **state)
{
    static const uint8_t bytes[] = {0, 0, 0, 2, 'a'};
    (void)state;
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        struct pack_reader reader = pack_reader(slice_of(bytes, size));
        assert_int_equal(unpack_bytes(&reader).size, 0);
        assert_int_equal(reader.status, ERR_SYNTAX);
        assert_int_equal(unpack_end(&reader), ERR_SYNTAX);
        reader = pack_reader(slice_of(bytes, size));
        assert_null(unpack_string(&reader));
        assert_int_equal(unpack_end(&reader), ERR_SYNTAX);
    }
}

static void test_reader_keeps_its_first_failure(void **state)
{
    struct pack_reader reader = pack_reader(SLICE_LITERAL("\x01\x02\x03"));
    (void)state;
    assert_int_equal(unpack_u32(&reader), 0);
    assert_int_equal(unpack_u8(&reader), 0); /* is there, but after the failure nothing is read */
    assert_int_equal(unpack_u16(&reader), 0);
    assert_true(unpack_u64(&reader) == 0);
    assert_null(unpack_string(&reader));
    assert_int_equal(unpack_end(&reader), ERR_SYNTAX);
}

static void test_length_beyond_all(void **state)
{
    struct pack_reader reader = pack_reader(SLICE_LITERAL("\xff\xff\xff\xffxyz"));
    (void)state;
    assert_int_equal(unpack_bytes(&reader).size, 0);
    assert_int_equal(unpack_end(&reader), ERR_SYNTAX);
}

static void test_left_over(void **state)
{
    struct pack_reader reader = pack_reader(SLICE_LITERAL("\x01\x02"));
    (void)state;
    assert_int_equal(unpack_u8(&reader), 1);
    assert_int_equal(unpack_end(&reader), ERR_SYNTAX);
    reader = pack_reader(SLICE_NONE);
    assert_int_equal(unpack_end(&reader), 0);
}

static void test_string_with_nul(void **state)
{
    struct pack_reader reader = pack_reader(SLICE_LITERAL("\0\0\0\x03"
                                                          "a\0b"));
    (void)state;
    assert_null(unpack_string(&reader));
    assert_int_equal(unpack_end(&reader), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_writer_keeps_its_first_failure),
        cmocka_unit_test(test_short_input),
        cmocka_unit_test(test_reader_keeps_its_first_failure),
        cmocka_unit_test(test_length_beyond_all),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_string_with_nul),
    };
    return cmocka_run_group_tests_name("base/pack", tests, NULL, NULL);
}
