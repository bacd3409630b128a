/*
 * The content of a message: what comes out has one CRLF "." CRLF, at its end, and no CR or LF but
 * in CRLF; and it means what the sender meant.
 *
 * CRLF "." CRLF ends the message also when a CR stands before it, as in "\r\r\n.\r\n". RFC 5321
 * section 4.1.1.4 says so, Postfix and Dovecot do so, and clients whose text ends in a CR would
 * otherwise wait for a reply that never comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data_reference.h"
#include "mail/data_framing.h"

#define OUTPUT_MAX  524288u
#define MESSAGE_END "\r\n.\r\n"

struct output {
    uint8_t bytes[OUTPUT_MAX];
    size_t size;
    unsigned pieces;
};

static void collect(void *owner, struct slice bytes)
{
    struct output *output = owner;
    assert_true(bytes.size > 0 && bytes.size <= OUTPUT_MAX - output->size);
    memcpy(output->bytes + output->size, bytes.data, bytes.size);
    output->size += bytes.size;
    output->pieces++;
}

static struct slice bytes_of(const struct output *output)
{
    return slice_of(output->bytes, output->size);
}

/* Feeds each piece from memory of its own. Returns what was consumed. */
static size_t feed(struct data_framing *framing, struct slice bytes, struct output *output)
{
    uint8_t *piece = mem_new(bytes.size + 1);
    memcpy(piece, bytes.data, bytes.size);
    size_t consumed = data_framing_feed(framing, slice_of(piece, bytes.size), collect, output);
    mem_free(piece);
    return consumed;
}

/* In pieces of `first` octets, then of `step`; 0: all that is left. Returns what was consumed. */
static size_t run(struct slice input, size_t first, size_t step, struct output *output)
{
    struct data_framing framing = {0};
    size_t consumed = 0, size = first;
    output->size = output->pieces = 0;
    while (consumed < input.size && framing.place != DATA_OVER) {
        struct slice rest = slice_skip(input, consumed);
        consumed += feed(&framing, size == 0 ? rest : slice_take(rest, size), output);
        size = step;
    }
    assert_int_equal(framing.place, DATA_OVER);
    assert_int_equal(data_framing_feed(&framing, slice_skip(input, consumed), collect, output), 0);
    return consumed;
}

/* ---- against the reference ---- */

static struct buf wire, text, received; /* kept, so that a million runs need no memory of theirs */

static bool has_only_one_end(struct slice bytes)
{
    size_t content_size;
    if (!data_find_end(bytes, &content_size) || content_size + 3 != bytes.size)
        return false;
    for (size_t i = 0; i < bytes.size; i++)
        if ((bytes.data[i] == '\n' && (i == 0 || bytes.data[i - 1] != '\r')) ||
            (bytes.data[i] == '\r' && (i + 1 == bytes.size || bytes.data[i + 1] != '\n')))
            return false;
    return true;
}

static void explain(struct slice input, struct slice expected, struct slice actual)
{
    char texts[3][2000];
    slice_escape(input, texts[0], sizeof(texts[0]));
    slice_escape(expected, texts[1], sizeof(texts[1]));
    slice_escape(actual, texts[2], sizeof(texts[2]));
    fail_msg("of %s\nexpected %s\ngot      %s", texts[0], texts[1], texts[2]);
}

/* `input` has an end. */
static void assert_framed(struct slice input, size_t first, size_t step, struct slice expected,
                          size_t expected_size)
{
    static struct output output;
    size_t consumed = run(input, first, step, &output);
    if (consumed != expected_size || !slice_equal(bytes_of(&output), expected))
        explain(input, expected, bytes_of(&output));
}

/* Fills `wire` and returns what is to be consumed. */
static size_t look_up(struct slice input)
{
    size_t content_size;
    assert_true(data_find_end(input, &content_size));
    struct slice content = slice_take(input, content_size);
    buf_consume(&wire, buf_size(&wire));
    buf_consume(&text, buf_size(&text));
    buf_consume(&received, buf_size(&received));
    data_reference_wire(content, &wire);
    data_reference_text(content, &text);
    assert_true(has_only_one_end(buf_bytes(&wire)));
    data_reference_receive(buf_bytes(&wire), &received);
    assert_true(slice_equal(buf_bytes(&received), buf_bytes(&text)));
    return content_size + 3;
}

