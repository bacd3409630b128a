/*
 * The client side of SASL with a token: the messages octet by octet, what is refused, and that
 * nothing of the machine is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/hostname.h"
#include "auth/sasl_client.h"

#define SOH "\001"

static struct sasl_initiator_library *library;

static int open_library(void **state)
{
    (void)state;
    struct err err = {0};
    if (sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &library, &err) != 0)
        fail_msg("%s", err.text);
    return 0;
}

static int close_library(void **state)
{
    (void)state;
    sasl_initiator_library_close(library);
    library = NULL;
    return 0;
}

struct wanted {
    const char *mechanism, *service, *host, *user;
    struct slice token;
    uint16_t port;
};

static int make(const struct wanted *wanted, struct sasl_initiator **initiator_out)
{
    struct secret token = {0};
    secret_set(&token, wanted->token);
    struct sasl_initiator_identity identity = {
        .service = wanted->service != NULL ? wanted->service : "imap",
        .host = wanted->host != NULL ? wanted->host : "imap.example.com",
        .port = wanted->port != 0 ? wanted->port : 993,
        .user = wanted->user != NULL ? wanted->user : "alice@example.com",
        .token = &token,
    };
    int status = sasl_initiator_new(library, wanted->mechanism, &identity, initiator_out);
    /* Taken, or left where it was. */
    assert_int_equal(secret_is_set(&token), status != 0);
    assert_int_equal(*initiator_out != NULL, status == 0);
    secret_wipe(&token);
    return status;
}

static struct sasl_initiator *make_good(const struct wanted *wanted)
{
    struct sasl_initiator *initiator = NULL;
    assert_int_equal(make(wanted, &initiator), 0);
    return initiator;
}

static void assert_slice(struct slice slice, struct slice expected)
{
    assert_int_equal(slice.size, expected.size);
    if (expected.size > 0)
        assert_memory_equal(slice.data, expected.data, expected.size);
}

static void assert_first_message(const struct wanted *wanted, struct slice expected)
{
    struct slice response;
    struct sasl_initiator *initiator = make_good(wanted);
    assert_int_equal(sasl_initiator_start(initiator, &response), 0);
    assert_slice(response, expected);
    sasl_initiator_free(initiator);
}

static const struct wanted xoauth2 = {.mechanism = "XOAUTH2", .token = {(const uint8_t *)"t0k", 3}};
static const struct wanted oauthbearer = {.mechanism = "OAUTHBEARER",
                                          .token = {(const uint8_t *)"t0k", 3}};

static void no_other_mechanism_takes_a_token(void **state)
{
    (void)state;
    struct sasl_initiator *initiator = NULL;
    assert_string_equal(sasl_initiator_library_mechanisms(library),
                        "OAUTHBEARER XOAUTH2 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN");
    static const char *const others[] = {
        "PLAIN",     "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL",
        "ANONYMOUS", "",      "xoauth2",     "XOAUTH",        "OAUTHBEARER XOAUTH2"};
    for (size_t i = 0; i < LENGTH_OF(others); i++) {
        struct wanted wanted = xoauth2;
        wanted.mechanism = others[i];
        assert_int_equal(make(&wanted, &initiator), ERR_NOT_FOUND);
    }
}

static void xoauth2_message(void **state)
{
    (void)state;
    struct wanted wanted = xoauth2;
    assert_first_message(&wanted,
                         SLICE_LITERAL("user=alice@example.com" SOH "auth=Bearer t0k" SOH SOH));
    wanted.user = "a,b=c@example.com";
    wanted.token = SLICE_LITERAL("AZaz09-._~+/==");
    assert_first_message(
        &wanted, SLICE_LITERAL("user=a,b=c@example.com" SOH "auth=Bearer AZaz09-._~+/==" SOH SOH));
}

/* The first example of RFC 7628 section 4.1, and what its section 3.1 says of names. */
static void oauthbearer_message(void **state)
{
    (void)state;
    struct wanted wanted = {
        .mechanism = "OAUTHBEARER",
        .host = "server.example.com",
        .port = 143,
        .user = "user@example.com",
        .token = SLICE_LITERAL("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="),
    };
    assert_first_message(
        &wanted,
        SLICE_LITERAL("n,a=user@example.com," SOH "host=server.example.com" SOH "port=143" SOH
                      "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" SOH SOH));
    wanted = oauthbearer;
    wanted.user = "a,b=c,";
    wanted.port = 65535;
    assert_first_message(&wanted, SLICE_LITERAL("n,a=a=2Cb=3Dc=2C," SOH "host=imap.example.com" SOH
                                                "port=65535" SOH "auth=Bearer t0k" SOH SOH));
}

