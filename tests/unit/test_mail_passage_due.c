/*
 * What IMAP's passage says is still to come of a literal, wherever the server's words are cut: as
 * much as is left of it, and never more than comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mail/passage_imap.h"
#include "mail/passage_pop3.h"
#include "mail/passage_smtp.h"

#define STREAM_MAX 4096u

/* What the server says: parts that are none of a literal and such that are one. */
static const struct {
    bool is_literal;
    const char *text;
} parts[] = {
    {false, "* OK hello\r\n* 1 FETCH (BODY[] {27}\r\n"},
    {true, "a OK {9}\r\n* CAPABILITY {3}\r"},
    {false, " FLAGS () BODY[1] {1}\r\n"},
    {true, "\n"},
    {false, " BODY[2] {0}\r\n BODY[3] {0}\r\n)\r\n* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE\r\n"},
    {false, "* CAPABILITY {5}\r\n* 2 FETCH (BODY[] ~{13}\r\n"},
    {true, "\0\r\n{1000}\r\n. "},
    {false, ")\r\n* OK {x}\r\n* OK {}\r\n* OK 5}\r\n* OK {99999999999999999999}\r\n"},
    {false, "a OK {5} done\r\n* 3 FETCH (BODY[] {7}\n"},
    {true, "a bare."},
    {false, ")\r\na OK done\r\n"},
};

struct stream {
    size_t size;
    uint8_t bytes[STREAM_MAX];
    size_t due[STREAM_MAX + 1]; /* behind so many octets */
};

static void make_stream(struct stream *stream)
{
    stream->size = 0;
    for (size_t i = 0; i < LENGTH_OF(parts); i++) {
        bool has_nul = parts[i].text[0] == '\0';
        size_t size = has_nul ? 13 : strlen(parts[i].text);
        memcpy(stream->bytes + stream->size, parts[i].text, size);
        for (size_t at = 0; at < size; at++)
            stream->due[stream->size + at] = parts[i].is_literal ? size - at : 0;
        stream->size += size;
    }
    stream->due[stream->size] = 0;
}

static void drop(void *owner, enum side to, struct slice bytes)
{
    (void)owner;
    (void)to;
    (void)bytes;
}

static void feed(struct passage *passage, struct slice bytes)
{
    struct passage_sink sink = {.pass = drop};
    assert_int_equal(passage_feed(passage, SIDE_UPSTREAM, bytes, &sink), bytes.size);
}

static void check_in_pieces(const struct stream *stream, size_t first, size_t piece)
{
    struct passage_settings settings = {0};
    struct passage *passage = passage_imap.open(&settings);
    assert_int_equal(passage_due(passage), 0);
    for (size_t at = 0, size = first; at < stream->size; at += size, size = piece) {
        struct slice rest = slice_of(stream->bytes + at, stream->size - at);
        size = size < rest.size ? size : rest.size;
        feed(passage, slice_take(rest, size));
        assert_int_equal(passage_due(passage), stream->due[at + size]);
    }
    passage_close(passage);
}

static void test_at_every_cut(void **state)
{
    static struct stream stream;
    (void)state;
    make_stream(&stream);
    for (size_t piece = 1; piece <= stream.size; piece++) {
        check_in_pieces(&stream, piece, piece);
        check_in_pieces(&stream, piece, stream.size);
    }
}

/* What is said while one of our answers waits, or a server is waited for, comes line by line. */
static void test_beside_answers_of_ours(void **state)
{
    struct passage_settings settings = {0};
    struct passage_sink sink = {.pass = drop};
    struct passage *passage = passage_imap.open(&settings);
    struct slice login = SLICE_LITERAL("a LOGIN x y\r\nb APPEND x {5}\r\n");
    (void)state;
    feed(passage, SLICE_LITERAL("* 1 FETCH (BODY[] {1000000}\r\n"));
    assert_int_equal(passage_due(passage), 1000000);
    size_t consumed = passage_feed(passage, SIDE_CLIENT, login, &sink);
    assert_in_range(consumed, 1, login.size);
    assert_int_equal(passage_due(passage), 1000000);
    feed(passage, SLICE_LITERAL("one\ntwo\n"));
    assert_int_equal(passage_due(passage), 1000000 - 8);
    passage_close(passage);
}

/* The largest literal that there is. */
static void test_the_largest(void **state)
{
    struct passage_settings settings = {0};
    struct passage *passage = passage_imap.open(&settings);
    (void)state;
    feed(passage, SLICE_LITERAL("* 1 FETCH (BODY[] {9223372036854775807}\r\n."));
    assert_true(passage_due(passage) == INT64_MAX - 1);
    passage_end(passage, WHY_INTERNAL, "over");
    assert_int_equal(passage_due(passage), 0);
    passage_close(passage);
}

/* Their lengths are not known before the dot. */
static void test_not_of_other_protocols(void **state)
{
    static const struct passage_kind *const kinds[] = {&passage_pop3, &passage_smtp};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
        struct passage_settings settings = {0};
        struct passage *passage = kinds[i]->open(&settings);
        assert_int_equal(passage_due(passage), 0);
        passage_close(passage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_every_cut),
        cmocka_unit_test(test_beside_answers_of_ours),
        cmocka_unit_test(test_the_largest),
        cmocka_unit_test(test_not_of_other_protocols),
    };
    return cmocka_run_group_tests_name("mail/passage, what is due", tests, NULL, NULL);
}