static void assert_as_reference_everywhere(struct slice input)
{
    size_t size = look_up(input);
    assert_framed(input, 0, 0, buf_bytes(&wire), size);
    assert_framed(input, 1, 1, buf_bytes(&wire), size);
    for (size_t cut = 1; cut < input.size; cut++)
        assert_framed(input, cut, 0, buf_bytes(&wire), size);
}

static void open_buffers(void)
{
    buf_init(&wire, DATA_REFERENCE_MAX);
    buf_init(&text, DATA_REFERENCE_MAX);
    buf_init(&received, DATA_REFERENCE_MAX);
}

static void close_buffers(void)
{
    buf_fini(&wire);
    buf_fini(&text);
    buf_fini(&received);
}

#define SHORT_MAX 9
#define CUT_MAX   6

/* Every string of CR, LF, dot and letter, the shorter ones cut everywhere. */
static void test_every_short_content(void **state)
{
    static const char alphabet[] = {'\r', '\n', '.', 'x'};
    uint8_t input[SHORT_MAX + sizeof(MESSAGE_END)];
    (void)state;
    open_buffers();
    for (unsigned size = 0; size <= SHORT_MAX; size++)
        for (unsigned number = 0; number < 1u << 2 * size; number++) {
            for (unsigned i = 0; i < size; i++)
                input[i] = (uint8_t)alphabet[number >> 2 * i & 3];
            memcpy(input + size, MESSAGE_END, sizeof(MESSAGE_END) - 1);
            struct slice whole = slice_of(input, size + sizeof(MESSAGE_END) - 1);
            if (size <= CUT_MAX) {
                assert_as_reference_everywhere(whole);
                continue;
            }
            size_t expected_size = look_up(whole);
            assert_framed(whole, 0, 0, buf_bytes(&wire), expected_size);
            assert_framed(whole, 1, 1, buf_bytes(&wire), expected_size);
        }
    close_buffers();
}

/* xorshift64, so that a failure comes again. */
static unsigned draw(uint64_t *seed, unsigned below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (unsigned)(*seed >> 33) % below;
}

#define WORDS_MAX    60
#define MESSAGES     250000
#define LONG_EACH    5000
#define LONG_LETTERS 3000

static size_t draw_message(uint64_t *seed, bool is_long, uint8_t *out)
{
    static const char *const words[] = {
        "\r\n",    "\r",      "\n",   ".",   "..",     "x",       "\r\n.",    "\r.\r", "\n.\n",
        "\n.\r\n", "\r\n.\n", "\xff", "a b", "\r\r\n", "\r\n.\r", "\r\n..\n", "\n.\r", "MAIL"};
    size_t size = 0;
    for (unsigned i = draw(seed, WORDS_MAX); i > 0; i--) {
        const char *word = words[draw(seed, LENGTH_OF(words))];
        memcpy(out + size, word, strlen(word));
        size += strlen(word);
        if (is_long && draw(seed, 4) == 0) {
            unsigned letters = draw(seed, LONG_LETTERS);
            memset(out + size, 'l', letters);
            size += letters;
        }
    }
    memcpy(out + size, MESSAGE_END, sizeof(MESSAGE_END) - 1);
    return size + sizeof(MESSAGE_END) - 1;
}

/* A quarter of a million messages, each whole and in pieces of three sizes: a million runs. */
static void test_random_contents(void **state)
{
    static uint8_t input[WORDS_MAX * (LONG_LETTERS + 8) + sizeof(MESSAGE_END)];
    uint64_t seed = 88172645463325252u;
    (void)state;
    open_buffers();
    for (unsigned i = 0; i < MESSAGES; i++) {
        bool is_long = i % LONG_EACH == 0;
        struct slice whole = slice_of(input, draw_message(&seed, is_long, input));
        size_t size = look_up(whole);
        assert_framed(whole, 0, 0, buf_bytes(&wire), size);
        for (unsigned j = 0; j < 3; j++) {
            unsigned first = draw(&seed, (unsigned)whole.size);
            assert_framed(whole, 1 + first, 1 + draw(&seed, 40), buf_bytes(&wire), size);
        }
    }
    close_buffers();
}

#define EDGES_SIZE  2600u /* more than two blocks of 1 KiB */
#define EDGES_REACH 4u

