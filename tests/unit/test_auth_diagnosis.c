/*
 * The words that providers, libraries and we ourselves say, and what is made of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/diagnosis.h"

static const struct diagnosis_names names = {.account = "work",
                                             .provider = "acme",
                                             .protocol = "imap",
                                             .host = "imap.example.test",
                                             .user = "alice@example.test",
                                             .port = 993};

struct expectation {
    struct diagnosis_facts facts;
    enum diagnosis_remedy remedy;
    const char *sentence, *advice; /* parts, names filled in */
};

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void check(const struct expectation *expected)
{
    char sentence[1024], advice[1024];
    const struct diagnosis *diagnosis = diagnosis_find(&expected->facts);
    diagnosis_write(diagnosis->sentence, &names, sentence, sizeof(sentence));
    diagnosis_write(diagnosis->advice, &names, advice, sizeof(advice));
    assert_has(sentence, expected->sentence);
    assert_has(advice, expected->advice);
    assert_int_equal(diagnosis->remedy, expected->remedy);
}

static void check_all(const struct expectation *expectations, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(&expectations[i]);
}

#define LATER         DIAGNOSIS_REMEDY_LATER
#define SERVICE       DIAGNOSIS_REMEDY_SERVICE
#define USER          DIAGNOSIS_REMEDY_USER
#define CONFIGURATION DIAGNOSIS_REMEDY_CONFIGURATION

#define SAID(protocol_, why_, words_)                                                              \
    {                                                                                              \
        .step = DIAGNOSIS_LOGIN, .why = why_, .protocol = protocol_, .words = words_               \
    }
static const struct expectation of_the_login[] = {
    {SAID(PROTOCOL_SMTP, WHY_TOKEN_REJECTED,
          "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for "
          "the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. "
          "[MN2PR05CA0004.namprd05.prod.outlook.com]"),
     USER, "SMTP AUTH is disabled", "Set-CASMailbox"},
    {SAID(PROTOCOL_SMTP, WHY_TOKEN_REJECTED,
          "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for "
          "the Mailbox."),
     USER, "SMTP AUTH is disabled", "alice@example.test"},
    {SAID(PROTOCOL_SMTP, WHY_TOKEN_REJECTED,
          "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to "
          "be authenticated successfully. Contact your administrator."),
     USER, "a rule of the organisation", "administrator"},
    {SAID(PROTOCOL_SMTP, WHY_TOKEN_REJECTED,
          "535 5.7.139 Authentication unsuccessful, basic authentication is disabled."),
     CONFIGURATION, "no passwords any more", "a flow with a token"},
    {SAID(PROTOCOL_SMTP, WHY_TOKEN_REJECTED,
          "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."),
     USER, "Microsoft refuses", "licence"},
    {SAID(PROTOCOL_SMTP, WHY_TOKEN_REJECTED,
          "535 5.7.3 Authentication unsuccessful [BN3PR03CA0067.namprd03.prod.outlook.com]"),
     USER, "does not take the token", "primary address"},
    {SAID(PROTOCOL_IMAP, WHY_UPSTREAM_PROTOCOL,
          "the mail server took the login and refuses what follows: v1 BAD User is "
          "authenticated but not connected."),
     USER, "opens no mailbox", "Full Access"},
    {SAID(PROTOCOL_IMAP, WHY_TOKEN_REJECTED,
          "[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings "
          "page and enable your account for IMAP access. (Failure)"),
     USER, "IMAP is switched off", "Gmail's settings"},
    {SAID(PROTOCOL_POP3, WHY_TOKEN_REJECTED,
          "[SYS/PERM] Your account is not enabled for POP access."),
     USER, "POP is switched off", "Gmail's settings"},
    {SAID(PROTOCOL_IMAP, WHY_TOKEN_REJECTED, "AUTHENTICATE failed."), USER,
     "does not take the token", "ecluse login work"},
    {SAID(PROTOCOL_POP3, WHY_TOKEN_REJECTED,
          "Authentication failure: unknown user name or bad password."),
     USER, "does not take the token", "POP is enabled"},
    {SAID(PROTOCOL_IMAP, WHY_TOKEN_REJECTED,
          "[ALERT] Too many simultaneous connections. (Failure)"),
     LATER, "too many connections", "max_sessions_per_account"},
    {SAID(PROTOCOL_SMTP, WHY_UNREACHABLE, "432 4.3.2 Concurrent connections limit exceeded."),
     LATER, "too many connections", ""},
    {SAID(PROTOCOL_IMAP, WHY_TOKEN_REJECTED,
          "Request is throttled. Suggested Backoff Time: 299000 milliseconds"),
     LATER, "slows", "wait"},
    {SAID(PROTOCOL_IMAP, WHY_TOKEN_REJECTED,
          "[ALERT] Please log in via your web browser: https://support.google.com/x (Failure)"),
     USER, "with a browser", "log in there"},
    {SAID(PROTOCOL_IMAP, WHY_TOKEN_REJECTED,
          "[AUTHENTICATIONFAILED] This user does not have access rights to this service"),
     USER, "Yandex", "allow imap"},
    {SAID(PROTOCOL_IMAP, WHY_TOKEN_REJECTED, "[AUTHENTICATIONFAILED] Authentication failed."), USER,
     "does not take the token for alice@example.test", "ecluse login work"},
    {SAID(PROTOCOL_IMAP, WHY_TIMEOUT, "no answer within 30 s"), LATER, "does not answer", ""},
    {SAID(PROTOCOL_IMAP, WHY_UNREACHABLE, "the mail server closed the connection"), LATER,
     "ends the connection", "too long"},
    {SAID(PROTOCOL_IMAP, WHY_INTERNAL, "the user name or token cannot be sent"), CONFIGURATION,
     "cannot be sent", "check user"},
};
#undef SAID

