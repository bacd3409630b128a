#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/oauth.h"

/* ---- requests ---- */

static int request(struct oauth_client client, const char *secret, const char *refresh_token,
                   const char *scope, char *body_out, char *authorization_out)
{
    struct secret client_secret = {0}, token = {0}, body = {0}, authorization = {0};
    if (secret != NULL)
        secret_set(&client_secret, slice_of_string(secret));
    if (refresh_token != NULL)
        secret_set(&token, slice_of_string(refresh_token));
    client.secret = &client_secret;
    /* What they had is gone in any case. */
    secret_set(&body, SLICE_LITERAL("old"));
    secret_set(&authorization, SLICE_LITERAL("old"));
    int status = oauth_refresh_request(&client, &token, scope, &body, &authorization);
    assert_int_equal(secret_is_set(&body), status == 0);
    strcpy(body_out, body.bytes == NULL ? "" : (char *)body.bytes);
    strcpy(authorization_out, authorization.bytes == NULL ? "" : (char *)authorization.bytes);
    secret_wipe(&client_secret);
    secret_wipe(&token);
    secret_wipe(&body);
    secret_wipe(&authorization);
    return status;
}

static void requests(void **state)
{
    (void)state;
    static const struct {
        enum oauth_client_authentication authentication;
        const char *identifier, *secret, *token, *scope, *body, *authorization;
    } cases[] = {
        {OAUTH_CLIENT_NONE, "client", NULL, "1//a-b._~", "",
         "grant_type=refresh_token&refresh_token=1%2F%2Fa-b._%7E&client_id=client", ""},
        {OAUTH_CLIENT_POST, "client", "s&c=r+t %", "rt", "https://mail.google.com/ offline_access",
         "grant_type=refresh_token&refresh_token=rt"
         "&scope=https%3A%2F%2Fmail.google.com%2F+offline_access"
         "&client_id=client&client_secret=s%26c%3Dr%2Bt+%25",
         ""},
        /* A public client, whatever the configuration says of its method. */
        {OAUTH_CLIENT_POST, "client", NULL, "rt", NULL,
         "grant_type=refresh_token&refresh_token=rt&client_id=client", ""},
        {OAUTH_CLIENT_BASIC, "client", NULL, "rt", "",
         "grant_type=refresh_token&refresh_token=rt&client_id=client", ""},
        {OAUTH_CLIENT_NONE, "client", "secret", "rt", "",
         "grant_type=refresh_token&refresh_token=rt&client_id=client", ""},
        /* "a%3Ab:p%2Fw" */
        {OAUTH_CLIENT_BASIC, "a:b", "p/w", "rt", "s",
         "grant_type=refresh_token&refresh_token=rt&scope=s", "Basic YSUzQWI6cCUyRnc="},
        {OAUTH_CLIENT_NONE, "\303\251\n", NULL, "a&grant_type=x\r\n\001", "",
         "grant_type=refresh_token&refresh_token=a%26grant_type%3Dx%0D%0A%01&client_id=%C3%A9%0A",
         ""},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        char body[1000], authorization[1000];
        struct oauth_client client = {.identifier = cases[i].identifier,
                                      .authentication = cases[i].authentication};
        assert_int_equal(
            request(client, cases[i].secret, cases[i].token, cases[i].scope, body, authorization),
            0);
        assert_string_equal(body, cases[i].body);
        assert_string_equal(authorization, cases[i].authorization);
    }
}

