/*
 * The client side of SASL with a password, against our own server side; then against servers that
 * lie. The password that the server knows is `world.known`.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/scratch_folder.h"
#include "auth/credential.h"
#include "auth/sasl_client.h"
#include "auth/sasl_server.h"

#define USER     "alice@example.com"
#define PASSWORD "p\303\244ss word\001\377\177"

static struct {
    struct sasl_initiator_library *initiators;
    struct sasl_acceptor_library *acceptors;
    struct slice known;
} world;

static const struct mechanism {
    const char *name;
    bool server_is_first;
    unsigned messages; /* of the client; with SCRAM the last is empty */
} mechanisms[] = {
    {"PLAIN", false, 1},
    {"LOGIN", true, 3},
    {"SCRAM-SHA-1", false, 3},
    {"SCRAM-SHA-256", false, 3},
};

static enum sasl_check check(void *exchange, struct slice user, struct slice password)
{
    (void)exchange;
    return slice_is(user, USER) && slice_equal(password, world.known) ? SASL_CHECK_MATCH
                                                                      : SASL_CHECK_MISMATCH;
}

static int tell_password(void *exchange, struct slice user, struct secret *password_out)
{
    (void)exchange;
    if (!slice_is(user, USER))
        return ERR_NOT_FOUND;
    secret_set(password_out, world.known);
    return 0;
}

static int open_libraries(void **state)
{
    (void)state;
    static const struct sasl_users users = {check, tell_password};
    struct err err = {0};
    world.known = SLICE_LITERAL(PASSWORD);
    if (sasl_acceptor_library_open(SASL_PLUGIN_FOLDER, "PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256",
                                   &users, &world.acceptors, &err) != 0 ||
        sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &world.initiators, &err) != 0)
        fail_msg("%s", err.text);
    return 0;
}

static int close_libraries(void **state)
{
    (void)state;
    sasl_initiator_library_close(world.initiators);
    sasl_acceptor_library_close(world.acceptors);
    return 0;
}

static int make(const char *mechanism, const char *user, struct slice password,
                struct sasl_initiator **initiator_out)
{
    struct secret secret = {0};
    secret_set(&secret, password);
    struct sasl_initiator_identity identity = {
        .service = "imap",
        .host = "imap.example.com",
        .port = 993,
        .user = user,
        .token = &secret,
        .is_password = true,
    };
    int status = sasl_initiator_new(world.initiators, mechanism, &identity, initiator_out);
    /* Taken, or left where it was. */
    assert_int_equal(secret_is_set(&secret), status != 0);
    assert_int_equal(*initiator_out != NULL, status == 0);
    secret_wipe(&secret);
    return status;
}

static struct sasl_initiator *make_good(const char *mechanism, struct slice password)
{
    struct sasl_initiator *initiator = NULL;
    assert_int_equal(make(mechanism, USER, password, &initiator), 0);
    return initiator;
}

/* Runs the exchange to the server's word. Success is believed only of a complete exchange. */
static enum sasl_verdict converse(const char *mechanism, struct sasl_initiator *initiator,
                                  unsigned *messages_out)
{
    struct sasl_acceptor *acceptor = NULL;
    struct slice response, challenge;
    enum sasl_verdict verdict;
    assert_int_equal(sasl_acceptor_new(world.acceptors, "imap", mechanism, NULL, &acceptor), 0);
    assert_int_equal(sasl_initiator_start(initiator, &response), 0);
    bool has_bytes = response.data != NULL;
    *messages_out = 0;
    for (;;) {
        ++*messages_out;
        verdict = sasl_acceptor_step(acceptor, has_bytes, response, &challenge);
        if (verdict != SASL_VERDICT_CONTINUE)
            break;
        assert_false(sasl_initiator_is_complete(initiator));
        assert_int_equal(sasl_initiator_step(initiator, challenge, &response), 0);
        assert_non_null(response.data);
        has_bytes = true;
    }
    if (verdict == SASL_VERDICT_ACCEPTED) {
        assert_true(sasl_initiator_is_complete(initiator));
        assert_string_equal(sasl_acceptor_user(acceptor), USER);
    }
    sasl_acceptor_free(acceptor);
    return verdict;
}

