/*
 * The wire's small words, by tables. "#" in an expected value stands for "refused".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/wire.h"

#define S(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void test_trim_line_end(void **state)
{
    static const struct {
        struct slice line, content;
    } rows[] = {
        {S(""), S("")},     {S("a"), S("a")}, {S("a\n"), S("a")},       {S("a\r\n"), S("a")},
        {S("\r\n"), S("")}, {S("\n"), S("")}, {S("a\n\r\n"), S("a\n")}, {S("a\r\r\n"), S("a\r")},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        assert_true(slice_equal(wire_trim_line_end(rows[i].line), rows[i].content));
}

/* ---- base64 ---- */

static void test_base64_both_ways(void **state)
{
    /* RFC 4648 section 10, and octets that need the last two letters */
    static const struct {
        struct slice bytes, text;
    } rows[] = {
        {S(""), S("")},
        {S("f"), S("Zg==")},
        {S("fo"), S("Zm8=")},
        {S("foo"), S("Zm9v")},
        {S("foob"), S("Zm9vYg==")},
        {S("fooba"), S("Zm9vYmE=")},
        {S("foobar"), S("Zm9vYmFy")},
        {S("\xfb\xff\xbf\0"), S("+/+/AA==")},
        {S("\0\0\0"), S("AAAA")},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct buf out;
        buf_init(&out, 64);
        assert_int_equal(buf_append_string(&out, ">"), 0);
        assert_int_equal(wire_base64_encode(rows[i].bytes, &out), 0);
        assert_true(slice_equal(slice_skip(buf_bytes(&out), 1), rows[i].text));
        buf_clear(&out);
        assert_int_equal(buf_append_string(&out, ">"), 0);
        assert_int_equal(wire_base64_decode(rows[i].text, &out), 0);
        assert_true(slice_equal(slice_skip(buf_bytes(&out), 1), rows[i].bytes));
        buf_fini(&out);
    }
}

static void test_base64_is_strict(void **state)
{
    static const struct slice refused[] = {
        S("Z"),
        S("Zg"),
        S("Zg="),
        S("Zm9"),
        S("="),
        S("=="),
        S("===="),
        S("Z==="),
        S("Zg==="),
        S("Zg==Zg=="),
        S("Zg=="
          "\r\n"),
        S(" Zg="),
        S("Zg== "),
        S("Zm 9v"),
        S("Zm\r\n9v"),
        S("Zm9-"),
        S("Zm9_"),
        S("Z=g="),
        S("=Zg="),
        S("Zm9v\0\0\0\0"),
        S("Zm\0v"),
        S("Zm9v===="),
        S("Zm\xc3\xa9"),
        S("Zm9vZm=v"),
        S("*"),
        S("Zm9*"),
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(refused); i++) {
        struct buf out;
        buf_init(&out, 64);
        assert_int_equal(buf_append_string(&out, ">"), 0);
        if (wire_base64_decode(refused[i], &out) != ERR_SYNTAX)
            fail_msg("row %zu was taken", i);
        assert_true(slice_is(buf_bytes(&out), ">"));
        buf_fini(&out);
    }
}

static void test_base64_respects_the_limit(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 5);
    assert_int_equal(wire_base64_decode(slice_of_string("Zm9vYmFy"), &out), ERR_FULL);
    assert_int_equal(wire_base64_encode(slice_of_string("foob"), &out), ERR_FULL);
    assert_int_equal(buf_size(&out), 0);
    assert_int_equal(wire_base64_decode(slice_of_string("Zm9vYmE="), &out), 0);
    assert_true(slice_is(buf_bytes(&out), "fooba"));
    buf_fini(&out);
}

static void test_base64_of_every_octet(void **state)
{
    uint8_t bytes[256];
    struct buf text, back;
    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        buf_init(&text, 1024);
        buf_init(&back, 1024);
        assert_int_equal(wire_base64_encode(slice_of(bytes, size), &text), 0);
        assert_int_equal(buf_size(&text), (size + 2) / 3 * 4);
        assert_int_equal(wire_base64_decode(buf_bytes(&text), &back), 0);
        assert_true(slice_equal(buf_bytes(&back), slice_of(bytes, size)));
        buf_fini(&text);
        buf_fini(&back);
    }
}

