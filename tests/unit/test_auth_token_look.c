/*
 * What a token shows of itself, and what a server says inside of SASL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/sasl_error.h"
#include "auth/token_look.h"

/* "header.claims.signature" of these claims, in static memory. */
static struct slice jwt(const char *claims)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static char token[4096];
    size_t used = (size_t)snprintf(token, sizeof(token), "eyJhbGciOiJub25lIn0.");
    unsigned bits = 0, count = 0;
    for (const char *next = claims; *next != '\0'; next++) {
        bits = bits << 8 | (unsigned char)*next;
        for (count += 8; count >= 6; count -= 6)
            token[used++] = alphabet[bits >> (count - 6) & 63];
        bits &= 0xff;
    }
    if (count > 0)
        token[used++] = alphabet[bits << (6 - count) & 63];
    snprintf(token + used, sizeof(token) - used, ".c2ln");
    return slice_of_string(token);
}

#define IMAP_SCOPE "https://outlook.office.com/IMAP.AccessAsUser.All"

static void check(struct slice token, const char *granted, const char *wanted, enum token_flaw flaw,
                  const char *words)
{
    char text[TOKEN_LOOK_TEXT];
    const struct token_question question = {
        .token = token, .granted = granted, .wanted = wanted, .user = "alice@example.test"};
    assert_int_equal(token_look(&question, text), flaw);
    assert_string_equal(text, words);
}

static void opaque_tokens(void **state)
{
    (void)state;
    struct slice token = SLICE_LITERAL("ya29.a0AfB_by");
    check(token, "", "https://mail.google.com/", TOKEN_FLAW_NONE, "");
    check(token, "openid https://mail.google.com/", "https://mail.google.com/", TOKEN_FLAW_NONE,
          "");
    check(token, "openid email", "https://mail.google.com/", TOKEN_FLAW_SCOPE,
          "https://mail.google.com/");
    check(token, "openid email", "", TOKEN_FLAW_NONE, "");
    check(token, "mail-r", "mail-r mail-w", TOKEN_FLAW_SCOPE, "mail-w");
    check(SLICE_NONE, "", "", TOKEN_FLAW_NONE, "");
    check(SLICE_LITERAL("a.b.c"), "", "mail", TOKEN_FLAW_NONE, "");
}

static void tokens_that_can_be_read(void **state)
{
    (void)state;
    check(jwt("{\"aud\":\"https://outlook.office.com\",\"scp\":\"IMAP.AccessAsUser.All SMTP.Send\","
              "\"upn\":\"Alice@Example.test\"}"),
          "", IMAP_SCOPE, TOKEN_FLAW_NONE, "");
    check(jwt("{\"aud\":\"https://outlook.office.com\",\"scp\":\"SMTP.Send\"}"), IMAP_SCOPE,
          IMAP_SCOPE, TOKEN_FLAW_SCOPE, IMAP_SCOPE);
    check(jwt("{\"aud\":\"https://graph.microsoft.com\",\"scp\":\"IMAP.AccessAsUser.All\"}"), "",
          IMAP_SCOPE, TOKEN_FLAW_RESOURCE, "https://graph.microsoft.com");
    check(jwt("{\"aud\":\"00000003-0000-0000-c000-000000000000\"}"), "", IMAP_SCOPE,
          TOKEN_FLAW_RESOURCE, "00000003-0000-0000-c000-000000000000");
    check(jwt("{\"aud\":[\"https://graph.microsoft.com\"]}"), "", "", TOKEN_FLAW_NONE, "");
    check(jwt("{\"aud\":\"https://outlook.office.com\",\"upn\":\"bob@example.test\"}"), "", "",
          TOKEN_FLAW_USER, "bob@example.test");
    check(jwt("{\"unique_name\":\"bob@example.test\",\"email\":\"alice@example.test\"}"), "", "",
          TOKEN_FLAW_NONE, "");
    check(jwt("{\"preferred_username\":\"nobody\"}"), "", "", TOKEN_FLAW_NONE, "");
    check(jwt("{\"aud\":\"https://outlook.office365.com\",\"roles\":[\"IMAP.AccessAsApp\"]}"), "",
          "https://outlook.office365.com/.default", TOKEN_FLAW_NONE, "");
}

static void hostile_claims(void **state)
{
    (void)state;
    check(jwt("{\"upn\":\"bob@\\u001b[2J\\r\\nx\"}"), "", "", TOKEN_FLAW_USER,
          "bob@\\x1b[2J\\x0d\\x0ax");
    check(jwt("{\"aud\":7,\"scp\":[],\"upn\":{}}"), "", "x", TOKEN_FLAW_NONE, "");
    check(jwt("[1]"), "", "x", TOKEN_FLAW_NONE, "");
    char claims[1000], text[TOKEN_LOOK_TEXT];
    snprintf(claims, sizeof(claims), "{\"upn\":\"%0700d@x\"}", 0);
    const struct token_question question = {
        .token = jwt(claims), .granted = "", .wanted = "", .user = "alice@example.test"};
    assert_int_equal(token_look(&question, text), TOKEN_FLAW_USER);
    assert_int_equal(strlen(text), TOKEN_LOOK_TEXT - 1);
}

static void what_a_server_says_inside_of_sasl(void **state)
{
    static const struct {
        const char *challenge, *described;
    } rows[] = {
        {"{\"status\":\"400\",\"schemes\":\"Bearer\",\"scope\":\"https://mail.google.com/\"}",
         " (status 400, scope https://mail.google.com/, schemes Bearer)"},
        {"{\"status\":\"invalid_token\",\"openid-configuration\":\"https://x\"}",
         " (status invalid_token)"},
        {"{\"scope\":\"mail\"}", ""},
        {"{\"status\":401}", ""},
        {"{\"status\":\"\\u001b[2J\"}", " (status \\x1b[2J)"},
        {"not JSON", ""},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        char text[200];
        sasl_error_describe(slice_of_string(rows[i].challenge), text, sizeof(text));
        assert_string_equal(text, rows[i].described);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opaque_tokens),
        cmocka_unit_test(tokens_that_can_be_read),
        cmocka_unit_test(hostile_claims),
        cmocka_unit_test(what_a_server_says_inside_of_sasl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
