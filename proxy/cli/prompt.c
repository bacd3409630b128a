/*
 * Happy path: the question, a line, which is checked.
 *
 * Failures: a line that is too long, is no text, or is refused by its check is said to be so, and
 * the question comes again; the end of the input gives up. Ctrl-C ends the process, with the
 * terminal as it was: nothing of it is changed here.
 */
#include "cli/prompt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"
#include "cli/print.h"

bool prompt_is_possible(void)
{
    return isatty(STDIN_FILENO) == 1;
}

static void show(const char *question, const char *initial)
{
    char text[PROMPT_LINE_MAX], escaped[4 * PROMPT_LINE_MAX + 1];
    bool has_initial = initial != NULL && *initial != '\0';
    (void)snprintf(text, sizeof(text), "%s%s%s%s: ", question, has_initial ? " [" : "",
                   has_initial ? initial : "", has_initial ? "]" : "");
    slice_escape(slice_of_string(text), escaped, sizeof(escaped));
    fputs(escaped, stderr);
}

/* What is left of a line that had no room. */
static void drop_line(void)
{
    int octet;
    do
        octet = getchar();
    while (octet != EOF && octet != '\n');
}

static char *trimmed(char *line)
{
    line += strspn(line, " ");
    size_t size = strlen(line);
    while (size > 0 && line[size - 1] == ' ')
        line[--size] = '\0';
    return line;
}

/* False at the end of the input. */
static bool read_line(char line[PROMPT_LINE_MAX], struct err *err)
{
    err->code = 0;
    if (fgets(line, PROMPT_LINE_MAX, stdin) == NULL)
        return false;
    size_t end = strcspn(line, "\r\n");
    if (line[end] == '\0' && end == PROMPT_LINE_MAX - 1) {
        drop_line();
        err_set(err, ERR_SYNTAX, "that is too long");
    }
    line[end] = '\0';
    if (slice_has_control(slice_of_string(line)) || !slice_is_utf8(slice_of_string(line)))
        err_set(err, ERR_SYNTAX, "that holds control characters, or is not UTF-8");
    return true;
}

bool prompt_line(const char *question, const char *initial, prompt_check *check, void *owner,
                 char **answer_out)
{
    char line[PROMPT_LINE_MAX];
    struct err err;
    for (;;) {
        show(question, initial);
        if (!read_line(line, &err)) {
            print_complaint("%s", "");
            print_complaint("The input has ended.");
            return false;
        }
        const char *answer = trimmed(line);
        if (*answer == '\0' && initial != NULL)
            answer = initial;
        if (err.code == 0 && (check == NULL || check(owner, answer, &err) == 0)) {
            *answer_out = mem_copy_string(answer);
            return true;
        }
        print_complaint("  %s", err.text);
    }
}

static int check_yes(void *owner, const char *answer, struct err *err)
{
    (void)owner;
    if (slice_is_ignoring_case(slice_of_string(answer), "y") ||
        slice_is_ignoring_case(slice_of_string(answer), "yes") ||
        slice_is_ignoring_case(slice_of_string(answer), "n") ||
        slice_is_ignoring_case(slice_of_string(answer), "no"))
        return 0;
    return err_set(err, ERR_SYNTAX, "y or n");
}

bool prompt_yes(const char *question, bool *is_yes_out)
{
    char *answer = NULL;
    if (!prompt_line(question, NULL, check_yes, NULL, &answer))
        return false;
    *is_yes_out = *answer == 'y' || *answer == 'Y';
    mem_free(answer);
    return true;
}
