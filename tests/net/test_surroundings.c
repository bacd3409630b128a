/*
 * The folders that systemd gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/scratch_folder.h"
#include "keeper/surroundings.h"

static void assert_folders(const char *state_directory, const char *runtime_directory)
{
    struct surroundings surroundings;
    surroundings_read(&surroundings);
    assert_ptr_equal(surroundings.values.state_directory, surroundings.state_directory);
    if (state_directory == NULL)
        assert_null(surroundings.values.state_directory);
    else
        assert_string_equal(surroundings.values.state_directory, state_directory);
    if (runtime_directory == NULL)
        assert_null(surroundings.values.runtime_directory);
    else
        assert_string_equal(surroundings.values.runtime_directory, runtime_directory);
    surroundings_clear(&surroundings);
}

static void links_of_systemd_are_resolved(void **state)
{
    char *scratch = scratch_folder_new();
    char *link = scratch_path(scratch, "ecluse"), *folder = scratch_path(scratch, "private");
    char *real = NULL, list[300];
    (void)state;
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink("private", link), 0);
    real = realpath(folder, NULL);
    assert_non_null(real);
    snprintf(list, sizeof(list), "%s:/nonexistent", link);
    setenv("STATE_DIRECTORY", list, 1);
    setenv("RUNTIME_DIRECTORY", link, 1);
    assert_folders(real, real);
    free(real);
    free(folder);
    free(link);
    scratch_folder_remove(scratch);
}

static void what_is_not_there_stays_as_it_is(void **state)
{
    (void)state;
    setenv("STATE_DIRECTORY", "/nonexistent/state", 1);
    setenv("RUNTIME_DIRECTORY", "", 1);
    assert_folders("/nonexistent/state", NULL);
    unsetenv("STATE_DIRECTORY");
    unsetenv("RUNTIME_DIRECTORY");
    assert_folders(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_of_systemd_are_resolved),
        cmocka_unit_test(what_is_not_there_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