static void services_and_plain_host(void **state)
{
    (void)state;
    static const char *const services[] = {"imap", "pop", "smtp"};
    for (size_t i = 0; i < LENGTH_OF(services); i++) {
        struct wanted wanted = oauthbearer;
        wanted.service = services[i];
        wanted.host = "localhost";
        wanted.port = 1143;
        assert_first_message(&wanted,
                             SLICE_LITERAL("n,a=alice@example.com," SOH "host=localhost" SOH
                                           "port=1143" SOH "auth=Bearer t0k" SOH SOH));
    }
}

static void errors_are_answered(void **state)
{
    (void)state;
    static const struct slice challenges[] = {
        SLICE_LITERAL("{\"status\":\"400\",\"schemes\":\"Bearer\"}"),
        SLICE_LITERAL("not JSON at all \377\0"),
        {NULL, 0},
    };
    for (size_t i = 0; i < LENGTH_OF(challenges); i++) {
        struct slice response;
        struct sasl_initiator *initiator = make_good(&xoauth2);
        assert_int_equal(sasl_initiator_step(initiator, challenges[i], &response), ERR_SYNTAX);
        assert_false(sasl_initiator_is_complete(initiator));
        assert_int_equal(sasl_initiator_start(initiator, &response), 0);
        assert_true(sasl_initiator_is_complete(initiator));
        assert_int_equal(sasl_initiator_start(initiator, &response), ERR_SYNTAX);
        assert_int_equal(response.size, 0);
        assert_int_equal(sasl_initiator_step(initiator, challenges[i], &response), 0);
        assert_slice(response, SLICE_LITERAL(""));
        assert_non_null(response.data);
        assert_int_equal(sasl_initiator_step(initiator, challenges[i], &response), ERR_SYNTAX);
        assert_null(response.data);
        sasl_initiator_free(initiator);

        initiator = make_good(&oauthbearer);
        assert_int_equal(sasl_initiator_start(initiator, &response), 0);
        assert_int_equal(sasl_initiator_step(initiator, challenges[i], &response), 0);
        assert_slice(response, SLICE_LITERAL(SOH));
        assert_int_equal(sasl_initiator_step(initiator, challenges[i], &response), ERR_SYNTAX);
        sasl_initiator_free(initiator);
    }
}

static void long_token(void **state)
{
    (void)state;
    static const char *const mechanisms[] = {"XOAUTH2", "OAUTHBEARER"};
    enum { SIZE = 16 * 1024 };
    char *token = mem_new(SIZE + 1);
    char *user = mem_new(320 + 1);
    memset(token, 'T', SIZE + 1);
    memset(user, ',', 320); /* every octet grows to three in OAUTHBEARER */
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        struct slice response;
        struct sasl_initiator *initiator = NULL;
        struct wanted wanted = {
            .mechanism = mechanisms[i], .user = user, .token = slice_of(token, SIZE)};
        assert_int_equal(make(&wanted, &initiator), 0);
        assert_int_equal(sasl_initiator_start(initiator, &response), 0);
        assert_true(response.size > SIZE);
        struct slice end = slice_skip(response, response.size - SIZE - 2);
        assert_slice(slice_take(end, SIZE), wanted.token);
        assert_slice(slice_skip(end, SIZE), SLICE_LITERAL(SOH SOH));
        size_t fixed = i == 0 ? strlen("user=" SOH "auth=Bearer " SOH SOH) + 320
                              : strlen("n,a=," SOH "host=imap.example.com" SOH "port=993" SOH
                                       "auth=Bearer " SOH SOH) +
                                    3 * 320;
        assert_int_equal(response.size, fixed + SIZE);
        sasl_initiator_free(initiator);

        wanted.token = slice_of(token, SIZE + 1);
        assert_int_equal(make(&wanted, &initiator), ERR_DENIED);
    }
    mem_free(token);
    mem_free(user);
}

