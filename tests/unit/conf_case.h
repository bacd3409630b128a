/*
 * A configuration given as text, and the one thing that a test expects of it.
 */
#ifndef ECLUSE_TESTS_CONF_CASE_H
#define ECLUSE_TESTS_CONF_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/config.h"

#define LISTENER "[listen imap]\naddress = 127.0.0.1:1143\n"
#define PROVIDER "[provider p]\nimap = tls://imap.test\ntoken_endpoint = https://id.test/token\n"
#define ACCOUNT  "[account a]\naddress = alice@mail.test\nprovider = p\nclient_id = x\n"
/* Nine lines that nothing is wrong with. */
#define FINE LISTENER PROVIDER ACCOUNT

struct conf_case {
    const char *text;
    int line;
    const char *problem; /* a part of the text of the only error; NULL: there is none */
};

struct reading {
    int status;
    struct config *config;
    struct config_problems problems;
};

static const struct config_surroundings conf_surroundings = {.home = "/home/u", .user_id = 1000};

static inline struct reading conf_read_bytes(const char *bytes, size_t size)
{
    struct reading reading = {0};
    char nothing = 0;
    FILE *stream = tmpfile();

    assert_non_null(stream);
    assert_int_equal(fwrite(size > 0 ? bytes : &nothing, 1, size, stream), size);
    rewind(stream);
    reading.status = config_read_stream(stream, "ecluse.ini", &conf_surroundings, &reading.config,
                                        &reading.problems);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(reading.status != 0, reading.config == NULL);
    return reading;
}

static inline struct reading conf_read(const char *text)
{
    return conf_read_bytes(text, strlen(text));
}

static inline void reading_free(struct reading *reading)
{
    config_free(reading->config);
    config_problems_free(&reading->problems);
}

/* Exactly one problem, with that severity, line and text. */
static inline void conf_expect_problem(const struct reading *reading, const char *text, int line,
                                       bool warning, const char *part)
{
    for (size_t i = 0; i < reading->problems.count; i++)
        if (reading->problems.count != 1 || strstr(reading->problems.items[i].text, part) == NULL)
            print_error("of:\n%s\n%d: %s\n", text, reading->problems.items[i].line,
                        reading->problems.items[i].text);
    assert_int_equal(reading->problems.count, 1);
    assert_non_null(strstr(reading->problems.items[0].text, part));
    if (reading->problems.items[0].line != line)
        print_error("of:\n%s\nline %d, not %d: %s\n", text, reading->problems.items[0].line, line,
                    part);
    assert_int_equal(reading->problems.items[0].line, line);
    assert_int_equal(reading->problems.items[0].warning, warning);
    assert_int_equal(reading->status, warning ? 0 : ERR_CONFIG);
}

static inline void conf_expect_fine(const struct reading *reading, const char *text)
{
    for (size_t i = 0; i < reading->problems.count; i++)
        print_error("of:\n%s\n%d: %s\n", text, reading->problems.items[i].line,
                    reading->problems.items[i].text);
    assert_int_equal(reading->problems.count, 0);
    assert_int_equal(reading->status, 0);
}

static inline void conf_run_cases(const struct conf_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct reading reading = conf_read(cases[i].text);
        if (cases[i].problem != NULL)
            conf_expect_problem(&reading, cases[i].text, cases[i].line, false, cases[i].problem);
        else
            conf_expect_fine(&reading, cases[i].text);
        reading_free(&reading);
    }
}

#endif
