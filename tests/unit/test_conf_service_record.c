/*
 * Answers of name servers, octet by octet: what is taken from them, and that no damaged one is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/service_record.h"

#define HEADER(flags, questions, answers) "\x12\x34" flags "\0" questions "\0" answers "\0\0\0\0"
/* "_imaps._tcp.example.test" at octet 12, "example.test" at 24. */
#define QUESTION "\6_imaps\4_tcp\7example\4test\0\0\x21\0\1"
#define RECORD(size, priority, weight, port, target)                                               \
    "\xc0\x0c\0\x21\0\1\0\0\x0e\x10\0" size "\0" priority "\0" weight port target
#define P993       "\3\xe1"
#define TO_EXAMPLE "\xc0\x18"             /* example.test */
#define TO_A       "\1a\xc0\x18"          /* a.example.test */
#define TO_B       "\1b\7example\4test\0" /* b.example.test */
#define GOOD_FLAGS "\x81\x80"
#define ANSWER(text)                                                                               \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

struct answer_case {
    struct slice answer;
    const char *imap; /* or the exchanger. NULL: ERR_SYNTAX; "": nothing is taken */
};

static void assert_taken(struct slice answer, enum service_record_kind kind, enum protocol protocol,
                         const char *expected)
{
    struct mail_service service = {0};
    char text[MAIL_SERVER_TEXT] = "";
    int status = service_record_take(answer, kind, &service);
    assert_int_equal(status, expected == NULL ? ERR_SYNTAX : 0);
    if (service.servers[protocol].endpoint.is_set) {
        mail_server_text(&service.servers[protocol], text);
        assert_true(service.servers[protocol].takes_token);
        assert_true(service.servers[protocol].takes_password);
    }
    assert_string_equal(text, expected == NULL ? "" : expected);
    mail_service_clear(&service);
}

static void names(void **state)
{
    char name[SERVICE_NAME_MAX];
    (void)state;
    service_record_name(SERVICE_SUBMISSIONS, "example.test", name);
    assert_string_equal(name, "_submissions._tcp.example.test");
}

static void answers(void **state)
{
    static const struct answer_case cases[] = {
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                    QUESTION RECORD("\x08", "\0", "\1", P993, TO_EXAMPLE)),
         "tls://example.test:993"},
        {ANSWER(HEADER(GOOD_FLAGS, "\0", "\1") "\0"
                                               "\0\x21\0\1\0\0\0\0\0\x16\0\0\0\0" P993 TO_B),
         "tls://b.example.test:993"},
        /* the lowest priority, then the highest weight */
        {ANSWER(
             HEADER(GOOD_FLAGS, "\1", "\3") QUESTION RECORD("\x08", "\2", "\x09", P993, TO_EXAMPLE)
                 RECORD("\x0a", "\1", "\1", P993, TO_A) RECORD("\x16", "\1", "\2", P993, TO_B)),
         "tls://b.example.test:993"},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\2") QUESTION RECORD("\x0a", "\1", "\2", P993, TO_A)
                    RECORD("\x16", "\1", "\2", P993, TO_B)),
         "tls://a.example.test:993"},
        /* not there: RFC 6186 section 3.4 */
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") QUESTION RECORD("\x07", "\0", "\0", "\0\0", "\0")),
         ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\0") QUESTION), ""},
        /* records of other types and classes */
        {ANSWER(
             HEADER(GOOD_FLAGS, "\1", "\2") QUESTION
             "\xc0\x0c\0\5\0\1\0\0\0\0\0\2\xc0\x18" RECORD("\x08", "\0", "\0", P993, TO_EXAMPLE)),
         "tls://example.test:993"},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") QUESTION
                "\xc0\x0c\0\x21\0\3\0\0\0\0\0\x08\0\0\0\0" P993 TO_EXAMPLE),
         ""},
        /* targets that are no host names are passed over, others count */
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\2") QUESTION RECORD("\x0a", "\0", "\0", P993, "\2a \0")
                    RECORD("\x08", "\1", "\0", P993, TO_EXAMPLE)),
         "tls://example.test:993"},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\2") QUESTION RECORD("\x0a", "\0", "\0", P993, "\2a \0")),
         NULL}, /* there is no second */
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") QUESTION RECORD("\x0a", "\0", "\0", P993, "\2a \0")),
         ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                    QUESTION RECORD("\x0c", "\0", "\0", P993, "\4a\0.b\0")),
         ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") QUESTION RECORD("\x0b", "\0", "\0", P993,
                                                               "\3a\x1b"
                                                               "b\0")),
         ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") QUESTION RECORD("\x0b", "\0", "\0", P993,
                                                               "\1"
                                                               "1\1"
                                                               "1\0")),
         ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                    QUESTION RECORD("\x08", "\0", "\0", "\0\0", TO_EXAMPLE)),
         ""},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_taken(cases[i].answer, SERVICE_IMAPS, PROTOCOL_IMAP, cases[i].imap);
}

