/*
 * What transcripts cannot say of POP3's passage: how many commands may be unanswered, what is kept
 * of a hostile peer's words, and that pieces of any size give the same as the whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/passage_lines.h"
#include "mail/passage_pop3.h"
#include "repeat.h"

#define PASSED_MAX (4u * 1024 * 1024)

struct relay {
    struct passage *passage;
    struct buf passed[2]; /* by the side that they went to */
};

static void pass(void *owner, enum side to, struct slice bytes)
{
    struct relay *relay = owner;
    assert_true(bytes.size > 0);
    assert_int_equal(buf_append(&relay->passed[to], bytes), 0);
}

static void relay_init(struct relay *relay)
{
    struct passage_settings settings = {0};
    buf_init(&relay->passed[SIDE_CLIENT], PASSED_MAX);
    buf_init(&relay->passed[SIDE_UPSTREAM], PASSED_MAX);
    relay->passage = passage_pop3.open(&settings);
}

static void relay_fini(struct relay *relay)
{
    passage_close(relay->passage);
    buf_fini(&relay->passed[SIDE_CLIENT]);
    buf_fini(&relay->passed[SIDE_UPSTREAM]);
}

static size_t feed(struct relay *relay, enum side from, struct slice bytes)
{
    struct passage_sink sink = {.pass = pass, .owner = relay};
    return passage_feed(relay->passage, from, bytes, &sink);
}

static void feed_all(struct relay *relay, enum side from, const char *text)
{
    assert_int_equal(feed(relay, from, slice_of_string(text)), strlen(text));
}

static void assert_passed(const struct relay *relay, enum side to, const char *text)
{
    struct slice passed = buf_bytes(&relay->passed[to]);
    if (!slice_is(passed, text))
        fail_msg("passed \"%.*s\", expected \"%s\"", SLICE_PRINT(passed), text);
}

/* ---- bounds ---- */

/* The client waits with the command that is one too many, in whatever pieces they come, and goes on
 * with each answer. */
static void test_unanswered_commands_are_bounded(void **state)
{
    static const char *const units[] = {"NOOP\r\n", "NOOP\n", "AUTH\r\n"};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(units); i++) {
        struct relay relay;
        relay_init(&relay);
        feed_all(&relay, SIDE_CLIENT, "STAT\r\n");
        struct slice flood = repeat(units[i], 2 * PASSAGE_ANSWERS_MAX * strlen(units[i]));
        size_t size = strlen(units[i]), consumed = feed(&relay, SIDE_CLIENT, flood);
        assert_int_equal(consumed, (PASSAGE_ANSWERS_MAX - 1) * size);
        assert_int_equal(feed(&relay, SIDE_CLIENT, slice_skip(flood, consumed)), 0);
        assert_int_equal(feed(&relay, SIDE_CLIENT, SLICE_LITERAL("N")), 0);
        /* Half an answer makes no room. */
        feed_all(&relay, SIDE_UPSTREAM, "+OK");
        assert_int_equal(feed(&relay, SIDE_CLIENT, slice_skip(flood, consumed)), 0);
        feed_all(&relay, SIDE_UPSTREAM, "\r\n");
        bool is_ours = i == 2;
        size_t more = feed(&relay, SIDE_CLIENT, slice_skip(flood, consumed));
        assert_int_equal(more, is_ours ? flood.size - consumed : size);
        relay_fini(&relay);
        free_slice(flood);
    }
}

/* A body has one answer, however long it is: room comes at its end. */
static void test_a_body_is_one_answer(void **state)
{
    struct relay relay;
    (void)state;
    relay_init(&relay);
    feed_all(&relay, SIDE_CLIENT, "RETR 1\r\n");
    struct slice flood = repeat("NOOP\r\n", 6 * PASSAGE_ANSWERS_MAX);
    size_t consumed = feed(&relay, SIDE_CLIENT, flood);
    assert_int_equal(consumed, flood.size - 6);
    feed_all(&relay, SIDE_UPSTREAM, "+OK\r\n+OK\r\n-ERR\r\n\r\n.\r");
    assert_int_equal(feed(&relay, SIDE_CLIENT, slice_skip(flood, consumed)), 0);
    feed_all(&relay, SIDE_UPSTREAM, "\n");
    assert_int_equal(feed(&relay, SIDE_CLIENT, slice_skip(flood, consumed)), 6);
    free_slice(flood);
    relay_fini(&relay);
}

