/*
 * Autoconfig documents: where they are, what is taken from them, what makes one of no use.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/autoconfig.h"
#include "conf/autoconfig_reader.h"

#define ADDRESS "alice@example.test"

#define SERVER(kind, type, host, port, socket, user, authentication)                               \
    "<" kind " type=\"" type "\"><hostname>" host "</hostname><port>" port "</port>"               \
    "<socketType>" socket "</socketType><username>" user "</username>" authentication "</" kind    \
    ">"
#define INCOMING(...) SERVER("incomingServer", __VA_ARGS__)
#define OUTGOING(...) SERVER("outgoingServer", __VA_ARGS__)
#define BY(word)      "<authentication>" word "</authentication>"
#define CONFIG(inside)                                                                             \
    "<?xml version=\"1.0\"?>\n<clientConfig version=\"1.1\">" inside "</clientConfig>"
#define PROVIDER(inside)                                                                           \
    CONFIG("<emailProvider id=\"example.test\"><domain>example.test</domain>" inside               \
           "</emailProvider>")
#define IMAP(host) INCOMING("imap", host, "993", "SSL", "%EMAILADDRESS%", BY("OAuth2"))

struct reading {
    struct mail_service service;
    int status;
    struct err err;
};

static struct reading read_bytes(const void *bytes, size_t size)
{
    struct reading reading = {0};
    reading.status =
        autoconfig_read(slice_of(bytes, size), ADDRESS, &reading.service, &reading.err);
    return reading;
}

static struct reading read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void assert_server(const struct reading *reading, enum protocol protocol, const char *text,
                          const char *user)
{
    const struct mail_server *server = &reading->service.servers[protocol];
    char shown[MAIL_SERVER_TEXT] = "";
    assert_int_equal(reading->status, 0);
    if (server->endpoint.is_set)
        mail_server_text(server, shown);
    assert_string_equal(shown, text);
    assert_string_equal(server->user == NULL ? "" : server->user, user);
}

static void urls(void **state)
{
    (void)state;
    char *host = autoconfig_url("a+b&c=d@example.test", AUTOCONFIG_OF_HOST, 0);
    char *known = autoconfig_url("a@b@example.test", AUTOCONFIG_WELL_KNOWN, 8443);
    assert_string_equal(host, "https://autoconfig.example.test/mail/config-v1.1.xml"
                              "?emailaddress=a%2Bb%26c%3Dd%40example.test");
    assert_string_equal(known,
                        "https://example.test:8443/.well-known/autoconfig/mail/config-v1.1.xml");
    mem_free(host);
    mem_free(known);
}

static void all_of_a_document(void **state)
{
    (void)state;
    struct reading reading = read_text(CONFIG(
        "<emailProvider id=\"x\">"
        "<!-- the first is the preferred one -->" INCOMING("imap", " imap.Example.TEST\n", "993",
                                                           "SSL", "%EMAILADDRESS%",
                                                           BY("password-cleartext") BY("OAuth2"))
            INCOMING("pop3", "pop.example.test", "110", "STARTTLS", "%EMAILLOCALPART%",
                     BY("OAuth2")) INCOMING("jmap", "jmap.example.test", "443", "SSL",
                                            "%EMAILADDRESS%", BY("OAuth2"))
                OUTGOING("smtp", "smtp.example.test", "587", "STARTTLS",
                         "x-%EMAILDOMAIN%-%EMAILLOCALPART%",
                         BY("OAuth2")) "</emailProvider>"
                                       "<oAuth2><issuer>id.example.test</issuer><scope>\n "
                                       "mail.read\t mail.send \n</scope>"
                                       "<authURL>https://id.example.test/auth?a=b&amp;c=d</authURL>"
                                       "<tokenURL>https://id.example.test/token</"
                                       "tokenURL><clientID>open</clientID></oAuth2>"));
    assert_server(&reading, PROTOCOL_IMAP, "tls://imap.example.test:993", "");
    assert_server(&reading, PROTOCOL_POP3, "starttls://pop.example.test:110", "alice");
    assert_server(&reading, PROTOCOL_SMTP, "starttls://smtp.example.test:587",
                  "x-example.test-alice");
    assert_true(reading.service.servers[PROTOCOL_IMAP].takes_password);
    assert_false(reading.service.servers[PROTOCOL_POP3].takes_password);
    assert_string_equal(reading.service.issuer, "https://id.example.test");
    assert_string_equal(reading.service.scope, "mail.read mail.send");
    assert_string_equal(reading.service.authorization_endpoint,
                        "https://id.example.test/auth?a=b&c=d");
    assert_string_equal(reading.service.token_endpoint, "https://id.example.test/token");
    assert_string_equal(reading.service.client_id, "open");
    assert_true(mail_service_is_within(&reading.service, "example.test"));
    assert_false(mail_service_is_within(&reading.service, "ample.test"));
    mail_service_clear(&reading.service);
    assert_false(mail_service_has_server(&reading.service));
}

static void the_best_server_is_taken(void **state)
{
    static const struct {
        const char *text, *imap;
    } cases[] = {
        /* tokens before passwords, wherever they stand */
        {PROVIDER(INCOMING("imap", "a.test", "993", "SSL", "", BY("password-cleartext"))
                      INCOMING("imap", "b.test", "143", "STARTTLS", "", BY("OAuth2"))),
         "starttls://b.test:143"},
        /* TLS from the first octet before STARTTLS */
        {PROVIDER(INCOMING("imap", "a.test", "143", "STARTTLS", "", BY("OAuth2")) IMAP("b.test")),
         "tls://b.test:993"},
        /* of equals the first */
        {PROVIDER(IMAP("a.test") IMAP("b.test")), "tls://a.test:993"},
        /* never in the clear, whatever else it has */
        {PROVIDER(INCOMING("imap", "a.test", "143", "plain", "", BY("OAuth2"))
                      INCOMING("imap", "b.test", "993", "SSL", "", BY("plain"))),
         "tls://b.test:993"},
        {PROVIDER(INCOMING("imap", "a.test", "993", "SSL", "", BY("GSSAPI")) IMAP("b.test")),
         "tls://b.test:993"},
        /* what is not sound makes room for what is */
        {PROVIDER(IMAP("a b.test") IMAP("b.test")), "tls://b.test:993"},
        {PROVIDER(IMAP("a.test/x") IMAP("-a.test") IMAP("a..test") IMAP("") IMAP("b.test")),
         "tls://b.test:993"},
        {PROVIDER(IMAP("a.test:1") IMAP("u@a.test") IMAP("\xc3\xa4.test") IMAP("b.test")),
         "tls://b.test:993"},
        {PROVIDER(INCOMING("imap", "a.test", "0", "SSL", "", BY("OAuth2"))
                      INCOMING("imap", "a.test", "65536", "SSL", "", BY("OAuth2"))
                          INCOMING("imap", "a.test", "+993", "SSL", "", BY("OAuth2")) INCOMING(
                              "imap", "a.test", "", "SSL", "", BY("OAuth2")) IMAP("b.test")),
         "tls://b.test:993"},
        {PROVIDER(INCOMING("imap", "a.test", "993", "SSL", "%GRANDMA%", BY("OAuth2"))
                      INCOMING("imap", "a.test", "993", "SSL", "a&#9;b", BY("OAuth2"))
                          INCOMING("imap", "a.test", "993", "SSL", "a b", BY("OAuth2")) INCOMING(
                              "imap", "a.test", "993", "SSL", "50%", BY("OAuth2")) IMAP("b.test")),
         "tls://b.test:993"},
        /* the first value of an element counts */
        {PROVIDER("<incomingServer type=\"imap\"><hostname>a.test</hostname><hostname>b.test"
                  "</hostname><port>993</port><socketType>SSL</socketType>" BY(
                      "OAuth2") "</incomingServer>"),
         "tls://a.test:993"},
        /* what is deeper than it should be is not it */
        {PROVIDER("<incomingServer type=\"imap\"><pop3><hostname>a.test</hostname></pop3><hostname>"
                  "b<x>a</x>.test</hostname><port>993</port><socketType>SSL</socketType>" BY(
                      "OAuth2") "</incomingServer>"),
         "tls://b.test:993"},
        {PROVIDER(OUTGOING("imap", "a.test", "993", "SSL", "", BY("OAuth2"))
                      INCOMING("smtp", "a.test", "465", "SSL", "", BY("OAuth2")) IMAP("b.test")),
         "tls://b.test:993"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct reading reading = read_text(cases[i].text);
        assert_server(&reading, PROTOCOL_IMAP, cases[i].imap, "");
        assert_server(&reading, PROTOCOL_SMTP, "", "");
        mail_service_clear(&reading.service);
    }
}

