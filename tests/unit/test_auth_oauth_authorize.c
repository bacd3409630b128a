#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/oauth_authorize.h"

/* The verifier's octets are those of RFC 7636 appendix B. */
static void make_proof(struct oauth_proof *proof)
{
    static const uint8_t verifier[] = {116, 24,  223, 180, 151, 153, 224, 37,  79,  250, 96,
                                       125, 216, 173, 187, 186, 22,  212, 37,  77,  105, 214,
                                       191, 240, 91,  88,  5,   88,  83,  132, 141, 121};
    uint8_t random[OAUTH_PROOF_RANDOM] = {0};
    memcpy(random + 32, verifier, sizeof(verifier));
    oauth_proof_make(random, proof);
}

static void proof_is_that_of_the_rfc(void **state)
{
    struct oauth_proof proof;
    (void)state;
    make_proof(&proof);
    assert_string_equal(proof.verifier, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_string_equal(proof.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    assert_string_equal(proof.state, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    oauth_proof_wipe(&proof);
    assert_int_equal(proof.verifier[0], '\0');
}

/* ---- the URL ---- */

#define PROOF_FIELDS                                                                               \
    "&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                                           \
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"

static void urls(void **state)
{
    static const struct {
        const char *endpoint, *scope, *hint, *parameters, *url, *resource;
    } cases[] = {
        {"https://a.test/auth", "mail a&b", "al+ice@a.test", "",
         "https://a.test/auth?response_type=code&client_id=c%2F1"
         "&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fp&scope=mail+a%26b" PROOF_FIELDS
         "&login_hint=al%2Bice%40a.test&resource=https%3A%2F%2Fm.test",
         "https://m.test"},
        {"https://a.test/auth?x=1", "", "", "prompt=consent&access_type=offline",
         "https://a.test/auth?x=1&response_type=code&client_id=c%2F1"
         "&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fp" PROOF_FIELDS
         "&prompt=consent&access_type=offline",
         NULL},
        {"https://a.test/", "", "", "state=x", NULL, NULL},
        {"https://a.test/", "", "", "a=b&code_challenge_method=plain", NULL, NULL},
        {"https://a.test/", "", "", "redirect_uri", NULL, NULL},
        {"https://a.test/", "", "", "resource=x", NULL, NULL},
        {"https://a.test/", "", "", "%73tate=x", NULL, NULL},
        {"https://a.test/", "", "", "a=b#c", NULL, NULL},
        {"https://a.test/", "", "", "a=b c", NULL, NULL},
        {"https://a.test/", "", "", "=x", NULL, NULL},
    };
    struct oauth_proof proof;
    (void)state;
    make_proof(&proof);
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct oauth_authorization authorization = {
            .endpoint = cases[i].endpoint,
            .client_id = "c/1",
            .redirect_uri = "http://127.0.0.1:1/p",
            .scope = cases[i].scope,
            .login_hint = cases[i].hint,
            .resource = cases[i].resource == NULL ? "" : cases[i].resource,
            .parameters = cases[i].parameters,
            .proof = &proof,
        };
        struct buf url;
        buf_init(&url, OAUTH_URL_MAX);
        int status = oauth_authorization_url(&authorization, &url);
        if (cases[i].url == NULL)
            assert_int_equal(status, ERR_SYNTAX);
        else
            assert_int_equal(status, 0);
        if (status == 0)
            assert_true(slice_is(buf_bytes(&url), cases[i].url));
        buf_fini(&url);
    }
}

static void a_long_url_is_refused(void **state)
{
    char *scope = mem_new(OAUTH_URL_MAX + 1);
    struct oauth_proof proof;
    struct buf url;
    (void)state;
    memset(scope, 'a', OAUTH_URL_MAX);
    make_proof(&proof);
    const struct oauth_authorization authorization = {
        "https://a.test/", "c", "u", scope, "", "", "", &proof};
    buf_init(&url, OAUTH_URL_MAX);
    assert_int_equal(oauth_authorization_url(&authorization, &url), ERR_FULL);
    buf_fini(&url);
    mem_free(scope);
}

/* ---- the redirect ---- */

static void same(const char *got, const char *wanted)
{
    if (wanted == NULL)
        assert_null(got);
    else
        assert_string_equal(got, wanted);
}

static void redirects(void **state)
{
    static const struct {
        const char *query, *code, *state, *issuer, *error, *description;
    } cases[] = {
        {"code=c&state=s", "c", "s", NULL, NULL, NULL},
        {"state=s&other=%zz&code=a%2Bb+c&iss=https%3A%2F%2Fi.test&session_state=x", "a+b c", "s",
         "https://i.test", NULL, NULL},
        {"error=access_denied&error_description=no%0A%1b%5b31m&state=s", NULL, "s", NULL,
         "access_denied", "no\\x0a\\x1b[31m"},
        {"error=x", NULL, NULL, NULL, "x", NULL},
        {"code=c&&state=", "c", "", NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct oauth_redirect redirect;
        assert_int_equal(oauth_read_redirect(slice_of_string(cases[i].query), &redirect), 0);
        same((const char *)redirect.code.bytes, cases[i].code);
        same(redirect.state, cases[i].state);
        same(redirect.issuer, cases[i].issuer);
        same(redirect.error, cases[i].error);
        same(redirect.description, cases[i].description);
        oauth_redirect_clear(&redirect);
        assert_null(redirect.state);
    }
}

static void what_is_no_redirect(void **state)
{
    static const char *const queries[] = {
        "",
        "state=s",
        "code=&state=s",
        "code",
        "code=c&code=c",
        "code=c&state=s&state=s",
        "code=c&state=s&error=x",
        "error=x&error_description=a&error_description=b",
        "code=c&iss=a&iss=a",
        "code=%",
        "code=%4",
        "code=%4g",
        "code=a%00b",
        "code=a%0ab",
        "code=c&state=%ff",
        "Code=c&state=s",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(queries); i++) {
        struct oauth_redirect redirect;
        assert_int_equal(oauth_read_redirect(slice_of_string(queries[i]), &redirect), ERR_SYNTAX);
        assert_false(secret_is_set(&redirect.code));
        assert_null(redirect.state);
    }
}

static void a_long_redirect_is_refused(void **state)
{
    char *query = mem_new(OAUTH_REDIRECT_MAX + 2);
    struct oauth_redirect redirect;
    (void)state;
    memset(query, 'a', OAUTH_REDIRECT_MAX + 1);
    memcpy(query, "code=", 5);
    struct slice text = slice_of_string(query);
    assert_int_equal(oauth_read_redirect(text, &redirect), ERR_FULL);
    assert_int_equal(oauth_read_redirect(slice_take(text, OAUTH_REDIRECT_MAX), &redirect), 0);
    oauth_redirect_clear(&redirect);
    mem_free(query);
}

static void states(void **state)
{
    struct oauth_proof proof;
    (void)state;
    make_proof(&proof);
    struct oauth_redirect redirect = {.state = proof.state};
    assert_true(oauth_redirect_has_state(&redirect, &proof));
    char other[] = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", less[] = "AAAA", none[] = "";
    char *const wrong[] = {other, less, none, NULL};
    for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
        redirect.state = wrong[i];
        assert_false(oauth_redirect_has_state(&redirect, &proof));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proof_is_that_of_the_rfc),
        cmocka_unit_test(urls),
        cmocka_unit_test(a_long_url_is_refused),
        cmocka_unit_test(redirects),
        cmocka_unit_test(what_is_no_redirect),
        cmocka_unit_test(a_long_redirect_is_refused),
        cmocka_unit_test(states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
