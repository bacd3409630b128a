/*
 * Documents of issuers: where they are, what is taken from them, what makes one of no use.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/oauth_metadata.h"

#define ISSUER "https://id.example.test"

static void urls(void **state)
{
    static const struct {
        const char *issuer, *rfc_8414, *openid;
    } cases[] = {
        {"https://id.example", "https://id.example/.well-known/oauth-authorization-server",
         "https://id.example/.well-known/openid-configuration"},
        {"https://id.example/", "https://id.example/.well-known/oauth-authorization-server",
         "https://id.example/.well-known/openid-configuration"},
        {"https://id.example:8443/a/b",
         "https://id.example:8443/.well-known/oauth-authorization-server/a/b",
         "https://id.example:8443/a/b/.well-known/openid-configuration"},
        {"https://[::1]/a/", "https://[::1]/.well-known/oauth-authorization-server/a",
         "https://[::1]/a/.well-known/openid-configuration"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        char *rfc_8414 = oauth_metadata_url(cases[i].issuer, OAUTH_METADATA_8414);
        char *openid = oauth_metadata_url(cases[i].issuer, OAUTH_METADATA_OPENID);
        assert_string_equal(rfc_8414, cases[i].rfc_8414);
        assert_string_equal(openid, cases[i].openid);
        mem_free(rfc_8414);
        mem_free(openid);
    }
}

static void a_document(void **state)
{
    static const char text[] =
        "{\"issuer\":\"" ISSUER "\","
        "\"authorization_endpoint\":\"https://id.example.test/auth?x=y\","
        "\"token_endpoint\":\"https://other.example.test/token\","
        "\"device_authorization_endpoint\":\"https://id.example.test/device\","
        "\"revocation_endpoint\":\"https://id.example.test/revoke\","
        "\"registration_endpoint\":\"https://id.example.test/register\","
        "\"userinfo_endpoint\":\"https://id.example.test/me\","
        "\"grant_types_supported\":[\"authorization_code\",\"refresh_token\"],"
        "\"code_challenge_methods_supported\":[\"S256\",\"plain\"],"
        "\"scopes_supported\":[\"openid\"],"
        "\"token_endpoint_auth_methods_supported\":[\"none\",\"client_secret_post\"],"
        "\"authorization_response_iss_parameter_supported\":true,"
        "\"of_no_interest\":{\"a\":[1]}}";
    static const char *const endpoints[OAUTH_ENDPOINTS] = {
        "https://id.example.test/auth?x=y", "https://other.example.test/token",
        "https://id.example.test/device",   "https://id.example.test/revoke",
        "https://id.example.test/register", "https://id.example.test/me",
    };
    struct oauth_metadata metadata;
    (void)state;
    assert_int_equal(oauth_metadata_read(slice_of_string(text), ISSUER, &metadata, NULL), 0);
    for (size_t i = 0; i < OAUTH_ENDPOINTS; i++)
        assert_string_equal(metadata.endpoints[i], endpoints[i]);
    assert_string_equal(metadata.grant_types, "authorization_code refresh_token");
    assert_string_equal(metadata.code_challenge_methods, "S256 plain");
    assert_string_equal(metadata.scopes, "openid");
    assert_string_equal(metadata.token_authentications, "none client_secret_post");
    assert_true(metadata.has_issuer_parameter);
    oauth_metadata_clear(&metadata);
    assert_null(metadata.endpoints[OAUTH_TOKEN_ENDPOINT]);
}

static void a_document_that_says_little(void **state)
{
    static const char text[] = "{\"issuer\":\"" ISSUER "\",\"token_endpoint\":null,"
                               "\"revocation_endpoint\":\"\",\"scopes_supported\":[],"
                               "\"authorization_response_iss_parameter_supported\":\"true\"}";
    struct oauth_metadata metadata;
    (void)state;
    assert_int_equal(oauth_metadata_read(slice_of_string(text), ISSUER, &metadata, NULL), 0);
    for (size_t i = 0; i < OAUTH_ENDPOINTS; i++)
        assert_null(metadata.endpoints[i]);
    assert_string_equal(metadata.grant_types, "authorization_code implicit");
    assert_string_equal(metadata.code_challenge_methods, "");
    assert_string_equal(metadata.scopes, "");
    assert_string_equal(metadata.token_authentications, "client_secret_basic");
    assert_false(metadata.has_issuer_parameter);
    oauth_metadata_clear(&metadata);
}

static void what_a_client_makes_of_it(void **state)
{
#define URN "urn:ietf:params:oauth:scope:mail"
    static const struct {
        const char *scopes, *mail_scope, *authentications;
        bool wants_basic;
    } cases[] = {
        {"openid offline_access " URN, URN " offline_access", "client_secret_basic", true},
        {URN " urn:ietf:params:oauth:scope:contacts", URN, "client_secret_basic none", true},
        {"openid offline_access", "", "client_secret_post client_secret_basic", false},
        {URN "-x", "", "private_key_jwt", false},
        {"", "", "", false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct oauth_metadata metadata = {
            .scopes = mem_copy_string(cases[i].scopes),
            .token_authentications = mem_copy_string(cases[i].authentications),
        };
        assert_string_equal(oauth_metadata_mail_scope(&metadata), cases[i].mail_scope);
        assert_int_equal(oauth_metadata_wants_basic(&metadata), cases[i].wants_basic);
        oauth_metadata_clear(&metadata);
    }
}

static void documents_of_no_use(void **state)
{
#define WITH(more) "{\"issuer\":\"" ISSUER "\"," more "}"
    static const struct {
        const char *text;
        int status;
        const char *said;
    } cases[] = {
        {"", ERR_SYNTAX, "JSON"},
        {"<html></html>", ERR_SYNTAX, "JSON"},
        {"[]", ERR_SYNTAX, "JSON"},
        {"{\"issuer\":\"" ISSUER "\"} x", ERR_SYNTAX, "JSON"},
        {WITH("\"issuer\":\"" ISSUER "\""), ERR_SYNTAX, "JSON"},
        {"{}", ERR_SYNTAX, "no issuer"},
        {"{\"issuer\":7}", ERR_SYNTAX, "no issuer"},
        {"{\"issuer\":\"" ISSUER "/\"}", ERR_DENIED, "its issuer is " ISSUER "/"},
        {"{\"issuer\":\"https://ID.example.test\"}", ERR_DENIED, "its issuer is https://ID"},
        {"{\"issuer\":\"\\u001b[2J\"}", ERR_DENIED, "its issuer holds"},
        {WITH("\"token_endpoint\":\"http://id.example.test/t\""), ERR_DENIED, "no https URL"},
        {WITH("\"token_endpoint\":\"https://id.example.test/#f\""), ERR_DENIED, "no https URL"},
        {WITH("\"token_endpoint\":\"https://u@id.example.test/\""), ERR_DENIED, "no https URL"},
        {WITH("\"token_endpoint\":\"https:///t\""), ERR_DENIED, "no https URL"},
        {WITH("\"token_endpoint\":\"https://id/\\r\\nHost: x\""), ERR_DENIED, "must not hold"},
        {WITH("\"token_endpoint\":[\"https://id/t\"]"), ERR_DENIED, "no text"},
        {WITH("\"userinfo_endpoint\":\"ftp://id/\""), ERR_DENIED, "its userinfo_endpoint"},
        {WITH("\"grant_types_supported\":\"refresh_token\""), ERR_DENIED, "no list"},
        {WITH("\"grant_types_supported\":[\"refresh_token\",1]"), ERR_DENIED, "no word"},
        {WITH("\"scopes_supported\":[\"a b\"]"), ERR_DENIED, "no word"},
        {WITH("\"scopes_supported\":[\"\"]"), ERR_DENIED, "no word"},
        {WITH("\"token_endpoint_auth_methods_supported\":\"none\""), ERR_DENIED, "no list"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct oauth_metadata metadata;
        struct err err = {0};
        int status = oauth_metadata_read(slice_of_string(cases[i].text), ISSUER, &metadata, &err);
        if (status != cases[i].status || strstr(err.text, cases[i].said) == NULL)
            print_error("%s: %d %s\n", cases[i].text, status, err.text);
        assert_int_equal(status, cases[i].status);
        assert_non_null(strstr(err.text, cases[i].said));
        for (size_t j = 0; j < OAUTH_ENDPOINTS; j++)
            assert_null(metadata.endpoints[j]);
        assert_null(metadata.grant_types);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(a_document),
        cmocka_unit_test(a_document_that_says_little),
        cmocka_unit_test(what_a_client_makes_of_it),
        cmocka_unit_test(documents_of_no_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
