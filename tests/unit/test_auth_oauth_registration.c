/*
 * Registration of a public native client: what is said, and what is taken from the answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "auth/oauth_registration.h"

static void a_request(void **state)
{
    struct secret body = {0};
    (void)state;
    assert_int_equal(oauth_registration_request("openid \"mail\"", false, &body), 0);
    json_t *root = json_loads((const char *)body.bytes, 0, NULL);
    assert_non_null(root);
    json_t *expected = json_pack(
        "{s:[s,s,s], s:[s,s], s:[s], s:s, s:s, s:s, s:s, s:s, s:s}", "redirect_uris",
        "http://127.0.0.1/", "http://[::1]/", "http://localhost/", "grant_types",
        "authorization_code", "refresh_token", "response_types", "code",
        "token_endpoint_auth_method", "none", "application_type", "native", "client_name", "ecluse",
        "software_id", "ecluse", "software_version", ECLUSE_VERSION, "scope", "openid \"mail\"");
    assert_true(json_equal(root, expected));
    json_decref(root);
    json_decref(expected);
    assert_int_equal(oauth_registration_request("", false, &body), 0);
    assert_null(strstr((const char *)body.bytes, "\"scope\""));
    secret_wipe(&body);
}

static void a_request_where_devices_are_served(void **state)
{
    struct secret body = {0};
    (void)state;
    assert_int_equal(oauth_registration_request("mail", true, &body), 0);
    json_t *root = json_loads((const char *)body.bytes, 0, NULL);
    json_t *expected = json_pack("[s,s,s]", "authorization_code", "refresh_token",
                                 "urn:ietf:params:oauth:grant-type:device_code");
    assert_true(json_equal(json_object_get(root, "grant_types"), expected));
    json_decref(root);
    json_decref(expected);
    secret_wipe(&body);
}

static void a_request_has_limits(void **state)
{
    char scope[OAUTH_REGISTRATION_SCOPE + 2];
    struct secret body = {0};
    (void)state;
    memset(scope, 'x', sizeof(scope));
    scope[OAUTH_REGISTRATION_SCOPE + 1] = '\0';
    assert_int_equal(oauth_registration_request(scope, false, &body), ERR_FULL);
    assert_false(secret_is_set(&body));
    scope[OAUTH_REGISTRATION_SCOPE] = '\0';
    assert_int_equal(oauth_registration_request(scope, false, &body), 0);
    secret_wipe(&body);
}

static void answers(void **state)
{
    static const struct {
        int http_status;
        const char *body;
        int status;
        const char *said; /* the client_id, or part of the text */
    } cases[] = {
        {201, "{\"client_id\":\"abc\",\"token_endpoint_auth_method\":\"none\"}", 0, "abc"},
        {200, "{\"client_id\":\"a c\"}", 0, "a c"},
        /* A secret that nobody asks for is not of interest. */
        {201, "{\"client_id\":\"a\",\"client_secret\":\"s\"}", 0, "a"},
        {201,
         "{\"client_id\":\"a\",\"client_secret\":\"s\","
         "\"token_endpoint_auth_method\":\"client_secret_basic\"}",
         ERR_DENIED, "with a secret alone"},
        {201, "{\"client_id\":\"a\",\"token_endpoint_auth_method\":7}", ERR_SYNTAX, "wrong type"},
        {201, "{}", ERR_SYNTAX, "no client_id"},
        {201, "{\"client_id\":\"\"}", ERR_SYNTAX, "no client_id"},
        {201, "{\"client_id\":7}", ERR_SYNTAX, "no client_id"},
        {201, "{\"client_id\":\"a\\r\\n\"}", ERR_SYNTAX, "no client_id"},
        {201, "{\"client_id\":\"a\\u0000\"}", ERR_SYNTAX, "JSON"},
        {201, "{\"client_id\":\"a\",\"client_id\":\"b\"}", ERR_SYNTAX, "JSON"},
        {201, "<html>", ERR_SYNTAX, "JSON"},
        {201, "", ERR_SYNTAX, "JSON"},
        {400, "{\"error\":\"invalid_redirect_uri\"}", ERR_DENIED, "invalid_redirect_uri"},
        {400, "{\"error\":\"e\",\"error_description\":\"no\\u001b[2J\"}", ERR_DENIED,
         "e: no\\x1b[2J"},
        {403, "{\"error\":7}", ERR_DENIED, "HTTP 403"},
        {302, "{\"client_id\":\"a\"}", ERR_DENIED, "HTTP 302"},
        {404, "<html>", ERR_DENIED, "HTTP 404"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        char *client_id = NULL;
        struct err err = {0};
        int status = oauth_registration_read(cases[i].http_status, slice_of_string(cases[i].body),
                                             &client_id, &err);
        assert_int_equal(status, cases[i].status);
        if (status == 0)
            assert_string_equal(client_id, cases[i].said);
        else
            assert_non_null(strstr(err.text, cases[i].said));
        assert_int_equal(client_id == NULL, status != 0);
        mem_free(client_id);
    }
}

static void a_client_id_has_limits(void **state)
{
    char body[OAUTH_CLIENT_ID_MAX + 64];
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        char *client_id = NULL;
        int size = snprintf(body, sizeof(body), "{\"client_id\":\"%0*d\"}",
                            (int)(OAUTH_CLIENT_ID_MAX + more), 7);
        int status = oauth_registration_read(201, slice_of(body, (size_t)size), &client_id, NULL);
        assert_int_equal(status, more == 0 ? 0 : ERR_SYNTAX);
        mem_free(client_id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request),
        cmocka_unit_test(a_request_where_devices_are_served),
        cmocka_unit_test(a_request_has_limits),
        cmocka_unit_test(answers),
        cmocka_unit_test(a_client_id_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