/* ---- tags ---- */

static void test_tags(void **state)
{
    static const struct slice taken[] = {
        S("a"),
        S("A001"),
        S("]"),
        S("a.b-c_d"),
        S("!#$&',/:;<=>?@[^`|}~"),
        S("12345678901234567890123456789012"),
    };
    static const struct slice refused[] = {
        S(""),
        S("+"),
        S("a+"),
        S("*"),
        S("a b"),
        S("a\""),
        S("a\\"),
        S("a("),
        S("a)"),
        S("a{"),
        S("a%"),
        S("a\t"),
        S("\x7f"),
        S("a\0"),
        S("\xe9"),
        S("a\r"),
        S("123456789012345678901234567890123"),
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(taken); i++)
        if (!wire_is_imap_tag(taken[i]))
            fail_msg("tag %zu was refused", i);
    for (size_t i = 0; i < LENGTH_OF(refused); i++)
        if (wire_is_imap_tag(refused[i]))
            fail_msg("tag %zu was taken", i);
}

/* ---- literals ---- */

static void test_literal_announcements(void **state)
{
    static const struct {
        struct slice line;
        enum wire_status status;
        uint64_t size;
        bool is_synchronizing;
    } rows[] = {
        {S("a LOGIN {5}\r\n"), WIRE_DONE, 5, true},
        {S("a LOGIN {5}\n"), WIRE_DONE, 5, true},
        {S("a LOGIN {5+}\r\n"), WIRE_DONE, 5, false},
        {S("{0}\r\n"), WIRE_DONE, 0, true},
        {S("{007}\r\n"), WIRE_DONE, 7, true},
        {S("{1}{2}\r\n"), WIRE_DONE, 2, true},
        {S("{9223372036854775807}\r\n"), WIRE_DONE, INT64_MAX, true},
        {S("{9223372036854775808}\r\n"), WIRE_BAD, 0, false},
        {S("{99999999999999999999}\r\n"), WIRE_BAD, 0, false},
        {S("{}\r\n"), WIRE_BAD, 0, false},
        {S("{+}\r\n"), WIRE_BAD, 0, false},
        {S("{-1}\r\n"), WIRE_BAD, 0, false},
        {S("{1-}\r\n"), WIRE_BAD, 0, false},
        {S("{1++}\r\n"), WIRE_BAD, 0, false},
        {S("{+1}\r\n"), WIRE_BAD, 0, false},
        {S("{ 1}\r\n"), WIRE_BAD, 0, false},
        {S("{1 }\r\n"), WIRE_BAD, 0, false},
        {S("{0x1}\r\n"), WIRE_BAD, 0, false},
        {S("{1}}\r\n"), WIRE_BAD, 0, false},
        {S("~{1}\r\n"), WIRE_DONE, 1, true},
        {S("a LOGIN {5} \r\n"), WIRE_MORE, 0, false},
        {S("a LOGIN 5}\r\n"), WIRE_MORE, 0, false},
        {S("a LOGIN {5\r\n"), WIRE_MORE, 0, false},
        {S("}\r\n"), WIRE_MORE, 0, false},
        {S("{\r\n"), WIRE_MORE, 0, false},
        {S("\r\n"), WIRE_MORE, 0, false},
        {S(""), WIRE_MORE, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct wire_literal literal = {0};
        enum wire_status status = wire_imap_literal(rows[i].line, &literal);
        if (status != rows[i].status)
            fail_msg("line %zu has status %d", i, (int)status);
        if (status != WIRE_DONE)
            continue;
        assert_true(literal.size == rows[i].size);
        assert_int_equal(literal.is_synchronizing, rows[i].is_synchronizing);
    }
}

/* ---- astrings ---- */

#define REFUSED "#"

static const struct {
    struct slice input, value, rest;
} astrings[] = {
    /* atoms */
    {S("alice secret"), S("alice"), S(" secret")},
    {S("a]b"), S("a]b"), S("")},
    {S("a@b.c+d"), S("a@b.c+d"), S("")},
    {S("p\xc3\xa4ss x"), S("p\xc3\xa4ss"), S(" x")},
    {S("a\"b\""), S("a"), S("\"b\"")},
    {S("a{3}"), S("a"), S("{3}")},
    {S("a\\b"), S("a"), S("\\b")},
    {S(""), S(REFUSED), S("")},
    {S(" a"), S(REFUSED), S("")},
    {S("(a)"), S(REFUSED), S("")},
    {S("*"), S(REFUSED), S("")},
    {S("%a"), S(REFUSED), S("")},
    {S("\\a"), S(REFUSED), S("")},
    {S("\x7f"), S(REFUSED), S("")},
    {S("\0"), S(REFUSED), S("")},
    /* quoted strings */
    {S("\"\" x"), S(""), S(" x")},
    {S("\"a b\"c"), S("a b"), S("c")},
    {S("\"a\\\"b\\\\c\""), S("a\"b\\c"), S("")},
    {S("\"\xc3\xa4 {3}\""), S("\xc3\xa4 {3}"), S("")},
    {S("\""), S(REFUSED), S("")},
    {S("\"a"), S(REFUSED), S("")},
    {S("\"a\\"), S(REFUSED), S("")},
    {S("\"a\\\""), S(REFUSED), S("")},
    {S("\"a\\b\""), S(REFUSED), S("")},
    {S("\"a\rb\""), S(REFUSED), S("")},
    {S("\"a\nb\""), S(REFUSED), S("")},
    {S("\"a\0b\""), S(REFUSED), S("")},
    {S("\"a\tb\""), S(REFUSED), S("")},
    {S("\"a\x7f\""), S(REFUSED), S("")},
    /* literals */
    {S("{5}\r\nhello x"), S("hello"), S(" x")},
    {S("{5+}\r\nhello"), S("hello"), S("")},
    {S("{3}\nabc"), S("abc"), S("")},
    {S("{0}\r\n"), S(""), S("")},
    {S("{4}\r\na\r\nb c"), S("a\r\nb"), S(" c")},
    {S("{1}\r\n\0"), S("\0"), S("")},
    {S("{6}\r\nhello"), S(REFUSED), S("")},
    {S("{9223372036854775807}\r\nhello"), S(REFUSED), S("")},
    {S("{5}hello"), S(REFUSED), S("")},
    {S("{5}\rhello"), S(REFUSED), S("")},
    {S("{}\r\nhello"), S(REFUSED), S("")},
    {S("{a}\r\nhello"), S(REFUSED), S("")},
    {S("{"), S(REFUSED), S("")},
    {S("{x {5}\r\nhello"), S(REFUSED), S("")},
    {S("{5} {3}\r\nabc"), S(REFUSED), S("")},
};

static void test_astrings(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(astrings); i++) {
        struct slice rest = astrings[i].input;
        struct buf value;
        buf_init(&value, 64);
        enum wire_status status = wire_imap_astring(&rest, &value);
        bool is_refused = slice_is(astrings[i].value, REFUSED);
        if ((status == WIRE_BAD) != is_refused)
            fail_msg("row %zu: status %d", i, (int)status);
        if (!is_refused) {
            assert_true(slice_equal(buf_bytes(&value), astrings[i].value));
            assert_true(slice_equal(rest, astrings[i].rest));
        }
        buf_fini(&value);
    }
}

static void test_astrings_respect_the_limit(void **state)
{
    static const char *const inputs[] = {"abcd", "\"abcd\"", "{4}\r\nabcd"};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(inputs); i++)
        for (size_t maximum = 3; maximum <= 4; maximum++) {
            struct slice rest = slice_of_string(inputs[i]);
            struct buf value;
            buf_init(&value, maximum);
            assert_int_equal(wire_imap_astring(&rest, &value), maximum < 4 ? WIRE_BAD : WIRE_DONE);
            buf_fini(&value);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim_line_end),
        cmocka_unit_test(test_base64_both_ways),
        cmocka_unit_test(test_base64_is_strict),
        cmocka_unit_test(test_base64_respects_the_limit),
        cmocka_unit_test(test_base64_of_every_octet),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_literal_announcements),
        cmocka_unit_test(test_astrings),
        cmocka_unit_test(test_astrings_respect_the_limit),
    };
    return cmocka_run_group_tests_name("mail/wire", tests, NULL, NULL);
}
