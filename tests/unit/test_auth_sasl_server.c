/*
 * The server side of SASL. The client of the challenge mechanisms is libsasl2's own, started by
 * this program with the plug-ins of the same folder; PLAIN and LOGIN are written by hand.
 */
#include <link.h>
#include <sasl/sasl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/scratch_folder.h"
#include "auth/hostname.h"
#include "auth/sasl_server.h"

#define EVERY          "PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512"
#define PLAIN_OF(text) SLICE_LITERAL(text)

/* ---- users ---- */

/* One for each exchange: what it was asked. */
struct record {
    unsigned checks;
    unsigned lookups;
    char user[400];
    char password[2000];
};

static enum sasl_check check(void *exchange, struct slice user, struct slice password)
{
    struct record *record = exchange;
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
    struct record *record = exchange;
    record->lookups++;
    if (!slice_is(user, "alice") && !slice_is(user, "bob") && !slice_is(user, "alice@localhost"))
        return ERR_NOT_FOUND;
    secret_set(password_out, SLICE_LITERAL("pencil"));
    return 0;
}

static const struct sasl_users users = {check, tell_password};

/* ---- one library a test ---- */

static struct sasl_acceptor_library *library;

static void open_library(const char *folder, const char *mechanisms)
{
    struct err err = {0};
    int status = sasl_acceptor_library_open(folder, mechanisms, &users, &library, &err);
    if (status != 0)
        fail_msg("%s", err.text);
}

static int open_every(void **state)
{
    (void)state;
    open_library(SASL_PLUGIN_FOLDER, EVERY);
    return 0;
}

static int close_library(void **state)
{
    (void)state;
    sasl_acceptor_library_close(library);
    library = NULL;
    return 0;
}

static struct sasl_acceptor *begin(const char *mechanism, struct record *record)
{
    struct sasl_acceptor *acceptor = NULL;
    *record = (struct record){0};
    assert_int_equal(sasl_acceptor_new(library, "imap", mechanism, record, &acceptor), 0);
    assert_non_null(acceptor);
    return acceptor;
}

static void assert_slice(struct slice slice, const char *expected)
{
    assert_int_equal(slice.size, strlen(expected));
    if (slice.size > 0)
        assert_memory_equal(slice.data, expected, slice.size);
}

static void step(struct sasl_acceptor *acceptor, struct slice bytes, enum sasl_verdict expected,
                 const char *challenge_expected)
{
    struct slice challenge = SLICE_LITERAL("untouched");
    assert_int_equal(sasl_acceptor_step(acceptor, true, bytes, &challenge), expected);
    assert_slice(challenge, challenge_expected);
}

static void step_without_bytes(struct sasl_acceptor *acceptor, const char *challenge_expected)
{
    struct slice challenge = SLICE_LITERAL("untouched");
    assert_int_equal(sasl_acceptor_step(acceptor, false, SLICE_NONE, &challenge),
                     SASL_VERDICT_CONTINUE);
    assert_slice(challenge, challenge_expected);
}

/* Once it is over, no further message changes that. */
static void end(struct sasl_acceptor *acceptor)
{
    step(acceptor, PLAIN_OF("\0alice\0secret"), SASL_VERDICT_MALFORMED, "");
    assert_null(sasl_acceptor_user(acceptor));
    sasl_acceptor_free(acceptor);
}

