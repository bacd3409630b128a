#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/oauth_device.h"
#include "auth/oauth_identity.h"

#define CODES "\"device_code\":\"dc\",\"user_code\":\"AB-CD\""

static void answers(void **state)
{
    static const struct {
        const char *body, *uri, *complete;
        int64_t expires_in, interval;
    } cases[] = {
        {"{" CODES ",\"verification_uri\":\"https://a.test/d\",\"expires_in\":900,\"interval\":7,"
         "\"verification_uri_complete\":\"https://a.test/d?c=AB-CD\",\"message\":\"\\u001b\"}",
         "https://a.test/d", "https://a.test/d?c=AB-CD", 900, 7},
        {"{" CODES ",\"verification_url\":\"https://a.test/d\"}", "https://a.test/d", NULL, 600, 5},
        {"{" CODES ",\"verification_uri\":\"https://a.test/d\",\"expires_in\":1e30,\"interval\":-1,"
         "\"verification_uri_complete\":\"http://a.test/d\"}",
         "https://a.test/d", NULL, 1800, 1},
        {"{" CODES ",\"verification_uri\":\"https://a.test/d\",\"expires_in\":0,\"interval\":1000}",
         "https://a.test/d", NULL, 1, 60},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct oauth_device device;
        assert_int_equal(oauth_read_device(slice_of_string(cases[i].body), &device), 0);
        assert_string_equal(device.device_code.bytes, "dc");
        assert_string_equal(device.user_code, "AB-CD");
        assert_string_equal(device.verification_uri, cases[i].uri);
        if (cases[i].complete == NULL)
            assert_null(device.complete_uri);
        else
            assert_string_equal(device.complete_uri, cases[i].complete);
        assert_int_equal(device.expires_in, cases[i].expires_in);
        assert_int_equal(device.interval, cases[i].interval);
        oauth_device_clear(&device);
    }
}

static void what_is_no_answer(void **state)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "{" CODES "}",
        "{" CODES ",\"verification_uri\":\"http://a.test/\"}",
        "{" CODES ",\"verification_uri\":\"javascript:alert(1)\"}",
        "{" CODES ",\"verification_uri\":\"https://a.test/\\u0000x\"}",
        "{" CODES ",\"verification_uri\":1}",
        "{" CODES "," CODES ",\"verification_uri\":\"https://a.test/\"}",
        "{\"device_code\":\"dc\",\"verification_uri\":\"https://a.test/\"}",
        "{\"user_code\":\"AB\",\"verification_uri\":\"https://a.test/\"}",
        "{\"device_code\":\"d\",\"user_code\":\"\\u001b[2J\",\"verification_uri\":\"https://a.test/"
        "\"}",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bodies); i++) {
        struct oauth_device device;
        assert_int_equal(oauth_read_device(slice_of_string(bodies[i]), &device), ERR_SYNTAX);
        assert_false(secret_is_set(&device.device_code));
        assert_null(device.user_code);
    }
}

static void polls(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum oauth_poll poll;
    } cases[] = {
        {200, "{\"access_token\":\"a\"}", OAUTH_POLL_GRANTED},
        {400, "{\"error\":\"authorization_pending\"}", OAUTH_POLL_WAIT},
        {400, "{\"error\":\"slow_down\"}", OAUTH_POLL_SLOWER},
        {400, "{\"error\":\"access_denied\"}", OAUTH_POLL_FAILED},
        {400, "{\"error\":\"authorization_declined\"}", OAUTH_POLL_FAILED},
        {400, "{\"error\":\"expired_token\"}", OAUTH_POLL_EXPIRED},
        {400, "{\"error\":\"bad_verification_code\"}", OAUTH_POLL_FAILED},
        {400, "{\"error\":\"invalid_grant\"}", OAUTH_POLL_FAILED},
        {401, "{\"error\":\"invalid_client\"}", OAUTH_POLL_FAILED},
        {503, "{\"error\":\"access_denied\"}", OAUTH_POLL_WAIT},
        {502, "<html>", OAUTH_POLL_WAIT},
        {200, "{}", OAUTH_POLL_WAIT},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct oauth_answer answer;
        oauth_read_answer(cases[i].status, slice_of_string(cases[i].body), &answer);
        assert_int_equal(oauth_poll_of(&answer), cases[i].poll);
        oauth_answer_clear(&answer);
    }
}

