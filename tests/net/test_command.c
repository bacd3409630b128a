#include "offline_keeper.h"

#include <sysexits.h>

#include "keeper/grant_check.h"

struct asked {
    struct loop *loop;
    struct secret answer;
    unsigned answers;
};

static void on_answer(void *owner, struct secret *answer)
{
    struct asked *asked = owner;
    secret_move(&asked->answer, answer);
    asked->answers++;
    uv_stop(&asked->loop->uv);
}

static int setup(void **state)
{
    struct offline_keeper *offline = calloc(1, sizeof(*offline));
    offline_keeper_open(offline);
    *state = offline;
    return 0;
}

static int teardown(void **state)
{
    offline_keeper_close(*state);
    free(*state);
    return 0;
}

/* The whole answer, for json_decref. */
static json_t *ask(struct offline_keeper *offline, const char *request)
{
    struct asked asked = {.loop = &offline->loop};
    assert_non_null(command_start(offline->keeper, slice_of_string(request), on_answer, &asked));
    assert_int_equal(asked.answers, 0);
    loop_run(&offline->loop);
    assert_int_equal(asked.answers, 1);
    json_t *answer = json_loads((const char *)asked.answer.bytes, JSON_REJECT_DUPLICATES, NULL);
    secret_wipe(&asked.answer);
    assert_non_null(answer);
    return answer;
}

static int status_of(const json_t *answer)
{
    assert_true(json_is_integer(json_object_get(answer, "status")));
    return (int)json_integer_value(json_object_get(answer, "status"));
}

/* The status; what stands under "error" must say `text`. */
static void expect_failure(struct offline_keeper *offline, const char *request, int status,
                           const char *text)
{
    json_t *answer = ask(offline, request);
    const char *error = json_string_value(json_object_get(answer, "error"));
    if (status_of(answer) != status || error == NULL || strstr(error, text) == NULL)
        fail_msg("%s gave %d %s", request, status_of(answer), error == NULL ? "" : error);
    json_decref(answer);
}

static json_t *expect_success(struct offline_keeper *offline, const char *request)
{
    json_t *answer = ask(offline, request);
    if (status_of(answer) != EX_OK)
        fail_msg("%s gave %d %s", request, status_of(answer),
                 json_string_value(json_object_get(answer, "error")));
    return answer;
}

static const char *text_at(const json_t *list, size_t index, const char *key)
{
    return json_string_value(json_object_get(json_array_get(list, index), key));
}

