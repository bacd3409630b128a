/* The certificates and keys of listeners: those that the configuration names, and our own. */
#include "config_file.h"

#include <errno.h>
#include <time.h>

#include "../lib/certificate.h"
#include "keeper/listener_tls.h"
#include "keeper/own_certificate.h"
#include "tls_client.h"

#define OURS  "[listen imaps]\naddress = 127.0.0.1:1\ntls = on\n"
#define THEIR OURS "tls_cert = @/cert.pem\ntls_key = @/key.pem\n"

struct place {
    char *folder, *state;
    struct certificate *certificate, *other;
};

static int set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    const struct certificate_wish wish = {.common_name = "localhost", .names = "DNS:localhost"};
    place->folder = scratch_folder_new();
    place->state = scratch_path(place->folder, "state");
    place->certificate = certificate_new(&wish, NULL);
    place->other = certificate_new(&wish, NULL);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    certificate_free(place->certificate);
    certificate_free(place->other);
    free(place->state);
    scratch_folder_remove(place->folder);
    mem_free(place);
    return 0;
}

static void put(const struct place *place, const char *name, const char *text, mode_t mode)
{
    char *path = scratch_path(place->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static void put_pair(const struct place *place, const struct certificate *of_certificate,
                     const struct certificate *of_key)
{
    char *certificate = certificate_text(of_certificate), *key = key_text(of_key->key);
    put(place, "cert.pem", certificate, 0644);
    put(place, "key.pem", key, 0600);
    mem_free(certificate);
    mem_free(key);
}

static int read_listener(const struct place *place, const char *text, char **certificate_out,
                         struct secret *key_out, struct err *err)
{
    struct config *config = config_from_text(place->folder, text);
    int status = listener_tls_read(config, config->listeners[0], certificate_out, key_out, err);
    config_free(config);
    return status;
}

/* Refused, with a text that has "@/" where the folder is. */
static void check_refused(const struct place *place, const char *text, const char *why)
{
    struct err err = {0};
    char *certificate;
    struct secret key = {0};
    char expected[1024];
    size_t used = 0;
    assert_int_equal(read_listener(place, text, &certificate, &key, &err), ERR_CONFIG);
    assert_null(certificate);
    assert_false(secret_is_set(&key));
    for (; *why != '\0' && used + strlen(place->folder) < sizeof(expected); why++)
        if (why[0] == '@' && why[1] == '/')
            used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%s", place->folder);
        else
            expected[used++] = *why;
    expected[used] = '\0';
    assert_string_equal(err.text, expected);
}

static void check_fine(const struct place *place, const char *text)
{
    struct err err = {0};
    char *certificate;
    struct secret key = {0};
    int status = read_listener(place, text, &certificate, &key, &err);
    if (status != 0)
        fail_msg("%s", err.text);
    assert_non_null(strstr(certificate, "BEGIN CERTIFICATE"));
    assert_true(secret_is_set(&key));
    mem_free(certificate);
    secret_wipe(&key);
}

static void test_named_files(void **state)
{
    const struct place *place = *state;
    put_pair(place, place->certificate, place->certificate);
    check_fine(place, THEIR);
    check_fine(place, THEIR "tls_min = 1.0\n");
    check_fine(place, THEIR "tls_min = 1.3\n");
}

static void test_missing_files(void **state)
{
    const struct place *place = *state;
    check_refused(place, THEIR, "listen imaps: @/cert.pem does not exist");
    check_refused(place, OURS,
                  "listen imaps: @/state/tls.crt does not exist; run ecluse cert, or set tls_cert "
                  "and tls_key");
    put_pair(place, place->certificate, place->certificate);
    char *key = scratch_path(place->folder, "key.pem");
    assert_int_equal(unlink(key), 0);
    free(key);
    check_refused(place, THEIR, "listen imaps: @/key.pem does not exist");
}

static void test_pair_that_does_not_fit(void **state)
{
    const struct place *place = *state;
    put_pair(place, place->certificate, place->other);
    check_refused(place, THEIR,
                  "listen imaps: @/cert.pem with @/key.pem: the private key is not that of the "
                  "certificate");
    put(place, "key.pem", "no key\n", 0600);
    check_refused(place, THEIR, "listen imaps: @/cert.pem with @/key.pem: no private key in it");
    put(place, "cert.pem", "", 0600);
    check_refused(place, THEIR, "listen imaps: @/cert.pem with @/key.pem: no certificate in it");
}

static void test_key_that_others_can_read(void **state)
{
    const struct place *place = *state;
    static const struct {
        mode_t mode;
        const char *why;
    } rows[] = {
        {0640, "listen imaps: @/key.pem has mode 0640, others can get at it; run: chmod 600 "
               "@/key.pem"},
        {0604, "listen imaps: @/key.pem has mode 0604, others can get at it; run: chmod 600 "
               "@/key.pem"},
        {0620, "listen imaps: @/key.pem has mode 0620, others can get at it; run: chmod 600 "
               "@/key.pem"},
    };
    put_pair(place, place->certificate, place->certificate);
    char *key = scratch_path(place->folder, "key.pem");
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        assert_int_equal(chmod(key, rows[i].mode), 0);
        check_refused(place, THEIR, rows[i].why);
    }
    assert_int_equal(chmod(key, 0400), 0);
    check_fine(place, THEIR);
    free(key);
}

static void test_what_is_no_file(void **state)
{
    const struct place *place = *state;
    put_pair(place, place->certificate, place->certificate);
    char *path = scratch_path(place->folder, "cert.pem");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_refused(place, THEIR, "listen imaps: @/cert.pem is not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    check_refused(place, THEIR, "listen imaps: @/cert.pem is not a regular file");
    assert_int_equal(rmdir(path), 0);
    free(path);
    char *large = mem_new(64 * 1024 + 2);
    memset(large, '\n', 64 * 1024 + 1);
    put(place, "cert.pem", large, 0600);
    mem_free(large);
    check_refused(place, THEIR, "listen imaps: @/cert.pem is larger than 64 KiB");
}

static void test_minimum(void **state)
{
    const struct place *place = *state;
    static const char *const texts[] = {OURS "tls_min = 1.0\n", OURS "tls_min = 1.1\n",
                                        OURS "tls_min = 1.2\n", OURS "tls_min = 1.3\n"};
    for (size_t i = 0; i < LENGTH_OF(texts); i++) {
        struct config *config = config_from_text(place->folder, texts[i]);
        assert_int_equal(listener_tls_minimum(config->listeners[0]), i);
        config_free(config);
    }
}

/* ---- our own ---- */

static struct own_certificate make(const struct place *place, bool wants_new_key)
{
    struct own_certificate made;
    struct err err = {0};
    int status = own_certificate_make(place->state, wants_new_key, time(NULL), &made, &err);
    if (status != 0)
        fail_msg("%s", err.text);
    return made;
}

static mode_t mode_of(const char *path)
{
    struct stat about;
    assert_int_equal(lstat(path, &about), 0);
    assert_true(S_ISREG(about.st_mode));
    return about.st_mode & 07777;
}

static char *content_of(const char *path)
{
    char text[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof(text), file);
    assert_int_equal(fclose(file), 0);
    return mem_copy_bytes_as_string(text, size);
}

static void test_own_pair_is_served(void **state)
{
    const struct place *place = *state;
    mode_t mask = umask(0);
    struct own_certificate made = make(place, false);
    umask(mask);
    assert_true(made.has_new_key);
    assert_int_equal(mode_of(made.key_file), 0600);
    assert_int_equal(mode_of(made.certificate_file), 0600);
    assert_non_null(strstr(made.certificate_file, "/state/tls.crt"));
    assert_non_null(strstr(made.key_file, "/state/tls.key"));
    check_fine(place, OURS);
    own_certificate_clear(&made);
}

static void test_renewal_keeps_the_key(void **state)
{
    const struct place *place = *state;
    struct own_certificate first = make(place, false);
    char *first_key = content_of(first.key_file);
    /* Others may read a certificate; it is replaced all the same. */
    assert_int_equal(chmod(first.certificate_file, 0644), 0);
    struct own_certificate second = make(place, false);
    char *second_key = content_of(second.key_file);
    assert_false(second.has_new_key);
    assert_string_equal(first_key, second_key);
    assert_memory_not_equal(first.facts.fingerprint, second.facts.fingerprint,
                            TLS_FINGERPRINT_SIZE);
    check_fine(place, OURS);
    struct own_certificate third = make(place, true);
    char *third_key = content_of(third.key_file);
    assert_true(third.has_new_key);
    assert_string_not_equal(first_key, third_key);
    check_fine(place, OURS);
    mem_free(first_key);
    mem_free(second_key);
    mem_free(third_key);
    own_certificate_clear(&first);
    own_certificate_clear(&second);
    own_certificate_clear(&third);
}

static void check_not_made(const struct place *place, bool wants_new_key, int status,
                           const char *why)
{
    struct own_certificate made;
    struct err err = {0};
    assert_int_equal(own_certificate_make(place->state, wants_new_key, time(NULL), &made, &err),
                     status);
    assert_non_null(strstr(err.text, why));
    assert_null(made.certificate_file);
}

static void test_key_that_is_not_safe(void **state)
{
    const struct place *place = *state;
    struct own_certificate made = make(place, false);
    char *certificate = content_of(made.certificate_file);
    assert_int_equal(chmod(made.key_file, 0640), 0);
    check_not_made(place, false, ERR_DENIED, "chmod 600");
    put(place, "state/tls.key", "no key\n", 0600);
    check_not_made(place, false, ERR_SYNTAX, "/state/tls.key: no private key in it");
    char *after = content_of(made.certificate_file);
    assert_string_equal(certificate, after);
    assert_int_equal(unlink(made.key_file), 0);
    assert_int_equal(symlink("/dev/null", made.key_file), 0);
    check_not_made(place, false, ERR_DENIED, "symbolic link");
    /* A new key takes the place of whatever was there. */
    struct own_certificate again = make(place, true);
    check_fine(place, OURS);
    mem_free(certificate);
    mem_free(after);
    own_certificate_clear(&made);
    own_certificate_clear(&again);
}

static void test_folder_that_is_not_safe(void **state)
{
    const struct place *place = *state;
    assert_int_equal(mkdir(place->state, 0700), 0);
    assert_int_equal(chmod(place->state, 0755), 0);
    check_not_made(place, false, ERR_DENIED, "chmod 700");
}

/* After a crash between the two files. */
static void test_new_key_without_its_certificate(void **state)
{
    const struct place *place = *state;
    struct own_certificate made = make(place, false);
    char *certificate = content_of(made.certificate_file);
    own_certificate_clear(&made);
    made = make(place, true);
    put(place, "state/tls.crt", certificate, 0600);
    check_refused(place, OURS,
                  "listen imaps: @/state/tls.crt with @/state/tls.key: the private key is not that "
                  "of the certificate; run ecluse cert");
    own_certificate_clear(&made);
    made = make(place, false);
    assert_false(made.has_new_key);
    check_fine(place, OURS);
    mem_free(certificate);
    own_certificate_clear(&made);
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_named_files),
        PLACE_TEST(test_missing_files),
        PLACE_TEST(test_pair_that_does_not_fit),
        PLACE_TEST(test_key_that_others_can_read),
        PLACE_TEST(test_what_is_no_file),
        PLACE_TEST(test_minimum),
        PLACE_TEST(test_own_pair_is_served),
        PLACE_TEST(test_renewal_keeps_the_key),
        PLACE_TEST(test_key_that_is_not_safe),
        PLACE_TEST(test_folder_that_is_not_safe),
        PLACE_TEST(test_new_key_without_its_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