static void requests_of_other_grants(void **state)
{
    (void)state;
    const struct oauth_field fields[] = {{"username", SLICE_LITERAL("a@b")},
                                         {"password", SLICE_LITERAL("p&w=d")}};
    static const struct {
        enum oauth_client_authentication authentication;
        const char *identifier, *proof, *grant;
        size_t count;
        const char *body, *resource;
    } cases[] = {
        {OAUTH_CLIENT_NONE, "c", NULL, "client_credentials", 0,
         "grant_type=client_credentials&scope=m&resource=https%3A%2F%2Fpartner.outlook.cn%2F"
         "&client_id=c",
         "https://partner.outlook.cn/"},
        {OAUTH_CLIENT_POST, "c", "s", "client_credentials", 0,
         "grant_type=client_credentials&scope=m&client_id=c&client_secret=s", NULL},
        {OAUTH_CLIENT_NONE, "c", NULL, "password", 2,
         "grant_type=password&username=a%40b&password=p%26w%3Dd&scope=m&client_id=c", ""},
        /* The assertion alone says who it is (RFC 7523 section 2.1). */
        {OAUTH_CLIENT_NONE, "", NULL, "urn:ietf:params:oauth:grant-type:jwt-bearer", 0,
         "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=m", NULL},
        {OAUTH_CLIENT_ASSERTION, "c", "h.c.s", "client_credentials", 0,
         "grant_type=client_credentials&scope=m&client_id=c&client_assertion_type="
         "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=h.c.s",
         NULL},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct secret proof = {0}, body = {0}, authorization = {0};
        if (cases[i].proof != NULL)
            secret_set(&proof, slice_of_string(cases[i].proof));
        const struct oauth_client client = {.identifier = cases[i].identifier,
                                            .secret = &proof,
                                            .authentication = cases[i].authentication,
                                            .resource = cases[i].resource};
        assert_int_equal(oauth_token_request(&client, cases[i].grant, fields, cases[i].count, "m",
                                             &body, &authorization),
                         0);
        assert_string_equal((const char *)body.bytes, cases[i].body);
        assert_false(secret_is_set(&authorization));
        secret_wipe(&proof);
        secret_wipe(&body);
    }
}

static void revocations(void **state)
{
    struct secret token = {0}, client_secret = {0}, body = {0}, authorization = {0};
    struct oauth_client client = {.identifier = "a:b", .secret = &client_secret};
    (void)state;
    assert_int_equal(oauth_revocation_request(&client, &token, &body, &authorization), ERR_SYNTAX);
    assert_false(secret_is_set(&body));
    secret_set(&token, SLICE_LITERAL("r&t"));
    assert_int_equal(oauth_revocation_request(&client, &token, &body, &authorization), 0);
    assert_string_equal((char *)body.bytes,
                        "token=r%26t&token_type_hint=refresh_token&client_id=a%3Ab");
    assert_false(secret_is_set(&authorization));
    secret_set(&client_secret, SLICE_LITERAL("p/w"));
    client.authentication = OAUTH_CLIENT_POST;
    assert_int_equal(oauth_revocation_request(&client, &token, &body, &authorization), 0);
    assert_string_equal((char *)body.bytes, "token=r%26t&token_type_hint=refresh_token"
                                            "&client_id=a%3Ab&client_secret=p%2Fw");
    client.authentication = OAUTH_CLIENT_BASIC;
    assert_int_equal(oauth_revocation_request(&client, &token, &body, &authorization), 0);
    assert_string_equal((char *)body.bytes, "token=r%26t&token_type_hint=refresh_token");
    assert_string_equal((char *)authorization.bytes, "Basic YSUzQWI6cCUyRnc=");
    secret_wipe(&token);
    secret_wipe(&client_secret);
    secret_wipe(&body);
    secret_wipe(&authorization);
}

static void requests_have_limits(void **state)
{
    (void)state;
    static char body[100000], authorization[10000], token[70000], secret[4096];
    struct oauth_client client = {.identifier = "c", .authentication = OAUTH_CLIENT_NONE};
    assert_int_equal(request(client, NULL, NULL, "", body, authorization), ERR_SYNTAX);
    assert_int_equal(request(client, NULL, "", "", body, authorization), ERR_SYNTAX);
    memset(token, 't', OAUTH_TOKEN_MAX);
    assert_int_equal(request(client, NULL, token, "", body, authorization), 0);
    assert_int_equal(strlen(body), strlen("grant_type=refresh_token&refresh_token=&client_id=c") +
                                       OAUTH_TOKEN_MAX);
    memset(token, 't', sizeof(token) - 1);
    assert_int_equal(request(client, NULL, token, "", body, authorization), ERR_FULL);
    memset(secret, 's', sizeof(secret) - 1);
    client.authentication = OAUTH_CLIENT_BASIC;
    assert_int_equal(request(client, secret, "rt", "", body, authorization), ERR_FULL);
    secret[sizeof(secret) - 2] = '\0'; /* "c:" and 4,094 octets */
    assert_int_equal(request(client, secret, "rt", "", body, authorization), 0);
    assert_int_equal(strlen(authorization), 6 + (4096 + 2) / 3 * 4);
}