static void requests_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *request, *text;
    } cases[] = {
        {"", "no JSON"},
        {"{", "no JSON"},
        {"[]", "not a JSON object"},
        {"\"token\"", "no JSON"},
        {"{} {}", "no JSON"},
        {"{}", "no command"},
        {"{\"command\":7}", "no command"},
        {"{\"command\":\"nonsense\"}", "no command"},
        {"{\"command\":\"Accounts\"}", "no command"},
        {"{\"command\":\"accounts\",\"command\":\"accounts\"}", "no JSON"},
        {"{\"command\":\"accounts\",\"a\":[[[[[]]]]]}", "levels"},
        {"{\"command\":\"accounts\",\"account\":\"work\"}", "unknown key account"},
        {"{\"command\":\"grant\",\"account\":\"work\"}", "name is missing"},
        {"{\"command\":\"grant\",\"name\":\"phone\"}", "account is missing"},
        {"{\"command\":\"grant\",\"account\":\"work\",\"name\":7}", "name is not a text"},
        {"{\"command\":\"grant\",\"account\":\"work\",\"name\":\"a\\nb\"}", "name is not a text"},
        {"{\"command\":\"grant\",\"account\":\"work\",\"name\":\"a\\u0000\"}", "no JSON"},
        {"{\"command\":\"grant\",\"account\":\"work\",\"name\":\"a\",\"read_only\":\"yes\"}",
         "unknown key read_only"},
        {"{\"command\":\"accounts\"}\xff", "no JSON"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        expect_failure(*state, cases[i].request, EX_USAGE, cases[i].text);
}

static void nesting_without_end_is_refused(void **state)
{
    static char request[COMMAND_REQUEST_MAX];
    int size = snprintf(request, sizeof(request), "{\"command\":");
    memset(request + size, '[', sizeof(request) - (size_t)size - 1);
    expect_failure(*state, request, EX_USAGE, "no JSON");
}

static void what_only_a_daemon_can_do_is_unavailable(void **state)
{
    expect_failure(*state, "{\"command\":\"status\"}", EX_UNAVAILABLE, "not running");
    expect_failure(*state, "{\"command\":\"stop\"}", EX_UNAVAILABLE, "not running");
    expect_failure(*state, "{\"command\":\"reload\"}", EX_UNAVAILABLE, "not running");
}

static void an_unknown_account_is_named(void **state)
{
    expect_failure(*state, "{\"command\":\"grant\",\"account\":\"x\",\"name\":\"n\"}", EX_DATAERR,
                   "x: no such account");
    expect_failure(*state, "{\"command\":\"grants\",\"account\":\"x\"}", EX_DATAERR, "no such");
    expect_failure(*state, "{\"command\":\"token\",\"account\":\"x\"}", EX_DATAERR, "no such");
    expect_failure(*state, "{\"command\":\"login\",\"account\":\"x\",\"refresh_token\":\"t\"}",
                   EX_DATAERR, "no such");
}

/* Asks the verifiers that a login would ask. */
static enum grant_verdict check(struct offline_keeper *offline, const char *password,
                                int64_t *grant_out)
{
    struct grant_check *grants = keeper_grants(offline->keeper);
    assert_non_null(grants);
    return grant_check_password(grants, "work", slice_of_string(password), grant_out);
}

static void a_generated_password_is_told_once_and_opens(void **state)
{
    json_t *answer =
        expect_success(*state, "{\"command\":\"grant\",\"account\":\"work\",\"name\":\"phone\","
                               "\"protocols\":\"smtp,imap\"}");
    const char *password = json_string_value(json_object_get(answer, "password"));
    int64_t opened = 0;
    assert_non_null(password);
    assert_true(strlen(password) >= 26);
    assert_int_equal(check(*state, password, &opened), GRANT_MATCH);
    assert_int_equal(opened, json_integer_value(json_object_get(answer, "number")));

    json_t *list = expect_success(*state, "{\"command\":\"grants\",\"account\":\"work\"}");
    char *text = json_dumps(list, 0);
    assert_null(strstr(text, password));
    free(text);
    json_t *grants = json_object_get(list, "grants");
    assert_int_equal(json_array_size(grants), 1);
    assert_string_equal(text_at(grants, 0, "account"), "work");
    assert_string_equal(text_at(grants, 0, "name"), "phone");
    assert_string_equal(text_at(grants, 0, "protocols"), "imap,smtp");
    assert_string_equal(text_at(grants, 0, "kind"), "generated");
    json_decref(list);
    json_decref(answer);
}

static void a_chosen_password_is_not_said_again(void **state)
{
    json_t *answer = expect_success(*state, "{\"command\":\"grant\",\"account\":\"work\","
                                            "\"name\":\"old\",\"password\":\"s\xc3\xa9same\"}");
    assert_null(json_object_get(answer, "password"));
    json_decref(answer);
    answer = expect_success(*state, "{\"command\":\"grants\"}");
    assert_string_equal(text_at(json_object_get(answer, "grants"), 0, "kind"), "chosen");
    assert_string_equal(text_at(json_object_get(answer, "grants"), 0, "protocols"),
                        "imap,pop3,smtp");
    json_decref(answer);
}

static void assert_grant(struct offline_keeper *offline, size_t index, const char *kind,
                         const char *mechanisms)
{
    json_t *answer = expect_success(offline, "{\"command\":\"grants\"}");
    json_t *grants = json_object_get(answer, "grants");
    assert_string_equal(text_at(grants, index, "kind"), kind);
    assert_string_equal(text_at(grants, index, "mechanisms"), mechanisms);
    json_decref(answer);
}

static void a_password_is_kept_for_mechanisms_that_need_it(void **state)
{
    struct offline_keeper *offline = *state;
    const struct grant_check *grants = keeper_grants(offline->keeper);
    struct secret secret = {0};
    int64_t opened = 0, number = 0;
    json_t *answer = expect_success(offline, "{\"command\":\"grant\",\"account\":\"work\","
                                             "\"name\":\"old\",\"protocols\":\"pop3\","
                                             "\"mechanisms\":\"apop,challenge\"}");
    const char *password = json_string_value(json_object_get(answer, "password"));
    assert_non_null(password);
    assert_int_equal(check(offline, password, &opened), GRANT_MATCH);
    assert_int_equal(opened, json_integer_value(json_object_get(answer, "number")));
    for (size_t i = 0; i < VAULT_GRANT_CLASSES; i++) {
        assert_int_equal(grant_check_clear(grants, "work", PROTOCOL_POP3, (enum vault_grant_class)i,
                                           &secret, &number),
                         0);
        assert_true(slice_is(secret_bytes(&secret), password));
        assert_int_equal(number, opened);
        assert_false(
            grant_check_has_clear(grants, "work", PROTOCOL_IMAP, (enum vault_grant_class)i));
        assert_false(
            grant_check_has_clear(grants, "other", PROTOCOL_POP3, (enum vault_grant_class)i));
    }
    secret_wipe(&secret);
    json_decref(answer);
    assert_grant(offline, 0, "clear", "challenge,apop");
}

static void a_chosen_password_may_be_kept_too(void **state)
{
    json_t *answer =
        expect_success(*state, "{\"command\":\"grant\",\"account\":\"work\",\"name\":\"old\","
                               "\"mechanisms\":\"challenge\",\"password\":\"s\xc3\xa9same\"}");
    int64_t opened = 0;
    assert_null(json_object_get(answer, "password"));
    assert_int_equal(check(*state, "s\xc3\xa9same", &opened), GRANT_MATCH);
    assert_int_equal(check(*state, "sesame", &opened), GRANT_MISMATCH);
    json_decref(answer);
    assert_grant(*state, 0, "clear", "challenge");
}

/* libsasl2 can be told one password for a user. */
static void a_user_has_one_such_password_a_protocol(void **state)
{
    static const struct {
        const char *account, *protocols, *mechanisms;
        bool is_taken;
    } cases[] = {
        {"work", "imap,smtp", "challenge", false},  {"work", "smtp", "challenge", true},
        {"work", "imap,pop3,smtp", "apop", false},  {"work", "pop3", "challenge,apop", true},
        {"work", "pop3", "challenge", false},       {"work", "pop3", "challenge", true},
        {"other", "imap", "challenge,apop", false},
    };
    char request[200];
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        snprintf(request, sizeof(request),
                 "{\"command\":\"grant\",\"account\":\"%s\",\"name\":\"n%zu\",\"protocols\":\"%s\","
                 "\"mechanisms\":\"%s\"}",
                 cases[i].account, i, cases[i].protocols, cases[i].mechanisms);
        if (cases[i].is_taken)
            expect_failure(*state, request, EX_CANTCREAT, "one such password a protocol");
        else
            json_decref(expect_success(*state, request));
    }
    json_decref(
        expect_success(*state, "{\"command\":\"revoke\",\"account\":\"work\",\"grant\":\"n0\"}"));
    json_decref(expect_success(*state,
                               "{\"command\":\"grant\",\"account\":\"work\",\"name\":\"n1\","
                               "\"protocols\":\"smtp\",\"mechanisms\":\"challenge\"}"));
}

