/*
 * Sections of an emailproxy.config that cannot be served: the others are.
 */
#include "emailproxy_case.h"

#define BOB "[bob@mail.test]\n"

/* One warning each, with its line, and alice is served. */
static void test_one_bad_section(void **state)
{
    static const struct conf_case cases[] = {
        {WHOLE BOB "token_url = https://id.mail.test/t\nclient_id = x\n", 10,
         "[bob@mail.test] is left out: the account has no permission_url"},
        {WHOLE BOB "permission_url = https://id.mail.test/a\n"
                   "token_url = http://id.mail.test/t\nclient_id = x\n",
         12, "[bob@mail.test] is left out: token_endpoint: http:// would send tokens"},
        {WHOLE BOB "permission_url = https://id.mail.test/a\n"
                   "token_url = https://id.mail.test/*** a tenant ***/t\nclient_id = x\n",
         12, "[bob@mail.test] is left out: token_endpoint: holds a character"},
        {WHOLE BOB URLS, 10, "[bob@mail.test] is left out: account bob has no client_id"},
        {WHOLE BOB URLS "client_id = *** your own ***\n", 13,
         "[bob@mail.test] is left out: client_id has the text of the sample"},
        {WHOLE BOB URLS "client_id = x\nclient_secret = *** your own, or nothing ***\n", 14,
         "[bob@mail.test] is left out: client_secret has the text of the sample"},
        {WHOLE BOB "oauth2_flow = service_account\nclient_id = file\nclient_secret = ./key.json\n"
                   "token_url = https://id.mail.test/t\n",
         13, "[bob@mail.test] is left out: jwt_key_file: must be an absolute path"},
        {WHOLE BOB "oauth2_flow = service_account\nclient_id = key\n"
                   "token_url = https://id.mail.test/t\n",
         12, "[bob@mail.test] is left out: the key of a service account is either"},
        {WHOLE BOB URLS "client_id = x\nrefresh_token = g\ntoken_salt = A\ntoken_iterations = x\n",
         16, "[bob@mail.test] is left out: token_iterations must be a number"},
        {WHOLE "[bob@mail test]\n" URLS "client_id = x\n", 10,
         "[bob@mail test] is left out: address must be NAME@DOMAIN"},
        {"[IMAP-2993]\nserver_address = imap.gmail.com\nserver_port = 993\nlocal_address = ::1\n"
         "[alice@gmail.com]\npermission_url = https://accounts.google.com/o\n"
         "token_url = https://oauth2.googleapis.com/token\nclient_id = x\n"
         "[bob@x.test]\npermission_url = https://login.microsoftonline.com/a\n"
         "token_url = https://login.microsoftonline.com/t\nclient_id = x\n",
         9, "[bob@x.test] is left out: no server of the file is known to be this account's"},
        {WHOLE "[alice@Mail.Test]\n" URLS "client_id = x\n", 10,
         "the section on line 5 has the same address"},
    };
    (void)state;
    emailproxy_run_cases(cases, LENGTH_OF(cases), true);
}

static void test_one_bad_server(void **state)
{
    static const struct conf_case cases[] = {
        {"[IMAP-0]\nserver_address = h\nserver_port = 1\n" WHOLE, 1,
         "[IMAP-0] is left out: the port in the heading must be 1 to 65535"},
        {"[IMAP-65536]\nserver_address = h\nserver_port = 1\n" WHOLE, 1, "must be 1 to 65535"},
        {"[IMAP-1]\nserver_port = 1\n" WHOLE, 1,
         "[IMAP-1] is left out: a server needs server_address and server_port"},
        {"[IMAP-1]\nserver_address =\nserver_port = 1\n" WHOLE, 1, "needs server_address"},
        {"[IMAP-1]\nserver_address = h\nserver_port = x\n" WHOLE, 3, "server_port must be"},
        {WHOLE "[SMTP-1465]\nserver_address = smtp.mail.test\nserver_port = 465\n"
               "local_address = ::1\nserver_starttls = maybe\n",
         14, "[SMTP-1465] is left out: server_starttls must be True or False"},
        {WHOLE "[SMTP-1465]\nserver_address = smtp.mail.test\nserver_port = 465\n"
               "local_address = ::1\nlocal_starttls = True\n",
         10, "[SMTP-1465] is left out: local_starttls needs local_certificate_path"},
        {SERVER "local_key_path = /k.pem\n[IMAP-1]\nserver_address = imap.mail.test\n"
                "server_port = 993\nlocal_address = ::1\nlocal_certificate_path = /c.pem\n"
                "local_key_path = /k.pem\n" USER,
         5, "[IMAP-1993] is left out: local_certificate_path and local_key_path go together"},
        {WHOLE CATCH_ALL "[SMTP-1465]\n" BY_CLIENT "[@mail.test]\n" BY_CLIENT, 12,
         "[SMTP-1465] is left out"},
    };
    (void)state;
    emailproxy_run_cases(cases, LENGTH_OF(cases), true);
}

