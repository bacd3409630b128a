/*
 * Questions to whoever sits at the terminal: asked on stderr, answered on stdin, line by line,
 * until an answer can be used.
 */
#ifndef ECLUSE_CLI_PROMPT_H
#define ECLUSE_CLI_PROMPT_H

#include <stdbool.h>

#include "base/err.h"

#define PROMPT_LINE_MAX 2048

/* True when stdin is a terminal. */
bool prompt_is_possible(void);

/* 0, or a failure whose text says what is wrong with the answer; then it is asked again. */
typedef int prompt_check(void *owner, const char *answer, struct err *err);

/* Without blanks around it; `initial` (NULL: none) for an empty one; UTF-8 without control
 * characters. `check` may be NULL. *answer_out is for mem_free. False: the input has ended, and it
 * was said. */
MUST_CHECK bool prompt_line(const char *question, const char *initial, prompt_check *check,
                            void *owner, char **answer_out);
/* The same for "y" or "n". */
MUST_CHECK bool prompt_yes(const char *question, bool *is_yes_out);

#endif