static void a_name_is_given_once_an_account(void **state)
{
    static const char request[] = "{\"command\":\"grant\",\"account\":\"work\",\"name\":\"phone\"}";
    json_decref(expect_success(*state, request));
    expect_failure(*state, request, EX_CANTCREAT, "phone");
    json_decref(
        expect_success(*state, "{\"command\":\"grant\",\"account\":\"other\",\"name\":\"phone\"}"));
}

static void a_grant_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *rest, *text;
    } cases[] = {
        {"\"name\":\"\"", "name of a grant"},
        {"\"name\":\"17\"", "name of a grant"},
        {"\"name\":\"ab\",\"protocols\":\"\"", "protocols"},
        {"\"name\":\"ab\",\"protocols\":\"imap,imap\"", "protocols"},
        {"\"name\":\"ab\",\"protocols\":\"imap,http\"", "protocols"},
        {"\"name\":\"ab\",\"protocols\":\"imap,\"", "protocols"},
        {"\"name\":\"ab\",\"protocols\":\"IMAP\"", "protocols"},
        {"\"name\":\"ab\",\"password\":\"\"", "password"},
        {"\"name\":\"ab\",\"password\":\"\",\"mechanisms\":\"apop\"", "password"},
        {"\"name\":\"ab\",\"mechanisms\":\"\"", "mechanisms"},
        {"\"name\":\"ab\",\"mechanisms\":\"apop,apop\"", "mechanisms"},
        {"\"name\":\"ab\",\"mechanisms\":\"apop,CRAM-MD5\"", "mechanisms"},
        {"\"name\":\"ab\",\"mechanisms\":\"challenge,\"", "mechanisms"},
    };
    char request[512];
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        snprintf(request, sizeof(request), "{\"command\":\"grant\",\"account\":\"work\",%s}",
                 cases[i].rest);
        expect_failure(*state, request, EX_DATAERR, cases[i].text);
    }
    char long_text[257] = {0};
    memset(long_text, 'a', 256);
    snprintf(request, sizeof(request),
             "{\"command\":\"grant\",\"account\":\"work\",\"name\":\"ab\",\"password\":\"%s\"}",
             long_text);
    expect_failure(*state, request, EX_DATAERR, "password");
    long_text[65] = '\0';
    snprintf(request, sizeof(request),
             "{\"command\":\"grant\",\"account\":\"work\",\"name\":\"%s\"}", long_text);
    expect_failure(*state, request, EX_DATAERR, "name of a grant");
    json_t *answer = expect_success(*state, "{\"command\":\"grants\"}");
    assert_int_equal(json_array_size(json_object_get(answer, "grants")), 0);
    json_decref(answer);
}

