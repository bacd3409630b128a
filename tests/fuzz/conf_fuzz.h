/*
 * What holds of the problems of any configuration.
 */
#ifndef ECLUSE_TESTS_CONF_FUZZ_H
#define ECLUSE_TESTS_CONF_FUZZ_H

#include "conf/config.h"

static inline void check_problems(const struct config_problems *problems, bool accepted)
{
    bool has_error = false;

    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->items[i];
        ENSURE(problem->line >= 0 && problem->text[0] != '\0');
        ENSURE(!slice_has_control(slice_of_string(problem->text)));
        ENSURE(i == 0 || problems->items[i - 1].line <= problem->line);
        has_error = has_error || !problem->warning;
    }
    ENSURE(has_error != accepted);
}

#endif
