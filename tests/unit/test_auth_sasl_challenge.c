/*
 * The challenge mechanisms, against libsasl2's own client, which this program starts with the
 * plug-ins of the same folder.
 */
#include <sasl/sasl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/acceptor.h"
#include "../lib/challenge_client.h"

static int open_with_client(void **state)
{
    acceptor_open_every(state);
    challenge_client_library_open();
    return 0;
}

static int close_with_client(void **state)
{
    challenge_client_library_close();
    return acceptor_close_library(state);
}

/* Runs the exchange to its end. *rounds_out: how many messages the server got. */
static enum sasl_verdict converse(struct sasl_acceptor *acceptor, struct challenge_client *client,
                                  const char *mechanism, unsigned *rounds_out)
{
    const char *output = NULL;
    unsigned size = 0;
    *rounds_out = 0;
    int status = sasl_client_start(client->connection, mechanism, NULL, &output, &size, NULL);
    for (;;) {
        assert_true(status == SASL_CONTINUE || status == SASL_OK);
        struct slice challenge;
        bool has_bytes = *rounds_out > 0 || output != NULL;
        enum sasl_verdict verdict =
            sasl_acceptor_step(acceptor, has_bytes, slice_of(output, size), &challenge);
        ++*rounds_out;
        if (verdict != SASL_VERDICT_CONTINUE)
            return verdict;
        assert_null(sasl_acceptor_user(acceptor));
        if (status == SASL_OK) {
            output = "";
            size = 0;
            continue;
        }
        char *bytes = mem_copy_bytes_as_string(challenge.data, challenge.size);
        status = sasl_client_step(client->connection, bytes, (unsigned)challenge.size, NULL,
                                  &output, &size);
        mem_free(bytes);
        if (output == NULL)
            output = "";
    }
}

static const char *const challenge_mechanisms[] = {"CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1",
                                                   "SCRAM-SHA-256", "SCRAM-SHA-512"};

static void challenge_mechanisms_accept(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(challenge_mechanisms); i++) {
        struct acceptor_record record;
        struct challenge_client client;
        unsigned rounds;
        challenge_client_open(&client, "alice", "", "pencil");
        struct sasl_acceptor *acceptor = acceptor_begin(challenge_mechanisms[i], &record);
        assert_int_equal(converse(acceptor, &client, challenge_mechanisms[i], &rounds),
                         SASL_VERDICT_ACCEPTED);
        assert_string_equal(sasl_acceptor_user(acceptor), "alice");
        assert_int_equal(record.checks, 0);
        assert_int_equal(record.lookups, 1);
        acceptor_end(acceptor);
        challenge_client_close(&client);
    }
}

/* libsasl2's client sends them: its own plug-in strips only spaces. */
static void challenge_mechanisms_refuse_names(void **state)
{
    (void)state;
    static const char *const names[] = {"ali\001ce", "ali\377ce", "al\tice"};
    for (size_t i = 0; i < LENGTH_OF(challenge_mechanisms); i++)
        for (size_t j = 0; j < LENGTH_OF(names); j++) {
            struct acceptor_record record;
            struct challenge_client client;
            unsigned rounds;
            challenge_client_open(&client, names[j], "", "pencil");
            struct sasl_acceptor *acceptor = acceptor_begin(challenge_mechanisms[i], &record);
            assert_int_equal(converse(acceptor, &client, challenge_mechanisms[i], &rounds),
                             SASL_VERDICT_REFUSED);
            assert_int_equal(record.lookups, 0);
            acceptor_end(acceptor);
            challenge_client_close(&client);
        }
}

