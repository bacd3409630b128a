/*
 * What must be refused before a secret is read or written: every way in which a folder or a file
 * could be in somebody else's reach.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/scratch_folder.h"
#include "keeper/state_folder.h"
#include "keeper/vault.h"
#include "keeper/vault_key.h"

#define OTHER_USER 1

struct place {
    char *scratch;
    char *state; /* scratch/state, not made yet */
};

static int place_set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    place->scratch = scratch_folder_new();
    place->state = scratch_path(place->scratch, "state");
    *state = place;
    return 0;
}

static int place_tear_down(void **state)
{
    struct place *place = *state;
    scratch_folder_remove(place->scratch);
    free(place->state);
    mem_free(place);
    return 0;
}

static mode_t mode_of(const char *path)
{
    struct stat stat;
    assert_int_equal(lstat(path, &stat), 0);
    return stat.st_mode & 07777;
}

static void assert_opens(const char *path)
{
    struct state_folder *folder;
    struct err err = {0};
    assert_int_equal(state_folder_open(path, &folder, &err), 0);
    state_folder_close(folder);
}

static void assert_denied(const char *path, const char *word)
{
    struct state_folder *folder;
    struct err err = {0};
    assert_int_equal(state_folder_open(path, &folder, &err), ERR_DENIED);
    assert_null(folder);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, word));
}

static void a_missing_folder_is_made_private(void **state)
{
    const struct place *place = *state;
    static const mode_t umasks[] = {0, 022, 0777};
    for (size_t i = 0; i < LENGTH_OF(umasks); i++) {
        char name[32];
        snprintf(name, sizeof(name), "a%zu", i);
        char *first = scratch_path(place->scratch, name);
        char *second = scratch_path(first, "b");
        char *third = scratch_path(second, "ecluse/");
        mode_t before = umask(umasks[i]);
        assert_opens(third);
        umask(before);
        assert_int_equal(mode_of(first), 0700);
        assert_int_equal(mode_of(second), 0700);
        assert_int_equal(mode_of(third), 0700);
        char *lock = scratch_path(third, "lock");
        assert_int_equal(mode_of(lock), 0600);
        free(lock);
        free(third);
        free(second);
        free(first);
    }
}

static void a_looser_folder_is_refused(void **state)
{
    const struct place *place = *state;
    assert_opens(place->state);
    static const mode_t modes[] = {0755, 0750, 0701, 0710, 0720, 0777, 01770};
    for (size_t i = 0; i < LENGTH_OF(modes); i++) {
        char mode[8], command[300];
        assert_int_equal(chmod(place->state, modes[i]), 0);
        snprintf(mode, sizeof(mode), "%04o", (unsigned)modes[i]);
        snprintf(command, sizeof(command), "chmod 700 %s", place->state);
        assert_denied(place->state, mode);
        assert_denied(place->state, command);
    }
    assert_int_equal(chmod(place->state, 0700), 0);
    assert_opens(place->state);
}

static void a_link_or_a_file_is_refused(void **state)
{
    const struct place *place = *state;
    assert_opens(place->state);
    char *link = scratch_path(place->scratch, "link");
    char *link_with_slash = scratch_path(link, "");
    assert_int_equal(symlink(place->state, link), 0);
    assert_denied(link, "symbolic link");
    struct state_folder *folder;
    assert_int_equal(state_folder_open(link_with_slash, &folder, NULL), ERR_DENIED);
    assert_int_equal(unlink(link), 0);
    int descriptor = open(link, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_denied(link, "no folder");
    free(link_with_slash);
    free(link);
}

static void a_link_above_the_folder_is_fine(void **state)
{
    const struct place *place = *state;
    char *link = scratch_path(place->scratch, "link");
    char *below = scratch_path(link, "state");
    assert_int_equal(symlink(place->scratch, link), 0);
    struct state_folder *folder;
    assert_int_equal(state_folder_open(below, &folder, NULL), 0);
    assert_string_equal(state_folder_path(folder), place->state);
    state_folder_close(folder);
    free(below);
    free(link);
}

static void a_parent_that_all_can_write_to_is_refused(void **state)
{
    const struct place *place = *state;
    assert_int_equal(chmod(place->scratch, 0777), 0);
    assert_denied(place->state, "chmod o-w");
    assert_int_equal(chmod(place->scratch, 01777), 0);
    assert_opens(place->state);
}

static void somebody_elses_folder_is_refused(void **state)
{
    const struct place *place = *state;
    if (geteuid() != 0)
        skip();
    assert_opens(place->state);
    assert_int_equal(chown(place->state, OTHER_USER, OTHER_USER), 0);
    assert_denied(place->state, "chown 0");
}

static void a_second_process_is_busy(void **state)
{
    const struct place *place = *state;
    struct state_folder *first, *second;
    struct err err = {0};
    assert_int_equal(state_folder_open(place->state, &first, &err), 0);
    assert_int_equal(state_folder_open(place->state, &second, &err), ERR_BUSY);
    assert_null(second);
    assert_non_null(strstr(err.text, "another ecluse"));
    state_folder_close(first);
    assert_opens(place->state);
}

/* It was forked by one that was killed, and would have become another program. */
static void a_leftover_of_the_one_before_is_waited_for(void **state)
{
    const struct place *place = *state;
    struct state_folder *before;
    struct err err = {0};
    int status;
    assert_int_equal(state_folder_open(place->state, &before, &err), 0);
    pid_t leftover = fork();
    if (leftover == 0) {
        usleep(200 * 1000);
        _exit(0);
    }
    assert_true(leftover > 0);
    state_folder_close(before);
    assert_opens(place->state);
    assert_int_equal(waitpid(leftover, &status, 0), leftover);
}

/* ---- files ---- */

static int open_vault(const char *path, struct err *err)
{
    struct state_folder *folder;
    struct secret key = {0};
    struct vault *vault = NULL;
    int status = state_folder_open(path, &folder, err);
    if (status == 0)
        status = vault_key_from_file(folder, &key, err);
    if (status == 0)
        status = vault_open(folder, &key, &vault, err);
    vault_close(vault);
    secret_wipe(&key);
    state_folder_close(folder);
    return status;
}

static void assert_vault_opens(const char *path)
{
    struct err err = {0};
    assert_int_equal(open_vault(path, &err), 0);
}

static void assert_vault_denied(const char *path, const char *name, const char *word)
{
    struct err err = {0};
    assert_int_equal(open_vault(path, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, name));
    assert_non_null(strstr(err.text, word));
}

static void refuse_modes(const char *folder, const char *name, const char *file)
{
    static const mode_t modes[] = {0640, 0604, 0666, 0700, 0620};
    for (size_t i = 0; i < LENGTH_OF(modes); i++) {
        assert_int_equal(chmod(file, modes[i]), 0);
        assert_vault_denied(folder, name, "chmod 600");
    }
    assert_int_equal(chmod(file, 0600), 0);
}

static void refuse_owner(const char *folder, const char *name, const char *file)
{
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(file, OTHER_USER, OTHER_USER), 0);
    assert_vault_denied(folder, name, "chown 0");
    assert_int_equal(chown(file, 0, 0), 0);
}

