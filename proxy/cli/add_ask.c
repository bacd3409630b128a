#include <string.h>
#include <sysexits.h>

#include "cli/add.h"
#include "cli/print.h"
#include "cli/secret_input.h"

const char *add_flag(const struct add *add, const char *name)
{
    return arguments_value(add->arguments, name);
}

static int take_flag(struct add *add, const struct add_question *question, const char *value,
                     char **answer_out)
{
    struct err err;
    if (question->check != NULL && question->check(add, value, &err) != 0)
        return print_failure(EX_DATAERR, "add: %s: %s", question->flag, err.text);
    *answer_out = mem_copy_string(value);
    return EX_OK;
}

int add_ask(struct add *add, const struct add_question *question, char **answer_out)
{
    const char *value = question->flag == NULL ? NULL : add_flag(add, question->flag);
    if (value != NULL)
        return take_flag(add, question, value, answer_out);
    if (prompt_is_possible())
        return prompt_line(question->question, question->initial, question->check, add, answer_out)
                   ? EX_OK
                   : print_failure(EX_DATAERR, "add: nothing was changed");
    if (question->initial != NULL) {
        *answer_out = mem_copy_string(question->initial);
        return EX_OK;
    }
    return print_failure(EX_USAGE, "add: %s is missing; give %s, or run it on a terminal",
                         question->what, question->flag == NULL ? "--provider" : question->flag);
}

int add_ask_secret(struct add *add, const char *flag, const char *what, const char *question,
                   size_t maximum, bool is_optional, struct secret *secret_out)
{
    struct err err;
    bool is_given = add_flag(add, flag) != NULL;
    if (!is_given && !prompt_is_possible())
        return is_optional
                   ? EX_OK
                   : print_failure(EX_USAGE, "add: %s is missing; give %s, or run it on a terminal",
                                   what, flag);
    int status =
        secret_input_read(prompt_is_possible() ? question : what, maximum, secret_out, &err);
    if (status == 0 || (status == ERR_NOT_FOUND && is_optional && !is_given))
        return EX_OK;
    return print_failure(EX_DATAERR, "add: %s; nothing was changed", err.text);
}