static void endpoints_are_https_or_nothing(void **state)
{
#define OAUTH(inside)                                                                              \
    CONFIG("<emailProvider>" IMAP("a.test") "</emailProvider><oAuth2>" inside "</oAuth2>")
#define URLS(auth, token) "<authURL>" auth "</authURL><tokenURL>" token "</tokenURL>"
    static const struct {
        const char *text, *issuer, *token;
    } cases[] = {
        {OAUTH("<issuer>https://id.test/a</issuer>"), "https://id.test/a", ""},
        {OAUTH("<issuer>http://id.test</issuer>"), "", ""},
        {OAUTH("<issuer>id.test/a?b</issuer>"), "", ""},
        {OAUTH("<issuer>u@id.test</issuer>"), "", ""},
        {OAUTH("<issuer>{tenant}</issuer>"), "", ""},
        {OAUTH(URLS("https://id.test/a", "https://id.test/t")), "", "https://id.test/t"},
        {OAUTH(URLS("http://id.test/a", "https://id.test/t")), "", ""},
        {OAUTH(URLS("https://id.test/a", "http://id.test/t")), "", ""},
        {OAUTH(URLS("https://id.test/a", "https://id.test/{tenant}")), "", ""},
        {OAUTH(URLS("https://id.test/a b", "https://id.test/t")), "", ""},
        {OAUTH(URLS("https://id.test/a", "https://id.test/t#f")), "", ""},
        {OAUTH(URLS("https://id.test/a", "")), "", ""},
        {OAUTH(""), "", ""},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct reading reading = read_text(cases[i].text);
        const struct mail_service *service = &reading.service;
        assert_int_equal(reading.status, 0);
        assert_string_equal(service->issuer == NULL ? "" : service->issuer, cases[i].issuer);
        assert_string_equal(service->token_endpoint == NULL ? "" : service->token_endpoint,
                            cases[i].token);
        assert_int_equal(service->token_endpoint == NULL, service->authorization_endpoint == NULL);
        mail_service_clear(&reading.service);
    }
}