static void damaged_answers(void **state)
{
    static const struct slice cases[] = {
        {NULL, 0},
        ANSWER("\x12\x34\x81\x80\0\0\0\0\0\0\0"),
        ANSWER(HEADER("\1\x80", "\0", "\0")),   /* a query */
        ANSWER(HEADER("\x83\x80", "\0", "\0")), /* cut */
        ANSWER(HEADER("\x81\x83", "\0", "\0")), /* NXDOMAIN */
        ANSWER(HEADER("\x91\x80", "\0", "\0")), /* another operation */
        ANSWER(HEADER(GOOD_FLAGS, "\5", "\0") "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ANSWER(HEADER(GOOD_FLAGS, "\1", "\0")),
        ANSWER(HEADER(GOOD_FLAGS, "\0", "\1")),
        ANSWER(HEADER(GOOD_FLAGS, "\0", "\1") "\xc0"),
        ANSWER(HEADER(GOOD_FLAGS, "\0", "\1") "\xc0\x0c\0\x21\0\1\0\0\0\0\0\0"), /* to itself */
        ANSWER(
            HEADER(GOOD_FLAGS, "\0", "\1") "\1a\xc0\x0c\0\x21\0\1\0\0\0\0\0\0"), /* in a circle */
        ANSWER(HEADER(GOOD_FLAGS, "\0", "\1") "\xff\xff\0\x21\0\1\0\0\0\0\0\0"),
        ANSWER(HEADER(GOOD_FLAGS, "\0", "\1") "\x40\0\0\x21\0\1\0\0\0\0\0\0"),
        ANSWER(HEADER(GOOD_FLAGS, "\0", "\1") "\x3f"
                                              "abc"),
        ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                   QUESTION RECORD("\x09", "\0", "\1", P993, TO_EXAMPLE)),
        ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                   QUESTION RECORD("\x09", "\0", "\1", P993, TO_EXAMPLE "x")),
        ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                   QUESTION RECORD("\x07", "\0", "\1", P993, TO_EXAMPLE)),
        ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                   QUESTION RECORD("\x05", "\0", "\1", P993, TO_EXAMPLE)),
        ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                   QUESTION RECORD("\x00", "\0", "\1", P993, TO_EXAMPLE)),
        ANSWER(HEADER(GOOD_FLAGS, "\1", "\2")
                   QUESTION RECORD("\x08", "\0", "\1", P993, TO_EXAMPLE)),
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_taken(cases[i], SERVICE_IMAPS, PROTOCOL_IMAP, NULL);
}

static void every_cut_is_damage(void **state)
{
    static const char whole[] =
        HEADER(GOOD_FLAGS, "\1", "\2") QUESTION RECORD("\x08", "\2", "\1", P993, TO_EXAMPLE)
            RECORD("\x16", "\1", "\2", P993, TO_B);
    (void)state;
    for (size_t size = 0; size < sizeof(whole) - 1; size++) {
        uint8_t *cut = mem_new(size);
        memcpy(cut, whole, size);
        assert_taken(slice_of(cut, size), SERVICE_IMAPS, PROTOCOL_IMAP, NULL);
        mem_free(cut);
    }
    assert_taken(slice_of(whole, sizeof(whole) - 1), SERVICE_IMAPS, PROTOCOL_IMAP,
                 "tls://b.example.test:993");
}