/* ---- answers ---- */

struct expected {
    int status;
    const char *body;
    enum oauth_outcome outcome;
    /* GRANTED */
    const char *access, *refresh;
    int64_t expires_in;
    const char *scope;
    /* the rest */
    const char *error, *description;
};

static void assert_text(const char *text, const char *expected)
{
    if (expected == NULL)
        assert_null(text);
    else
        assert_string_equal(text, expected);
}

static void assert_answer(const struct expected *expected)
{
    struct oauth_answer answer;
    /* In memory that ends with it. */
    size_t size = strlen(expected->body);
    uint8_t *copy = mem_new(size);
    memcpy(copy, expected->body, size);
    oauth_read_answer(expected->status, slice_of(copy, size), &answer);
    mem_free(copy);
    assert_int_equal(answer.outcome, expected->outcome);
    assert_text((char *)answer.access_token.bytes, expected->access);
    assert_text((char *)answer.refresh_token.bytes, expected->refresh);
    assert_true(answer.expires_in == expected->expires_in);
    assert_text(answer.scope, expected->scope);
    assert_text(answer.error, expected->error);
    assert_text(answer.description, expected->description);
    oauth_answer_clear(&answer);
    assert_null(answer.error);
    oauth_answer_clear(&answer);
}

#define GRANT(more) 200, "{\"access_token\":\"t0k\"" more "}", OAUTH_GRANTED, "t0k"

static void grants(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {GRANT(""), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"token_type\":\"Bearer\",\"expires_in\":3599,\"refresh_token\":\"1//r =\","
               "\"scope\":\"a b\",\"id_token\":\"x.y.z\",\"more\":[1,{}]"),
         "1//r =", 3599, "a b", NULL, NULL},
        {GRANT(",\"token_type\":\"bEARER\""), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"token_type\":null,\"expires_in\":null,\"refresh_token\":null,\"scope\":null"),
         NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"refresh_token\":\"\",\"scope\":\"\""), NULL, 3600, "", NULL, NULL},
        {GRANT(",\"expires_in\":\"3600\""), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":\"7199\""), NULL, 7199, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":3599.9"), NULL, 3599, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":0"), NULL, 1, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":-1"), NULL, 1, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":1"), NULL, 1, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":31536000"), NULL, 31536000, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":31536001"), NULL, 31536000, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":9223372036854775807"), NULL, 31536000, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":1e99"), NULL, 31536000, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":\"99999999999999999999999999\""), NULL, 31536000, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":true"), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":[1]"), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":\"1e99\""), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":\"-1\""), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":\"\""), NULL, 3600, NULL, NULL, NULL},
        {GRANT(",\"expires_in\":\" 1\""), NULL, 3600, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_answer(&cases[i]);
}

