/*
 * An emailproxy.config given as text, and what it comes to.
 */
#ifndef ECLUSE_TESTS_EMAILPROXY_CASE_H
#define ECLUSE_TESTS_EMAILPROXY_CASE_H

#include "conf/emailproxy_map.h"
#include "conf/printer.h"
#include "conf_case.h"

#define SERVER                                                                                     \
    "[IMAP-1993]\nserver_address = imap.mail.test\nserver_port = 993\nlocal_address = 127.0.0.1\n"
#define URLS "permission_url = https://id.mail.test/a\ntoken_url = https://id.mail.test/t\n"
#define USER "[alice@mail.test]\n" URLS "oauth2_scope = mail\nclient_id = x\n"
/* Nine lines that nothing is said about. */
#define WHOLE     SERVER USER
#define CATCH_ALL "[emailproxy]\nallow_catch_all_accounts = yes\n"
#define BY_CLIENT                                                                                  \
    "oauth2_flow = client_credentials\ntoken_url = https://id.mail.test/t\nclient_id = x\n"        \
    "client_secret = y\noauth2_scope = s\n"
#define BY_SERVICE                                                                                 \
    "oauth2_flow = service_account\ntoken_url = https://id.mail.test/t\nclient_id = file\n"        \
    "client_secret = /k.json\noauth2_scope = s\n"

struct mapped {
    int status;
    struct emailproxy_file *file;
    struct config *config;
    struct config_problems problems;
};

static inline struct mapped map_with(const char *text, const struct emailproxy_choice *choice,
                                     const struct config_surroundings *surroundings)
{
    struct mapped mapped = {0};
    FILE *stream = tmpfile();

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    rewind(stream);
    mapped.status = emailproxy_read(stream, &mapped.file, &mapped.problems);
    assert_int_equal(fclose(stream), 0);
    if (mapped.status == 0)
        mapped.status = emailproxy_config(mapped.file, "emailproxy.config", surroundings, choice,
                                          &mapped.config, &mapped.problems);
    return mapped;
}

static inline struct mapped map(const char *text)
{
    const struct emailproxy_choice choice = {0};

    return map_with(text, &choice, &conf_surroundings);
}

static inline void mapped_free(struct mapped *mapped)
{
    emailproxy_free(mapped->file);
    config_free(mapped->config);
    config_problems_free(&mapped->problems);
}

static inline void expect_sections(struct mapped *mapped, const char *expected)
{
    struct buf text;

    for (size_t i = 0; i < mapped->problems.count; i++)
        if (!mapped->problems.items[i].warning)
            fail_msg("%d: %s", mapped->problems.items[i].line, mapped->problems.items[i].text);
    assert_int_equal(mapped->status, 0);
    buf_init(&text, 65536);
    assert_int_equal(config_print(mapped->config, true, &text, NULL), 0);
    assert_int_equal(buf_append(&text, slice_of("", 1)), 0);
    assert_string_equal((const char *)buf_bytes(&text).data, expected);
    buf_fini(&text);
}

static inline const struct account_config *only_account(const struct mapped *mapped)
{
    assert_int_equal(mapped->config->account_count, 1);
    return mapped->config->accounts[0];
}

static inline void emailproxy_run_cases(const struct conf_case *cases, size_t count, bool warning)
{
    for (size_t i = 0; i < count; i++) {
        struct mapped mapped = map(cases[i].text);
        const struct reading reading = {.status = mapped.status, .problems = mapped.problems};
        if (cases[i].problem == NULL)
            conf_expect_fine(&reading, cases[i].text);
        else
            conf_expect_problem(&reading, cases[i].text, cases[i].line, warning, cases[i].problem);
        mapped_free(&mapped);
    }
}

#endif
