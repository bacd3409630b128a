/*
 * A configuration from a text, as the program itself would read it from a file.
 */
#ifndef ECLUSE_TESTS_NET_CONFIG_FILE_H
#define ECLUSE_TESTS_NET_CONFIG_FILE_H

/* cmocka.h wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/scratch_folder.h"
#include "conf/config.h"

/* `text` follows the [ecluse] section that names the folders; "@/" is the folder. */
static inline void config_write(const char *folder, const char *text)
{
    char *path = scratch_path(folder, "ecluse.ini");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "[ecluse]\nstate_dir = %s/state\nruntime_dir = %s/run\n", folder, folder);
    for (; *text != '\0'; text++)
        if (*text == '@' && text[1] == '/')
            fputs(folder, file);
        else
            fputc(*text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    free(path);
}

static inline struct config *config_from_text(const char *folder, const char *text)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    char *path = scratch_path(folder, "ecluse.ini");
    config_write(folder, text);
    const struct config_surroundings surroundings = {.home = folder, .user_id = (unsigned)getuid()};
    int status = config_read(path, &surroundings, &config, &problems);
    for (size_t i = 0; status != 0 && i < problems.count; i++)
        print_error("line %d: %s\n", problems.items[i].line, problems.items[i].text);
    config_problems_free(&problems);
    free(path);
    assert_int_equal(status, 0);
    return config;
}

#endif
