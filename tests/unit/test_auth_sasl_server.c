/*
 * The server side of SASL: what is loaded and offered, and the mechanisms that send the password.
 */
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/acceptor.h"
#include "../lib/scratch_folder.h"

/* ---- the acceptor_library ---- */

static int count_plugins(struct dl_phdr_info *info, size_t size, void *context)
{
    char *names = context;
    (void)size;
    const char *base = strrchr(info->dlpi_name, '/');
    char folder[4096], real[4096];
    if (base == NULL || realpath(SASL_PLUGIN_FOLDER, folder) == NULL ||
        realpath(info->dlpi_name, real) == NULL || strncmp(real, folder, strlen(folder)) != 0)
        return 0;
    size_t length = strcspn(base + 1, ".");
    snprintf(names + strlen(names), 400 - strlen(names), "%.*s ", (int)length, base + 1);
    return 0;
}

static void loads_only_what_the_list_needs(void **state)
{
    (void)state;
    char names[400] = "";
    dl_iterate_phdr(count_plugins, names);
    assert_string_equal(names, "");
    acceptor_open_library(SASL_PLUGIN_FOLDER, "PLAIN LOGIN");
    dl_iterate_phdr(count_plugins, names);
    assert_true(strcmp(names, "libplain liblogin ") == 0 ||
                strcmp(names, "liblogin libplain ") == 0);
    assert_string_equal(sasl_acceptor_library_mechanisms(acceptor_library), "PLAIN LOGIN");
}

/* A folder of our own, with `count` of libsasl2's plug-ins in it. */
static void link_plugins(const char *folder, const char *const *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *from = scratch_path(SASL_PLUGIN_FOLDER, files[i]);
        char *to = scratch_path(folder, files[i]);
        assert_int_equal(symlink(from, to), 0);
        free(from);
        free(to);
    }
}

static void offers_what_is_installed(void **state)
{
    (void)state;
    static const char *const files[] = {"libplain.so", "libscram.so"};
    char *folder = scratch_folder_new();
    link_plugins(folder, files, LENGTH_OF(files));
    acceptor_open_library(folder, "SCRAM-SHA-256 LOGIN PLAIN");
    assert_string_equal(sasl_acceptor_library_mechanisms(acceptor_library), "SCRAM-SHA-256 PLAIN");
    struct acceptor_record record;
    struct sasl_acceptor *acceptor = NULL;
    assert_int_equal(sasl_acceptor_new(acceptor_library, "imap", "LOGIN", &record, &acceptor),
                     ERR_NOT_FOUND);
    assert_null(acceptor);
    /* Loaded with it, but not on the list. */
    assert_int_equal(sasl_acceptor_new(acceptor_library, "imap", "SCRAM-SHA-1", &record, &acceptor),
                     ERR_NOT_FOUND);
    sasl_acceptor_library_close(acceptor_library);
    acceptor_library = NULL;
    scratch_folder_remove(folder);
}

static void nothing_installed_is_an_error(void **state)
{
    (void)state;
    char *folder = scratch_folder_new();
    struct err err = {0};
    assert_int_equal(
        sasl_acceptor_library_open(folder, "PLAIN", &acceptor_users, &acceptor_library, &err),
        ERR_CONFIG);
    assert_null(acceptor_library);
    assert_non_null(strstr(err.text, folder));
    scratch_folder_remove(folder);
    /* It had no lasting effect. */
    acceptor_open_library(SASL_PLUGIN_FOLDER, "PLAIN");
}

/* As when memory is short while it is loaded. */
static void plugin_that_cannot_be_loaded_is_an_error(void **state)
{
    (void)state;
    char *folder = scratch_folder_new();
    char *path = scratch_path(folder, "libplain.so");
    struct err err = {0};
    assert_int_equal(symlink("/dev/null", path), 0); /* no plug-in */
    assert_int_equal(
        sasl_acceptor_library_open(folder, "LOGIN PLAIN", &acceptor_users, &acceptor_library, &err),
        ERR_SYSTEM);
    assert_null(acceptor_library);
    assert_non_null(strstr(err.text, path));
    free(path);
    scratch_folder_remove(folder);
}