/* `aside` is where the file waits meanwhile, in another folder. */
static void refuse_stand_ins(const char *folder, const char *name, const char *file,
                             const char *aside)
{
    assert_int_equal(link(file, aside), 0);
    assert_vault_denied(folder, name, "2 hard links");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(symlink(aside, file), 0);
    assert_vault_denied(folder, name, "symbolic link");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_vault_denied(folder, name, "not a regular file");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0600), 0);
    assert_vault_denied(folder, name, "not a regular file");
    assert_int_equal(rmdir(file), 0);
    assert_int_equal(rename(aside, file), 0);
}

static void every_file_is_checked(void **state)
{
    const struct place *place = *state;
    static const char *const names[] = {"vault.key",        "vault.db",     "lock",
                                        "vault.db-journal", "vault.db-wal", "vault.db-shm"};
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        assert_vault_opens(place->state);
        char *file = scratch_path(place->state, names[i]);
        char *aside = scratch_path(place->scratch, "aside");
        int descriptor = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(descriptor >= 0);
        close(descriptor);
        refuse_modes(place->state, names[i], file);
        refuse_owner(place->state, names[i], file);
        refuse_stand_ins(place->state, names[i], file, aside);
        assert_vault_opens(place->state);
        free(aside);
        free(file);
    }
}

static void what_is_made_is_private(void **state)
{
    const struct place *place = *state;
    mode_t before = umask(0);
    assert_vault_opens(place->state);
    umask(before);
    static const char *const names[] = {"vault.key", "vault.db", "lock"};
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        char *file = scratch_path(place->state, names[i]);
        assert_int_equal(mode_of(file), 0600);
        free(file);
    }
    char *temporary = scratch_path(place->state, "vault.db.new");
    assert_int_equal(access(temporary, F_OK), -1);
    free(temporary);
}

static void a_whole_file_never_takes_anothers_place(void **state)
{
    const struct place *place = *state;
    struct state_folder *folder;
    assert_int_equal(state_folder_open(place->state, &folder, NULL), 0);
    assert_int_equal(state_folder_create_whole(folder, "x.new", "left over", 9, NULL), 0);
    assert_int_equal(state_folder_create_whole(folder, "x", "first", 5, NULL), 0);
    assert_int_equal(state_folder_create_whole(folder, "x", "second", 6, NULL), ERR_EXISTS);
    int descriptor;
    char bytes[16];
    assert_int_equal(state_folder_open_file(folder, "x", STATE_FILE_READ, &descriptor, NULL), 0);
    assert_int_equal(read(descriptor, bytes, sizeof(bytes)), 5);
    assert_memory_equal(bytes, "first", 5);
    close(descriptor);
    assert_int_equal(state_folder_check_file(folder, "x.new", NULL), ERR_NOT_FOUND);
    state_folder_close(folder);
}

