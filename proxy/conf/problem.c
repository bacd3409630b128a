/*
 * An array that grows by one. When PROBLEMS_MAXIMUM is reached the last entry becomes an error that
 * says so, since a warning in its place could have hidden an error.
 */
#include "conf/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct config_problem *problem_new(struct config_problems *problems, int line)
{
    if (problems->count == PROBLEMS_MAXIMUM) {
        struct config_problem *last = &problems->items[PROBLEMS_MAXIMUM - 1];
        last->warning = false;
        (void)snprintf(last->text, sizeof(last->text),
                       "there are more problems than these; put these right first");
        return NULL;
    }
    problems->items =
        mem_resize(problems->items, (problems->count + 1) * sizeof(struct config_problem));
    struct config_problem *problem = &problems->items[problems->count++];
    *problem = (struct config_problem){.line = line};
    return problem;
}

void problems_add(struct config_problems *problems, int line, const char *format, ...)
{
    struct config_problem *problem = problem_new(problems, line);
    va_list arguments;

    if (problem == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof(problem->text), format, arguments);
    va_end(arguments);
}

static bool is_said(const struct config_problems *problems, const struct config_problem *warning)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *other = &problems->items[i];
        if (other->warning && other->line == warning->line &&
            strcmp(other->text, warning->text) == 0)
            return true;
    }
    return false;
}

void problems_warn(struct config_problems *problems, int line, const char *format, ...)
{
    struct config_problem warning = {.line = line, .warning = true};
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(warning.text, sizeof(warning.text), format, arguments);
    va_end(arguments);
    if (is_said(problems, &warning))
        return;
    struct config_problem *problem = problem_new(problems, line);
    if (problem != NULL)
        *problem = warning;
}

void problems_sort(struct config_problems *problems)
{
    for (size_t i = 1; i < problems->count; i++) {
        struct config_problem problem = problems->items[i];
        size_t place = i;
        for (; place > 0 && problems->items[place - 1].line > problem.line; place--)
            problems->items[place] = problems->items[place - 1];
        problems->items[place] = problem;
    }
}

bool problems_have_error(const struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        if (!problems->items[i].warning)
            return true;
    return false;
}

void config_problems_free(struct config_problems *problems)
{
    mem_free(problems->items);
    *problems = (struct config_problems){0};
}