/* Its tokens could be meant for the server that nobody knows, and not for the one that is left. */
static void test_who_may_have_been_served_there(void **state)
{
    static const char text[] =
        "[IMAP-1]\nserver_port = 993\n"
        "[IMAP-1993]\nserver_address = imap.mail.test\nserver_port = 993\nlocal_address = ::1\n"
        "[POP-1995]\nserver_address = pop.mail.test\nserver_port = 995\nlocal_address = ::1\n"
        "[carol@mail.test]\npermission_url = https://id.other.test/a\n"
        "token_url = https://id.other.test/t\nclient_id = x\n" USER;
    struct mapped mapped = map(text);
    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(mapped.config->account_count, 2);
    assert_string_equal(mapped.config->accounts[0]->provider_row->imap, "");
    assert_string_equal(mapped.config->accounts[0]->provider_row->pop3, "tls://pop.mail.test:995");
    assert_string_equal(mapped.config->accounts[1]->provider_row->imap, "tls://imap.mail.test:993");
    mapped_free(&mapped);
    mapped = map(strchr(text, '[') + strlen("[IMAP-1]\nserver_port = 993\n"));
    assert_string_equal(mapped.config->accounts[0]->provider_row->imap, "tls://imap.mail.test:993");
    mapped_free(&mapped);
}

static void expect_errors(struct mapped *mapped, const struct conf_case *expected, size_t count)
{
    assert_int_equal(mapped->status, ERR_CONFIG);
    assert_int_equal(mapped->problems.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_false(mapped->problems.items[i].warning);
        assert_int_equal(mapped->problems.items[i].line, expected[i].line);
        assert_non_null(strstr(mapped->problems.items[i].text, expected[i].problem));
    }
    mapped_free(mapped);
}

static void test_nothing_remains(void **state)
{
    static const struct conf_case accounts[] = {
        {.line = 5, .problem = "account alice has no client_id"},
        {.line = 11, .problem = "client_id has the text of the sample"},
    };
    static const struct conf_case listeners[] = {
        {.line = 0, .problem = "has no listener"},
        {.line = 1, .problem = "a server needs server_address and server_port"},
        {.line = 2, .problem = "no server of the file is known to be this account's"},
    };
    const struct emailproxy_choice choice = {.address = "bob@mail.test"};
    struct mapped mapped =
        map(SERVER "[alice@mail.test]\n" URLS BOB URLS "client_id = *** your own ***\n");
    (void)state;
    expect_errors(&mapped, accounts, LENGTH_OF(accounts));
    mapped = map("[IMAP-1993]\n" USER);
    expect_errors(&mapped, listeners, LENGTH_OF(listeners));
    mapped = map_with(WHOLE BOB URLS "client_id = *** your own ***\n", &choice, &conf_surroundings);
    expect_errors(
        &mapped,
        &(const struct conf_case){.line = 13, .problem = "client_id has the text of the sample"},
        1);
}

/* What has been taken over before is no reason to refuse the rest. */
static void test_all_but_what_is_here_already(void **state)
{
    struct reading ours = conf_read(FINE);
    const struct emailproxy_choice choice = {.beside = ours.config};
    struct mapped mapped = map_with("[IMAP-1993]\n" USER BOB URLS, &choice, &conf_surroundings);
    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(mapped.config->account_count, 0);
    assert_int_equal(mapped.problems.count, 3);
    assert_non_null(strstr(mapped.problems.items[2].text, "[bob@mail.test] is left out"));
    mapped_free(&mapped);
    reading_free(&ours);
}

/* bob's mailbox would be everybody's who has a password of the domain's account. */
static void test_a_catch_all_never_takes_the_place(void **state)
{
    static const struct conf_case errors[] = {
        {SERVER CATCH_ALL "[@mail.test]\n" BY_CLIENT BOB "token_url = http://id.mail.test/t\n", 14,
         "[bob@mail.test] cannot be left out: a catch-all section would serve it"},
        {SERVER CATCH_ALL "[@]\n" BY_CLIENT BOB "token_url = http://id.mail.test/t\n", 14,
         "[bob@mail.test] cannot be left out: a catch-all section would serve it"},
        {SERVER CATCH_ALL "[@]\n" BY_CLIENT "[@mail.test]\ntoken_url = http://id.mail.test/t\n", 14,
         "[@mail.test] cannot be left out: a catch-all section would serve it"},
    };
    static const struct conf_case warnings[] = {
        {SERVER CATCH_ALL "[@x.test]\n" BY_CLIENT BOB "token_url = https://id.mail.test/t\n", 13,
         "[bob@mail.test] is left out: the account has no permission_url"},
    };
    (void)state;
    emailproxy_run_cases(errors, LENGTH_OF(errors), false);
    emailproxy_run_cases(warnings, LENGTH_OF(warnings), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_bad_section),
        cmocka_unit_test(test_one_bad_server),
        cmocka_unit_test(test_who_may_have_been_served_there),
        cmocka_unit_test(test_nothing_remains),
        cmocka_unit_test(test_all_but_what_is_here_already),
        cmocka_unit_test(test_a_catch_all_never_takes_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
