/*
 * The file itself: what it is, whose it is, and who may read or write it.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/scratch_folder.h"
#include "conf_case.h"

#define SECRET FINE "client_secret = s\n"

struct place {
    char *folder, *file;
};

static int make_place(void **state)
{
    struct place *place = mem_new(sizeof(*place));

    place->folder = scratch_folder_new();
    place->file = scratch_path(place->folder, "ecluse.ini");
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;

    free(place->file);
    scratch_folder_remove(place->folder);
    mem_free(place);
    return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *stream = fopen(path, "w");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static struct reading read_as(const char *path, unsigned user_id)
{
    struct config_surroundings surroundings = conf_surroundings;
    struct reading reading = {0};

    surroundings.user_id = user_id;
    reading.status = config_read(path, &surroundings, &reading.config, &reading.problems);
    assert_int_equal(reading.status != 0, reading.config == NULL);
    return reading;
}

static struct reading read_own(const char *path)
{
    return read_as(path, (unsigned)getuid());
}

static void test_modes(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *problem; /* NULL: fine */
    } cases[] = {
        {FINE, 0600, NULL},
        {FINE, 0644, NULL},
        {FINE, 0400, NULL},
        {FINE, 0664, "is writable by group or others; chmod go-w it"},
        {FINE, 0620, "is writable by group or others"},
        {FINE, 0602, "is writable by group or others"},
        {SECRET, 0600, NULL},
        {SECRET, 0640, "is readable by group or others while it holds a client_secret"},
        {SECRET, 0604, "is readable by group or others while it holds a client_secret"},
        {FINE "client_secret =\n", 0644, NULL},
        {FINE "client_secret_file = /s\n", 0644, NULL},
    };
    const struct place *place = *state;

    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        write_file(place->file, cases[i].text, cases[i].mode);
        struct reading reading = read_own(place->file);
        if (cases[i].problem != NULL)
            conf_expect_problem(&reading, cases[i].text, 0, false, cases[i].problem);
        else
            conf_expect_fine(&reading, cases[i].text);
        reading_free(&reading);
        assert_int_equal(unlink(place->file), 0);
    }
}

static void test_problems_of_file_and_text_come_together(void **state)
{
    const struct place *place = *state;

    write_file(place->file, SECRET "flow = x\n", 0666);
    struct reading reading = read_own(place->file);
    assert_int_equal(reading.status, ERR_CONFIG);
    assert_int_equal(reading.problems.count, 3);
    assert_non_null(strstr(reading.problems.items[0].text, "is writable by"));
    assert_non_null(strstr(reading.problems.items[1].text, "is readable by"));
    assert_int_equal(reading.problems.items[2].line, 11);
    reading_free(&reading);
}

static void test_owner(void **state)
{
    const struct place *place = *state;
    unsigned reader = (unsigned)getuid() + 1;

    write_file(place->file, FINE, 0644);
    if (getuid() == 0) {
        struct reading of_root = read_as(place->file, reader);
        conf_expect_fine(&of_root, "root's file, read by somebody");
        reading_free(&of_root);
        assert_int_equal(chown(place->file, 4242, (gid_t)-1), 0);
        struct reading own = read_as(place->file, 4242);
        conf_expect_fine(&own, "the reader's own file");
        reading_free(&own);
    }
    struct reading reading = read_as(place->file, reader);
    conf_expect_problem(&reading, "another's file", 0, false, "it must be ours or root's");
    reading_free(&reading);
}

static void test_links_are_followed(void **state)
{
    const struct place *place = *state;
    char *target = scratch_path(place->folder, "target.ini");

    write_file(target, FINE, 0600);
    assert_int_equal(symlink(target, place->file), 0);
    struct reading reading = read_own(place->file);
    conf_expect_fine(&reading, "through a link");
    assert_string_equal(reading.config->file, place->file);
    reading_free(&reading);
    assert_int_equal(chmod(target, 0660), 0);
    reading = read_own(place->file);
    conf_expect_problem(&reading, "through a link", 0, false, "is writable by group or others");
    reading_free(&reading);
    free(target);
}

static void test_what_is_no_file(void **state)
{
    const struct place *place = *state;

    struct reading reading = read_own(place->file);
    conf_expect_problem(&reading, "missing", 0, false, "cannot be opened: No such file");
    reading_free(&reading);
    reading = read_own(place->folder);
    conf_expect_problem(&reading, "a folder", 0, false, "is no regular file");
    reading_free(&reading);
    assert_int_equal(mkfifo(place->file, 0600), 0);
    reading = read_own(place->file);
    conf_expect_problem(&reading, "a FIFO without a writer", 0, false, "is no regular file");
    reading_free(&reading);
}

/* emailproxy.config; the secret in it is looked after as well. */
#define OTHER                                                                                      \
    "[IMAP-1993]\nserver_address = imap.mail.test\nserver_port = 993\n"                            \
    "local_address = 127.0.0.1\n"                                                                  \
    "[alice@mail.test]\npermission_url = https://id.mail.test/a\n"                                 \
    "token_url = https://id.mail.test/t\noauth2_scope = mail\nclient_id = x\n"

static void test_a_file_of_the_other_format(void **state)
{
    const struct place *place = *state;

    write_file(place->file, OTHER, 0600);
    struct reading reading = read_own(place->file);
    assert_int_equal(reading.status, 0);
    assert_int_equal(reading.config->account_count, 1);
    assert_string_equal(reading.config->accounts[0]->address, "alice@mail.test");
    assert_string_equal(reading.config->accounts[0]->scope, "mail");
    reading_free(&reading);
    write_file(place->file, OTHER "client_secret = s\n", 0644);
    reading = read_own(place->file);
    conf_expect_problem(&reading, "readable", 0, false, "is readable by group or others");
    reading_free(&reading);
    write_file(place->file, OTHER "client_secret = s\xff\n", 0600);
    reading = read_own(place->file);
    assert_int_equal(reading.status, ERR_CONFIG);
    assert_non_null(strstr(reading.problems.items[0].text, "no UTF-8 text"));
    reading_free(&reading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modes, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_problems_of_file_and_text_come_together, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(test_owner, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_links_are_followed, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_what_is_no_file, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_a_file_of_the_other_format, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