static void a_scope_that_no_line_can_hold(void **state)
{
    (void)state;
    struct reading reading = read_text(
        OAUTH("<issuer>id.test</issuer><scope>mail ; x</scope><clientID>\xc3\xa4</clientID>"));
    assert_int_equal(reading.status, 0);
    assert_null(reading.service.scope);
    assert_null(reading.service.client_id);
    mail_service_clear(&reading.service);
}

static void documents_of_no_use(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *said;
    } cases[] = {
        {"", ERR_SYNTAX, "no XML"},
        {"<html><body>not found</body></html>", ERR_SYNTAX, "another document"},
        {"<clientConfig>", ERR_SYNTAX, "no XML"},
        {CONFIG("") "x", ERR_SYNTAX, "no XML"},
        {CONFIG("<a></b>"), ERR_SYNTAX, "no XML"},
        {CONFIG("&entity;"), ERR_SYNTAX, "no XML"},
        {CONFIG("\x01"), ERR_SYNTAX, "no XML"},
        {CONFIG("\xff\xfe"), ERR_SYNTAX, "no XML"},
        {"<?xml version=\"1.0\" encoding=\"x-none\"?><clientConfig/>", ERR_SYNTAX, "no XML"},
        {"<!DOCTYPE clientConfig [<!ENTITY a \"b\">]><clientConfig>&a;</clientConfig>", ERR_SYNTAX,
         "document type"},
        {"<!DOCTYPE clientConfig SYSTEM \"file:///etc/passwd\"><clientConfig/>", ERR_SYNTAX,
         "document type"},
        {CONFIG(""), ERR_NOT_FOUND, "no server"},
        {CONFIG(IMAP("a.test")), ERR_NOT_FOUND, "no server"},
        {PROVIDER(INCOMING("imap", "a.test", "143", "plain", "", BY("OAuth2"))), ERR_NOT_FOUND,
         "no server"},
        {PROVIDER(INCOMING("imap", "a.test", "993", "SSL", "", "")), ERR_NOT_FOUND, "no server"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct reading reading = read_text(cases[i].text);
        assert_int_equal(reading.status, cases[i].status);
        assert_non_null(strstr(reading.err.text, cases[i].said));
        assert_false(mail_service_has_server(&reading.service));
    }
}