static void the_login(void **state)
{
    (void)state;
    check_all(of_the_login, LENGTH_OF(of_the_login));
}

static void the_login_with_a_password(void **state)
{
    (void)state;
    struct diagnosis_facts facts = {.step = DIAGNOSIS_LOGIN,
                                    .why = WHY_TOKEN_REJECTED,
                                    .has_password = true,
                                    .words = "[AUTHENTICATIONFAILED] Authentication failed."};
    check(&(struct expectation){facts, USER, "the password of alice", "--password-stdin"});
    facts.words = "[ALERT] Application-specific password required: https://support.google.com";
    check(&(struct expectation){facts, USER, "an app password", "--password-stdin"});
}

static void a_look_at_the_token(void **state)
{
    (void)state;
    static const struct {
        enum diagnosis_clue clue;
        enum diagnosis_remedy remedy;
        const char *sentence;
    } clues[] = {{DIAGNOSIS_CLUE_RESOURCE, CONFIGURATION, "for another resource"},
                 {DIAGNOSIS_CLUE_SCOPE, USER, "scope that imap needs"},
                 {DIAGNOSIS_CLUE_USER, USER, "of another user than alice@example.test"}};
    static const enum diagnosis_step steps[] = {DIAGNOSIS_TOKEN, DIAGNOSIS_LOGIN};
    for (size_t i = 0; i < LENGTH_OF(clues); i++)
        for (size_t j = 0; j < LENGTH_OF(steps); j++)
            check(&(struct expectation){{.step = steps[j],
                                         .why = WHY_TOKEN_REJECTED,
                                         .clue = clues[i].clue,
                                         .words = "AUTHENTICATE failed."},
                                        clues[i].remedy,
                                        clues[i].sentence,
                                        "ecluse login work"});
    /* It says nothing where the server could not be asked. */
    check(&(struct expectation){{.step = DIAGNOSIS_LOGIN,
                                 .why = WHY_TIMEOUT,
                                 .clue = DIAGNOSIS_CLUE_RESOURCE,
                                 .words = "no answer within 30 s"},
                                LATER,
                                "does not answer",
                                ""});
}

