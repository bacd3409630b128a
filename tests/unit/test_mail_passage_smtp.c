/*
 * SMTP's passage as the relay sees it: when a message is due, what waits, and what it keeps of what
 * a peer sends. What passes is in the transcripts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mail/passage_smtp.h"

#define PASSED_MAX (1024u * 1024)

struct world {
    struct passage *passage;
    struct buf passed[2];
};

static void pass(void *owner, enum side to, struct slice bytes)
{
    struct world *world = owner;
    assert_int_equal(buf_append(&world->passed[to], bytes), 0);
}

/* What was consumed. */
static size_t feed(struct world *world, enum side from, const char *text)
{
    struct passage_sink sink = {.pass = pass, .owner = world};
    return passage_feed(world->passage, from, slice_of_string(text), &sink);
}

static void client_says(struct world *world, const char *text)
{
    assert_int_equal(feed(world, SIDE_CLIENT, text), strlen(text));
}

static void server_says(struct world *world, const char *text)
{
    assert_int_equal(feed(world, SIDE_UPSTREAM, text), strlen(text));
}

static void open_world(struct world *world, bool rejects_bare_newline)
{
    buf_init(&world->passed[SIDE_CLIENT], PASSED_MAX);
    buf_init(&world->passed[SIDE_UPSTREAM], PASSED_MAX);
    world->passage =
        passage_smtp.open(&(struct passage_settings){.rejects_bare_newline = rejects_bare_newline});
}

static void close_world(struct world *world)
{
    passage_close(world->passage);
    buf_fini(&world->passed[SIDE_CLIENT]);
    buf_fini(&world->passed[SIDE_UPSTREAM]);
}

/* From 354 to its end a message may not take its time. */
static void test_content_is_due(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, false);
    assert_false(world.passage->content_is_due);
    client_says(&world, "MAIL FROM:<a@x>\r\nDATA\r\n");
    server_says(&world, "250 ok\r\n354-go\r\n");
    assert_false(world.passage->content_is_due);
    server_says(&world, "354 on\r\n");
    assert_true(world.passage->content_is_due);
    client_says(&world, "text\r\n.\r");
    assert_true(world.passage->content_is_due);
    client_says(&world, "\n");
    assert_false(world.passage->content_is_due);
    server_says(&world, "250 queued\r\n");
    client_says(&world, "DATA\r\n");
    server_says(&world, "503 no\r\n");
    assert_false(world.passage->content_is_due);
    close_world(&world);
}

/* Of the whole of it, among the answers to other things. */
static void test_verdict_is_due(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, false);
    client_says(&world, "DATA\r\n");
    server_says(&world, "354 go on\r\n");
    client_says(&world, "text\r\n.\r");
    assert_false(world.passage->verdict_is_due);
    client_says(&world, "\nNOOP\r\n");
    assert_true(world.passage->verdict_is_due);
    server_says(&world, "250-que");
    server_says(&world, "ued\r\n");
    assert_true(world.passage->verdict_is_due);
    server_says(&world, "250 as 1\r\n");
    assert_false(world.passage->verdict_is_due);
    server_says(&world, "250 fine\r\n");
    assert_false(world.passage->verdict_is_due);
    close_world(&world);
}

/* Also when nothing of it is passed any more. */
static void test_content_is_due_of_a_refused_message(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, true);
    client_says(&world, "DATA\r\n");
    server_says(&world, "354 go on\r\n");
    client_says(&world, "a\nb\r\n");
    assert_true(world.passage->content_is_due);
    assert_false(world.passage->is_over);
    client_says(&world, ".\r\n");
    assert_false(world.passage->content_is_due);
    assert_true(world.passage->is_over);
    assert_int_equal(world.passage->why, WHY_CLIENT_PROTOCOL);
    close_world(&world);
}

/* What comes behind DATA is the owner's until the server has answered, however often it is fed. */
static void test_waits_behind_data(void **state)
{
    static const char behind[] = "content\r\n.\r\n";
    struct world world;
    (void)state;
    open_world(&world, false);
    client_says(&world, "MAIL FROM:<a@x>\r\nDATA\r\n");
    assert_int_equal(feed(&world, SIDE_CLIENT, behind), 0);
    server_says(&world, "250 ok\r\n");
    assert_int_equal(feed(&world, SIDE_CLIENT, behind), 0);
    server_says(&world, "354 go on\r\n");
    client_says(&world, behind);
    assert_true(slice_is(buf_bytes(&world.passed[SIDE_UPSTREAM]),
                         "MAIL FROM:<a@x>\r\nDATA\r\ncontent\r\n.\r\n"));
    close_world(&world);
}

/* A chunk that was not offered is taken and dropped, and nothing of it is kept. */
static void test_drops_a_chunk(void **state)
{
    static char chunk[PASSED_MAX];
    struct world world;
    (void)state;
    memset(chunk, 'x', sizeof(chunk) - 1);
    open_world(&world, false);
    client_says(&world, "NOOP\r\nBDAT 9999999 LAST\r\n");
    for (unsigned i = 0; i < 10; i++)
        client_says(&world, chunk);
    assert_false(world.passage->is_over);
    assert_true(slice_is(buf_bytes(&world.passed[SIDE_UPSTREAM]), "NOOP\r\n"));
    server_says(&world, "250 ok\r\n");
    assert_true(world.passage->is_over);
    assert_true(slice_is(buf_bytes(&world.passed[SIDE_CLIENT]),
                         "250 ok\r\n502 5.5.1 BDAT is not offered\r\n"));
    close_world(&world);
}

/* A reply's line may be endless: it is passed as it comes, and only its code is looked at. */
static void test_passes_an_endless_reply(void **state)
{
    static char letters[4096 + 1];
    struct world world;
    (void)state;
    memset(letters, 'x', sizeof(letters) - 1);
    open_world(&world, false);
    client_says(&world, "HELP\r\n");
    server_says(&world, "214-");
    for (unsigned i = 0; i < 100; i++) {
        server_says(&world, letters);
        assert_int_equal(buf_size(&world.passed[SIDE_CLIENT]), 4 + (i + 1) * 4096);
    }
    assert_false(world.passage->is_over);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_is_due),
        cmocka_unit_test(test_verdict_is_due),
        cmocka_unit_test(test_content_is_due_of_a_refused_message),
        cmocka_unit_test(test_waits_behind_data),
        cmocka_unit_test(test_drops_a_chunk),
        cmocka_unit_test(test_passes_an_endless_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