static void challenge_mechanisms_refuse(void **state)
{
    (void)state;
    static const struct {
        const char *user, *password;
    } cases[] = {{"alice", "wrong"}, {"alice", "secret"}, {"nobody", "pencil"}};
    for (size_t i = 0; i < LENGTH_OF(challenge_mechanisms); i++) {
        unsigned rounds[LENGTH_OF(cases)];
        for (size_t j = 0; j < LENGTH_OF(cases); j++) {
            struct acceptor_record record;
            struct challenge_client client;
            challenge_client_open(&client, cases[j].user, "", cases[j].password);
            struct sasl_acceptor *acceptor = acceptor_begin(challenge_mechanisms[i], &record);
            assert_int_equal(converse(acceptor, &client, challenge_mechanisms[i], &rounds[j]),
                             SASL_VERDICT_REFUSED);
            assert_int_equal(record.checks, 0);
            acceptor_end(acceptor);
            challenge_client_close(&client);
        }
        /* An unknown user is refused at the same point as a wrong password. */
        assert_int_equal(rounds[0], rounds[2]);
    }
}

static void nobody_acts_for_another(void **state)
{
    (void)state;
    static const char *const mechanisms[] = {"DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"};
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        struct acceptor_record record;
        struct challenge_client client;
        unsigned rounds;
        challenge_client_open(&client, "alice", "bob", "pencil");
        struct sasl_acceptor *acceptor = acceptor_begin(mechanisms[i], &record);
        assert_int_equal(converse(acceptor, &client, mechanisms[i], &rounds), SASL_VERDICT_REFUSED);
        acceptor_end(acceptor);
        challenge_client_close(&client);
    }
}

/* A server that has sent its proof waits for an empty answer, and for nothing else. */
static void success_data_wants_an_empty_answer(void **state)
{
    (void)state;
    struct acceptor_record record;
    struct challenge_client client;
    const char *output = NULL;
    unsigned size = 0;
    struct slice challenge;
    challenge_client_open(&client, "alice", "", "pencil");
    struct sasl_acceptor *acceptor = acceptor_begin("SCRAM-SHA-256", &record);
    assert_int_equal(
        sasl_client_start(client.connection, "SCRAM-SHA-256", NULL, &output, &size, NULL),
        SASL_CONTINUE);
    assert_int_equal(sasl_acceptor_step(acceptor, true, slice_of(output, size), &challenge),
                     SASL_VERDICT_CONTINUE);
    char *bytes = mem_copy_bytes_as_string(challenge.data, challenge.size);
    assert_int_equal(
        sasl_client_step(client.connection, bytes, (unsigned)challenge.size, NULL, &output, &size),
        SASL_CONTINUE);
    mem_free(bytes);
    assert_int_equal(sasl_acceptor_step(acceptor, true, slice_of(output, size), &challenge),
                     SASL_VERDICT_CONTINUE);
    assert_true(slice_starts_with(challenge, "v="));
    assert_null(sasl_acceptor_user(acceptor));
    acceptor_step(acceptor, SLICE_LITERAL("x"), SASL_VERDICT_MALFORMED, "");
    acceptor_end(acceptor);
    challenge_client_close(&client);
}

static void nonsense_is_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism;
        struct slice first;
    } cases[] = {
        {"CRAM-MD5", SLICE_LITERAL("alice 0123")},
        {"SCRAM-SHA-256", SLICE_LITERAL("x")},
        {"SCRAM-SHA-256", SLICE_LITERAL("n,,n=alice")},
        {"SCRAM-SHA-256", SLICE_LITERAL("n,,m=x,n=alice,r=abc")},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct acceptor_record record;
        struct sasl_acceptor *acceptor = acceptor_begin(cases[i].mechanism, &record);
        acceptor_step(acceptor, cases[i].first, SASL_VERDICT_MALFORMED, "");
        assert_int_equal(record.lookups, 0);
        acceptor_end(acceptor);
    }
}

#define WITH_CLIENT(test) cmocka_unit_test_setup_teardown(test, open_with_client, close_with_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CLIENT(challenge_mechanisms_accept),        WITH_CLIENT(challenge_mechanisms_refuse),
        WITH_CLIENT(challenge_mechanisms_refuse_names),  WITH_CLIENT(nobody_acts_for_another),
        WITH_CLIENT(success_data_wants_an_empty_answer), WITH_CLIENT(nonsense_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
