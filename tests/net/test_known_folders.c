/*
 * The folders that a configuration needs, and the next one.
 */
#include "config_file.h"
#include "keeper/known_folders.h"

#include <dlfcn.h>
#include <sys/auxv.h>

#define ACCOUNT                                                                                    \
    "[provider p]\nimap = tls://localhost:993\n"                                                   \
    "authorization_endpoint = https://localhost/a\ntoken_endpoint = https://localhost/t\n"         \
    "[account work]\naddress = a@p.test\nprovider = p\nclient_id = c\n"
#define LISTENER "[listen imap]\naddress = 127.0.0.1:1143\n"

static struct {
    char *folder;
    struct known_folders known;
    char text[480];
} test;

static int set_up(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    test.folder = scratch_folder_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    known_folders_clear(&test.known);
    scratch_folder_remove(test.folder);
    return 0;
}

static void make_folder(const char *name)
{
    char *path = scratch_path(test.folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void make_file(const char *name)
{
    char *path = scratch_path(test.folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    free(path);
}

static void make_link(const char *to, const char *name)
{
    char *path = scratch_path(test.folder, name);
    assert_int_equal(symlink(to, path), 0);
    free(path);
}

static void start_with(const char *text)
{
    struct config *config = config_from_text(test.folder, text);
    known_folders_find(config, &test.known);
    config_free(config);
}

static int reload_with(const char *text)
{
    struct err err = {0};
    struct config *config = config_from_text(test.folder, text);
    int status = known_folders_check(&test.known, config, &err);
    memcpy(test.text, err.text, sizeof(test.text));
    config_free(config);
    return status;
}

static bool has(const char *name, enum confine_access access)
{
    char *path = name[0] == '/' ? strdup(name) : scratch_path(test.folder, name);
    bool found = false;
    for (size_t i = 0; i < test.known.count; i++)
        found = found || (strcmp(test.known.places[i].path, path) == 0 &&
                          test.known.places[i].access == access);
    free(path);
    return found;
}

/* ---- */

static void test_what_is_named(void **state)
{
    (void)state;
    make_folder("cert");
    make_folder("secret");
    make_folder("sockets");
    make_file("secret/client");
    make_folder("anchor");
    start_with("audit_anchor = @/anchor/lines\n" LISTENER
               "tls = on\ntls_cert = @/cert/chain.pem\ntls_key = @/cert/key.pem\n"
               "[listen pop3]\nprotocol = pop3\naddress = unix:@/sockets/pop3\n" ACCOUNT
               "client_secret_file = @/secret/client\n");
    assert_true(has("state", CONFINE_CHANGE));
    assert_true(has("run", CONFINE_CHANGE));
    assert_true(has("sockets", CONFINE_CHANGE));
    assert_true(has("anchor", CONFINE_CHANGE));
    assert_true(has("cert", CONFINE_READ));
    assert_true(has("secret", CONFINE_READ));
    assert_true(has("/etc", CONFINE_READ));
    assert_false(has("/", CONFINE_READ));
    assert_false(has("/proc", CONFINE_READ));
    assert_false(has("/tmp", CONFINE_READ));
    assert_false(has("secret", CONFINE_CHANGE));
}

/* The kernel runs a gate by it. */
static const char *loader(void)
{
    Dl_info about = {0};
    assert_int_not_equal(dladdr((void *)(uintptr_t)getauxval(AT_BASE), &about), 0);
    return about.dli_fname;
}

static void test_what_may_be_run(void **state)
{
    (void)state;
    start_with(LISTENER ACCOUNT);
    assert_true(has("/proc/self/exe", CONFINE_RUN));
    assert_true(has(loader(), CONFINE_RUN));
    for (size_t i = 0; i < test.known.count; i++) {
        const struct confine_place *place = &test.known.places[i];
        if (place->access == CONFINE_RUN && strcmp(place->path, "/proc/self/exe") != 0)
            assert_string_equal(place->path, loader());
    }
}

/* The configuration's own folder is that of the scratch folder. */
static void test_both_ends_of_a_link(void **state)
{
    (void)state;
    make_folder("live");
    make_folder("archive");
    make_file("archive/chain1.pem");
    make_link("../archive/chain1.pem", "live/chain.pem");
    start_with(LISTENER
               "tls = on\ntls_cert = @/live/chain.pem\ntls_key = @/live/key.pem\n" ACCOUNT);
    assert_true(has("live", CONFINE_READ));
    assert_true(has("archive", CONFINE_READ));
}

static void test_reload_within_what_is_known(void **state)
{
    (void)state;
    start_with(LISTENER ACCOUNT);
    assert_int_equal(reload_with(LISTENER ACCOUNT), 0);
    /* beside the configuration, and below what is known */
    assert_int_equal(reload_with(LISTENER ACCOUNT "client_secret_file = @/other\n"), 0);
    assert_int_equal(
        reload_with(LISTENER
                    "tls = on\ntls_cert = /etc/new/c.pem\ntls_key = /etc/new/k.pem\n" ACCOUNT),
        0);
}

static void test_reload_beyond_it(void **state)
{
    (void)state;
    start_with(LISTENER ACCOUNT);
    assert_int_equal(reload_with(LISTENER ACCOUNT "client_secret_file = /srv/secret/c\n"),
                     ERR_CONFIG);
    assert_string_equal(test.text, "ecluse did not know of folder /srv/secret when it started, and "
                                   "is confined to those it knew; start it again");
    /* It may read what is beside its configuration, and not make a socket there. */
    assert_int_equal(reload_with("[listen imap]\naddress = unix:@/imap\n" ACCOUNT), ERR_CONFIG);
    /* a name that begins alike */
    assert_int_equal(reload_with(LISTENER ACCOUNT "client_secret_file = /etcetera/c\n"),
                     ERR_CONFIG);
}

#define WITH_FOLDER(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_what_is_named),       WITH_FOLDER(test_what_may_be_run),
        WITH_FOLDER(test_both_ends_of_a_link), WITH_FOLDER(test_reload_within_what_is_known),
        WITH_FOLDER(test_reload_beyond_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