static void names_have_an_end(void **state)
{
    /* Four labels of 63 octets are more than a name may have. */
    uint8_t answer[512] = HEADER(GOOD_FLAGS, "\0", "\1");
    size_t size = 12;
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        answer[size] = 63;
        memset(answer + size + 1, 'a', 63);
        size += 64;
    }
    memcpy(answer + size, "\0\0\1\0\1\0\0\0\0\0\0", 11);
    assert_taken(slice_of(answer, size + 11), SERVICE_IMAPS, PROTOCOL_IMAP, NULL);
    answer[12 + 3 * 64] = 0;
    memcpy(answer + 12 + 3 * 64 + 1, "\0\1\0\1\0\0\0\0\0\0", 10);
    assert_taken(slice_of(answer, 12 + 3 * 64 + 11), SERVICE_IMAPS, PROTOCOL_IMAP, "");
}

static void kinds_and_their_order(void **state)
{
    static const struct {
        enum service_record_kind kind;
        enum protocol protocol;
        const char *text;
    } cases[] = {
        {SERVICE_IMAPS, PROTOCOL_IMAP, "tls://example.test:993"},
        {SERVICE_IMAP, PROTOCOL_IMAP, "starttls://example.test:993"},
        {SERVICE_POP3S, PROTOCOL_POP3, "tls://example.test:993"},
        {SERVICE_POP3, PROTOCOL_POP3, "starttls://example.test:993"},
        {SERVICE_SUBMISSIONS, PROTOCOL_SMTP, "tls://example.test:993"},
        {SERVICE_SUBMISSION, PROTOCOL_SMTP, "starttls://example.test:993"},
    };
    static const struct slice answer = ANSWER(
        HEADER(GOOD_FLAGS, "\1", "\1") QUESTION RECORD("\x08", "\0", "\1", P993, TO_EXAMPLE));
    struct mail_service service = {0};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        assert_taken(answer, cases[i].kind, cases[i].protocol, cases[i].text);
        assert_int_equal(service_record_take(answer, cases[i].kind, &service), 0);
    }
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        assert_int_equal(service.servers[i].endpoint.tls, TLS_MODE_ON);
    mail_service_clear(&service);
}

#define MX_QUESTION                "\7example\4test\0\0\x0f\0\1"
#define MX(size, priority, target) "\xc0\x0c\0\x0f\0\1\0\0\x0e\x10\0" size "\0" priority target

static void exchangers(void **state)
{
    static const struct answer_case cases[] = {
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\2") MX_QUESTION MX("\x06", "\x0a", "\1b\xc0\x0c")
                    MX("\x06", "\5", "\1a\xc0\x0c")),
         "a.example.test"},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") MX_QUESTION MX("\3", "\0", "\0")),
         ""}, /* RFC 7505 */
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\0") MX_QUESTION), ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1")
                    QUESTION RECORD("\x08", "\0", "\1", P993, TO_EXAMPLE)),
         ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") MX_QUESTION MX("\x08", "\0",
                                                              "\3a\x1b"
                                                              "b\xc0\x0c")),
         ""},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") MX_QUESTION MX("\7", "\0", "\1a\xc0\x0c")), NULL},
        {ANSWER(HEADER(GOOD_FLAGS, "\1", "\1") MX_QUESTION MX("\1", "\0", "")), NULL},
        {ANSWER(HEADER("\x81\x83", "\1", "\0") MX_QUESTION), NULL},
        {{NULL, 0}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        char name[MAIL_EXCHANGER_MAX] = "";
        int status = mail_exchanger_read(cases[i].answer, name);
        assert_int_equal(status, cases[i].imap == NULL ? ERR_SYNTAX : 0);
        assert_string_equal(name, cases[i].imap == NULL ? "" : cases[i].imap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(answers),
        cmocka_unit_test(damaged_answers),
        cmocka_unit_test(every_cut_is_damage),
        cmocka_unit_test(names_have_an_end),
        cmocka_unit_test(kinds_and_their_order),
        cmocka_unit_test(exchangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