/* Status 200, and yet no grant. */
static void unreadable_grants(void **state)
{
    (void)state;
    static const char json[] = "the answer cannot be read as JSON";
    static const char type[] = "a field of the token answer has the wrong type";
    static const char missing[] = "there is no access token in the answer";
    static const char access[] = "the access token holds what a token must not hold";
    static const char refresh[] = "the refresh token holds what a token must not hold";
    static const char bearer[] = "the token is not a bearer token";
    static const char scope[] = "the scope holds what a scope must not hold";
    static const struct {
        const char *body, *description;
    } cases[] = {
        {"", json},
        {"<html>captive portal</html>", json},
        {"{\"access_token\":\"t0k\"", json},
        {"{\"access_token\":\"t0k\"} x", json},
        {"[\"access_token\",\"t0k\"]", json},
        {"\"t0k\"", json},
        {"null", json},
        {"{\"access_token\":\"a\",\"access_token\":\"b\"}", json},
        {"{\"access_token\":\"a\",\"x\":{\"k\":1,\"k\":2}}", json},
        {"{\"access_token\":\"a\\u0000b\"}", json},
        {"{\"access_token\":\"a\377\"}", json},
        {"{\"access_token\":\"t0k\",\"expires_in\":99999999999999999999}", json},
        {"{}", missing},
        {"{\"access_token\":\"\"}", missing},
        {"{\"access_token\":null}", missing},
        {"{\"error\":\"invalid_grant\"}", missing},
        {"{\"access_token\":1}", type},
        {"{\"access_token\":[\"t0k\"]}", type},
        {"{\"access_token\":\"t0k\",\"refresh_token\":1}", type},
        {"{\"access_token\":\"t0k\",\"token_type\":{}}", type},
        {"{\"access_token\":\"t0k\",\"scope\":[\"a\"]}", type},
        {"{\"access_token\":\"t0k\\r\\n\"}", access},
        {"{\"access_token\":\"t 0k\"}", access},
        {"{\"access_token\":\"t0k\\u0001auth=Bearer EVIL\"}", access},
        {"{\"access_token\":\"t\303\251\"}", access},
        {"{\"access_token\":\"t=t\"}", access},
        {"{\"access_token\":\"t0k\",\"refresh_token\":\"a\\n\"}", refresh},
        {"{\"access_token\":\"t0k\",\"refresh_token\":\"\303\251\"}", refresh},
        {"{\"access_token\":\"t0k\",\"token_type\":\"mac\"}", bearer},
        {"{\"access_token\":\"t0k\",\"token_type\":\"\"}", bearer},
        {"{\"access_token\":\"t0k\",\"token_type\":\"DPoP\"}", bearer},
        {"{\"access_token\":\"t0k\",\"scope\":\"a\\nb\"}", scope},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct expected expected = {.status = 200,
                                    .body = cases[i].body,
                                    .outcome = OAUTH_TRY_LATER,
                                    .error = "HTTP 200",
                                    .description = cases[i].description};
        assert_answer(&expected);
    }
}

static void refresh_token_of_a_useless_answer(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        {200, "{\"refresh_token\":\"new\"}", OAUTH_TRY_LATER, NULL, "new", 0, NULL, "HTTP 200",
         "there is no access token in the answer"},
        {200, "{\"access_token\":\"a b\",\"refresh_token\":\"new\"}", OAUTH_TRY_LATER, NULL, "new",
         0, NULL, "HTTP 200", "the access token holds what a token must not hold"},
        {500, "{\"refresh_token\":\"new\"}", OAUTH_TRY_LATER, NULL, NULL, 0, NULL, "HTTP 500",
         NULL},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_answer(&cases[i]);
}

#define FAILURE(status, body, outcome, error, description)                                         \
    {                                                                                              \
        status, body, outcome, NULL, NULL, 0, NULL, error, description                             \
    }