/* All answers of ours that wait for one of the server's are said behind it, and none is lost. */
static void test_waiting_answers_are_said_together(void **state)
{
    static const char own[] = "-ERR you are logged in already\r\n";
    struct relay relay;
    (void)state;
    relay_init(&relay);
    feed_all(&relay, SIDE_CLIENT, "STAT\r\n");
    struct slice flood = repeat("AUTH\r\n", 6 * (PASSAGE_ANSWERS_MAX - 1));
    assert_int_equal(feed(&relay, SIDE_CLIENT, flood), flood.size);
    assert_int_equal(buf_size(&relay.passed[SIDE_CLIENT]), 0);
    assert_passed(&relay, SIDE_UPSTREAM, "STAT\r\n");
    feed_all(&relay, SIDE_UPSTREAM, "+OK 0 0\r\n");
    assert_int_equal(buf_size(&relay.passed[SIDE_CLIENT]),
                     strlen("+OK 0 0\r\n") + (PASSAGE_ANSWERS_MAX - 1) * strlen(own));
    free_slice(flood);
    relay_fini(&relay);
}

/* A client that reads our answer to another login goes on by commands, and none of those in
 * capitals may be taken for more of that login. */
static void test_commands_behind_another_login(void **state)
{
    static const char *const words[] = {"STAT", "LIST", "UIDL", "NOOP",
                                        "RSET", "CAPA", "LANG", "QUIT"};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(words); i++) {
        struct relay relay;
        char line[16];
        relay_init(&relay);
        snprintf(line, sizeof(line), "%s\r\n", words[i]);
        feed_all(&relay, SIDE_CLIENT, "AUTH LOGIN\r\n");
        feed_all(&relay, SIDE_CLIENT, line);
        assert_passed(&relay, SIDE_UPSTREAM, line);
        relay_fini(&relay);
    }
}

/* A line of the greatest length passes, whole or in two; one octet more ends the passage, and from
 * then on everything is consumed and nothing passes. */
static void test_longest_command(void **state)
{
    (void)state;
    for (size_t excess = 0; excess <= 1; excess++)
        for (size_t cut = 0; cut <= PASSAGE_LINE_MAX + excess; cut += cut < 8190 ? 4095 : 1) {
            struct relay relay;
            relay_init(&relay);
            size_t size = PASSAGE_LINE_MAX + excess;
            struct slice line = repeat("x", size);
            memcpy((uint8_t *)(uintptr_t)line.data, "NOOP ", 5);
            memcpy((uint8_t *)(uintptr_t)line.data + size - 2, "\r\n", 2);
            assert_int_equal(feed(&relay, SIDE_CLIENT, slice_take(line, cut)), cut);
            assert_int_equal(feed(&relay, SIDE_CLIENT, slice_skip(line, cut)), size - cut);
            assert_int_equal(relay.passage->is_over, excess == 1);
            assert_int_equal(buf_size(&relay.passed[SIDE_UPSTREAM]), excess == 1 ? 0 : size);
            if (excess == 1) {
                assert_int_equal(relay.passage->why, WHY_CLIENT_PROTOCOL);
                feed_all(&relay, SIDE_CLIENT, "QUIT\r\n");
                feed_all(&relay, SIDE_UPSTREAM, "+OK\r\n");
                assert_true(slice_is(buf_bytes(&relay.passed[SIDE_CLIENT]),
                                     "-ERR a command is too long\r\n"));
            }
            free_slice(line);
            relay_fini(&relay);
        }
}

/* A status line and a body are not kept: neither has to have an end. */
static void test_endless_answers_pass(void **state)
{
    struct relay relay;
    struct slice line = repeat("x", 100000);
    (void)state;
    relay_init(&relay);
    feed_all(&relay, SIDE_CLIENT, "RETR 1\r\n");
    feed_all(&relay, SIDE_UPSTREAM, "+OK ");
    for (int i = 0; i < 10; i++)
        assert_int_equal(feed(&relay, SIDE_UPSTREAM, line), line.size);
    feed_all(&relay, SIDE_UPSTREAM, "\r\n");
    for (int i = 0; i < 10; i++)
        assert_int_equal(feed(&relay, SIDE_UPSTREAM, line), line.size);
    assert_int_equal(buf_size(&relay.passed[SIDE_CLIENT]), 20 * line.size + strlen("+OK \r\n"));
    assert_false(relay.passage->is_over);
    free_slice(line);
    relay_fini(&relay);
}

