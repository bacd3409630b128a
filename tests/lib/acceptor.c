#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "acceptor.h"

static enum sasl_check check(void *exchange, struct slice user, struct slice password)
{
    struct acceptor_record *record = exchange;
    record->checks++;
    snprintf(record->user, sizeof(record->user), "%.*s", SLICE_PRINT(user));
    snprintf(record->password, sizeof(record->password), "%.*s", SLICE_PRINT(password));
    if (slice_is(user, "later"))
        return SASL_CHECK_LATER;
    if (slice_is(password, "secret") &&
        (slice_is(user, "alice") || slice_is(user, " alice ") || slice_is(user, "Ren\303\251e")))
        return SASL_CHECK_MATCH;
    return SASL_CHECK_MISMATCH;
}

static int tell_password(void *exchange, struct slice user, struct secret *password_out)
{
    struct acceptor_record *record = exchange;
    record->lookups++;
    if (!slice_is(user, "alice") && !slice_is(user, "bob"))
        return ERR_NOT_FOUND;
    secret_set(password_out, SLICE_LITERAL("pencil"));
    return 0;
}

const struct sasl_users acceptor_users = {check, tell_password};

/* ---- one acceptor_library a test ---- */

struct sasl_acceptor_library *acceptor_library;

void acceptor_open_library(const char *folder, const char *mechanisms)
{
    struct err err = {0};
    int status =
        sasl_acceptor_library_open(folder, mechanisms, &acceptor_users, &acceptor_library, &err);
    if (status != 0)
        fail_msg("%s", err.text);
}

int acceptor_open_every(void **state)
{
    (void)state;
    acceptor_open_library(SASL_PLUGIN_FOLDER, ACCEPTOR_EVERY);
    return 0;
}

int acceptor_close_library(void **state)
{
    (void)state;
    sasl_acceptor_library_close(acceptor_library);
    acceptor_library = NULL;
    return 0;
}

struct sasl_acceptor *acceptor_begin(const char *mechanism, struct acceptor_record *record)
{
    struct sasl_acceptor *acceptor = NULL;
    *record = (struct acceptor_record){0};
    assert_int_equal(sasl_acceptor_new(acceptor_library, "imap", mechanism, record, &acceptor), 0);
    assert_non_null(acceptor);
    return acceptor;
}

static void assert_slice(struct slice slice, const char *expected)
{
    assert_int_equal(slice.size, strlen(expected));
    if (slice.size > 0)
        assert_memory_equal(slice.data, expected, slice.size);
}

void acceptor_step(struct sasl_acceptor *acceptor, struct slice bytes, enum sasl_verdict expected,
                   const char *challenge_expected)
{
    struct slice challenge = SLICE_LITERAL("untouched");
    assert_int_equal(sasl_acceptor_step(acceptor, true, bytes, &challenge), expected);
    assert_slice(challenge, challenge_expected);
}

void acceptor_step_missing(struct sasl_acceptor *acceptor, const char *challenge_expected)
{
    struct slice challenge = SLICE_LITERAL("untouched");
    assert_int_equal(sasl_acceptor_step(acceptor, false, SLICE_NONE, &challenge),
                     SASL_VERDICT_CONTINUE);
    assert_slice(challenge, challenge_expected);
}

void acceptor_end(struct sasl_acceptor *acceptor)
{
    acceptor_step(acceptor, SLICE_LITERAL("\0alice\0secret"), SASL_VERDICT_MALFORMED, "");
    assert_null(sasl_acceptor_user(acceptor));
    sasl_acceptor_free(acceptor);
}