/* ---- the library ---- */

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
    open_library(SASL_PLUGIN_FOLDER, "PLAIN LOGIN");
    dl_iterate_phdr(count_plugins, names);
    assert_true(strcmp(names, "libplain liblogin ") == 0 ||
                strcmp(names, "liblogin libplain ") == 0);
    assert_string_equal(sasl_acceptor_library_mechanisms(library), "PLAIN LOGIN");
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
    open_library(folder, "SCRAM-SHA-256 LOGIN PLAIN");
    assert_string_equal(sasl_acceptor_library_mechanisms(library), "SCRAM-SHA-256 PLAIN");
    struct record record;
    struct sasl_acceptor *acceptor = NULL;
    assert_int_equal(sasl_acceptor_new(library, "imap", "LOGIN", &record, &acceptor),
                     ERR_NOT_FOUND);
    assert_null(acceptor);
    /* Loaded with it, but not on the list. */
    assert_int_equal(sasl_acceptor_new(library, "imap", "SCRAM-SHA-1", &record, &acceptor),
                     ERR_NOT_FOUND);
    sasl_acceptor_library_close(library);
    library = NULL;
    scratch_folder_remove(folder);
}

static void nothing_installed_is_an_error(void **state)
{
    (void)state;
    char *folder = scratch_folder_new();
    struct err err = {0};
    assert_int_equal(sasl_acceptor_library_open(folder, "PLAIN", &users, &library, &err),
                     ERR_CONFIG);
    assert_null(library);
    assert_non_null(strstr(err.text, folder));
    scratch_folder_remove(folder);
    /* It had no lasting effect. */
    open_library(SASL_PLUGIN_FOLDER, "PLAIN");
}

static void list_is_filtered(void **state)
{
    (void)state;
    open_library(SASL_PLUGIN_FOLDER,
                 "ANONYMOUS NTLM PLAIN EXTERNAL PLAIN plain SCRAM-SHA-256-PLUS");
    assert_string_equal(sasl_acceptor_library_mechanisms(library), "PLAIN");
    static const char *const others[] = {"ANONYMOUS", "EXTERNAL",           "NTLM", "plain",
                                         "",          "SCRAM-SHA-256-PLUS", "PLAI", "PLAIN LOGIN"};
    for (size_t i = 0; i < LENGTH_OF(others); i++) {
        struct record record;
        struct sasl_acceptor *acceptor = NULL;
        assert_int_equal(sasl_acceptor_new(library, "imap", others[i], &record, &acceptor),
                         ERR_NOT_FOUND);
        assert_null(acceptor);
    }
}

static void folder_that_would_be_a_list_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(
        sasl_acceptor_library_open("a:" SASL_PLUGIN_FOLDER, "PLAIN", &users, &library, &err),
        ERR_CONFIG);
    assert_null(library);
}

