/*
 * Happy path: options for all subcommands, the name, then operands and options in any order; a
 * lone "--" ends the options.
 *
 * Failures, each ERR_SYNTAX:
 *  - an unknown subcommand or option, or one that this version does not have
 *  - an option twice, without its value, or with a value that it does not take
 *  - operands missing or left over
 *  - octets that are no text
 */
#include "cli/arguments.h"

#include <string.h>

#include "base/slice.h"

struct reading {
    char *const *next; /* what is left of argv; NULL ends it */
    struct arguments *arguments;
    struct err *err;
    bool options_ended;
};

/* "--name=value" in one word, or only "--name". */
struct word {
    struct slice name;
    const char *value; /* behind the '=', or NULL */
};

static struct word split_word(const char *text)
{
    struct word word = {.name = slice_of_string(text)};
    size_t equals = slice_find(word.name, '=');
    if (equals < word.name.size && slice_starts_with(word.name, "--")) {
        word.value = text + equals + 1;
        word.name = slice_take(word.name, equals);
    }
    return word;
}

/* For messages: " grant" behind "ecluse help", or nothing. */
static const char *subject(const struct arguments *arguments)
{
    return arguments->subcommand == NULL ? "" : arguments->subcommand->name;
}

static int refuse(const struct reading *reading, struct slice name, const char *why)
{
    const char *of = subject(reading->arguments);
    return err_set(reading->err, ERR_SYNTAX, "%s%s%.*s %s; see ecluse help%s%s", of,
                   *of == '\0' ? "" : ": ", SLICE_PRINT(slice_take(name, 100)), why,
                   *of == '\0' ? "" : " ", of);
}

static bool is_text(const char *argument)
{
    struct slice bytes = slice_of_string(argument);
    return slice_is_utf8(bytes) && !slice_has_control(bytes);
}

/* The value behind '=' or the next word. */
static int take_value(struct reading *reading, struct word word, const char **value_out)
{
    if (*value_out != NULL)
        return refuse(reading, word.name, "stands twice");
    const char *value = word.value != NULL ? word.value : *reading->next;
    if (value == NULL)
        return refuse(reading, word.name, "needs a value");
    if (word.value == NULL)
        reading->next++;
    *value_out = value;
    return 0;
}

static int take_switch(const struct reading *reading, struct word word, bool *given)
{
    if (word.value != NULL)
        return refuse(reading, word.name, "takes no value");
    if (*given)
        return refuse(reading, word.name, "stands twice");
    *given = true;
    return 0;
}

static int read_own_flag(struct reading *reading, struct word word)
{
    struct arguments *arguments = reading->arguments;
    const struct subcommand *subcommand = arguments->subcommand;
    for (size_t i = 0; i < subcommand->flag_count; i++) {
        const char **value = &arguments->values[i];
        if (!slice_is(word.name, subcommand->flags[i].name))
            continue;
        if (subcommand->flags[i].value == NULL) {
            bool given = *value != NULL;
            int status = take_switch(reading, word, &given);
            *value = "";
            return status;
        }
        int status = take_value(reading, word, value);
        if (status == 0 && !is_text(*value))
            return refuse(reading, word.name, "has a value that is not UTF-8 text");
        return status;
    }
    for (const char *const *absent = subcommand->absent; absent != NULL && *absent; absent++)
        if (slice_is(word.name, *absent))
            return refuse(reading, word.name, "is not in this version");
    return refuse(reading, word.name, "is no option");
}

static int read_option(struct reading *reading, struct word word)
{
    struct arguments *arguments = reading->arguments;
    const struct subcommand *subcommand = arguments->subcommand;
    if (slice_is(word.name, "-c"))
        return take_value(reading, word, &arguments->config_file);
    if (slice_is(word.name, "--help") || slice_is(word.name, "-h"))
        return take_switch(reading, word, &arguments->help);
    if (slice_is(word.name, "--json") && (subcommand == NULL || subcommand->has_json))
        return take_switch(reading, word, &arguments->json);
    if (subcommand != NULL)
        return read_own_flag(reading, word);
    if (slice_is(word.name, "--version"))
        return take_switch(reading, word, &arguments->version);
    return refuse(reading, word.name, "is no option");
}

static int read_name(struct reading *reading, const char *name)
{
    struct slice text = slice_of_string(name);
    const struct subcommand *subcommand = subcommand_find(name);
    if (subcommand == NULL)
        return refuse(reading, text, "is no command");
    if (reading->arguments->json && !subcommand->has_json)
        return err_set(reading->err, ERR_SYNTAX, "%s: --json is no option; see ecluse help %s",
                       name, name);
    reading->arguments->subcommand = subcommand;
    return 0;
}

static int read_operand(struct reading *reading, const char *operand)
{
    struct arguments *arguments = reading->arguments;
    struct slice text = slice_of_string(operand);
    if (arguments->operand_count == arguments->subcommand->operands_maximum)
        return refuse(reading, text, "is one word too many");
    if (!is_text(operand) || text.size == 0)
        return refuse(reading, text, "is empty or not UTF-8 text");
    arguments->operands[arguments->operand_count++] = operand;
    return 0;
}

static int read_word(struct reading *reading, const char *word)
{
    if (!reading->options_ended && strcmp(word, "--") == 0) {
        reading->options_ended = true;
        return 0;
    }
    if (!reading->options_ended && word[0] == '-' && word[1] != '\0')
        return read_option(reading, split_word(word));
    if (reading->arguments->subcommand == NULL)
        return read_name(reading, word);
    return read_operand(reading, word);
}

int arguments_read(int argc, char *const *argv, struct arguments *arguments_out, struct err *err)
{
    struct reading reading = {
        .next = argc > 0 ? argv + 1 : argv, .arguments = arguments_out, .err = err};
    *arguments_out = (struct arguments){0};
    while (*reading.next != NULL) {
        const char *word = *reading.next++;
        int status = read_word(&reading, word);
        if (status != 0)
            return status;
    }
    const struct subcommand *subcommand = arguments_out->subcommand;
    if (subcommand != NULL && !arguments_out->help &&
        arguments_out->operand_count < subcommand->operands_minimum)
        return err_set(err, ERR_SYNTAX, "%s: %s is missing; see ecluse help %s", subcommand->name,
                       subcommand->operands, subcommand->name);
    return 0;
}

const char *arguments_value(const struct arguments *arguments, const char *name)
{
    const struct subcommand *subcommand = arguments->subcommand;
    size_t i = 0;
    while (i < subcommand->flag_count && strcmp(subcommand->flags[i].name, name) != 0)
        i++;
    ENSURE(i < subcommand->flag_count && i < ARGUMENTS_FLAGS_MAX);
    return arguments->values[i];
}