/* ---- pieces ---- */

/* A session in steps of one side each; every step is cut in pieces of each size. */
static void test_pieces_of_any_size(void **state)
{
    static const struct {
        enum side from;
        const char *text;
    } steps[] = {
        {SIDE_CLIENT, "CAPA\r\nRETR 1\r\nAUTH PLAIN\r\nLIST\nLIST 1\r\nNO\x01OP\r\nCAPA\r\n \r\n"},
        {SIDE_UPSTREAM,
         "+OK\r\nSASL PLAIN\r\nTOP\r\nSTLS\r\nUIDL\n.\r\n+OK body\r\n.\n.\r\r\n.\r.\r\n"},
        {SIDE_CLIENT, "USER alice\r\nQUIT\r\n"},
        {SIDE_UPSTREAM,
         "\r\n.\r\n+OK\r\n1 2\r\n.\r\n+OK 1 2\r\n-ERR no CAPA\r\n+OK bye\r\n-ERR so long"},
    };
    static const char expected[] =
        "+OK\r\nTOP\r\nUIDL\n.\r\n+OK body\r\n.\n.\r\r\n.\r.\r\n\r\n.\r\n"
        "-ERR you are logged in already\r\n+OK\r\n1 2\r\n.\r\n+OK 1 2\r\n"
        "-ERR control characters in a command\r\n-ERR no CAPA\r\n-ERR a command is expected\r\n"
        "-ERR you are logged in already\r\n+OK bye\r\n-ERR so long";
    (void)state;
    for (size_t piece = 1; piece < 80; piece++) {
        struct relay relay;
        relay_init(&relay);
        for (size_t i = 0; i < LENGTH_OF(steps); i++) {
            struct slice rest = slice_of_string(steps[i].text);
            while (rest.size > 0) {
                struct slice part = slice_take(rest, piece);
                assert_int_equal(feed(&relay, steps[i].from, part), part.size);
                rest = slice_skip(rest, part.size);
            }
        }
        assert_passed(&relay, SIDE_CLIENT, expected);
        assert_passed(&relay, SIDE_UPSTREAM,
                      "CAPA\r\nRETR 1\r\nLIST\r\nLIST 1\r\nCAPA\r\nQUIT\r\n");
        relay_fini(&relay);
    }
}

/* ---- words for reasons ---- */

static void test_response_codes(void **state)
{
    static const struct {
        enum why why;
        const char *code;
    } rows[] = {
        {WHY_AUTH_REJECTED, "[AUTH] "},    {WHY_TOKEN_REJECTED, "[AUTH] "},
        {WHY_TOKEN_NEEDS_USER, "[AUTH] "}, {WHY_LIMIT, "[IN-USE] "},
        {WHY_POLICY, "[SYS/PERM] "},       {WHY_CLIENT_PROTOCOL, ""},
        {WHY_UNREACHABLE, "[SYS/TEMP] "},  {WHY_UPSTREAM_TLS, "[SYS/TEMP] "},
        {WHY_SHUTDOWN, "[SYS/TEMP] "},     {WHY_TIMEOUT, "[SYS/TEMP] "},
        {WHY_INTERNAL, "[SYS/TEMP] "},     {WHY_UPSTREAM_PROTOCOL, "[SYS/TEMP] "},
        {WHY_SERVER_GONE, "[SYS/TEMP] "},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        assert_string_equal(pop3_response_code(rows[i].why), rows[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unanswered_commands_are_bounded),
        cmocka_unit_test(test_a_body_is_one_answer),
        cmocka_unit_test(test_waiting_answers_are_said_together),
        cmocka_unit_test(test_commands_behind_another_login),
        cmocka_unit_test(test_longest_command),
        cmocka_unit_test(test_endless_answers_pass),
        cmocka_unit_test(test_pieces_of_any_size),
        cmocka_unit_test(test_response_codes),
    };
    return cmocka_run_group_tests_name("mail/passage_pop3", tests, NULL, NULL);
}