static void pauses(void **state)
{
    static const struct {
        enum oauth_poll poll;
        int64_t pause;
    } steps[] = {
        {OAUTH_POLL_WAIT, 3},        {OAUTH_POLL_SLOWER, 8},      {OAUTH_POLL_WAIT, 8},
        {OAUTH_POLL_SLOWER, 13},     {OAUTH_POLL_WAIT, 13},       {OAUTH_POLL_UNANSWERED, 26},
        {OAUTH_POLL_UNANSWERED, 52}, {OAUTH_POLL_UNANSWERED, 60}, {OAUTH_POLL_UNANSWERED, 60},
        {OAUTH_POLL_WAIT, 13},       {OAUTH_POLL_UNANSWERED, 26}, {OAUTH_POLL_SLOWER, 18},
    };
    struct oauth_device device = {.interval = 3}, slow = {.interval = 100};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(steps); i++)
        assert_int_equal(oauth_device_pause(&device, steps[i].poll), steps[i].pause);
    assert_int_equal(oauth_device_pause(&slow, OAUTH_POLL_UNANSWERED), 100);
}

/* ---- who has signed in ---- */

/* The claims in base64url, as `printf '%s' CLAIMS | basenc --base64url | tr -d =` gives them. */
#define ID_TOKEN(claims) "{\"id_token\":\"e30." claims ".c2ln\"}"

