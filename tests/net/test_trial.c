/*
 * What the keeper and the process of a trial say to each other. The process itself is tried end to
 * end, with real servers.
 */
#include "config_file.h"

#include <jansson.h>

#include "../lib/scratch_folder.h"
#include "keeper/trial.h"

#define CONFIGURATION                                                                              \
    "ca_file = /ca.pem\n"                                                                          \
    "[listen imap]\naddress = 127.0.0.1:1143\n"                                                    \
    "[provider local]\n"                                                                           \
    "pop3 = tls://pop.example.test\n"                                                              \
    "imap = tls://imap.example.test\n"                                                             \
    "smtp = starttls://smtp.example.test\n"                                                        \
    "mechanisms = XOAUTH2 OAUTHBEARER\n"                                                           \
    "authorization_endpoint = https://id.example.test/auth\n"                                      \
    "token_endpoint = https://id.example.test/token\n"                                             \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = x\n"                                                                              \
    "smtp_user = licensed@example.test\n"

#define PASSWORD_CONFIGURATION                                                                     \
    "ca_file = /ca.pem\n"                                                                          \
    "[listen imap]\naddress = 127.0.0.1:1143\n"                                                    \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test\n"                                                             \
    "smtp = starttls://smtp.example.test\n"                                                        \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "flow = none\n"

static void a_request_names_the_servers_in_turn(void **state)
{
    char *folder = scratch_folder_new();
    struct config *config = config_from_text(folder, CONFIGURATION);
    struct secret token = {0}, request = {0};
    (void)state;
    secret_set(&token, SLICE_LITERAL("t-1"));
    assert_int_equal(trial_write_request(config, config_account(config, "work"), PROTOCOL_COUNT,
                                         &token, &request),
                     0);
    json_t *root = json_loads((const char *)request.bytes, 0, NULL);
    json_t *expected = json_pack(
        "{s:[{s:s,s:b,s:s,s:i,s:s},{s:s,s:b,s:s,s:i,s:s},{s:s,s:b,s:s,s:i,s:s}],s:s,s:s,s:s,s:b}",
        "servers", "protocol", "imap", "starttls", 0, "host", "imap.example.test", "port", 993,
        "user", "alice@example.test", "protocol", "smtp", "starttls", 1, "host",
        "smtp.example.test", "port", 587, "user", "licensed@example.test", "protocol", "pop3",
        "starttls", 0, "host", "pop.example.test", "port", 995, "user", "alice@example.test",
        "mechanisms", "XOAUTH2 OAUTHBEARER", "ca_file", "/ca.pem", "token", "t-1", "is_password",
        0);
    assert_non_null(expected);
    assert_true(json_equal(root, expected));
    assert_null(strchr((const char *)request.bytes, '\n'));
    json_decref(root);
    json_decref(expected);
    secret_wipe(&request);
    secret_wipe(&token);
    config_free(config);
    scratch_folder_remove(folder);
}

/* And it is a password that is tried. */
static void a_request_names_one_server(void **state)
{
    char *folder = scratch_folder_new();
    struct config *config = config_from_text(folder, PASSWORD_CONFIGURATION);
    const struct account_config *account = config_account(config, "work");
    struct secret password = {0}, request = {0};
    (void)state;
    secret_set(&password, SLICE_LITERAL("p\xc3\xa4ss"));
    assert_int_equal(trial_write_request(config, account, PROTOCOL_SMTP, &password, &request), 0);
    json_t *root = json_loads((const char *)request.bytes, 0, NULL);
    json_t *expected = json_pack("{s:[{s:s,s:b,s:s,s:i,s:s}],s:s,s:s,s:s,s:b}", "servers",
                                 "protocol", "smtp", "starttls", 1, "host", "smtp.example.test",
                                 "port", 587, "user", "alice@example.test", "mechanisms", "",
                                 "ca_file", "/ca.pem", "token", "p\xc3\xa4ss", "is_password", 1);
    assert_non_null(expected);
    assert_true(json_equal(root, expected));
    json_decref(root);
    json_decref(expected);
    secret_wipe(&request);
    secret_set(&password, SLICE_LITERAL("p\xe4ss"));
    assert_int_equal(trial_write_request(config, account, PROTOCOL_SMTP, &password, &request),
                     ERR_SYNTAX);
    assert_false(secret_is_set(&request));
    secret_wipe(&password);
    config_free(config);
    scratch_folder_remove(folder);
}

static void answers(void **state)
{
    static const char not_tried[] = "the login could not be tried on this machine";
    static const struct {
        const char *said;
        enum trial_verdict verdict;
        enum why why;
        const char *text;
    } cases[] = {
        {"yes none imap.test\n", TRIAL_YES, WHY_NONE, "imap.test"},
        {"yes none \n", TRIAL_YES, WHY_NONE, ""},
        {"no token-rejected imap.test: \x1b[31m\n", TRIAL_NO, WHY_TOKEN_REJECTED,
         "imap.test: \\x1b[31m"},
        {"unknown unreachable no route\nyes\n", TRIAL_UNKNOWN, WHY_UNREACHABLE, "no route"},
        {"yes none imap.test", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
        {"yes!\n", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
        {"yes\n", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
        {"yes why imap.test\n", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
        {" yes none\n", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
        {"YES none \n", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
        {"\nyes none \n", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
        {"", TRIAL_UNKNOWN, WHY_INTERNAL, not_tried},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct trial_answer answer;
        trial_read_answer(slice_of_string(cases[i].said), &answer);
        assert_int_equal(answer.verdict, cases[i].verdict);
        assert_int_equal(answer.why, cases[i].why);
        assert_string_equal(answer.text, cases[i].text);
    }
    for (enum trial_verdict verdict = TRIAL_YES; verdict <= TRIAL_UNKNOWN; verdict++) {
        char said[32];
        struct trial_answer answer;
        snprintf(said, sizeof(said), "%s internal x\n", trial_verdict_word(verdict));
        trial_read_answer(slice_of_string(said), &answer);
        assert_int_equal(answer.verdict, verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_names_the_servers_in_turn),
        cmocka_unit_test(a_request_names_one_server),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