static void failures(void **state)
{
    (void)state;
    static const struct expected cases[] = {
        FAILURE(400, "{\"error\":\"invalid_grant\"}", OAUTH_SIGNED_OUT, "invalid_grant", NULL),
        FAILURE(401, "{\"error\":\"invalid_grant\",\"error_description\":\"Token expired.\"}",
                OAUTH_SIGNED_OUT, "invalid_grant", "Token expired."),
        FAILURE(400,
                "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS700082: The refresh "
                "token has expired\",\"error_codes\":[700082],\"suberror\":\"bad_token\"}",
                OAUTH_SIGNED_OUT, "invalid_grant", "AADSTS700082: The refresh token has expired"),
        FAILURE(401, "{\"error\":\"invalid_client\"}", OAUTH_MISTAKEN, "invalid_client", NULL),
        FAILURE(400, "{\"error\":\"unauthorized_client\"}", OAUTH_MISTAKEN, "unauthorized_client",
                NULL),
        FAILURE(400, "{\"error\":\"invalid_scope\"}", OAUTH_MISTAKEN, "invalid_scope", NULL),
        FAILURE(400, "{\"error\":\"unsupported_grant_type\"}", OAUTH_MISTAKEN,
                "unsupported_grant_type", NULL),
        FAILURE(400, "{\"error\":\"invalid_request\",\"error_description\":\"AADSTS900144\"}",
                OAUTH_MISTAKEN, "invalid_request", "AADSTS900144"),
        FAILURE(400, "{\"error\":\"interaction_required\"}", OAUTH_MISTAKEN, "interaction_required",
                NULL),
        FAILURE(400, "{\"error\":\"login_required\"}", OAUTH_MISTAKEN, "login_required", NULL),
        FAILURE(400, "{\"error\":\"consent_required\"}", OAUTH_MISTAKEN, "consent_required", NULL),
        /* Nothing but the exact word ends a token. */
        FAILURE(400, "{\"error\":\"Invalid_Grant\"}", OAUTH_TRY_LATER, "Invalid_Grant", NULL),
        FAILURE(400, "{\"error\":\"invalid_grant \"}", OAUTH_TRY_LATER, "invalid_grant ", NULL),
        FAILURE(400, "{\"error\":{\"code\":\"invalid_grant\"}}", OAUTH_TRY_LATER, "HTTP 400", NULL),
        FAILURE(400, "{\"error\":\"invalid_grant\",\"error\":\"invalid_grant\"}", OAUTH_TRY_LATER,
                "HTTP 400", NULL),
        FAILURE(400, "{\"error\":\"invalid_grant\",\"error_description\":7}", OAUTH_TRY_LATER,
                "HTTP 400", NULL),
        FAILURE(400, "{\"error\":\"invalid_grant\"", OAUTH_TRY_LATER, "HTTP 400", NULL),
        FAILURE(400, "error=invalid_grant", OAUTH_TRY_LATER, "HTTP 400", NULL),
        FAILURE(429, "{\"error\":\"invalid_grant\"}", OAUTH_TRY_LATER, "HTTP 429", NULL),
        FAILURE(500, "{\"error\":\"invalid_grant\"}", OAUTH_TRY_LATER, "HTTP 500", NULL),
        FAILURE(503, "{\"error\":\"x\",\"error_description\":\"down\"}", OAUTH_TRY_LATER,
                "HTTP 503", "down"),
        FAILURE(302, "", OAUTH_TRY_LATER, "HTTP 302", NULL),
        FAILURE(204, "", OAUTH_TRY_LATER, "HTTP 204", NULL),
        FAILURE(201, "{\"access_token\":\"t0k\"}", OAUTH_TRY_LATER, "HTTP 201", NULL),
        FAILURE(302, "{\"error\":\"invalid_grant\"}", OAUTH_TRY_LATER, "HTTP 302", NULL),
        FAILURE(0, "", OAUTH_TRY_LATER, "HTTP 0", NULL),
        FAILURE(404, "<html>", OAUTH_TRY_LATER, "HTTP 404", NULL),
        FAILURE(400, "{}", OAUTH_TRY_LATER, "HTTP 400", NULL),
        FAILURE(400, "{\"error\":\"\"}", OAUTH_TRY_LATER, "HTTP 400", NULL),
        FAILURE(400, "{\"error\":\"temporarily_unavailable\"}", OAUTH_TRY_LATER,
                "temporarily_unavailable", NULL),
        /* What a terminal or a log line could trip over. */
        FAILURE(400, "{\"error\":\"a\\u001b[2J\",\"error_description\":\"x\\r\\n\303\251\"}",
                OAUTH_TRY_LATER, "a\\x1b[2J", "x\\x0d\\x0a\\xc3\\xa9"),
        FAILURE(400, "{\"error\":\"%n%s\",\"error_description\":\"%s%n\"}", OAUTH_TRY_LATER, "%n%s",
                "%s%n"),
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_answer(&cases[i]);
}

/* {"access_token":"t0k","x":[[…]]} with `depth` brackets inside the object. */
static void depth_is_limited(void **state)
{
    (void)state;
    static const size_t depths[] = {1, 14, 15, 16, 17, 30000};
    for (size_t i = 0; i < LENGTH_OF(depths); i++) {
        struct buf body;
        struct oauth_answer answer;
        buf_init(&body, OAUTH_ANSWER_MAX);
        assert_int_equal(buf_append_string(&body, "{\"access_token\":\"t0k\",\"x\":"), 0);
        for (size_t j = 0; j < depths[i]; j++)
            assert_int_equal(buf_append_string(&body, "["), 0);
        for (size_t j = 0; j < depths[i]; j++)
            assert_int_equal(buf_append_string(&body, "]"), 0);
        assert_int_equal(buf_append_string(&body, "}"), 0);
        oauth_read_answer(200, buf_bytes(&body), &answer);
        assert_int_equal(answer.outcome, depths[i] <= 15 ? OAUTH_GRANTED : OAUTH_TRY_LATER);
        oauth_answer_clear(&answer);
        buf_fini(&body);
    }
    /* Brackets in strings are no depth. */
    struct expected brackets = {
        GRANT(",\"x\":\"[[[[[[[[[[[[[[[[[[[[\\\"[{\""), NULL, 3600, NULL, NULL, NULL};
    assert_answer(&brackets);
}

/* A string of `size` letters as `key`, besides what else is in the object. */
static void answer_with_long(int status, const char *before, size_t size,
                             struct oauth_answer *answer_out)
{
    struct buf body;
    buf_init(&body, 4 * OAUTH_ANSWER_MAX);
    assert_int_equal(buf_append_string(&body, before), 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(buf_append_string(&body, "x"), 0);
    assert_int_equal(buf_append_string(&body, "\"}"), 0);
    oauth_read_answer(status, buf_bytes(&body), answer_out);
    buf_fini(&body);
}

static void sizes_are_limited(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        size_t maximum;
    } grants_with[] = {
        {"{\"access_token\":\"", OAUTH_TOKEN_MAX},
        {"{\"access_token\":\"t\",\"refresh_token\":\"", OAUTH_TOKEN_MAX},
        {"{\"access_token\":\"t\",\"x\":\"", OAUTH_ANSWER_MAX - 27},
    };
    struct oauth_answer answer;
    for (size_t i = 0; i < LENGTH_OF(grants_with); i++)
        for (size_t more = 0; more < 2; more++) {
            answer_with_long(200, grants_with[i].before, grants_with[i].maximum + more, &answer);
            assert_int_equal(answer.outcome, more == 0 ? OAUTH_GRANTED : OAUTH_TRY_LATER);
            oauth_answer_clear(&answer);
        }
    answer_with_long(400, "{\"error\":\"invalid_grant\",\"error_description\":\"", 5000, &answer);
    assert_int_equal(answer.outcome, OAUTH_SIGNED_OUT);
    assert_int_equal(strlen(answer.description), 300);
    oauth_answer_clear(&answer);
    answer_with_long(400, "{\"error\":\"", 5000, &answer);
    assert_int_equal(answer.outcome, OAUTH_TRY_LATER);
    assert_int_equal(strlen(answer.error), 64);
    oauth_answer_clear(&answer);
}

/* ---- URLs ---- */

static void urls(void **state)
{
    (void)state;
    static const char *const good[] = {
        "https://oauth2.googleapis.com/token",
        "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "HTTPS://example.com",
        "https://localhost:8443/token?x=1&y=%20",
        "https://example.com?x=/@",
        "https://[::1]:8443/token",
        "https://192.0.2.1/",
        "https://example.com:65535",
        "https://example.com/a@b:c",
    };
    static const char *const bad[] = {
        "",
        "https://",
        "https:///token",
        "https://?x",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "example.com",
        " https://example.com",
        "https:/example.com",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com@evil.example/",
        "https://example.com#fragment",
        "https://example.com/#",
        "https://example.com\\@evil.example/",
        "https://exam ple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: x",
        "https://ex\303\244mple.com/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:99999/",
        "https://example.com:123456/",
        "https://example.com:8a/",
        "https://:443/",
        "https://[::1/",
        "https://[]/",
        "https://[::1]x/",
        "https://[::1%eth0]/",
        "https://[::1]:/",
        "https://a:b:1/",
        "https://%65xample.com/",
    };
    for (size_t i = 0; i < LENGTH_OF(good); i++)
        if (oauth_check_url(good[i]) != 0)
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (oauth_check_url(bad[i]) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    static char url[2050] = "https://example.com/";
    memset(url + strlen(url), 'x', 2048 - strlen(url));
    assert_int_equal(oauth_check_url(url), 0);
    url[2048] = 'x';
    assert_int_equal(oauth_check_url(url), ERR_SYNTAX);
}

int main(void)
{
    oauth_use_wiping_allocator();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(requests_of_other_grants),
        cmocka_unit_test(revocations),
        cmocka_unit_test(requests_have_limits),
        cmocka_unit_test(grants),
        cmocka_unit_test(unreadable_grants),
        cmocka_unit_test(refresh_token_of_a_useless_answer),
        cmocka_unit_test(failures),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
