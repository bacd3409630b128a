/*
 * Refusals as the large providers send them, and what they come to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/oauth_reason.h"

#define AADSTS(number, text)                                                                       \
    "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS" #number ": " text                \
    " Trace ID: 1 Correlation ID: 2\",\"error_codes\":[" #number "]}"
#define GOOGLE(error, text) "{\"error\":\"" error "\",\"error_description\":\"" text "\"}"

struct reason_case {
    const char *body;
    enum oauth_remedy remedy;
    const char *text, *advice; /* parts */
};

static void assert_part(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static const struct reason_case known[] = {
    {AADSTS(700082, "The refresh token has expired due to inactivity."), OAUTH_REMEDY_SIGN_IN,
     "not used for 90 days", ""},
    {AADSTS(50173, "The provided grant has expired due to it being revoked."), OAUTH_REMEDY_SIGN_IN,
     "the password was changed", ""},
    {AADSTS(50076, "Due to a configuration change you must use multi-factor authentication."),
     OAUTH_REMEDY_USER, "a second factor", ""},
    {AADSTS(53003, "Access has been blocked by Conditional Access policies."), OAUTH_REMEDY_USER,
     "Conditional Access", "an administrator"},
    {AADSTS(65001, "The user or administrator has not consented."), OAUTH_REMEDY_USER, "consented",
     "an administrator consent"},
    {AADSTS(50126, "Error validating credentials."), OAUTH_REMEDY_SIGN_IN,
     "user name or password is wrong", ""},
    {AADSTS(7000222, "The provided client secret keys are expired."), OAUTH_REMEDY_CONFIGURATION,
     "the client secret has expired", "make a new one"},
    {"{\"error\":\"invalid_scope\",\"error_codes\":[1002012]}", OAUTH_REMEDY_CONFIGURATION,
     "/.default", "set scope"},
    /* The number alone in the description. */
    {"{\"error\":\"unauthorized_client\",\"error_description\":\"AADSTS700016: Application "
     "with identifier 'x' was not found.\"}",
     OAUTH_REMEDY_CONFIGURATION, "does not know the client", "client_id and tenant"},
    /* A number that the table does not have leaves the word to the subcode. */
    {"{\"error\":\"invalid_grant\",\"error_codes\":[1],\"suberror\":\"consent_required\"}",
     OAUTH_REMEDY_USER, "consented", "consent"},
    {GOOGLE("invalid_grant", "Token has been expired or revoked."), OAUTH_REMEDY_SIGN_IN,
     "expired or was withdrawn", ""},
    {"{\"error\":\"invalid_grant\",\"error_description\":\"reauth related error "
     "(invalid_rapt)\",\"error_subtype\":\"invalid_rapt\"}",
     OAUTH_REMEDY_SIGN_IN, "at intervals", ""},
    {GOOGLE("invalid_grant", "Invalid JWT Signature."), OAUTH_REMEDY_CONFIGURATION,
     "the key is not", "jwt_key_file"},
    {GOOGLE("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and "
                             "in a reasonable timeframe."),
     OAUTH_REMEDY_CONFIGURATION, "not of this time", "clock"},
    {GOOGLE("unauthorized_client", "Client is unauthorized to retrieve access tokens using "
                                   "this method, or client not authorized for any of the "
                                   "scopes requested."),
     OAUTH_REMEDY_CONFIGURATION, "delegated", "domain-wide delegation"},
    {GOOGLE("invalid_client", "The OAuth client was not found."), OAUTH_REMEDY_CONFIGURATION,
     "the client's credentials", "client_id"},
    {GOOGLE("deleted_client", "The OAuth client was deleted."), OAUTH_REMEDY_CONFIGURATION,
     "deleted", "register it anew"},
    {GOOGLE("admin_policy_enforced", "x"), OAUTH_REMEDY_USER, "organisation", "administrator"},
    {AADSTS(7000218, "The request body must contain ..."), OAUTH_REMEDY_CONFIGURATION,
     "prove itself", "add client_secret"},
    {GOOGLE("access_denied", "x"), OAUTH_REMEDY_USER, "declined", ""},
};

static void known_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(known); i++) {
        struct oauth_answer answer;
        oauth_read_answer(400, slice_of_string(known[i].body), &answer);
        const struct oauth_reason *reason = oauth_reason_find(&answer);
        if (reason == NULL)
            fail_msg("nothing for %s", known[i].body);
        assert_part(reason->text, known[i].text);
        assert_part(reason->advice, known[i].advice);
        if (*known[i].advice == '\0')
            assert_string_equal(reason->advice, "");
        assert_int_equal(reason->remedy, known[i].remedy);
        oauth_answer_clear(&answer);
    }
}