static void the_way_there(void **state)
{
    (void)state;
#define SAID(step_, why_, words_)                                                                  \
    {                                                                                              \
        .step = step_, .why = why_, .words = words_                                                \
    }
    static const struct expectation expectations[] = {
        {SAID(DIAGNOSIS_DNS, WHY_NONE, "look up imap.example.test: unknown node or service"),
         CONFIGURATION, "no address for imap.example.test", "[provider acme]"},
        {SAID(DIAGNOSIS_DNS, WHY_NONE, "look up imap.example.test: temporary failure"), LATER,
         "resolver", "online"},
        {SAID(DIAGNOSIS_TCP, WHY_UNREACHABLE, "connect to 192.0.2.1 port 993: connection refused"),
         SERVICE, "port 993 of imap.example.test", "check the port"},
        {SAID(DIAGNOSIS_TCP, WHY_UNREACHABLE, "connect to 192.0.2.1: network is unreachable"),
         LATER, "no way", "online"},
        {SAID(DIAGNOSIS_TCP, WHY_TIMEOUT, "no answer within 10 s"), SERVICE, "does not answer",
         "firewall"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS,
              "hostname mismatch: the certificate is not for imap.example.test"),
         CONFIGURATION, "another name than imap.example.test", "host of imap"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS,
              "certificate of imap.example.test: certificate has expired"),
         SERVICE, "has expired", "clock"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS,
              "certificate of imap.example.test: certificate is not yet valid"),
         SERVICE, "not valid yet", "clock"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS,
              "certificate of imap.example.test: unable to get local issuer certificate"),
         CONFIGURATION, "nobody whom ecluse trusts", "ca_file"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS, "certificate of x: self-signed certificate"),
         CONFIGURATION, "nobody whom ecluse trusts", "ca_file"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS, "the server speaks neither TLS 1.2 nor 1.3"),
         SERVICE, "no TLS that is still safe", ""},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS, "the server did not answer with TLS"), CONFIGURATION,
         "does not speak TLS", "starttls://"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_TLS, "the mail server refuses TLS"), CONFIGURATION,
         "does not offer STARTTLS", "tls://"},
        {SAID(DIAGNOSIS_TLS, WHY_UPSTREAM_PROTOCOL, "the mail server does not speak as it should"),
         CONFIGURATION, "no imap server", "check the port"},
        {SAID(DIAGNOSIS_CAPABILITIES, WHY_UPSTREAM_PROTOCOL,
              "the mail server offers no mechanism that takes a token: PLAIN LOGIN"),
         CONFIGURATION, "no login with a token", "flow = none"},
        {SAID(DIAGNOSIS_CAPABILITIES, WHY_UPSTREAM_PROTOCOL,
              "the mail server offers no mechanism that takes a password: XOAUTH2"),
         CONFIGURATION, "no login with a password", "a flow with a token"},
        {SAID(DIAGNOSIS_CAPABILITIES, WHY_UPSTREAM_PROTOCOL, "HTTP/1.1 400 Bad Request"),
         CONFIGURATION, "no imap server", "check the port"},
        {SAID(DIAGNOSIS_CAPABILITIES, WHY_TIMEOUT, "no answer within 10 s"), LATER, "says nothing",
         ""},
        {SAID(DIAGNOSIS_CAPABILITIES, WHY_UNREACHABLE, "* BYE try later"), LATER,
         "does not want to talk", ""},
    };
    check_all(expectations, LENGTH_OF(expectations));
}

static void the_token(void **state)
{
    (void)state;
    static const struct expectation expectations[] = {
        {SAID(DIAGNOSIS_ENDPOINT, WHY_NONE, "Could not resolve host: id.example.test"),
         CONFIGURATION, "cannot be looked up", "DNS"},
        {SAID(DIAGNOSIS_ENDPOINT, WHY_NONE, "SSL certificate problem: certificate has expired"),
         SERVICE, "has expired", "clock"},
        {SAID(DIAGNOSIS_ENDPOINT, WHY_NONE,
              "SSL certificate problem: certificate is not yet valid"),
         SERVICE, "not valid yet", "clock"},
        {SAID(DIAGNOSIS_ENDPOINT, WHY_NONE, "SSL certificate problem: hostname mismatch"),
         CONFIGURATION, "for another name", "token_endpoint"},
        {SAID(DIAGNOSIS_ENDPOINT, WHY_NONE,
              "SSL certificate problem: unable to get local issuer certificate"),
         CONFIGURATION, "nobody whom ecluse trusts", "ca_file"},
        {SAID(DIAGNOSIS_ENDPOINT, WHY_NONE, "Connection timed out after 10001 milliseconds"),
         SERVICE, "does not answer", "https"},
        {SAID(DIAGNOSIS_ENDPOINT, WHY_NONE,
              "Failed to connect to localhost port 1 after 0 ms: Couldn't connect to server"),
         SERVICE, "cannot be reached", "firewall"},
        {SAID(DIAGNOSIS_TOKEN, WHY_TOKEN_NEEDS_USER, "account work must be signed in again"), USER,
         "sign in", "ecluse login work"},
        {SAID(DIAGNOSIS_TOKEN, WHY_UNREACHABLE, "no token for account work (HTTP 503)"), LATER,
         "no token now", "later"},
        {SAID(DIAGNOSIS_TOKEN, WHY_INTERNAL, "the provider refused the token request"),
         CONFIGURATION, "gives no token", "client_id"},
    };
    check_all(expectations, LENGTH_OF(expectations));
    check(&(struct expectation){{.step = DIAGNOSIS_ENDPOINT, .clue = DIAGNOSIS_CLUE_CLOCK},
                                CONFIGURATION,
                                "clock of this machine is off",
                                "set it"});
}