static void a_server_that_knows_it_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        unsigned messages;
        struct slice response;
        struct sasl_initiator *initiator = make_good(mechanisms[i].name, world.known);
        assert_int_equal(converse(mechanisms[i].name, initiator, &messages), SASL_VERDICT_ACCEPTED);
        assert_int_equal(messages, mechanisms[i].messages);
        /* There is nothing more to say. */
        assert_int_equal(sasl_initiator_step(initiator, SLICE_LITERAL("x"), &response), ERR_SYNTAX);
        assert_null(response.data);
        assert_int_equal(sasl_initiator_start(initiator, &response), ERR_SYNTAX);
        sasl_initiator_free(initiator);
    }
}

static void a_wrong_password_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        unsigned messages;
        struct sasl_initiator *initiator = make_good(mechanisms[i].name, SLICE_LITERAL("wrong"));
        assert_int_equal(converse(mechanisms[i].name, initiator, &messages), SASL_VERDICT_REFUSED);
        sasl_initiator_free(initiator);
    }
}

static void long_passwords(void **state)
{
    (void)state;
    static uint8_t password[CREDENTIAL_PASSWORD_MAX + 1];
    memset(password, 'x', sizeof(password));
    password[0] = ' ';
    password[CREDENTIAL_PASSWORD_MAX - 1] = '!';
    world.known = slice_of(password, CREDENTIAL_PASSWORD_MAX);
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        unsigned messages;
        struct sasl_initiator *initiator = make_good(mechanisms[i].name, world.known);
        assert_int_equal(converse(mechanisms[i].name, initiator, &messages), SASL_VERDICT_ACCEPTED);
        sasl_initiator_free(initiator);
        assert_int_equal(
            make(mechanisms[i].name, USER, slice_of(password, sizeof(password)), &initiator),
            ERR_DENIED);
    }
}

static void first_messages(void **state)
{
    (void)state;
    struct slice response;
    struct sasl_initiator *initiator = make_good("PLAIN", SLICE_LITERAL("secret"));
    assert_false(sasl_initiator_is_complete(initiator));
    assert_int_equal(sasl_initiator_step(initiator, SLICE_NONE, &response), ERR_SYNTAX);
    assert_int_equal(sasl_initiator_start(initiator, &response), 0);
    /* No authorization identity. */
    assert_true(slice_equal(response, SLICE_LITERAL("\0"
                                                    "alice@example.com\0secret")));
    assert_true(sasl_initiator_is_complete(initiator));
    sasl_initiator_free(initiator);

    initiator = make_good("LOGIN", SLICE_LITERAL("secret"));
    assert_int_equal(sasl_initiator_start(initiator, &response), 0);
    assert_null(response.data);
    assert_int_equal(sasl_initiator_step(initiator, SLICE_LITERAL("User Name\0"), &response), 0);
    assert_true(slice_is(response, USER));
    assert_false(sasl_initiator_is_complete(initiator));
    assert_int_equal(sasl_initiator_step(initiator, SLICE_NONE, &response), 0);
    assert_true(slice_is(response, "secret"));
    assert_true(sasl_initiator_is_complete(initiator));
    sasl_initiator_free(initiator);

    initiator = make_good("SCRAM-SHA-256", SLICE_LITERAL("secret"));
    assert_int_equal(sasl_initiator_start(initiator, &response), 0);
    assert_true(slice_starts_with(response, "n,,n=alice@example.com,r="));
    sasl_initiator_free(initiator);
}

/* What ends a field of a message, or what libsasl2 would repair. */
static void nothing_is_repaired(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        struct slice password;
    } cases[] = {
        {USER, {(const uint8_t *)"", 0}},
        {USER, SLICE_LITERAL("a\0b")},
        {USER, SLICE_LITERAL("ab\0")},
        {USER, SLICE_LITERAL("a\rb")},
        {USER, SLICE_LITERAL("ab\r\n")},
        {USER, SLICE_LITERAL("\nab")},
        {"", SLICE_LITERAL("secret")},
        {" alice", SLICE_LITERAL("secret")},
        {"alice ", SLICE_LITERAL("secret")},
        {" ", SLICE_LITERAL("secret")},
        {"ali\001ce", SLICE_LITERAL("secret")},
        {"ali\377ce", SLICE_LITERAL("secret")},
        {"alice\r\nA2 NOOP", SLICE_LITERAL("secret")},
    };
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++)
        for (size_t j = 0; j < LENGTH_OF(cases); j++) {
            struct sasl_initiator *initiator = NULL;
            assert_int_equal(make(mechanisms[i].name, cases[j].user, cases[j].password, &initiator),
                             ERR_DENIED);
        }
}

