/* Servers that are not to be trusted, or do not speak TLS as it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "talk.h"

/* -- certificates -- */

static void check_refused(const struct tls_settings *settings, const struct server_wish *wish,
                          const char *why)
{
    const size_t pieces[] = {SIZE_MAX, 7};
    struct tls_settings noting = *settings;
    struct tls_presented presented;
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        struct talk talk;
        presented = (struct tls_presented){0};
        noting.presented = i == 0 ? NULL : &presented;
        talk_init(&talk, &noting, wish, pieces[i]);
        shake_hands(&talk);
        assert_string_equal(tls_why(talk.client), why);
        assert_int_equal(tls_state(talk.client), TLS_FAILED);
        assert_int_equal(buf_size(&talk.server->plain), 0);
        assert_int_equal(buf_size(&talk.plain), 0);
        /* Nothing helps it up again. */
        server_write(talk.server, SLICE_NONE, &talk.to_client);
        client_reads(&talk, SLICE_LITERAL("\x17\x03\x03\x00\x01x"));
        assert_int_equal(tls_state(talk.client), TLS_FAILED);
        assert_int_equal(buf_size(&talk.to_server), 0);
        talk_fini(&talk);
    }
}

static void check_certificate(const struct certificate_wish *certificate_wish,
                              const struct certificate *issuer, const char *host, const char *why)
{
    struct certificate *certificate = certificate_new(certificate_wish, issuer);
    struct tls_settings settings = usual_settings();
    settings.host = host;
    struct server_wish wish = {.certificate = certificate};
    check_refused(&settings, &wish, why);
    wish.version_max = TLS1_2_VERSION;
    check_refused(&settings, &wish, why);
    certificate_free(certificate);
}

static void test_expired(void **state)
{
    (void)state;
    const struct certificate_wish old = {
        .common_name = HOST, .names = "DNS:" HOST, .starts = -7200, .ends = -3600};
    check_certificate(&old, all.root, HOST,
                      "certificate of imap.example.org: certificate has expired");
    const struct certificate_wish young = {
        .common_name = HOST, .names = "DNS:" HOST, .starts = 3600, .ends = 7200};
    check_certificate(&young, all.root, HOST,
                      "certificate of imap.example.org: certificate is not yet valid");
}

static void check_presented(const char *names, int64_t starts, int64_t ends, const char *shown)
{
    const struct certificate_wish certificate_wish = {
        .common_name = HOST, .names = names, .starts = starts, .ends = ends};
    struct certificate *certificate = certificate_new(&certificate_wish, all.root);
    struct server_wish wish = {.certificate = certificate};
    struct tls_presented presented = {0};
    struct tls_settings settings = usual_settings();
    struct talk talk;
    settings.presented = &presented;
    int64_t now = clock_wall_seconds();
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    assert_string_equal(presented.names, shown);
    assert_in_range(presented.not_before - starts, now - 60, now + 60);
    assert_in_range(presented.not_after - ends, now - 60, now + 60);
    talk_fini(&talk);
    certificate_free(certificate);
}

/* Of a certificate that is accepted as of one that is not. */
static void test_what_was_presented(void **state)
{
    (void)state;
    check_presented("DNS:" HOST ",DNS:mail.example.org,IP:127.0.0.1", -60, 3600,
                    HOST ", mail.example.org");
    check_presented("DNS:other.example.org", -60, 3600, "other.example.org");
    check_presented("DNS:" HOST, -7200, -3600, HOST);
    check_presented("IP:127.0.0.1", 3600, 7200, "");
    check_presented("DNS:a.org,DNS:b.org,DNS:c.org,DNS:d.org,DNS:e.org,DNS:f.org", -60, 3600,
                    "a.org, b.org, c.org, d.org, e.org");
}

static void test_unknown_authority(void **state)
{
    (void)state;
    const struct certificate_wish wish = {.common_name = HOST, .names = "DNS:" HOST};
    check_certificate(&wish, all.other_root, HOST,
                      "certificate of imap.example.org: unable to get local issuer certificate");
    check_certificate(&wish, NULL, HOST,
                      "certificate of imap.example.org: self-signed certificate");
}