/* Whatever octets stand where a block that is passed over ends, or the next one begins. */
static void test_edges_of_blocks(void **state)
{
    static const char alphabet[] = {'\r', '\n', '.', 'x'};
    static const size_t edges[] = {0, 78, 1024, 2048}, firsts[] = {0, 1, 2, 78, 1023, 1025};
    static uint8_t input[EDGES_SIZE + sizeof(MESSAGE_END)];
    (void)state;
    open_buffers();
    for (unsigned number = 0; number < 64; number++)
        for (size_t i = 0; i < LENGTH_OF(edges) * 2 * EDGES_REACH; i++) {
            for (size_t at = 0; at < EDGES_SIZE; at++)
                input[at] = (uint8_t)(at % 78 == 76 ? '\r' : at % 78 == 77 ? '\n' : 'l');
            size_t place = edges[i / (2 * EDGES_REACH)] + i % (2 * EDGES_REACH);
            for (unsigned j = 0; j < 3; j++)
                if (place + j >= EDGES_REACH)
                    input[place + j - EDGES_REACH] = (uint8_t)alphabet[number >> 2 * j & 3];
            memcpy(input + EDGES_SIZE, MESSAGE_END, sizeof(MESSAGE_END) - 1);
            struct slice whole = slice_of(input, EDGES_SIZE + sizeof(MESSAGE_END) - 1);
            size_t size = look_up(whole);
            for (size_t j = 0; j < LENGTH_OF(firsts); j++)
                assert_framed(whole, firsts[j], 0, buf_bytes(&wire), size);
        }
    close_buffers();
}

/* ---- by name ---- */

struct known {
    const char *input, *expected;
};

static void assert_known(const struct known *cases, size_t count)
{
    static struct output output;
    for (size_t i = 0; i < count; i++) {
        struct slice input = slice_of_string(cases[i].input);
        struct slice expected = slice_of_string(cases[i].expected);
        assert_framed(input, 0, 0, expected, input.size);
        assert_framed(input, 1, 1, expected, input.size);
        for (size_t cut = 1; cut < input.size; cut++)
            assert_framed(input, cut, 0, expected, input.size);
        run(input, 0, 0, &output);
        assert_true(has_only_one_end(bytes_of(&output)));
    }
}