static void no_other_mechanism_takes_a_password(void **state)
{
    (void)state;
    static const char *const others[] = {
        "OAUTHBEARER", "XOAUTH2", "CRAM-MD5",           "DIGEST-MD5", "ANONYMOUS",  "EXTERNAL",
        "NTLM",        "plain",   "SCRAM-SHA-256-PLUS", "",           "PLAIN LOGIN"};
    for (size_t i = 0; i < LENGTH_OF(others); i++) {
        struct sasl_initiator *initiator = NULL;
        assert_int_equal(make(others[i], USER, world.known, &initiator), ERR_NOT_FOUND);
    }
}

/* ',' and '=' in a name are structure in SCRAM. */
static void names_are_escaped(void **state)
{
    (void)state;
    struct slice response;
    struct sasl_initiator *initiator = NULL;
    assert_int_equal(make("SCRAM-SHA-1", "a,b=c", world.known, &initiator), 0);
    assert_int_equal(sasl_initiator_start(initiator, &response), 0);
    assert_true(slice_starts_with(response, "n,,n=a=2Cb=3Dc,r="));
    sasl_initiator_free(initiator);
}

/* ---- servers that lie ---- */

/* A SCRAM exchange up to the client's proof, and the proof that the true server answers with. */
struct proven {
    struct sasl_initiator *initiator;
    struct sasl_acceptor *acceptor;
    char proof[128];
};

static void prove(const char *mechanism, struct proven *proven_out)
{
    struct slice response, challenge;
    proven_out->initiator = make_good(mechanism, world.known);
    assert_int_equal(
        sasl_acceptor_new(world.acceptors, "imap", mechanism, NULL, &proven_out->acceptor), 0);
    assert_int_equal(sasl_initiator_start(proven_out->initiator, &response), 0);
    for (int i = 0; i < 2; i++) {
        if (i > 0)
            assert_int_equal(sasl_initiator_step(proven_out->initiator, challenge, &response), 0);
        assert_int_equal(sasl_acceptor_step(proven_out->acceptor, true, response, &challenge),
                         SASL_VERDICT_CONTINUE);
    }
    assert_true(slice_starts_with(challenge, "v="));
    snprintf(proven_out->proof, sizeof(proven_out->proof), "%.*s", SLICE_PRINT(challenge));
}

static void end_proven(struct proven *proven)
{
    sasl_initiator_free(proven->initiator);
    sasl_acceptor_free(proven->acceptor);
}

static const char *const scram[] = {"SCRAM-SHA-1", "SCRAM-SHA-256"};

static void a_server_without_the_password_is_denied(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(scram); i++) {
        struct proven proven;
        struct slice response;
        prove(scram[i], &proven);
        proven.proof[2] = proven.proof[2] == 'A' ? 'B' : 'A';
        assert_int_equal(
            sasl_initiator_step(proven.initiator, slice_of_string(proven.proof), &response),
            ERR_DENIED);
        assert_false(sasl_initiator_is_complete(proven.initiator));
        /* The true one comes too late. */
        proven.proof[2] = 'A';
        assert_int_equal(
            sasl_initiator_step(proven.initiator, slice_of_string(proven.proof), &response),
            ERR_SYNTAX);
        end_proven(&proven);
    }
}

static void success_without_proof_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(scram); i++) {
        struct proven proven;
        struct slice response;
        prove(scram[i], &proven);
        assert_false(sasl_initiator_is_complete(proven.initiator));
        assert_int_equal(
            sasl_initiator_step(proven.initiator, slice_of_string(proven.proof), &response), 0);
        assert_non_null(response.data);
        assert_int_equal(response.size, 0);
        assert_true(sasl_initiator_is_complete(proven.initiator));
        end_proven(&proven);
    }
}

