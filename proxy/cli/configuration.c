/*
 * Happy path: the first candidate that is named or exists is read.
 *
 * Failures, all 78: no file anywhere; a file that cannot be read or has problems.
 */
#include "cli/configuration.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/print.h"
#include "keeper/surroundings.h"

#define SYSTEM_FILE "/etc/ecluse/ecluse.ini"

static char *join(const char *folder, const char *name)
{
    size_t size = slice_of_string(folder).size + slice_of_string(name).size + 1;
    char *path = mem_new(size);
    snprintf(path, size, "%s%s", folder, name);
    return path;
}

/* The user's own file, whether it is there or not; NULL without a home. */
static char *user_file(const struct config_surroundings *surroundings)
{
    const char *folder = surroundings_variable("XDG_CONFIG_HOME");
    if (folder != NULL)
        return join(folder, "/ecluse/ecluse.ini");
    return surroundings->home == NULL ? NULL
                                      : join(surroundings->home, "/.config/ecluse/ecluse.ini");
}

/* NULL when none is named and none is there. For mem_free. */
static char *find_file(const struct arguments *arguments,
                       const struct config_surroundings *surroundings)
{
    const char *named = arguments->config_file;
    if (named == NULL)
        named = surroundings_variable("ECLUSE_CONFIG");
    if (named != NULL)
        return mem_copy_string(named);
    char *own = user_file(surroundings);
    if (own != NULL && access(own, F_OK) == 0)
        return own;
    mem_free(own);
    return access(SYSTEM_FILE, F_OK) == 0 ? mem_copy_string(SYSTEM_FILE) : NULL;
}

static int refuse_absence(const struct config_surroundings *surroundings)
{
    char *own = user_file(surroundings);
    print_failure(EX_CONFIG,
                  "no configuration: neither %s nor " SYSTEM_FILE
                  " is there; write one, or name it with -c FILE",
                  own == NULL ? "ecluse.ini in a home folder" : own);
    mem_free(own);
    return EX_CONFIG;
}

char *configuration_place(const struct arguments *arguments, bool *is_there_out)
{
    struct surroundings surroundings;
    surroundings_read(&surroundings);
    char *place = find_file(arguments, &surroundings.values);
    if (place == NULL)
        place = user_file(&surroundings.values);
    if (place == NULL)
        place = mem_copy_string(SYSTEM_FILE);
    *is_there_out = access(place, F_OK) == 0;
    surroundings_clear(&surroundings);
    return place;
}

static void print_problem(const char *file, const struct config_problem *problem)
{
    const char *kind = problem->warning ? "warning: " : "";
    if (problem->line > 0)
        print_complaint("%s:%d: %s%s", file, problem->line, kind, problem->text);
    else
        print_complaint("%s: %s%s", file, kind, problem->text);
}

void configuration_print_problems(const char *file, const struct config_problems *problems,
                                  bool with_warnings)
{
    for (size_t i = 0; i < problems->count; i++)
        if (with_warnings || !problems->items[i].warning)
            print_problem(file, &problems->items[i]);
}

static int read_file(const char *file, const struct config_surroundings *surroundings,
                     bool with_warnings, struct config **config_out)
{
    struct config_problems problems = {0};
    int status = config_read(file, surroundings, config_out, &problems);
    configuration_print_problems(file, &problems, with_warnings);
    config_problems_free(&problems);
    return status == 0 ? EX_OK : EX_CONFIG;
}

int configuration_read(const struct arguments *arguments, bool with_warnings,
                       struct config **config_out)
{
    struct surroundings surroundings;
    surroundings_read(&surroundings);
    char *file = find_file(arguments, &surroundings.values);
    int exit_code = file == NULL ? refuse_absence(&surroundings.values)
                                 : read_file(file, &surroundings.values, with_warnings, config_out);
    mem_free(file);
    surroundings_clear(&surroundings);
    return exit_code;
}

int configuration_read_or_table(const struct arguments *arguments, struct config **config_out)
{
    struct surroundings surroundings;
    int exit_code = EX_OK;
    surroundings_read(&surroundings);
    char *file = find_file(arguments, &surroundings.values);
    if (file == NULL)
        *config_out = config_of_table();
    else
        exit_code = read_file(file, &surroundings.values, false, config_out);
    mem_free(file);
    surroundings_clear(&surroundings);
    return exit_code;
}