static void assert_content(struct state_folder *folder, const char *name, const char *expected)
{
    int descriptor;
    char bytes[32];
    ssize_t size = (ssize_t)strlen(expected);
    assert_int_equal(state_folder_open_file(folder, name, STATE_FILE_READ, &descriptor, NULL), 0);
    assert_int_equal(read(descriptor, bytes, sizeof(bytes)), size);
    assert_memory_equal(bytes, expected, (size_t)size);
    close(descriptor);
}

/* Beside a process that has the folder. */
static void a_whole_file_is_replaced(void **state)
{
    const struct place *place = *state;
    struct state_folder *folder, *beside;
    assert_int_equal(state_folder_open(place->state, &folder, NULL), 0);
    assert_int_equal(state_folder_open_unlocked(place->state, &beside, NULL), 0);
    assert_int_equal(state_folder_create_whole(beside, "x.new", "left over", 9, NULL), 0);
    assert_int_equal(state_folder_replace_whole(beside, "x", SLICE_LITERAL("first"), NULL), 0);
    int reader;
    assert_int_equal(state_folder_open_file(folder, "x", STATE_FILE_READ, &reader, NULL), 0);
    assert_int_equal(state_folder_replace_whole(beside, "x", SLICE_LITERAL("the second"), NULL), 0);
    /* Whoever had opened the old one reads all of the old one. */
    char bytes[16];
    assert_int_equal(read(reader, bytes, sizeof(bytes)), 5);
    close(reader);
    assert_content(folder, "x", "the second");
    assert_int_equal(state_folder_check_file(folder, "x.new", NULL), ERR_NOT_FOUND);
    state_folder_close(beside);
    state_folder_close(folder);
}

static void what_is_no_file_is_not_replaced(void **state)
{
    const struct place *place = *state;
    struct state_folder *folder;
    assert_int_equal(state_folder_open(place->state, &folder, NULL), 0);
    char *path = scratch_path(place->state, "x");
    assert_int_equal(mkdir(path, 0700), 0);
    struct err err = {0};
    assert_int_equal(state_folder_replace_whole(folder, "x", SLICE_LITERAL("a"), &err), ERR_SYSTEM);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(state_folder_check_file(folder, "x.new", NULL), ERR_NOT_FOUND);
    free(path);
    state_folder_close(folder);
}

/* ---- the key ---- */

static void the_key_is_made_once(void **state)
{
    const struct place *place = *state;
    struct state_folder *folder;
    struct secret first = {0}, second = {0};
    assert_int_equal(state_folder_open(place->state, &folder, NULL), 0);
    assert_int_equal(vault_key_from_file(folder, &first, NULL), 0);
    assert_int_equal(vault_key_from_file(folder, &second, NULL), 0);
    assert_int_equal(first.size, VAULT_KEY_SIZE);
    assert_true(secret_equal(&first, secret_bytes(&second)));
    secret_wipe(&first);
    secret_wipe(&second);
    state_folder_close(folder);
}

static void a_vault_without_its_key_is_refused(void **state)
{
    const struct place *place = *state;
    assert_vault_opens(place->state);
    char *key = scratch_path(place->state, "vault.key");
    assert_int_equal(unlink(key), 0);
    struct err err = {0};
    assert_int_equal(open_vault(place->state, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "restore the key"));
    assert_int_equal(access(key, F_OK), -1);
    free(key);
}

static void what_is_no_key_is_refused_and_kept(void **state)
{
    const struct place *place = *state;
    static const char *const contents[] = {
        "",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg\n",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n",
    };
    char *key = scratch_path(place->state, "vault.key");
    assert_opens(place->state);
    for (size_t i = 0; i < LENGTH_OF(contents); i++) {
        int descriptor = open(key, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        size_t size = strlen(contents[i]);
        assert_int_equal(write(descriptor, contents[i], size), (ssize_t)size);
        close(descriptor);
        struct err err = {0};
        assert_int_equal(open_vault(place->state, &err), ERR_CORRUPT);
        struct stat stat;
        assert_int_equal(lstat(key, &stat), 0);
        assert_int_equal(stat.st_size, (off_t)size);
    }
    free(key);
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void)
{
    alarm(60);
    const struct CMUnitTest tests[] = {
        PLACE_TEST(a_missing_folder_is_made_private),
        PLACE_TEST(a_looser_folder_is_refused),
        PLACE_TEST(a_link_or_a_file_is_refused),
        PLACE_TEST(a_link_above_the_folder_is_fine),
        PLACE_TEST(a_parent_that_all_can_write_to_is_refused),
        PLACE_TEST(somebody_elses_folder_is_refused),
        PLACE_TEST(a_second_process_is_busy),
        PLACE_TEST(a_leftover_of_the_one_before_is_waited_for),
        PLACE_TEST(every_file_is_checked),
        PLACE_TEST(what_is_made_is_private),
        PLACE_TEST(a_whole_file_never_takes_anothers_place),
        PLACE_TEST(a_whole_file_is_replaced),
        PLACE_TEST(what_is_no_file_is_not_replaced),
        PLACE_TEST(the_key_is_made_once),
        PLACE_TEST(a_vault_without_its_key_is_refused),
        PLACE_TEST(what_is_no_key_is_refused_and_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