static void append(char *text, size_t *used, const char *more, size_t times)
{
    for (; times > 0; times--) {
        memcpy(text + *used, more, strlen(more));
        *used += strlen(more);
    }
}

static void bounds(void **state)
{
    static char text[AUTOCONFIG_DOCUMENT_MAX + 1024];
    size_t used = 0;
    (void)state;
    append(text, &used, "<clientConfig>", 1);
    append(text, &used, "<a>", AUTOCONFIG_DEPTH_MAX);
    append(text, &used, "</a>", AUTOCONFIG_DEPTH_MAX);
    struct reading deep = read_bytes(text, used);
    assert_int_equal(deep.status, ERR_SYNTAX);
    assert_non_null(strstr(deep.err.text, "deep"));

    used = 0;
    append(text, &used, "<clientConfig><emailProvider><incomingServer type=\"imap\"><hostname>", 1);
    append(text, &used, "a", AUTOCONFIG_TEXT_MAX + 1);
    struct reading long_text = read_bytes(text, used);
    assert_int_equal(long_text.status, ERR_SYNTAX);
    assert_non_null(strstr(long_text.err.text, "too long"));

    used = 0;
    append(text, &used, "<clientConfig><emailProvider><incomingServer type=\"imap\">", 1);
    append(text, &used, BY("password-cleartext"), AUTOCONFIG_TEXT_MAX / 19 + 1);
    struct reading many = read_bytes(text, used);
    assert_int_equal(many.status, ERR_SYNTAX);
    assert_non_null(strstr(many.err.text, "too long"));

    used = 0;
    append(text, &used, PROVIDER(IMAP("a.test")), 1);
    append(text, &used, " ", AUTOCONFIG_DOCUMENT_MAX - used);
    struct reading most = read_bytes(text, used);
    assert_server(&most, PROTOCOL_IMAP, "tls://a.test:993", "");
    mail_service_clear(&most.service);
    struct reading longer = read_bytes(text, used + 1);
    assert_int_equal(longer.status, ERR_SYNTAX);
    assert_non_null(strstr(longer.err.text, "longer than"));
}

static void what_is_kept_of_a_service(void **state)
{
    (void)state;
    struct reading reading = read_text(
        PROVIDER(INCOMING("imap", "a.test", "993", "SSL", "", BY("OAuth2") BY("plain"))
                     OUTGOING("smtp", "b.test", "465", "SSL", "", BY("password-cleartext"))));
    assert_true(mail_service_takes(&reading.service, true));
    assert_true(mail_service_takes(&reading.service, false));
    mail_service_keep(&reading.service, false);
    assert_server(&reading, PROTOCOL_SMTP, "tls://b.test:465", "");
    mail_service_keep(&reading.service, true);
    assert_server(&reading, PROTOCOL_IMAP, "tls://a.test:993", "");
    assert_server(&reading, PROTOCOL_SMTP, "", "");
    mail_service_clear(&reading.service);
    assert_false(mail_service_takes(&reading.service, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(all_of_a_document),
        cmocka_unit_test(the_best_server_is_taken),
        cmocka_unit_test(endpoints_are_https_or_nothing),
        cmocka_unit_test(a_scope_that_no_line_can_hold),
        cmocka_unit_test(documents_of_no_use),
        cmocka_unit_test(bounds),
        cmocka_unit_test(what_is_kept_of_a_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