static void identities(void **state)
{
    static const struct {
        const char *body, *issuer, *who;
        enum oauth_identity identity;
    } cases[] = {
        /* {"aud":"c","iss":"https://i.test","email":"Alice@a.test"} */
        {ID_TOKEN("eyJhdWQiOiJjIiwiaXNzIjoiaHR0cHM6Ly9pLnRlc3QiLCJlbWFpbCI6IkFsaWNlQGEudGVzdCJ9"),
         "https://i.test", "Alice@a.test", OAUTH_IDENTITY_IS},
        {ID_TOKEN("eyJhdWQiOiJjIiwiaXNzIjoiaHR0cHM6Ly9pLnRlc3QiLCJlbWFpbCI6IkFsaWNlQGEudGVzdCJ9"),
         "https://other.test", "", OAUTH_IDENTITY_UNSOUND},
        /* {"aud":["x","c"],"preferred_username":"bob@a.test"} */
        {ID_TOKEN("eyJhdWQiOlsieCIsImMiXSwicHJlZmVycmVkX3VzZXJuYW1lIjoiYm9iQGEudGVzdCJ9"), "",
         "bob@a.test", OAUTH_IDENTITY_OTHER},
        /* {"aud":"c","preferred_username":"alice"}: no address */
        {ID_TOKEN("eyJhdWQiOiJjIiwicHJlZmVycmVkX3VzZXJuYW1lIjoiYWxpY2UifQ"), "", "",
         OAUTH_IDENTITY_UNKNOWN},
        /* {"aud":"x","email":"alice@a.test"} */
        {ID_TOKEN("eyJhdWQiOiJ4IiwiZW1haWwiOiJhbGljZUBhLnRlc3QifQ"), "", "",
         OAUTH_IDENTITY_UNSOUND},
        /* {"alg":"none"}, and no signature */
        {"{\"id_token\":\"eyJhbGciOiJub25lIn0."
         "eyJhdWQiOiJjIiwiaXNzIjoiaHR0cHM6Ly9pLnRlc3QiLCJlbWFpbCI6IkFsaWNlQGEudGVzdCJ9.\"}",
         "https://i.test", "", OAUTH_IDENTITY_UNSOUND},
        /* {"alg":"HS256","kid":"../../etc/passwd"}: no key is looked for, since the token came from
         * its issuer itself, over TLS (OpenID Connect Core 3.1.3.7, 6) */
        {"{\"id_token\":\"eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2V0Yy9wYXNzd2QifQ."
         "eyJhdWQiOiJjIiwiaXNzIjoiaHR0cHM6Ly9pLnRlc3QiLCJlbWFpbCI6IkFsaWNlQGEudGVzdCJ9.c2ln\"}",
         "https://i.test", "Alice@a.test", OAUTH_IDENTITY_IS},
        {"{\"access_token\":\"a\"}", "https://i.test", "", OAUTH_IDENTITY_UNKNOWN},
        {"{\"id_token\":1}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"{\"id_token\":\"e30\"}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"{\"id_token\":\"a.!!.c\"}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"{\"id_token\":\"a.e30.c.d\"}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"<html>", "", "", OAUTH_IDENTITY_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct oauth_identity_question question = {
            "c", cases[i].issuer, {"alice@a.test", NULL}};
        char who[OAUTH_IDENTITY_TEXT], *subject;
        assert_int_equal(oauth_identify(slice_of_string(cases[i].body), &question, who, &subject),
                         cases[i].identity);
        assert_string_equal(who, cases[i].who);
        assert_null(subject);
    }
}

static void subjects(void **state)
{
    /* {"aud":"c","sub":"s-1"} */
    static const char body[] = ID_TOKEN("eyJhdWQiOiJjIiwic3ViIjoicy0xIn0");
    const struct oauth_identity_question ours = {"c", "", {"alice@a.test", NULL}};
    const struct oauth_identity_question foreign = {"d", "", {"alice@a.test", NULL}};
    char who[OAUTH_IDENTITY_TEXT], *subject;
    (void)state;
    assert_int_equal(oauth_identify(slice_of_string(body), &ours, who, &subject),
                     OAUTH_IDENTITY_UNKNOWN);
    assert_string_equal(subject, "s-1");
    mem_free(subject);
    assert_int_equal(oauth_identify(slice_of_string(body), &foreign, who, &subject),
                     OAUTH_IDENTITY_UNSOUND);
    assert_null(subject);
}

static void userinfo(void **state)
{
    static const struct {
        const char *body, *subject, *also, *who;
        enum oauth_identity identity;
    } cases[] = {
        {"{\"sub\":\"1\",\"email\":\"ALICE@a.test\"}", "1", NULL, "ALICE@a.test",
         OAUTH_IDENTITY_IS},
        {"{\"sub\":\"1\",\"email\":\"alice@a.test\"}", NULL, NULL, "alice@a.test",
         OAUTH_IDENTITY_IS},
        {"{\"sub\":\"2\",\"email\":\"alice@a.test\"}", "1", NULL, "", OAUTH_IDENTITY_UNSOUND},
        {"{\"email\":\"alice@a.test\"}", "1", NULL, "", OAUTH_IDENTITY_UNSOUND},
        {"{\"sub\":\"1\",\"email\":\"bob@a.test\"}", "1", NULL, "bob@a.test", OAUTH_IDENTITY_OTHER},
        {"{\"sub\":\"1\",\"email\":\"bob@a.test\"}", "1", "bob@a.test", "bob@a.test",
         OAUTH_IDENTITY_IS},
        {"{\"email\":\"bob@a.test\",\"upn\":\"alice@a.test\"}", NULL, NULL, "bob@a.test",
         OAUTH_IDENTITY_IS},
        {"{\"sub\":\"1\"}", "1", NULL, "", OAUTH_IDENTITY_UNKNOWN},
        {"{\"email\":[\"alice@a.test\"]}", NULL, NULL, "", OAUTH_IDENTITY_UNKNOWN},
        {"{\"email\":\"alice@a.test\\u001b\"}", NULL, NULL, "alice@a.test\\x1b",
         OAUTH_IDENTITY_OTHER},
        {"eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "1", NULL, "", OAUTH_IDENTITY_UNKNOWN},
        {"", "1", NULL, "", OAUTH_IDENTITY_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct oauth_identity_question question = {
            "c", "https://i.test", {"alice@a.test", cases[i].also}};
        char who[OAUTH_IDENTITY_TEXT];
        assert_int_equal(oauth_identify_userinfo(slice_of_string(cases[i].body), cases[i].subject,
                                                 &question, who),
                         cases[i].identity);
        assert_string_equal(who, cases[i].who);
    }
}

static void bearers(void **state)
{
    struct secret token = {0}, authorization = {0};
    (void)state;
    secret_set(&token, SLICE_LITERAL("a.b-c"));
    oauth_bearer(&token, &authorization);
    assert_string_equal(authorization.bytes, "Bearer a.b-c");
    secret_wipe(&token);
    secret_wipe(&authorization);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),  cmocka_unit_test(what_is_no_answer), cmocka_unit_test(polls),
        cmocka_unit_test(pauses),   cmocka_unit_test(identities),        cmocka_unit_test(subjects),
        cmocka_unit_test(userinfo), cmocka_unit_test(bearers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