static json_int_t make_grant(struct offline_keeper *offline, const char *account, const char *name,
                             char *password_out)
{
    char request[128];
    snprintf(request, sizeof(request), "{\"command\":\"grant\",\"account\":\"%s\",\"name\":\"%s\"}",
             account, name);
    json_t *answer = expect_success(offline, request);
    snprintf(password_out, 64, "%s", json_string_value(json_object_get(answer, "password")));
    json_int_t number = json_integer_value(json_object_get(answer, "number"));
    json_decref(answer);
    return number;
}

static void a_revoked_password_opens_no_more(void **state)
{
    char phone[64], laptop[64], theirs[64], request[128];
    int64_t opened = 0;
    json_int_t number = make_grant(*state, "work", "phone", phone);
    make_grant(*state, "work", "laptop", laptop);
    json_int_t other = make_grant(*state, "other", "phone", theirs);

    snprintf(request, sizeof(request),
             "{\"command\":\"revoke\",\"account\":\"work\",\"grant\":\"%lld\"}", (long long)other);
    expect_failure(*state, request, EX_DATAERR, "work has no grant");
    expect_failure(*state, "{\"command\":\"revoke\",\"account\":\"work\",\"grant\":\"tv\"}",
                   EX_DATAERR, "work has no grant tv");

    snprintf(request, sizeof(request),
             "{\"command\":\"revoke\",\"account\":\"work\",\"grant\":\"%lld\"}", (long long)number);
    json_t *answer = expect_success(*state, request);
    assert_string_equal(json_string_value(json_object_get(answer, "name")), "phone");
    json_decref(answer);
    assert_int_equal(check(*state, phone, &opened), GRANT_MISMATCH);
    assert_int_equal(check(*state, laptop, &opened), GRANT_MATCH);

    json_decref(expect_success(
        *state, "{\"command\":\"revoke\",\"account\":\"work\",\"grant\":\"laptop\"}"));
    assert_int_equal(check(*state, laptop, &opened), GRANT_MISMATCH);
    answer = expect_success(*state, "{\"command\":\"grants\"}");
    assert_int_equal(json_array_size(json_object_get(answer, "grants")), 1);
    assert_string_equal(text_at(json_object_get(answer, "grants"), 0, "account"), "other");
    json_decref(answer);
}

static void expect_sign_in(struct offline_keeper *offline, const char *state_word)
{
    json_t *answer = expect_success(offline, "{\"command\":\"accounts\"}");
    json_t *accounts = json_object_get(answer, "accounts");
    assert_int_equal(json_array_size(accounts), 2);
    assert_string_equal(text_at(accounts, 0, "name"), "work");
    assert_string_equal(text_at(accounts, 0, "address"), "alice@example.test");
    assert_string_equal(text_at(accounts, 0, "flow"), "code");
    assert_string_equal(text_at(accounts, 0, "signed_in"), state_word);
    assert_string_equal(text_at(accounts, 1, "signed_in"), "never");
    json_decref(answer);
}