static void test_wrong_name(void **state)
{
    (void)state;
    const char *names[] = {
        "DNS:other.example.org",
        "DNS:*.org",
        "DNS:*.imap.example.org",
        "DNS:im*.example.org",
        "DNS:*p.example.org",
        "DNS:i*p.example.org",
        "DNS:*",
        "DNS:example.org",
        "DNS:imap.example.org.evil.tld",
        "email:imap.example.org@example.org",
        "IP:127.0.0.1",
        "URI:imap.example.org",
    };
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        const struct certificate_wish wish = {.common_name = HOST, .names = names[i]};
        check_certificate(&wish, all.root, HOST,
                          "hostname mismatch: the certificate is not for imap.example.org");
    }
}

/* For those who read a name up to its first NUL, or from there. */
static void test_zeros_in_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *names, *shown;
    } cases[] = {
        {"DER:30:1c:82:1a:69:6d:61:70:2e:65:78:61:6d:70:6c:65:2e:6f:72:67:00:2e:65:76:69:6c:2e:74:"
         "6c:64",
         HOST "\\x00.evil.tld"},
        {"DER:30:13:82:11:69:6d:61:70:2e:65:78:61:6d:70:6c:65:2e:6f:72:67:00", HOST "\\x00"},
        {"DER:30:13:82:11:00:69:6d:61:70:2e:65:78:61:6d:70:6c:65:2e:6f:72:67", "\\x00" HOST},
        {"DER:30:1b:82:19:65:76:69:6c:2e:74:6c:64:00:69:6d:61:70:2e:65:78:61:6d:70:6c:65:2e:6f:72:"
         "67",
         "evil.tld\\x00" HOST},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct certificate_wish wish = {.common_name = HOST, .names = cases[i].names};
        check_certificate(&wish, all.root, HOST,
                          "hostname mismatch: the certificate is not for imap.example.org");
        check_presented(cases[i].names, -60, 3600, cases[i].shown);
    }
}

static void test_common_name_does_not_count(void **state)
{
    (void)state;
    const struct certificate_wish wish = {.common_name = HOST};
    check_certificate(&wish, all.root, HOST,
                      "hostname mismatch: the certificate is not for imap.example.org");
}

static void test_address_literals(void **state)
{
    (void)state;
    const struct certificate_wish wish = {.common_name = "127.0.0.1",
                                          .names = "DNS:127.0.0.1,IP:127.0.0.2"};
    check_certificate(&wish, all.root, "127.0.0.1",
                      "IP address mismatch: the certificate is not for 127.0.0.1");
    check_certificate(&wish, all.root, "::1",
                      "IP address mismatch: the certificate is not for ::1");
}

static void test_no_host_name(void **state)
{
    (void)state;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    const char *hosts[] = {"", ".example.org"};
    const char *whys[] = {"\"\" is not a host name", "\".example.org\" is not a host name"};
    for (size_t i = 0; i < LENGTH_OF(hosts); i++) {
        settings.host = hosts[i];
        check_refused(&settings, &wish, whys[i]);
    }
}

static void test_wildcard_and_chain(void **state)
{
    (void)state;
    const struct certificate_wish middle_wish = {.common_name = "Test middle",
                                                 .is_authority = true};
    const struct certificate_wish leaf_wish = {.common_name = "x", .names = "DNS:*.example.org"};
    struct certificate *middle = certificate_new(&middle_wish, all.root);
    struct certificate *leaf = certificate_new(&leaf_wish, middle);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = {.certificate = leaf, .issuer = middle};
    struct talk talk;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    shake_hands(&talk);
    assert_string_equal(tls_why(talk.client), "");
    assert_int_equal(tls_state(talk.client), TLS_OPEN);
    talk_fini(&talk);
    wish.issuer = NULL;
    check_refused(&settings, &wish,
                  "certificate of imap.example.org: unable to get local issuer certificate");
    certificate_free(leaf);
    certificate_free(middle);
}

static void test_not_an_authority(void **state)
{
    (void)state;
    /* A good certificate for another name signs one for ours. */
    const struct certificate_wish wish = {.common_name = "leaf", .names = "DNS:" HOST};
    struct certificate *leaf = certificate_new(&wish, all.good);
    struct tls_settings settings = usual_settings();
    struct server_wish server = {.certificate = leaf, .issuer = all.good};
    check_refused(&settings, &server, "certificate of imap.example.org: invalid CA certificate");
    certificate_free(leaf);
}

/* -- what is no TLS, or the wrong one -- */

