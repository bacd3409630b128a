/*
 * Which configuration file, and what is in it.
 */
#ifndef ECLUSE_CLI_CONFIGURATION_H
#define ECLUSE_CLI_CONFIGURATION_H

#include "cli/arguments.h"
#include "conf/config.h"

/* Finds and reads it: `-c`, $ECLUSE_CONFIG, $XDG_CONFIG_HOME/ecluse/ecluse.ini,
 * /etc/ecluse/ecluse.ini. 0, or the exit code 78 after every problem was printed to stderr as
 * "file:line: what, and the fix". Warnings are printed too when `with_warnings`. */
MUST_CHECK int configuration_read(const struct arguments *arguments, bool with_warnings,
                                  struct config **config_out);
/* The same without warnings; where no file is named and none is there, the built-in providers
 * alone. */
MUST_CHECK int configuration_read_or_table(const struct arguments *arguments,
                                           struct config **config_out);

/* Where it is, or would be written: a path for mem_free. */
char *configuration_place(const struct arguments *arguments, bool *is_there_out);

void configuration_print_problems(const char *file, const struct config_problems *problems,
                                  bool with_warnings);

#endif
