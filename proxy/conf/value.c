/*
 * The setter is chosen by the row's kind; it parses first and replaces the field last.
 *
 * Failures, all ERR_SYNTAX:
 *  - nothing behind the '=' although the default is something
 *  - a control character
 *  - a word that is no choice, a number out of range, a path that is not absolute
 */
#include "conf/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/config.h"

#define SHOWN 64 /* of a value in an error text */

_Static_assert(sizeof(enum flow) == sizeof(unsigned), "choices are stored as unsigned");

static void *field_of(const struct option *option, void *target)
{
    return (char *)target + option->offset;
}

char *path_expand(const char *text, const char *home, struct err *err)
{
    if (text[0] == '/')
        return mem_copy_string(text);
    if (strncmp(text, "~/", 2) != 0) {
        (void)err_set(err, ERR_SYNTAX, "must be an absolute path, or start with ~/");
        return NULL;
    }
    if (home == NULL || home[0] != '/') {
        (void)err_set(err, ERR_SYNTAX,
                      "~/ stands for $HOME, which is not set: give the whole path");
        return NULL;
    }
    size_t size = strlen(home) + strlen(text);
    char *path = mem_new(size);
    (void)snprintf(path, size, "%s%s", home, text + 1);
    return path;
}

static void words_clear(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        mem_free(words->items[i]);
    mem_free(words->items);
    *words = (struct words){0};
}

static void words_set(struct words *words, const char *text)
{
    struct slice rest = slice_of_string(text);
    struct slice word;

    words_clear(words);
    while (slice_next_word(&rest, ' ', &word)) {
        if (word.size == 0)
            continue;
        words->items = mem_resize(words->items, (words->count + 1) * sizeof(char *));
        words->items[words->count++] = mem_copy_bytes_as_string(word.data, word.size);
    }
}

static int number_bad(const struct number_range *range, struct err *err)
{
    return err_set(err, ERR_SYNTAX, "must be a number from %" PRId64 "%s to %" PRId64 "%s%s%s",
                   range->minimum, range->unit, range->maximum, range->unit,
                   range->zero_word != NULL ? ", or " : "",
                   range->zero_word != NULL ? range->zero_word : "");
}

static int number_set(const struct option *option, int64_t *field, const char *text,
                      struct err *err)
{
    const struct number_range *range = option_range(option);
    struct slice digits = slice_of_string(text);
    uint64_t number;

    if (range->zero_word != NULL && strcmp(text, range->zero_word) == 0) {
        *field = 0;
        return 0;
    }
    if (digits.size > 0 && digits.data[digits.size - 1] == (uint8_t)*range->unit)
        digits.size--;
    if (!slice_read_number(digits, (uint64_t)range->maximum, &number) ||
        number < (uint64_t)range->minimum)
        return number_bad(range, err);
    *field = (int64_t)number;
    return 0;
}

static int choice_set(const struct option *option, void *field, const char *text, struct err *err)
{
    char list[160] = "";
    char shown[SHOWN];

    for (unsigned i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            memcpy(field, &i, sizeof(i));
            return 0;
        }
        size_t used = strlen(list);
        (void)snprintf(list + used, sizeof(list) - used, " %s", option->choices[i]);
    }
    slice_escape(slice_of_string(text), shown, sizeof(shown));
    return err_set(err, ERR_SYNTAX, "\"%s\" is not one of:%s", shown, list);
}

static int flag_set(bool *field, const char *text, struct err *err)
{
    bool yes = strcmp(text, "yes") == 0;

    if (!yes && strcmp(text, "no") != 0)
        return err_set(err, ERR_SYNTAX, "must be yes or no");
    *field = yes;
    return 0;
}

static int path_set(char **field, const char *text, const char *home, struct err *err)
{
    char *path = *text == '\0' ? mem_copy_string("") : path_expand(text, home, err);

    if (path == NULL)
        return ERR_SYNTAX;
    mem_free(*field);
    *field = path;
    return 0;
}

int value_set(const struct option *option, void *target, const char *text, const char *home,
              struct err *err)
{
    void *field = field_of(option, target);

    if (*text == '\0' && *option->initial != '\0')
        return err_set(err, ERR_SYNTAX, "needs a value; leave the line out for the default \"%s\"",
                       option->initial);
    if (slice_has_control(slice_of_string(text)))
        return err_set(err, ERR_SYNTAX, "holds a tab or another control character; take it out");
    if (!slice_is_utf8(slice_of_string(text)))
        return err_set(err, ERR_SYNTAX, "is no UTF-8 text");
    switch (option->kind) {
    case VALUE_TEXT:
        mem_free(*(char **)field);
        *(char **)field = mem_copy_string(text);
        return 0;
    case VALUE_PATH:
        return path_set(field, text, home, err);
    case VALUE_NUMBER:
        return number_set(option, field, text, err);
    case VALUE_FLAG:
        return flag_set(field, text, err);
    case VALUE_WORDS:
        words_set(field, text);
        return 0;
    case VALUE_CHOICE:
        return choice_set(option, field, text, err);
    case VALUE_SECRET:
        if (*text == '\0')
            secret_wipe(field);
        else
            secret_set(field, slice_of_string(text));
        return 0;
    }
    mem_broken("a value of no kind", __FILE__, __LINE__);
}

void value_clear(const struct option *option, void *target)
{
    void *field = field_of(option, target);

    switch (option->kind) {
    case VALUE_TEXT:
    case VALUE_PATH:
        mem_free(*(char **)field);
        *(char **)field = NULL;
        break;
    case VALUE_WORDS:
        words_clear(field);
        break;
    case VALUE_SECRET:
        secret_wipe(field);
        break;
    case VALUE_NUMBER:
    case VALUE_FLAG:
    case VALUE_CHOICE:
        break;
    }
}