static void check_answer(struct slice answer, size_t piece, const char *why)
{
    struct talk talk;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    talk_init(&talk, &settings, &wish, piece);
    client_reads(&talk, SLICE_NONE);
    buf_clear(&talk.to_server);
    assert_int_equal(buf_append(&talk.to_client, answer), 0);
    while (buf_size(&talk.to_client) > 0) {
        struct slice part = slice_take(buf_bytes(&talk.to_client), talk.piece);
        client_reads(&talk, part);
        buf_consume(&talk.to_client, part.size);
    }
    assert_string_equal(tls_why(talk.client), why);
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    assert_int_equal(buf_size(&talk.plain), 0);
    talk_fini(&talk);
}

static void test_plaintext_instead(void **state)
{
    (void)state;
    const char *answers[] = {
        "* OK IMAP4rev1 ready\r\n",
        "* OK hi\r\n* PREAUTH\r\nA1 OK LOGIN completed\r\n",
        "+OK POP3 ready\r\n",
        "220 mail.example.org ESMTP\r\n250-x\r\n250 AUTH PLAIN\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < LENGTH_OF(answers); i++) {
        check_answer(slice_of_string(answers[i]), SIZE_MAX, "the server did not answer with TLS");
        check_answer(slice_of_string(answers[i]), 1, "the server did not answer with TLS");
    }
}

static void test_old_version(void **state)
{
    (void)state;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        wish.version_max = versions[i];
        check_refused(&settings, &wish, "the server speaks neither TLS 1.2 nor 1.3");
    }
}

static void test_alpn(void **state)
{
    (void)state;
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    settings.alpn = "imap";
    struct talk talk;
    const char *fine[] = {NULL, "imap"};
    for (size_t i = 0; i < LENGTH_OF(fine); i++) {
        wish.alpn = fine[i];
        talk_init(&talk, &settings, &wish, SIZE_MAX);
        shake_hands(&talk);
        assert_int_equal(tls_state(talk.client), TLS_OPEN);
        talk_fini(&talk);
    }
    const char *wrong[] = {"h2", "http/1.1", "ima", "imapx"};
    for (size_t i = 0; i < LENGTH_OF(wrong); i++) {
        wish.alpn = wrong[i];
        talk_init(&talk, &settings, &wish, SIZE_MAX);
        shake_hands(&talk);
        assert_int_equal(tls_state(talk.client), TLS_FAILED);
        assert_string_not_equal(tls_why(talk.client), "");
        assert_int_equal(buf_size(&talk.server->plain), 0);
        talk_fini(&talk);
    }
}

/* -- authorities -- */

static void check_bundle(struct slice bundle, int status, const char *text)
{
    struct err err = {0};
    struct tls_authorities *authorities;
    assert_int_equal(tls_authorities_new(bundle, &authorities, &err), status);
    if (status != 0) {
        assert_null(authorities);
        assert_string_equal(err.text, text);
    }
    tls_authorities_free(authorities);
}

static void test_bundles(void **state)
{
    (void)state;
    check_bundle(SLICE_NONE, ERR_SYNTAX, "no certificate in it");
    check_bundle(SLICE_LITERAL("nothing here\n"), ERR_SYNTAX, "no certificate in it");
    check_bundle(SLICE_LITERAL("-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"),
                 ERR_SYNTAX, "certificate 1 cannot be read");
    char *root = certificate_text(all.root), *other = certificate_text(all.other_root);
    struct buf text;
    buf_init(&text, 64 * 1024);
    assert_int_equal(buf_append_string(&text, "# the first\n"), 0);
    assert_int_equal(buf_append_string(&text, root), 0);
    assert_int_equal(buf_append_string(&text, "# the second, twice\n"), 0);
    assert_int_equal(buf_append_string(&text, other), 0);
    assert_int_equal(buf_append_string(&text, other), 0);
    check_bundle(buf_bytes(&text), 0, NULL);
    assert_int_equal(buf_append(&text, slice_take(slice_of_string(root), 300)), 0);
    check_bundle(buf_bytes(&text), ERR_SYNTAX, "certificate 4 cannot be read");
    buf_fini(&text);
    mem_free(root);
    mem_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_what_was_presented),
        cmocka_unit_test(test_unknown_authority),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_zeros_in_a_name),
        cmocka_unit_test(test_common_name_does_not_count),
        cmocka_unit_test(test_address_literals),
        cmocka_unit_test(test_no_host_name),
        cmocka_unit_test(test_wildcard_and_chain),
        cmocka_unit_test(test_not_an_authority),
        cmocka_unit_test(test_plaintext_instead),
        cmocka_unit_test(test_old_version),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_bundles),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
