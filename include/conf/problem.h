/*
 * The list of what is wrong with a configuration, as it is collected. It has a maximum: past it the
 * last entry says that there are more.
 */
#ifndef ECLUSE_CONF_PROBLEM_H
#define ECLUSE_CONF_PROBLEM_H

#include "conf/config.h"

#define PROBLEMS_MAXIMUM 200

/* Line 0 is the file as a whole. The text says what is wrong and how to put it right; no secrets.
 */
void problems_add(struct config_problems *problems, int line, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* A warning: the configuration is accepted all the same. One that many sections inherit is said
 * once. */
void problems_warn(struct config_problems *problems, int line, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* In order of their lines; those of one line stay in the order in which they were found. */
void problems_sort(struct config_problems *problems);
bool problems_have_error(const struct config_problems *problems);

#endif