static void injections_are_denied(void **state)
{
    (void)state;
    char long_user[322], long_host[255];
    memset(long_user, 'u', sizeof(long_user) - 1);
    long_user[sizeof(long_user) - 1] = '\0';
    memset(long_host, 'h', sizeof(long_host) - 1);
    long_host[sizeof(long_host) - 1] = '\0';
    const struct wanted cases[] = {
        {.user = "victim" SOH "auth=Bearer EVIL" SOH SOH},
        {.user = "a\r\nb"},
        {.user = "a\nb"},
        {.user = "a\tb"},
        {.user = "a\177"},
        {.user = ""},
        {.user = "a\377"},
        {.user = "\300\257"},
        {.user = long_user},
        {.host = "imap.example.com" SOH "auth=x"},
        {.host = "imap example"},
        {.host = "imap.example.com\r"},
        {.host = "im\303\244p"},
        {.host = ""},
        {.host = long_host},
        {.token = SLICE_LITERAL("")},
        {.token = SLICE_LITERAL("=")},
        {.token = SLICE_LITERAL("a b")},
        {.token = SLICE_LITERAL("a\r\n")},
        {.token = SLICE_LITERAL("a" SOH)},
        {.token = SLICE_LITERAL("a\0b")},
        {.token = SLICE_LITERAL("a\0")},
        {.token = SLICE_LITERAL("a=b")},
        {.token = SLICE_LITERAL("a,b")},
        {.token = SLICE_LITERAL("a\"")},
        {.token = SLICE_LITERAL("a\303\251")},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        for (int bearer = 0; bearer < 2; bearer++) {
            struct sasl_initiator *initiator = NULL;
            struct wanted wanted = cases[i];
            wanted.mechanism = bearer ? "OAUTHBEARER" : "XOAUTH2";
            if (wanted.token.data == NULL)
                wanted.token = SLICE_LITERAL("t0k");
            assert_int_equal(make(&wanted, &initiator), ERR_DENIED);
        }
}

static void exchanges_are_separate(void **state)
{
    (void)state;
    struct slice first_response, second_response;
    struct wanted wanted = xoauth2;
    struct sasl_initiator *first = make_good(&xoauth2);
    wanted.user = "bob";
    wanted.token = SLICE_LITERAL("other");
    struct sasl_initiator *second = make_good(&wanted);
    assert_int_equal(sasl_initiator_start(second, &second_response), 0);
    assert_int_equal(sasl_initiator_start(first, &first_response), 0);
    assert_slice(first_response,
                 SLICE_LITERAL("user=alice@example.com" SOH "auth=Bearer t0k" SOH SOH));
    assert_slice(second_response, SLICE_LITERAL("user=bob" SOH "auth=Bearer other" SOH SOH));
    sasl_initiator_free(first);
    assert_int_equal(sasl_initiator_step(second, SLICE_LITERAL("{}"), &second_response), 0);
    sasl_initiator_free(second);
    sasl_initiator_free(make_good(&oauthbearer));
    sasl_initiator_free(NULL);
}

static void opens_again_and_again(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct sasl_initiator_library *second = NULL;
        struct err err = {0};
        open_library(state);
        assert_int_equal(sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &second, &err),
                         ERR_EXISTS);
        assert_null(second);
        assert_first_message(&xoauth2,
                             SLICE_LITERAL("user=alice@example.com" SOH "auth=Bearer t0k" SOH SOH));
        close_library(state);
    }
    sasl_initiator_library_close(NULL);
}

/* libsasl2 asks gethostname; that has to be this program's, with a dot in it. */
static void machine_name_is_our_own(void **state)
{
    (void)state;
    char name[64] = "", small[4];
    assert_true(hostname_is_ours());
    assert_int_equal(gethostname(name, sizeof(name)), 0);
    assert_string_equal(name, HOSTNAME_TEXT);
    assert_non_null(strchr(name, '.'));
    assert_int_equal(gethostname(small, sizeof(small)), -1);
}

#define WITH_LIBRARY(test) cmocka_unit_test_setup_teardown(test, open_library, close_library)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LIBRARY(no_other_mechanism_takes_a_token),
        WITH_LIBRARY(xoauth2_message),
        WITH_LIBRARY(oauthbearer_message),
        WITH_LIBRARY(services_and_plain_host),
        WITH_LIBRARY(errors_are_answered),
        WITH_LIBRARY(long_token),
        WITH_LIBRARY(injections_are_denied),
        WITH_LIBRARY(exchanges_are_separate),
        cmocka_unit_test(opens_again_and_again),
        cmocka_unit_test(machine_name_is_our_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