static void a_token_stays_when_the_provider_cannot_be_reached(void **state)
{
    expect_sign_in(*state, "never");
    expect_failure(*state, "{\"command\":\"token\",\"account\":\"work\"}", EX_NOPERM, "work");
    expect_failure(*state,
                   "{\"command\":\"login\",\"account\":\"work\",\"refresh_token\":\"rt-canary\"}",
                   EX_TEMPFAIL, "the token is stored");
    expect_sign_in(*state, "in");
    json_t *answer = expect_success(*state, "{\"command\":\"accounts\"}");
    char *text = json_dumps(answer, 0);
    assert_null(strstr(text, "rt-canary"));
    free(text);
    json_decref(answer);
    expect_failure(*state, "{\"command\":\"token\",\"account\":\"work\"}", EX_TEMPFAIL, "work");
}

static void a_token_that_is_no_text_is_refused(void **state)
{
    expect_failure(*state, "{\"command\":\"login\",\"account\":\"work\",\"refresh_token\":\"\"}",
                   EX_DATAERR, "printable");
    expect_failure(*state,
                   "{\"command\":\"login\",\"account\":\"work\",\"refresh_token\":\"\xc3\xa9\"}",
                   EX_DATAERR, "printable");
    static char request[20000];
    int size = snprintf(request, sizeof(request),
                        "{\"command\":\"login\",\"account\":\"work\",\"refresh_token\":\"");
    memset(request + size, 'a', 16 * 1024 + 1);
    strcpy(request + size + 16 * 1024 + 1, "\"}");
    expect_failure(*state, request, EX_DATAERR, "printable");
    expect_sign_in(*state, "never");
}

static void a_token_is_for_a_protocol_that_there_is(void **state)
{
    expect_failure(*state, "{\"command\":\"token\",\"account\":\"work\",\"protocol\":\"http\"}",
                   EX_USAGE, "http is no protocol");
    expect_failure(*state, "{\"command\":\"token\",\"account\":\"work\",\"protocol\":\"pop3\"}",
                   EX_DATAERR, "provider local has no pop3");
    expect_failure(*state, "{\"command\":\"token\",\"account\":\"work\",\"protocol\":\"imap\"}",
                   EX_NOPERM, "work");
}

static void a_cancelled_command_gives_no_answer(void **state)
{
    struct offline_keeper *offline = *state;
    struct asked asked = {.loop = &offline->loop};
    struct command *command = command_start(
        offline->keeper, SLICE_LITERAL("{\"command\":\"accounts\"}"), on_answer, &asked);
    command_cancel(command);
    /* A second command goes the whole way meanwhile. */
    json_decref(expect_success(offline, "{\"command\":\"accounts\"}"));
    assert_int_equal(asked.answers, 0);
}

static void a_cancelled_sign_in_gives_no_answer_and_changes_nothing(void **state)
{
    struct offline_keeper *offline = *state;
    struct asked asked = {.loop = &offline->loop};
    struct command *command = command_start(
        offline->keeper,
        SLICE_LITERAL("{\"command\":\"login\",\"account\":\"other\",\"refresh_token\":\"t\"}"),
        on_answer, &asked);
    json_decref(expect_success(offline, "{\"command\":\"accounts\"}"));
    assert_int_equal(asked.answers, 0);
    command_cancel(command);
    json_t *answer = expect_success(offline, "{\"command\":\"accounts\"}");
    assert_int_equal(asked.answers, 0);
    assert_string_equal(text_at(json_object_get(answer, "accounts"), 1, "signed_in"), "never");
    json_decref(answer);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(requests_that_make_no_sense_are_refused),
        CASE(nesting_without_end_is_refused),
        CASE(what_only_a_daemon_can_do_is_unavailable),
        CASE(an_unknown_account_is_named),
        CASE(a_generated_password_is_told_once_and_opens),
        CASE(a_chosen_password_is_not_said_again),
        CASE(a_password_is_kept_for_mechanisms_that_need_it),
        CASE(a_chosen_password_may_be_kept_too),
        CASE(a_user_has_one_such_password_a_protocol),
        CASE(a_name_is_given_once_an_account),
        CASE(a_grant_that_cannot_be_is_refused),
        CASE(a_revoked_password_opens_no_more),
        CASE(a_token_stays_when_the_provider_cannot_be_reached),
        CASE(a_token_that_is_no_text_is_refused),
        CASE(a_token_is_for_a_protocol_that_there_is),
        CASE(a_cancelled_command_gives_no_answer),
        CASE(a_cancelled_sign_in_gives_no_answer_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
