#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"

/* A log into a pipe, whose writes can be read back. */
struct capture {
    struct log log;
    int reader;
    char text[8192];
};

static int set_up(void **state)
{
    struct capture *capture = mem_new(sizeof(*capture));
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_init(&capture->log, LOG_LEVEL_DEBUG, "keeper");
    capture->log.descriptor = ends[1];
    capture->log.journald = true;
    capture->reader = ends[0];
    *state = capture;
    return 0;
}

static int tear_down(void **state)
{
    struct capture *capture = *state;
    close(capture->reader);
    close(capture->log.descriptor);
    mem_free(capture);
    return 0;
}

/* What was written; something was. */
static const char *written(struct capture *capture)
{
    ssize_t size = read(capture->reader, capture->text, sizeof(capture->text) - 1);
    assert_true(size > 0);
    capture->text[size] = '\0';
    return capture->text;
}

static void test_journald_priorities(void **state)
{
    struct capture *capture = *state;
    log_error(&capture->log, "%d", 1);
    log_warn(&capture->log, "%d", 2);
    log_info(&capture->log, "%d", 3);
    log_debug(&capture->log, "%d", 4);
    assert_string_equal(written(capture),
                        "<3>keeper: 1\n<4>keeper: 2\n<6>keeper: 3\n<7>keeper: 4\n");
}

static void test_time_stamp(void **state)
{
    struct capture *capture = *state;
    capture->log.journald = false;
    log_warn(&capture->log, "hello");
    const char *text = written(capture);
    /* 2026-01-02T03:04:05Z */
    static const char form[] = "0000-00-00T00:00:00Z";
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        if (form[i] == '0')
            assert_in_range(text[i], '0', '9');
        else
            assert_int_equal(text[i], form[i]);
    assert_string_equal(text + sizeof(form) - 1, " warn  keeper: hello\n");
}

static void test_levels_above_are_silent(void **state)
{
    struct capture *capture = *state;
    capture->log.level = LOG_LEVEL_WARN;
    log_debug(&capture->log, "no");
    log_info(&capture->log, "no");
    log_warn(&capture->log, "yes");
    log_error(&capture->log, "yes");
    assert_string_equal(written(capture), "<4>keeper: yes\n<3>keeper: yes\n");
}

/* Whatever a peer sent, it is one line of printable ASCII. */
static void test_nothing_forges_a_line(void **state)
{
    struct capture *capture = *state;
    log_info(&capture->log, "peer said %s", "a\r\n<3>keeper: all is lost\x1b[2J\x7f\xc3\xa9");
    assert_string_equal(written(capture), "<6>keeper: peer said a\\x0d\\x0a<3>keeper: all is "
                                          "lost\\x1b[2J\\x7f\\xc3\\xa9\n");
}

static void test_long_text_is_cut_to_one_line(void **state)
{
    struct capture *capture = *state;
    static char text[6000];
    memset(text, 'x', sizeof(text) - 1);
    log_info(&capture->log, "%s", text);
    size_t length = strlen(written(capture));
    assert_in_range(length, 500, 2048);
    assert_int_equal(strcspn(capture->text, "\n"), length - 1);

    memset(text, '\n', sizeof(text) - 1);
    log_info(&capture->log, "%s", text);
    length = strlen(written(capture));
    assert_in_range(length, 500, 2048);
    assert_int_equal(strcspn(capture->text, "\n"), length - 1);
}

static void test_level_names(void **state)
{
    static const struct {
        const char *name;
        enum log_level level;
    } rows[] = {{"error", LOG_LEVEL_ERROR},
                {"warn", LOG_LEVEL_WARN},
                {"info", LOG_LEVEL_INFO},
                {"debug", LOG_LEVEL_DEBUG}};
    static const char *const unknown[] = {"", "Error", "warning", "info ", "3"};
    enum log_level level;
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        assert_int_equal(log_level_parse(rows[i].name, &level), 0);
        assert_int_equal(level, rows[i].level);
    }
    for (size_t i = 0; i < LENGTH_OF(unknown); i++)
        assert_int_equal(log_level_parse(unknown[i], &level), ERR_NOT_FOUND);
}

static void test_long_prefix_is_cut(void **state)
{
    struct log log;
    (void)state;
    unsetenv("JOURNAL_STREAM");
    log_init(&log, LOG_LEVEL_INFO, "a prefix that is longer than the room for it");
    assert_string_equal(log.prefix, "a prefix that is longer than th");
    assert_false(log.journald);
    assert_int_equal(log.descriptor, STDERR_FILENO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_journald_priorities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_stamp, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_levels_above_are_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_forges_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_text_is_cut_to_one_line, set_up, tear_down),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_long_prefix_is_cut),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