static void list_is_filtered(void **state)
{
    (void)state;
    acceptor_open_library(SASL_PLUGIN_FOLDER,
                          "ANONYMOUS NTLM PLAIN EXTERNAL PLAIN plain SCRAM-SHA-256-PLUS");
    assert_string_equal(sasl_acceptor_library_mechanisms(acceptor_library), "PLAIN");
    static const char *const others[] = {"ANONYMOUS", "EXTERNAL",           "NTLM", "plain",
                                         "",          "SCRAM-SHA-256-PLUS", "PLAI", "PLAIN LOGIN"};
    for (size_t i = 0; i < LENGTH_OF(others); i++) {
        struct acceptor_record record;
        struct sasl_acceptor *acceptor = NULL;
        assert_int_equal(sasl_acceptor_new(acceptor_library, "imap", others[i], &record, &acceptor),
                         ERR_NOT_FOUND);
        assert_null(acceptor);
    }
}

static void folder_that_would_be_a_list_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(sasl_acceptor_library_open("a:" SASL_PLUGIN_FOLDER, "PLAIN", &acceptor_users,
                                                &acceptor_library, &err),
                     ERR_CONFIG);
    assert_null(acceptor_library);
}

static void one_a_process(void **state)
{
    (void)state;
    struct sasl_acceptor_library *second = NULL;
    struct err err = {0};
    acceptor_open_library(SASL_PLUGIN_FOLDER, "PLAIN");
    assert_int_equal(
        sasl_acceptor_library_open(SASL_PLUGIN_FOLDER, "PLAIN", &acceptor_users, &second, &err),
        ERR_EXISTS);
    assert_null(second);
    /* The first is as it was. */
    struct acceptor_record record;
    struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
    acceptor_step(acceptor, SLICE_LITERAL("\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
    sasl_acceptor_free(acceptor);
}

static void opens_again_and_again(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct acceptor_record record;
        acceptor_open_library(SASL_PLUGIN_FOLDER, i == 1 ? "LOGIN" : ACCEPTOR_EVERY);
        struct sasl_acceptor *acceptor = acceptor_begin("LOGIN", &record);
        acceptor_step(acceptor, SLICE_LITERAL("alice"), SASL_VERDICT_CONTINUE, "Password:");
        acceptor_step(acceptor, SLICE_LITERAL("secret"), SASL_VERDICT_ACCEPTED, "");
        sasl_acceptor_free(acceptor);
        acceptor_close_library(state);
    }
}

static void services(void **state)
{
    (void)state;
    static const char *const names[] = {"imap", "pop", "smtp"};
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        struct acceptor_record record = {0};
        struct sasl_acceptor *acceptor = NULL;
        assert_int_equal(sasl_acceptor_new(acceptor_library, names[i], "PLAIN", &record, &acceptor),
                         0);
        acceptor_step(acceptor, SLICE_LITERAL("\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
        sasl_acceptor_free(acceptor);
    }
}

/* ---- PLAIN ---- */

static void plain_is_accepted(void **state)
{
    (void)state;
    struct acceptor_record record;
    struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
    assert_null(sasl_acceptor_user(acceptor));
    acceptor_step(acceptor, SLICE_LITERAL("\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "alice");
    assert_int_equal(record.checks, 1);
    assert_int_equal(record.lookups, 0);
    assert_string_equal(record.user, "alice");
    assert_string_equal(record.password, "secret");
    acceptor_end(acceptor);
}

static void plain_without_initial_response(void **state)
{
    (void)state;
    struct acceptor_record record;
    struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
    acceptor_step_missing(acceptor, "");
    assert_null(sasl_acceptor_user(acceptor));
    acceptor_step(acceptor, SLICE_LITERAL("alice\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "alice");
    sasl_acceptor_free(acceptor);
}

static void names_stay_as_typed(void **state)
{
    (void)state;
    static const struct {
        struct slice message;
        const char *user;
        const char *mechanism;
    } cases[] = {
        {SLICE_LITERAL("\0 alice \0secret"), " alice ", "PLAIN"},
        {SLICE_LITERAL("\0Ren\303\251e\0secret"), "Ren\303\251e", "PLAIN"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct acceptor_record record;
        struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
        acceptor_step(acceptor, cases[i].message, SASL_VERDICT_ACCEPTED, "");
        assert_string_equal(record.user, cases[i].user);
        assert_string_equal(sasl_acceptor_user(acceptor), cases[i].user);
        sasl_acceptor_free(acceptor);

        acceptor = acceptor_begin("LOGIN", &record);
        acceptor_step(acceptor, slice_of_string(cases[i].user), SASL_VERDICT_CONTINUE, "Password:");
        acceptor_step(acceptor, SLICE_LITERAL("secret"), SASL_VERDICT_ACCEPTED, "");
        assert_string_equal(sasl_acceptor_user(acceptor), cases[i].user);
        sasl_acceptor_free(acceptor);
    }
}

static void plain_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct slice message;
        unsigned checks;
    } cases[] = {
        {SLICE_LITERAL("\0alice\0wrong"), 1},
        {SLICE_LITERAL("\0nobody\0secret"), 1},
        {SLICE_LITERAL("\0Alice\0secret"), 1},
        {SLICE_LITERAL("\0alice \0secret"), 1},
        /* The clear password of the challenge mechanisms opens nothing here. */
        {SLICE_LITERAL("\0alice\0pencil"), 1},
        {SLICE_LITERAL("\0bob\0pencil"), 1},
        {SLICE_LITERAL("bob\0alice\0secret"), 0},
        {SLICE_LITERAL("alic\0alice\0secret"), 0},
        {SLICE_LITERAL("alicea\0alice\0secret"), 0},
        {SLICE_LITERAL("\0alice\0"), 0},
        {SLICE_LITERAL("\0\0secret"), 0},
        {SLICE_LITERAL("\0\0"), 0},
        {SLICE_LITERAL("\0a\r\nDELE 1\0secret"), 0},
        {SLICE_LITERAL("\0alice\001\0secret"), 0},
        {SLICE_LITERAL("\0al\x7fice\0secret"), 0},
        {SLICE_LITERAL("\0al\xff\0secret"), 0},
        {SLICE_LITERAL("\0al\xc3\0secret"), 0},
        {SLICE_LITERAL("\0\xc0\xaf\0secret"), 0},
        {SLICE_LITERAL("\0\xed\xa0\x80\0secret"), 0},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct acceptor_record record;
        struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
        acceptor_step(acceptor, cases[i].message, SASL_VERDICT_REFUSED, "");
        assert_null(sasl_acceptor_user(acceptor));
        assert_int_equal(record.checks, cases[i].checks);
        assert_int_equal(record.lookups, 0);
        acceptor_end(acceptor);
    }
}

static void plain_is_malformed(void **state)
{
    (void)state;
    static const struct slice cases[] = {
        SLICE_LITERAL(""),
        SLICE_LITERAL("alice"),
        SLICE_LITERAL("\0"),
        SLICE_LITERAL("alice\0secret"),
        SLICE_LITERAL("\0alice\0secret\0"),
        SLICE_LITERAL("\0alice\0secret\0junk"),
        SLICE_LITERAL("\0alice\0\0secret"),
        SLICE_LITERAL("\0\0\0"),
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        for (int with_empty_round = 0; with_empty_round < 2; with_empty_round++) {
            struct acceptor_record record;
            struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
            if (with_empty_round)
                acceptor_step_missing(acceptor, "");
            acceptor_step(acceptor, cases[i], SASL_VERDICT_MALFORMED, "");
            assert_int_equal(record.checks, 0);
            acceptor_end(acceptor);
        }
    }
}

/* PLAIN with a user of `user_size` octets and a password of `password_size`. */
static enum sasl_verdict plain_of_size(size_t user_size, size_t password_size,
                                       struct acceptor_record *record)
{
    size_t size = 1 + user_size + 1 + password_size;
    char *message = mem_new(size);
    memset(message + 1, 'u', user_size);
    memset(message + 2 + user_size, 'p', password_size);
    struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", record);
    struct slice challenge;
    enum sasl_verdict verdict =
        sasl_acceptor_step(acceptor, true, slice_of(message, size), &challenge);
    sasl_acceptor_free(acceptor);
    mem_free(message);
    return verdict;
}

static void sizes_have_limits(void **state)
{
    (void)state;
    struct acceptor_record record;
    assert_int_equal(plain_of_size(1, 1, &record), SASL_VERDICT_REFUSED);
    assert_int_equal(record.checks, 1);
    assert_int_equal(plain_of_size(320, 1024, &record), SASL_VERDICT_REFUSED);
    assert_int_equal(record.checks, 1);
    assert_int_equal(strlen(record.user), 320);
    assert_int_equal(strlen(record.password), 1024);
    assert_int_equal(plain_of_size(321, 6, &record), SASL_VERDICT_REFUSED);
    assert_int_equal(record.checks, 0);
    assert_int_equal(plain_of_size(5, 12288 - 7, &record), SASL_VERDICT_REFUSED);
    assert_int_equal(record.checks, 1);
    assert_int_equal(plain_of_size(5, 12288 - 6, &record), SASL_VERDICT_MALFORMED);
    assert_int_equal(record.checks, 0);
}

static void password_of_any_octets(void **state)
{
    (void)state;
    struct acceptor_record record;
    char message[7 + 255] = "\0alice";
    for (int i = 1; i < 256; i++)
        message[6 + i] = (char)i;
    struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
    acceptor_step(acceptor, slice_of(message, sizeof(message)), SASL_VERDICT_REFUSED, "");
    assert_int_equal(record.checks, 1);
    assert_int_equal(strlen(record.password), 255);
    assert_memory_equal(record.password, message + 7, 255);
    sasl_acceptor_free(acceptor);

    acceptor = acceptor_begin("LOGIN", &record);
    acceptor_step(acceptor, SLICE_LITERAL("alice"), SASL_VERDICT_CONTINUE, "Password:");
    acceptor_step(acceptor, slice_of(message + 7, 255), SASL_VERDICT_REFUSED, "");
    assert_int_equal(record.checks, 1);
    assert_memory_equal(record.password, message + 7, 255);
    sasl_acceptor_free(acceptor);
}

/* ---- LOGIN ---- */

static void login_is_accepted(void **state)
{
    (void)state;
    struct acceptor_record record;
    struct sasl_acceptor *acceptor = acceptor_begin("LOGIN", &record);
    acceptor_step_missing(acceptor, "Username:");
    acceptor_step(acceptor, SLICE_LITERAL("alice"), SASL_VERDICT_CONTINUE, "Password:");
    assert_int_equal(record.checks, 0);
    acceptor_step(acceptor, SLICE_LITERAL("secret"), SASL_VERDICT_ACCEPTED, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "alice");
    assert_int_equal(record.checks, 1);
    acceptor_end(acceptor);

    acceptor = acceptor_begin("LOGIN", &record);
    acceptor_step(acceptor, SLICE_LITERAL(""), SASL_VERDICT_CONTINUE, "Username:");
    acceptor_step(acceptor, SLICE_LITERAL("alice"), SASL_VERDICT_CONTINUE, "Password:");
    acceptor_step(acceptor, SLICE_LITERAL("secret"), SASL_VERDICT_ACCEPTED, "");
    sasl_acceptor_free(acceptor);
}

static void login_refuses_names_at_once(void **state)
{
    (void)state;
    static const struct slice names[] = {
        SLICE_LITERAL("alice\0"),   SLICE_LITERAL("alice\0x"), SLICE_LITERAL("\0alice"),
        SLICE_LITERAL("alice\r\n"), SLICE_LITERAL("al\xff"),   SLICE_LITERAL(""),
    };
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        struct acceptor_record record;
        struct sasl_acceptor *acceptor = acceptor_begin("LOGIN", &record);
        acceptor_step_missing(acceptor, "Username:");
        acceptor_step(acceptor, names[i], SASL_VERDICT_REFUSED, "");
        acceptor_end(acceptor);
        if (names[i].size == 0)
            continue;
        acceptor = acceptor_begin("LOGIN", &record);
        acceptor_step(acceptor, names[i], SASL_VERDICT_REFUSED, "");
        assert_int_equal(record.checks, 0);
        acceptor_end(acceptor);
    }
}

static void login_is_not_accepted(void **state)
{
    (void)state;
    static const struct {
        struct slice user, password;
        enum sasl_verdict verdict;
        unsigned checks;
    } cases[] = {
        {SLICE_LITERAL("alice"), SLICE_LITERAL("wrong"), SASL_VERDICT_REFUSED, 1},
        {SLICE_LITERAL("nobody"), SLICE_LITERAL("secret"), SASL_VERDICT_REFUSED, 1},
        {SLICE_LITERAL("alice"), SLICE_LITERAL(""), SASL_VERDICT_REFUSED, 0},
        {SLICE_LITERAL("alice"), SLICE_LITERAL("secret\0"), SASL_VERDICT_MALFORMED, 0},
        {SLICE_LITERAL("alice"), SLICE_LITERAL("secret\0x"), SASL_VERDICT_MALFORMED, 0},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct acceptor_record record;
        struct sasl_acceptor *acceptor = acceptor_begin("LOGIN", &record);
        acceptor_step_missing(acceptor, "Username:");
        acceptor_step(acceptor, cases[i].user, SASL_VERDICT_CONTINUE, "Password:");
        acceptor_step(acceptor, cases[i].password, cases[i].verdict, "");
        assert_int_equal(record.checks, cases[i].checks);
        assert_int_equal(record.lookups, 0);
        acceptor_end(acceptor);
    }
}

/* ---- the check that is to come later ---- */

static void later_is_pending_and_never_accepted(void **state)
{
    (void)state;
    struct acceptor_record record;
    struct sasl_acceptor *acceptor = acceptor_begin("PLAIN", &record);
    acceptor_step(acceptor, SLICE_LITERAL("\0later\0whatever"), SASL_VERDICT_PENDING, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "later");
    assert_int_equal(record.checks, 1);
    /* What comes behind it accepts nothing, least of all another user's password. */
    acceptor_end(acceptor);

    acceptor = acceptor_begin("LOGIN", &record);
    acceptor_step(acceptor, SLICE_LITERAL("later"), SASL_VERDICT_CONTINUE, "Password:");
    acceptor_step(acceptor, SLICE_LITERAL("whatever"), SASL_VERDICT_PENDING, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "later");
    acceptor_end(acceptor);

    acceptor = acceptor_begin("PLAIN", &record);
    acceptor_step(acceptor, SLICE_LITERAL("alice\0later\0whatever"), SASL_VERDICT_REFUSED, "");
    assert_int_equal(record.checks, 0);
    acceptor_end(acceptor);
}

static void exchanges_are_separate(void **state)
{
    (void)state;
    struct acceptor_record first_record, second_record, third_record;
    struct sasl_acceptor *first = acceptor_begin("LOGIN", &first_record);
    struct sasl_acceptor *second = acceptor_begin("LOGIN", &second_record);
    struct sasl_acceptor *third = acceptor_begin("PLAIN", &third_record);
    acceptor_step_missing(first, "Username:");
    acceptor_step_missing(second, "Username:");
    acceptor_step_missing(third, "");
    acceptor_step(first, SLICE_LITERAL("alice"), SASL_VERDICT_CONTINUE, "Password:");
    acceptor_step(second, SLICE_LITERAL("bob"), SASL_VERDICT_CONTINUE, "Password:");
    acceptor_step(third, SLICE_LITERAL("\0later\0x"), SASL_VERDICT_PENDING, "");
    acceptor_step(second, SLICE_LITERAL("secret"), SASL_VERDICT_REFUSED, "");
    acceptor_step(first, SLICE_LITERAL("secret"), SASL_VERDICT_ACCEPTED, "");
    assert_string_equal(first_record.user, "alice");
    assert_string_equal(second_record.user, "bob");
    assert_string_equal(third_record.user, "later");
    assert_string_equal(sasl_acceptor_user(first), "alice");
    assert_null(sasl_acceptor_user(second));
    assert_string_equal(sasl_acceptor_user(third), "later");
    sasl_acceptor_free(second);
    sasl_acceptor_free(first);
    sasl_acceptor_free(third);
}

static void may_be_dropped_in_the_middle(void **state)
{
    (void)state;
    static const char *const mechanisms[] = {"PLAIN",      "LOGIN",       "CRAM-MD5",
                                             "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"};
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++) {
        struct acceptor_record record;
        struct slice challenge;
        sasl_acceptor_free(acceptor_begin(mechanisms[i], &record));
        struct sasl_acceptor *acceptor = acceptor_begin(mechanisms[i], &record);
        assert_int_equal(sasl_acceptor_step(acceptor, false, SLICE_NONE, &challenge),
                         SASL_VERDICT_CONTINUE);
        sasl_acceptor_free(acceptor);
    }
    sasl_acceptor_free(NULL);
}

/* `AUTH X =`: libsasl2 takes it as if there were no initial response where that is possible. */
static void empty_initial_response(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism;
        enum sasl_verdict verdict;
    } cases[] = {
        {"PLAIN", SASL_VERDICT_MALFORMED},      {"LOGIN", SASL_VERDICT_CONTINUE},
        {"CRAM-MD5", SASL_VERDICT_MALFORMED},   {"DIGEST-MD5", SASL_VERDICT_CONTINUE},
        {"SCRAM-SHA-1", SASL_VERDICT_CONTINUE}, {"SCRAM-SHA-256", SASL_VERDICT_CONTINUE},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct acceptor_record record;
        struct slice challenge;
        struct sasl_acceptor *acceptor = acceptor_begin(cases[i].mechanism, &record);
        assert_int_equal(sasl_acceptor_step(acceptor, true, SLICE_NONE, &challenge),
                         cases[i].verdict);
        for (int round = 0; round < 3; round++) {
            enum sasl_verdict verdict = sasl_acceptor_step(acceptor, true, SLICE_NONE, &challenge);
            assert_true(verdict != SASL_VERDICT_ACCEPTED && verdict != SASL_VERDICT_PENDING);
        }
        assert_null(sasl_acceptor_user(acceptor));
        assert_int_equal(record.checks + record.lookups, 0);
        sasl_acceptor_free(acceptor);
    }
}

#define WITH_EVERY(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, acceptor_open_every, acceptor_close_library)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(loads_only_what_the_list_needs, acceptor_close_library),
        cmocka_unit_test_teardown(offers_what_is_installed, acceptor_close_library),
        cmocka_unit_test_teardown(nothing_installed_is_an_error, acceptor_close_library),
        cmocka_unit_test_teardown(plugin_that_cannot_be_loaded_is_an_error, acceptor_close_library),
        cmocka_unit_test_teardown(list_is_filtered, acceptor_close_library),
        cmocka_unit_test_teardown(folder_that_would_be_a_list_is_refused, acceptor_close_library),
        cmocka_unit_test_teardown(one_a_process, acceptor_close_library),
        cmocka_unit_test_teardown(opens_again_and_again, acceptor_close_library),
        WITH_EVERY(services),
        WITH_EVERY(plain_is_accepted),
        WITH_EVERY(plain_without_initial_response),
        WITH_EVERY(names_stay_as_typed),
        WITH_EVERY(plain_is_refused),
        WITH_EVERY(plain_is_malformed),
        WITH_EVERY(sizes_have_limits),
        WITH_EVERY(password_of_any_octets),
        WITH_EVERY(login_is_accepted),
        WITH_EVERY(login_is_not_accepted),
        WITH_EVERY(login_refuses_names_at_once),
        WITH_EVERY(later_is_pending_and_never_accepted),
        WITH_EVERY(exchanges_are_separate),
        WITH_EVERY(may_be_dropped_in_the_middle),
        WITH_EVERY(empty_initial_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