static void one_a_process(void **state)
{
    (void)state;
    struct sasl_acceptor_library *second = NULL;
    struct err err = {0};
    open_library(SASL_PLUGIN_FOLDER, "PLAIN");
    assert_int_equal(sasl_acceptor_library_open(SASL_PLUGIN_FOLDER, "PLAIN", &users, &second, &err),
                     ERR_EXISTS);
    assert_null(second);
    /* The first is as it was. */
    struct record record;
    struct sasl_acceptor *acceptor = begin("PLAIN", &record);
    step(acceptor, PLAIN_OF("\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
    sasl_acceptor_free(acceptor);
}

static void opens_again_and_again(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct record record;
        open_library(SASL_PLUGIN_FOLDER, i == 1 ? "LOGIN" : EVERY);
        struct sasl_acceptor *acceptor = begin("LOGIN", &record);
        step(acceptor, PLAIN_OF("alice"), SASL_VERDICT_CONTINUE, "Password:");
        step(acceptor, PLAIN_OF("secret"), SASL_VERDICT_ACCEPTED, "");
        sasl_acceptor_free(acceptor);
        close_library(state);
    }
}

static void services(void **state)
{
    (void)state;
    static const char *const names[] = {"imap", "pop", "smtp"};
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        struct record record = {0};
        struct sasl_acceptor *acceptor = NULL;
        assert_int_equal(sasl_acceptor_new(library, names[i], "PLAIN", &record, &acceptor), 0);
        step(acceptor, PLAIN_OF("\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
        sasl_acceptor_free(acceptor);
    }
}

/* ---- PLAIN ---- */

static void plain_is_accepted(void **state)
{
    (void)state;
    struct record record;
    struct sasl_acceptor *acceptor = begin("PLAIN", &record);
    assert_null(sasl_acceptor_user(acceptor));
    step(acceptor, PLAIN_OF("\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "alice");
    assert_int_equal(record.checks, 1);
    assert_int_equal(record.lookups, 0);
    assert_string_equal(record.user, "alice");
    assert_string_equal(record.password, "secret");
    end(acceptor);
}

static void plain_without_initial_response(void **state)
{
    (void)state;
    struct record record;
    struct sasl_acceptor *acceptor = begin("PLAIN", &record);
    step_without_bytes(acceptor, "");
    assert_null(sasl_acceptor_user(acceptor));
    step(acceptor, PLAIN_OF("alice\0alice\0secret"), SASL_VERDICT_ACCEPTED, "");
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
        {PLAIN_OF("\0 alice \0secret"), " alice ", "PLAIN"},
        {PLAIN_OF("\0Ren\303\251e\0secret"), "Ren\303\251e", "PLAIN"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct record record;
        struct sasl_acceptor *acceptor = begin("PLAIN", &record);
        step(acceptor, cases[i].message, SASL_VERDICT_ACCEPTED, "");
        assert_string_equal(record.user, cases[i].user);
        assert_string_equal(sasl_acceptor_user(acceptor), cases[i].user);
        sasl_acceptor_free(acceptor);

        acceptor = begin("LOGIN", &record);
        step(acceptor, slice_of_string(cases[i].user), SASL_VERDICT_CONTINUE, "Password:");
        step(acceptor, PLAIN_OF("secret"), SASL_VERDICT_ACCEPTED, "");
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
        {PLAIN_OF("\0alice\0wrong"), 1},
        {PLAIN_OF("\0nobody\0secret"), 1},
        {PLAIN_OF("\0Alice\0secret"), 1},
        {PLAIN_OF("\0alice \0secret"), 1},
        /* The clear password of the challenge mechanisms opens nothing here. */
        {PLAIN_OF("\0alice\0pencil"), 1},
        {PLAIN_OF("\0bob\0pencil"), 1},
        {PLAIN_OF("bob\0alice\0secret"), 0},
        {PLAIN_OF("alic\0alice\0secret"), 0},
        {PLAIN_OF("alicea\0alice\0secret"), 0},
        {PLAIN_OF("\0alice\0"), 0},
        {PLAIN_OF("\0\0secret"), 0},
        {PLAIN_OF("\0\0"), 0},
        {PLAIN_OF("\0a\r\nDELE 1\0secret"), 0},
        {PLAIN_OF("\0alice\001\0secret"), 0},
        {PLAIN_OF("\0al\x7fice\0secret"), 0},
        {PLAIN_OF("\0al\xff\0secret"), 0},
        {PLAIN_OF("\0al\xc3\0secret"), 0},
        {PLAIN_OF("\0\xc0\xaf\0secret"), 0},
        {PLAIN_OF("\0\xed\xa0\x80\0secret"), 0},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct record record;
        struct sasl_acceptor *acceptor = begin("PLAIN", &record);
        step(acceptor, cases[i].message, SASL_VERDICT_REFUSED, "");
        assert_null(sasl_acceptor_user(acceptor));
        assert_int_equal(record.checks, cases[i].checks);
        assert_int_equal(record.lookups, 0);
        end(acceptor);
    }
}

static void plain_is_malformed(void **state)
{
    (void)state;
    static const struct slice cases[] = {
        PLAIN_OF(""),
        PLAIN_OF("alice"),
        PLAIN_OF("\0"),
        PLAIN_OF("alice\0secret"),
        PLAIN_OF("\0alice\0secret\0"),
        PLAIN_OF("\0alice\0secret\0junk"),
        PLAIN_OF("\0alice\0\0secret"),
        PLAIN_OF("\0\0\0"),
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        for (int with_empty_round = 0; with_empty_round < 2; with_empty_round++) {
            struct record record;
            struct sasl_acceptor *acceptor = begin("PLAIN", &record);
            if (with_empty_round)
                step_without_bytes(acceptor, "");
            step(acceptor, cases[i], SASL_VERDICT_MALFORMED, "");
            assert_int_equal(record.checks, 0);
            end(acceptor);
        }
    }
}

/* PLAIN with a user of `user_size` octets and a password of `password_size`. */
static enum sasl_verdict plain_of_size(size_t user_size, size_t password_size,
                                       struct record *record)
{
    size_t size = 1 + user_size + 1 + password_size;
    char *message = mem_new(size);
    memset(message + 1, 'u', user_size);
    memset(message + 2 + user_size, 'p', password_size);
    struct sasl_acceptor *acceptor = begin("PLAIN", record);
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
    struct record record;
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
    struct record record;
    char message[7 + 255] = "\0alice";
    for (int i = 1; i < 256; i++)
        message[6 + i] = (char)i;
    struct sasl_acceptor *acceptor = begin("PLAIN", &record);
    step(acceptor, slice_of(message, sizeof(message)), SASL_VERDICT_REFUSED, "");
    assert_int_equal(record.checks, 1);
    assert_int_equal(strlen(record.password), 255);
    assert_memory_equal(record.password, message + 7, 255);
    sasl_acceptor_free(acceptor);

    acceptor = begin("LOGIN", &record);
    step(acceptor, PLAIN_OF("alice"), SASL_VERDICT_CONTINUE, "Password:");
    step(acceptor, slice_of(message + 7, 255), SASL_VERDICT_REFUSED, "");
    assert_int_equal(record.checks, 1);
    assert_memory_equal(record.password, message + 7, 255);
    sasl_acceptor_free(acceptor);
}

/* ---- LOGIN ---- */

static void login_is_accepted(void **state)
{
    (void)state;
    struct record record;
    struct sasl_acceptor *acceptor = begin("LOGIN", &record);
    step_without_bytes(acceptor, "Username:");
    step(acceptor, PLAIN_OF("alice"), SASL_VERDICT_CONTINUE, "Password:");
    assert_int_equal(record.checks, 0);
    step(acceptor, PLAIN_OF("secret"), SASL_VERDICT_ACCEPTED, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "alice");
    assert_int_equal(record.checks, 1);
    end(acceptor);

    acceptor = begin("LOGIN", &record);
    step(acceptor, PLAIN_OF(""), SASL_VERDICT_CONTINUE, "Username:");
    step(acceptor, PLAIN_OF("alice"), SASL_VERDICT_CONTINUE, "Password:");
    step(acceptor, PLAIN_OF("secret"), SASL_VERDICT_ACCEPTED, "");
    sasl_acceptor_free(acceptor);
}

static void login_refuses_names_at_once(void **state)
{
    (void)state;
    static const struct slice names[] = {
        PLAIN_OF("alice\0"),   PLAIN_OF("alice\0x"), PLAIN_OF("\0alice"),
        PLAIN_OF("alice\r\n"), PLAIN_OF("al\xff"),   PLAIN_OF(""),
    };
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        struct record record;
        struct sasl_acceptor *acceptor = begin("LOGIN", &record);
        step_without_bytes(acceptor, "Username:");
        step(acceptor, names[i], SASL_VERDICT_REFUSED, "");
        end(acceptor);
        if (names[i].size == 0)
            continue;
        acceptor = begin("LOGIN", &record);
        step(acceptor, names[i], SASL_VERDICT_REFUSED, "");
        assert_int_equal(record.checks, 0);
        end(acceptor);
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
        {PLAIN_OF("alice"), PLAIN_OF("wrong"), SASL_VERDICT_REFUSED, 1},
        {PLAIN_OF("nobody"), PLAIN_OF("secret"), SASL_VERDICT_REFUSED, 1},
        {PLAIN_OF("alice"), PLAIN_OF(""), SASL_VERDICT_REFUSED, 0},
        {PLAIN_OF("alice"), PLAIN_OF("secret\0"), SASL_VERDICT_MALFORMED, 0},
        {PLAIN_OF("alice"), PLAIN_OF("secret\0x"), SASL_VERDICT_MALFORMED, 0},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct record record;
        struct sasl_acceptor *acceptor = begin("LOGIN", &record);
        step_without_bytes(acceptor, "Username:");
        step(acceptor, cases[i].user, SASL_VERDICT_CONTINUE, "Password:");
        step(acceptor, cases[i].password, cases[i].verdict, "");
        assert_int_equal(record.checks, cases[i].checks);
        assert_int_equal(record.lookups, 0);
        end(acceptor);
    }
}

/* ---- the check that is to come later ---- */

static void later_is_pending_and_never_accepted(void **state)
{
    (void)state;
    struct record record;
    struct sasl_acceptor *acceptor = begin("PLAIN", &record);
    step(acceptor, PLAIN_OF("\0later\0whatever"), SASL_VERDICT_PENDING, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "later");
    assert_int_equal(record.checks, 1);
    /* What comes behind it accepts nothing, least of all another user's password. */
    end(acceptor);

    acceptor = begin("LOGIN", &record);
    step(acceptor, PLAIN_OF("later"), SASL_VERDICT_CONTINUE, "Password:");
    step(acceptor, PLAIN_OF("whatever"), SASL_VERDICT_PENDING, "");
    assert_string_equal(sasl_acceptor_user(acceptor), "later");
    end(acceptor);

    acceptor = begin("PLAIN", &record);
    step(acceptor, PLAIN_OF("alice\0later\0whatever"), SASL_VERDICT_REFUSED, "");
    assert_int_equal(record.checks, 0);
    end(acceptor);
}

static void exchanges_are_separate(void **state)
{
    (void)state;
    struct record first_record, second_record, third_record;
    struct sasl_acceptor *first = begin("LOGIN", &first_record);
    struct sasl_acceptor *second = begin("LOGIN", &second_record);
    struct sasl_acceptor *third = begin("PLAIN", &third_record);
    step_without_bytes(first, "Username:");
    step_without_bytes(second, "Username:");
    step_without_bytes(third, "");
    step(first, PLAIN_OF("alice"), SASL_VERDICT_CONTINUE, "Password:");
    step(second, PLAIN_OF("bob"), SASL_VERDICT_CONTINUE, "Password:");
    step(third, PLAIN_OF("\0later\0x"), SASL_VERDICT_PENDING, "");
    step(second, PLAIN_OF("secret"), SASL_VERDICT_REFUSED, "");
    step(first, PLAIN_OF("secret"), SASL_VERDICT_ACCEPTED, "");
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
        struct record record;
        struct slice challenge;
        sasl_acceptor_free(begin(mechanisms[i], &record));
        struct sasl_acceptor *acceptor = begin(mechanisms[i], &record);
        assert_int_equal(sasl_acceptor_step(acceptor, false, SLICE_NONE, &challenge),
                         SASL_VERDICT_CONTINUE);
        sasl_acceptor_free(acceptor);
    }
    sasl_acceptor_free(NULL);
}

/* ---- the challenge mechanisms, against libsasl2's client ---- */

struct client {
    const char *user, *authorization;
    sasl_secret_t *password;
    sasl_conn_t *connection;
    sasl_callback_t callbacks[6];
};

static int client_name(void *context, int identifier, const char **result_out, unsigned *size_out)
{
    const struct client *client = context;
    *result_out = identifier == SASL_CB_USER ? client->authorization : client->user;
    if (size_out != NULL)
        *size_out = (unsigned)strlen(*result_out);
    return SASL_OK;
}

static int client_realm(void *context, int identifier, const char **realms, const char **result_out)
{
    (void)context;
    (void)identifier;
    *result_out = realms != NULL && realms[0] != NULL ? realms[0] : "";
    return SASL_OK;
}

static int client_password(sasl_conn_t *connection, void *context, int identifier,
                           sasl_secret_t **password_out)
{
    (void)connection;
    (void)identifier;
    const struct client *client = context;
    *password_out = client->password;
    return SASL_OK;
}

static int plugin_folder(void *context, const char **path_out)
{
    (void)context;
    *path_out = SASL_PLUGIN_FOLDER;
    return SASL_OK;
}

static int no_log(void *context, int level, const char *message)
{
    (void)context;
    (void)level;
    (void)message;
    return SASL_OK;
}

static sasl_callback_t callback(unsigned long identifier, void (*function)(void), void *context)
{
    return (sasl_callback_t){identifier, (int (*)(void))function, context};
}

static sasl_callback_t client_library_callbacks[3];

static int open_with_client(void **state)
{
    open_every(state);
    assert_true(hostname_is_ours());
    client_library_callbacks[0] = callback(SASL_CB_GETPATH, (void (*)(void))plugin_folder, NULL);
    client_library_callbacks[1] = callback(SASL_CB_LOG, (void (*)(void))no_log, NULL);
    assert_int_equal(sasl_client_init(client_library_callbacks), SASL_OK);
    return 0;
}

static int close_with_client(void **state)
{
    sasl_client_done();
    return close_library(state);
}

static void client_open(struct client *client, const char *user, const char *authorization,
                        const char *password)
{
    *client = (struct client){.user = user, .authorization = authorization};
    client->password = mem_new(sizeof(sasl_secret_t) + strlen(password) + 1);
    client->password->len = strlen(password);
    memcpy(client->password->data, password, strlen(password));
    client->callbacks[0] = callback(SASL_CB_USER, (void (*)(void))client_name, client);
    client->callbacks[1] = callback(SASL_CB_AUTHNAME, (void (*)(void))client_name, client);
    client->callbacks[2] = callback(SASL_CB_PASS, (void (*)(void))client_password, client);
    client->callbacks[3] = callback(SASL_CB_GETREALM, (void (*)(void))client_realm, client);
    client->callbacks[4] = callback(SASL_CB_LOG, (void (*)(void))no_log, client);
    assert_int_equal(
        sasl_client_new("imap", "localhost", NULL, NULL, client->callbacks, 0, &client->connection),
        SASL_OK);
    const sasl_security_properties_t properties = {.max_ssf = 0};
    assert_int_equal(sasl_setprop(client->connection, SASL_SEC_PROPS, &properties), SASL_OK);
}

static void client_close(struct client *client)
{
    sasl_dispose(&client->connection);
    mem_free(client->password);
}

/* Runs the exchange to its end. *rounds_out: how many messages the server got. */
static enum sasl_verdict converse(struct sasl_acceptor *acceptor, struct client *client,
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
        struct record record;
        struct client client;
        unsigned rounds;
        client_open(&client, "alice", "", "pencil");
        struct sasl_acceptor *acceptor = begin(challenge_mechanisms[i], &record);
        assert_int_equal(converse(acceptor, &client, challenge_mechanisms[i], &rounds),
                         SASL_VERDICT_ACCEPTED);
        assert_string_equal(sasl_acceptor_user(acceptor), "alice");
        assert_int_equal(record.checks, 0);
        assert_int_equal(record.lookups, 1);
        end(acceptor);
        client_close(&client);
    }
}

/* libsasl2's client sends them: its own plug-in strips only spaces. */
static void challenge_mechanisms_refuse_names(void **state)
{
    (void)state;
    static const char *const names[] = {"ali\001ce", "ali\377ce", "al\tice"};
    for (size_t i = 0; i < LENGTH_OF(challenge_mechanisms); i++)
        for (size_t j = 0; j < LENGTH_OF(names); j++) {
            struct record record;
            struct client client;
            unsigned rounds;
            client_open(&client, names[j], "", "pencil");
            struct sasl_acceptor *acceptor = begin(challenge_mechanisms[i], &record);
            assert_int_equal(converse(acceptor, &client, challenge_mechanisms[i], &rounds),
                             SASL_VERDICT_REFUSED);
            assert_int_equal(record.lookups, 0);
            end(acceptor);
            client_close(&client);
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
            struct record record;
            struct client client;
            client_open(&client, cases[j].user, "", cases[j].password);
            struct sasl_acceptor *acceptor = begin(challenge_mechanisms[i], &record);
            assert_int_equal(converse(acceptor, &client, challenge_mechanisms[i], &rounds[j]),
                             SASL_VERDICT_REFUSED);
            assert_int_equal(record.checks, 0);
            end(acceptor);
            client_close(&client);
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
        struct record record;
        struct client client;
        unsigned rounds;
        client_open(&client, "alice", "bob", "pencil");
        struct sasl_acceptor *acceptor = begin(mechanisms[i], &record);
        assert_int_equal(converse(acceptor, &client, mechanisms[i], &rounds), SASL_VERDICT_REFUSED);
        end(acceptor);
        client_close(&client);
    }
}

/* A server that has sent its proof waits for an empty answer, and for nothing else. */
static void success_data_wants_an_empty_answer(void **state)
{
    (void)state;
    struct record record;
    struct client client;
    const char *output = NULL;
    unsigned size = 0;
    struct slice challenge;
    client_open(&client, "alice", "", "pencil");
    struct sasl_acceptor *acceptor = begin("SCRAM-SHA-256", &record);
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
    step(acceptor, PLAIN_OF("x"), SASL_VERDICT_MALFORMED, "");
    end(acceptor);
    client_close(&client);
}

static void nonsense_is_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism;
        struct slice first;
    } cases[] = {
        {"CRAM-MD5", PLAIN_OF("alice 0123")},
        {"SCRAM-SHA-256", PLAIN_OF("x")},
        {"SCRAM-SHA-256", PLAIN_OF("n,,n=alice")},
        {"SCRAM-SHA-256", PLAIN_OF("n,,m=x,n=alice,r=abc")},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct record record;
        struct sasl_acceptor *acceptor = begin(cases[i].mechanism, &record);
        step(acceptor, cases[i].first, SASL_VERDICT_MALFORMED, "");
        assert_int_equal(record.lookups, 0);
        end(acceptor);
    }
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
        struct record record;
        struct slice challenge;
        struct sasl_acceptor *acceptor = begin(cases[i].mechanism, &record);
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

#define WITH_EVERY(test)  cmocka_unit_test_setup_teardown(test, open_every, close_library)
#define WITH_CLIENT(test) cmocka_unit_test_setup_teardown(test, open_with_client, close_with_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(loads_only_what_the_list_needs, close_library),
        cmocka_unit_test_teardown(offers_what_is_installed, close_library),
        cmocka_unit_test_teardown(nothing_installed_is_an_error, close_library),
        cmocka_unit_test_teardown(list_is_filtered, close_library),
        cmocka_unit_test_teardown(folder_that_would_be_a_list_is_refused, close_library),
        cmocka_unit_test_teardown(one_a_process, close_library),
        cmocka_unit_test_teardown(opens_again_and_again, close_library),
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
        WITH_CLIENT(challenge_mechanisms_accept),
        WITH_CLIENT(challenge_mechanisms_refuse),
        WITH_CLIENT(challenge_mechanisms_refuse_names),
        WITH_CLIENT(nobody_acts_for_another),
        WITH_CLIENT(success_data_wants_an_empty_answer),
        WITH_EVERY(nonsense_is_malformed),
        WITH_EVERY(empty_initial_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