static void unknown_refusals(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":\"invalid_grant\"}",
        "{\"error\":\"invalid_grant\",\"error_description\":\"grant request is invalid\"}",
        "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS1: x\"}",
        "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS: x\",\"error_codes\":\"x\"}",
        "{\"error\":\"invalid_grant\",\"suberror\":7,\"error_codes\":[\"50173\"]}",
        "{\"error\":\"interaction_required\"}",
        "<html>AADSTS50173: x</html>",
        "",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bodies); i++) {
        struct oauth_answer answer;
        oauth_read_answer(400, slice_of_string(bodies[i]), &answer);
        assert_null(oauth_reason_find(&answer));
        oauth_answer_clear(&answer);
    }
}

/* Who is out of order says nothing about the account. */
static void outages_have_no_reason(void **state)
{
    (void)state;
    struct oauth_answer answer;
    oauth_read_answer(503, slice_of_string(AADSTS(50173, "x")), &answer);
    assert_int_equal(answer.outcome, OAUTH_TRY_LATER);
    assert_null(oauth_reason_find(&answer));
    oauth_answer_clear(&answer);
    oauth_read_answer(200, SLICE_LITERAL("{\"access_token\":\"t\"}"), &answer);
    assert_null(oauth_reason_find(&answer));
    oauth_answer_clear(&answer);
}

/* With the words of the description wherever they may say more than the table. */
static void refusals_as_they_are_told(void **state)
{
    static const struct {
        const char *body, *with_words, *without;
    } cases[] = {
        {AADSTS(7000218, "The request body must contain: client_secret."),
         "the client has to prove itself (AADSTS7000218)",
         "the client has to prove itself (AADSTS7000218)"},
        {GOOGLE("invalid_scope", "no mail here"),
         "the scope is not valid (invalid_scope: no mail here)",
         "the scope is not valid (invalid_scope)"},
        {"{\"error\":\"invalid_scope\"}", "the scope is not valid (invalid_scope)",
         "the scope is not valid (invalid_scope)"},
        {GOOGLE("invalid_grant", "AADSTS1: x"), "invalid_grant: AADSTS1: x", "AADSTS1"},
        {"{\"error\":\"invalid_grant\"}", "invalid_grant", "invalid_grant"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct oauth_answer answer;
        char text[OAUTH_REFUSAL_MAX];
        oauth_read_answer(400, slice_of_string(cases[i].body), &answer);
        oauth_refusal_write(&answer, answer.description, text);
        assert_string_equal(text, cases[i].with_words);
        oauth_refusal_write(&answer, NULL, text);
        assert_string_equal(text, cases[i].without);
        oauth_answer_clear(&answer);
    }
}

/* Those of a redirect are no JSON. */
static void refusals_in_a_redirect(void **state)
{
    static const struct {
        const char *error, *description, *text;
    } cases[] = {
        {"access_denied", "AADSTS65004: User declined to consent to access the app.",
         "the user did not consent to this program (AADSTS65004)"},
        {"consent_required", "AADSTS65004",
         "the user did not consent to this program (AADSTS65004)"},
        {"access_denied", "the user said no",
         "the sign-in was declined (access_denied: the user said no)"},
        {"access_denied", NULL, "the sign-in was declined (access_denied)"},
        {"server_error", "x", "server_error: x"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct oauth_answer answer;
        char text[OAUTH_REFUSAL_MAX];
        oauth_answer_refuse(cases[i].error, cases[i].description, &answer);
        oauth_refusal_write(&answer, answer.description, text);
        assert_string_equal(text, cases[i].text);
        oauth_answer_clear(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_refusals),         cmocka_unit_test(unknown_refusals),
        cmocka_unit_test(outages_have_no_reason), cmocka_unit_test(refusals_as_they_are_told),
        cmocka_unit_test(refusals_in_a_redirect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