/* What some servers take for the end, with a second message behind it: it stays one. */
static void test_smuggling(void **state)
{
#define BEHIND "MAIL FROM:<evil@x>\r\n.\r\n"
    static const struct known cases[] = {
        {"a\n.\n" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\n.\r\n" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\r\n.\n" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\r\n.\r" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\r.\r" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\r.\r\n" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\r.\n" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\n.\r" BEHIND, "a\r\n..\r\n" BEHIND},
        {"a\n\n.\n\n" BEHIND, "a\r\n\r\n..\r\n\r\n" BEHIND},
        {"a\r\r.\r\r" BEHIND, "a\r\n\r\n..\r\n\r\n" BEHIND},
        {"a\n\r.\n\r" BEHIND, "a\r\n\r\n..\r\n\r\n" BEHIND},
        {"a\r\n.\r\r\n" BEHIND, "a\r\n..\r\n\r\n" BEHIND},
        {"a\r\n.\n\r\n" BEHIND, "a\r\n..\r\n\r\n" BEHIND},
        {"a\r\n\r.\r\n" BEHIND, "a\r\n\r\n..\r\n" BEHIND},
        {"a\r\n\n.\r\n" BEHIND, "a\r\n\r\n..\r\n" BEHIND},
        {".\n" BEHIND, "..\r\n" BEHIND},
        {".\r" BEHIND, "..\r\n" BEHIND},
        {"\n.\r\n" BEHIND, "\r\n..\r\n" BEHIND},
        {"\r.\r\n" BEHIND, "\r\n..\r\n" BEHIND},
        /* a dot that comes to the start of a line (CVE-2026-33604) */
        {"a\r.b\r\n.\r\n", "a\r\n..b\r\n.\r\n"},
        {"a\n..b\r\n.\r\n", "a\r\n...b\r\n.\r\n"},
        {"a\r\r\n..b\r\n.\r\n", "a\r\n\r\n..b\r\n.\r\n"},
    };
    (void)state;
    assert_known(cases, LENGTH_OF(cases));
}

static void test_the_end(void **state)
{
    static const struct known cases[] = {
        {".\r\n", ".\r\n"},
        {"\r\n.\r\n", "\r\n.\r\n"},
        {"a\r\n.\r\n", "a\r\n.\r\n"},
        {"a\r\r\n.\r\n", "a\r\n\r\n.\r\n"},
        {"a\n\r\n.\r\n", "a\r\n\r\n.\r\n"},
        {"..\r\n.\r\n", "..\r\n.\r\n"},
        {".a\r\n.\r\n", ".a\r\n.\r\n"},
    };
    (void)state;
    assert_known(cases, LENGTH_OF(cases));
}

/* What stands behind the end is not touched. */
static void test_goes_no_further_than_the_end(void **state)
{
    static struct output output;
    static const char message[] = "a\r\n.\r\n", behind[] = "\n.\nRSET\r\n";
    char input[sizeof(message) + sizeof(behind)];
    (void)state;
    snprintf(input, sizeof(input), "%s%s", message, behind);
    for (size_t cut = 0; cut < sizeof(message) - 1; cut++) {
        assert_int_equal(run(slice_of_string(input), cut, 0, &output), sizeof(message) - 1);
        assert_true(slice_is(bytes_of(&output), message));
    }
}

/* ---- how it comes out ---- */

/* What needs no mending costs nothing: a piece goes on in one. */
static void test_clean_content_is_passed_as_it_came(void **state)
{
    static struct output output;
    static uint8_t input[OUTPUT_MAX / 2];
    (void)state;
    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (uint8_t)("..\xff line\r\n"[i % 10]);
    memcpy(input + sizeof(input) - 5, MESSAGE_END, 5);
    input[sizeof(input) - 6] = 'x';
    struct slice whole = slice_of(input, sizeof(input));
    assert_int_equal(run(whole, 0, 0, &output), whole.size);
    assert_true(slice_equal(bytes_of(&output), whole));
    assert_int_equal(output.pieces, 1);
    assert_int_equal(run(whole, 0, 0, &output), whole.size);
    size_t size = 10 * 500;
    run(whole, size, size, &output);
    assert_true(slice_equal(bytes_of(&output), whole));
    assert_int_equal(output.pieces, (whole.size + size - 1) / size);
}

/* A line at a time would cost a write each. */
static void test_mended_lines_go_together(void **state)
{
    static struct output output;
    static char input[20000 + sizeof(MESSAGE_END)];
    (void)state;
    memset(input, '\n', 20000);
    memcpy(input + 20000, MESSAGE_END, sizeof(MESSAGE_END));
    run(slice_of_string(input), 0, 0, &output);
    assert_int_equal(output.size, 20000 * 2 + 5);
    assert_true(output.pieces <= 1 + output.size / 4000);
}

/* What a passage needs that refuses: what came before the first bare newline, and it alone, is
 * passed before that is told. */
struct refusing {
    struct data_framing framing;
    struct output output;
};

static void collect_what_is_clean(void *owner, struct slice bytes)
{
    struct refusing *refusing = owner;
    if (!refusing->framing.has_bare_newline)
        collect(&refusing->output, bytes);
}

static void test_tells_of_bare_newlines(void **state)
{
    static const struct {
        const char *input, *clean;
    } cases[] = {
        {"a\nb" MESSAGE_END, "a"},
        {"ab\rc" MESSAGE_END, "ab"},
        {"a\r\n.\nb" MESSAGE_END, "a\r\n."},
        {"a\r\n.\rb" MESSAGE_END, "a\r\n."},
        {"\nb\n" MESSAGE_END, ""},
        {".\rb\n" MESSAGE_END, "."},
        {"a\r\n\rb" MESSAGE_END, "a\r\n"},
        {"a\r\r\n.\r\n", "a"},
        {"a\r\nb\r\n..\r\n.\r\n", "a\r\nb\r\n..\r\n.\r\n"},
    };
    static struct refusing refusing;
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct slice input = slice_of_string(cases[i].input);
        for (size_t cut = 0; cut < input.size; cut++) {
            refusing = (struct refusing){0};
            const struct slice pieces[] = {slice_take(input, cut), slice_skip(input, cut)};
            for (size_t j = 0; j < LENGTH_OF(pieces); j++)
                assert_int_equal(data_framing_feed(&refusing.framing, pieces[j],
                                                   collect_what_is_clean, &refusing),
                                 pieces[j].size);
            assert_true(slice_is(bytes_of(&refusing.output), cases[i].clean));
            bool is_clean = slice_is(input, cases[i].clean);
            assert_int_equal(refusing.framing.has_bare_newline, !is_clean);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_the_end),
        cmocka_unit_test(test_goes_no_further_than_the_end),
        cmocka_unit_test(test_clean_content_is_passed_as_it_came),
        cmocka_unit_test(test_mended_lines_go_together),
        cmocka_unit_test(test_tells_of_bare_newlines),
        cmocka_unit_test(test_every_short_content),
        cmocka_unit_test(test_random_contents),
        cmocka_unit_test(test_edges_of_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
