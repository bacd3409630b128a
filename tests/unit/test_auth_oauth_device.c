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
        {400, "{\"error\":\"access_denied\"}", OAUTH_POLL_DENIED},
        {400, "{\"error\":\"authorization_declined\"}", OAUTH_POLL_DENIED},
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
        {"{\"access_token\":\"a\"}", "https://i.test", "", OAUTH_IDENTITY_UNKNOWN},
        {"{\"id_token\":1}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"{\"id_token\":\"e30\"}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"{\"id_token\":\"a.!!.c\"}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"{\"id_token\":\"a.e30.c.d\"}", "", "", OAUTH_IDENTITY_UNSOUND},
        {"<html>", "", "", OAUTH_IDENTITY_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct oauth_identity_question question = {"c", cases[i].issuer, "alice@a.test"};
        char who[OAUTH_IDENTITY_TEXT];
        assert_int_equal(oauth_identify(slice_of_string(cases[i].body), &question, who),
                         cases[i].identity);
        assert_string_equal(who, cases[i].who);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(polls),
        cmocka_unit_test(identities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