static void a_second_look(void **state)
{
    (void)state;
    check(&(struct expectation){{.step = DIAGNOSIS_TLS,
                                 .why = WHY_UPSTREAM_TLS,
                                 .clue = DIAGNOSIS_CLUE_PLAINTEXT,
                                 .words = "the server did not answer with TLS"},
                                CONFIGURATION,
                                "begins in plaintext",
                                "imap = starttls://imap.example.test:993"});
    check(&(struct expectation){{.step = DIAGNOSIS_TLS,
                                 .why = WHY_TIMEOUT,
                                 .clue = DIAGNOSIS_CLUE_TLS,
                                 .words = "no answer within 10 s"},
                                CONFIGURATION,
                                "TLS from its first octet",
                                "imap = tls://imap.example.test:993"});
    check(&(struct expectation){{.step = DIAGNOSIS_TLS,
                                 .why = WHY_UPSTREAM_TLS,
                                 .clue = DIAGNOSIS_CLUE_CLOCK,
                                 .words = "certificate of x: certificate is not yet valid"},
                                CONFIGURATION,
                                "clock",
                                "set the clock"});
}

/* Whatever is said, and wherever: there is a row, and its names are known. */
static void every_step_has_a_row(void **state)
{
    static const char *const words[] = {NULL, "", "no such words"};
    char text[1024];
    (void)state;
    for (int step = 0; step < DIAGNOSIS_STEP_COUNT; step++)
        for (int why = 0; why < WHY_COUNT; why++)
            for (size_t i = 0; i < LENGTH_OF(words) * PROTOCOL_COUNT; i++) {
                const struct diagnosis *diagnosis = diagnosis_find(
                    &(struct diagnosis_facts){.step = (enum diagnosis_step)step,
                                              .why = (enum why)why,
                                              .protocol = (enum protocol)(i % PROTOCOL_COUNT),
                                              .words = words[i / PROTOCOL_COUNT]});
                diagnosis_write(diagnosis->sentence, &names, text, sizeof(text));
                assert_true(strlen(text) > 0 && strchr(text, '{') == NULL);
                diagnosis_write(diagnosis->advice, &names, text, sizeof(text));
                assert_true(strlen(text) > 0 && strchr(text, '{') == NULL);
            }
    assert_string_equal(diagnosis_step_name(DIAGNOSIS_LOGIN), "login");
}

static void names_are_put_in_and_cut(void **state)
{
    char out[24];
    (void)state;
    diagnosis_write("{account}: port {port}", &names, out, sizeof(out));
    assert_string_equal(out, "work: port 993");
    diagnosis_write("plain", &names, out, sizeof(out));
    assert_string_equal(out, "plain");
    diagnosis_write("", &names, out, sizeof(out));
    assert_string_equal(out, "");
    diagnosis_write("{user} and {user}", &names, out, sizeof(out));
    assert_string_equal(out, "alice@example.test and ");
    diagnosis_write("a name that is missing: {host}.", &(struct diagnosis_names){0}, out, 8);
    assert_string_equal(out, "a name ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_login),
        cmocka_unit_test(the_login_with_a_password),
        cmocka_unit_test(a_look_at_the_token),
        cmocka_unit_test(the_way_there),
        cmocka_unit_test(the_token),
        cmocka_unit_test(a_second_look),
        cmocka_unit_test(every_step_has_a_row),
        cmocka_unit_test(names_are_put_in_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