static void proofs_that_are_none(void **state)
{
    (void)state;
    static const struct slice proofs[] = {
        {NULL, 0},
        SLICE_LITERAL("v"),
        SLICE_LITERAL("v="),
        SLICE_LITERAL("v=,"),
        SLICE_LITERAL("v=,x"),
        SLICE_LITERAL("v=AAAA"),
        SLICE_LITERAL("v=AAA"),
        SLICE_LITERAL("v=\0\0\0\0"),
        SLICE_LITERAL(
            "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        SLICE_LITERAL("r=abc,s=c2FsdA==,i=4096"),
        SLICE_LITERAL("OK"),
    };
    for (size_t i = 0; i < LENGTH_OF(scram); i++)
        for (size_t j = 0; j < LENGTH_OF(proofs); j++) {
            struct proven proven;
            struct slice response;
            prove(scram[i], &proven);
            assert_int_equal(sasl_initiator_step(proven.initiator, proofs[j], &response),
                             ERR_SYNTAX);
            assert_null(response.data);
            assert_false(sasl_initiator_is_complete(proven.initiator));
            end_proven(&proven);
        }
}

/* The server may go on to say no. */
static void a_servers_error_is_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(scram); i++) {
        struct proven proven;
        struct slice response;
        prove(scram[i], &proven);
        assert_int_equal(
            sasl_initiator_step(proven.initiator, SLICE_LITERAL("e=invalid-proof"), &response), 0);
        assert_non_null(response.data);
        assert_int_equal(response.size, 0);
        assert_false(sasl_initiator_is_complete(proven.initiator));
        assert_int_equal(
            sasl_initiator_step(proven.initiator, slice_of_string(proven.proof), &response),
            ERR_SYNTAX);
        end_proven(&proven);
    }
}

/* %s: the client's nonce. The last one is what a true server says. */
static void challenges_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *challenge;
        int expected;
    } cases[] = {
        {"", ERR_SYNTAX},
        {"x", ERR_SYNTAX},
        {"r=", ERR_SYNTAX},
        {"r=%s", ERR_SYNTAX},
        {"r=%sx,s=c2FsdA==", ERR_SYNTAX},
        {"r=%s,s=c2FsdA==,i=4096", ERR_SYNTAX},   /* nothing of the server's own */
        {"r=x%sx,s=c2FsdA==,i=4096", ERR_SYNTAX}, /* another exchange's */
        {"r=%sx,s=,i=4096", ERR_SYNTAX},
        {"r=%sx,s=c2F,i=4096", ERR_SYNTAX},
        {"r=%sx,s=c2FsdA==,i=", ERR_SYNTAX},
        {"r=%sx,s=c2FsdA==,i=x", ERR_SYNTAX},
        {"r=%sx,s=c2FsdA==,i=65537", ERR_SYNTAX}, /* the work is bounded */
        {"r=%sx,s=c2FsdA==,i=4294967295", ERR_SYNTAX},
        {"r=%sx,s=c2FsdA==,i=99999999999999999999999", ERR_SYNTAX},
        {"m=x,r=%sx,s=c2FsdA==,i=4096", ERR_SYNTAX},
        {"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", ERR_SYNTAX},
        {"r=%sx,s=c2FsdA==,i=4096", 0},
    };
    for (size_t i = 0; i < LENGTH_OF(scram); i++)
        for (size_t j = 0; j < LENGTH_OF(cases); j++) {
            struct slice response;
            char nonce[128], challenge[256];
            struct sasl_initiator *initiator = make_good(scram[i], world.known);
            assert_int_equal(sasl_initiator_start(initiator, &response), 0);
            snprintf(nonce, sizeof(nonce), "%.*s",
                     SLICE_PRINT(slice_skip(response, strlen("n,,n=" USER ",r="))));
            const char *rest = strstr(cases[j].challenge, "%s");
            if (rest == NULL)
                snprintf(challenge, sizeof(challenge), "%s", cases[j].challenge);
            else
                snprintf(challenge, sizeof(challenge), "%.*s%s%s", (int)(rest - cases[j].challenge),
                         cases[j].challenge, nonce, rest + 2);
            assert_int_equal(sasl_initiator_step(initiator, slice_of_string(challenge), &response),
                             cases[j].expected);
            assert_int_equal(response.data != NULL, cases[j].expected == 0);
            assert_false(sasl_initiator_is_complete(initiator));
            sasl_initiator_free(initiator);
        }
}

/* LOGIN and PLAIN take what a server asks as it comes, but not without end. */
static void endless_challenges_are_refused(void **state)
{
    (void)state;
    static uint8_t challenge[64 * 1024 + 1];
    struct slice response;
    struct sasl_initiator *initiator = make_good("LOGIN", world.known);
    assert_int_equal(sasl_initiator_start(initiator, &response), 0);
    assert_int_equal(
        sasl_initiator_step(initiator, slice_of(challenge, sizeof(challenge)), &response),
        ERR_SYNTAX);
    sasl_initiator_free(initiator);
}

static bool is_loaded(const char *file)
{
    char *path = scratch_path(SASL_PLUGIN_FOLDER, file);
    void *handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    free(path);
    if (handle != NULL)
        dlclose(handle);
    return handle != NULL;
}

static void plug_ins_may_be_missing(void **state)
{
    (void)state;
    static const struct {
        const char *file; /* that is there; NULL: none */
        const char *mechanisms;
    } cases[] = {
        {NULL, "OAUTHBEARER XOAUTH2"},
        {"libplain.so", "OAUTHBEARER XOAUTH2 PLAIN"},
        {"liblogin.so", "OAUTHBEARER XOAUTH2 LOGIN"},
        {"libscram.so", "OAUTHBEARER XOAUTH2 SCRAM-SHA-256 SCRAM-SHA-1"},
        {"libcrammd5.so", "OAUTHBEARER XOAUTH2"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct err err = {0};
        struct sasl_initiator *initiator = NULL;
        char *folder = scratch_folder_new();
        if (cases[i].file != NULL) {
            char *from = scratch_path(SASL_PLUGIN_FOLDER, cases[i].file);
            char *to = scratch_path(folder, cases[i].file);
            assert_int_equal(symlink(from, to), 0);
            free(from);
            free(to);
        }
        if (sasl_initiator_library_open(folder, &world.initiators, &err) != 0)
            fail_msg("%s", err.text);
        assert_string_equal(sasl_initiator_library_mechanisms(world.initiators),
                            cases[i].mechanisms);
        if (cases[i].file != NULL)
            assert_int_equal(is_loaded(cases[i].file), i < 4);
        int expected = i == 1 ? 0 : ERR_NOT_FOUND;
        assert_int_equal(make("PLAIN", USER, SLICE_LITERAL("secret"), &initiator), expected);
        sasl_initiator_free(initiator);
        sasl_initiator_library_close(world.initiators);
        scratch_folder_remove(folder);
    }
}

static void a_plugin_that_cannot_be_loaded(void **state)
{
    (void)state;
    char *folder = scratch_folder_new();
    char *path = scratch_path(folder, "libscram.so");
    struct err err = {0};
    struct sasl_initiator_library *library = NULL;
    assert_int_equal(symlink("/dev/null", path), 0); /* no plug-in */
    assert_int_equal(sasl_initiator_library_open(folder, &library, &err), ERR_SYSTEM);
    assert_null(library);
    assert_non_null(strstr(err.text, path));
    free(path);
    scratch_folder_remove(folder);
}

static void folder_names_that_split(void **state)
{
    (void)state;
    struct err err = {0};
    struct sasl_initiator_library *library = NULL;
    assert_int_equal(sasl_initiator_library_open("/a:" SASL_PLUGIN_FOLDER, &library, &err),
                     ERR_CONFIG);
    assert_null(library);
}

#define WITH_LIBRARIES(test) cmocka_unit_test_setup_teardown(test, open_libraries, close_libraries)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LIBRARIES(a_server_that_knows_it_accepts),
        WITH_LIBRARIES(a_wrong_password_is_refused),
        WITH_LIBRARIES(long_passwords),
        WITH_LIBRARIES(first_messages),
        WITH_LIBRARIES(nothing_is_repaired),
        WITH_LIBRARIES(no_other_mechanism_takes_a_password),
        WITH_LIBRARIES(names_are_escaped),
        WITH_LIBRARIES(a_server_without_the_password_is_denied),
        WITH_LIBRARIES(success_without_proof_is_noticed),
        WITH_LIBRARIES(proofs_that_are_none),
        WITH_LIBRARIES(a_servers_error_is_answered),
        WITH_LIBRARIES(challenges_that_are_none),
        WITH_LIBRARIES(endless_challenges_are_refused),
        cmocka_unit_test(plug_ins_may_be_missing),
        cmocka_unit_test(a_plugin_that_cannot_be_loaded),
        cmocka_unit_test(folder_names_that_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
