#include "cli/print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keeper/surroundings.h"

#define LINE_MAX_OCTETS 1024

/* Every octet may become four: \xNN. */
#define ESCAPED(size) ((size)*4 + 1)

static void write_line(FILE *stream, const char *prefix, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void write_line(FILE *stream, const char *prefix, const char *format, va_list arguments)
{
    char text[LINE_MAX_OCTETS];
    char escaped[ESCAPED(LINE_MAX_OCTETS)];
    vsnprintf(text, sizeof(text), format, arguments);
    slice_escape(slice_of_string(text), escaped, sizeof(escaped));
    fprintf(stream, "%s%s\n", prefix, escaped);
}

int print_failure(int exit_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(stderr, "ecluse: ", format, arguments);
    va_end(arguments);
    return exit_code;
}

void print_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(stderr, "ecluse: ", format, arguments);
    va_end(arguments);
}

void print_complaint(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(stderr, "", format, arguments);
    va_end(arguments);
}

void print_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(stdout, "", format, arguments);
    va_end(arguments);
}

static char *escape_cell(const char *cell)
{
    struct slice text = slice_of_string(cell == NULL || *cell == '\0' ? "-" : cell);
    char *escaped = mem_new(ESCAPED(text.size));
    slice_escape(text, escaped, ESCAPED(text.size));
    return escaped;
}

static void print_row(char *const *cells, const int *widths, size_t columns)
{
    for (size_t i = 0; i + 1 < columns; i++)
        printf("%-*s  ", widths[i], cells[i]);
    printf("%s\n", cells[columns - 1]);
}

void print_table(const char *const *headings, size_t columns, const char *const *cells, size_t rows)
{
    size_t count = (rows + 1) * columns;
    char **escaped = mem_new_array(count, sizeof(*escaped));
    int *widths = mem_new_array(columns, sizeof(*widths));
    for (size_t i = 0; i < count; i++) {
        escaped[i] = escape_cell(i < columns ? headings[i] : cells[i - columns]);
        int width = (int)strlen(escaped[i]);
        if (width > widths[i % columns])
            widths[i % columns] = width;
    }
    for (size_t row = 0; row <= rows; row++)
        print_row(escaped + row * columns, widths, columns);
    for (size_t i = 0; i < count; i++)
        mem_free(escaped[i]);
    mem_free(escaped);
    mem_free(widths);
}

void print_json(const json_t *json)
{
    /* JSON_ENSURE_ASCII: control and foreign characters reach the terminal as \uNNNN only. */
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER);
    putchar('\n');
}

static bool write_all(struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t count = write(STDOUT_FILENO, bytes.data, bytes.size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes = slice_skip(bytes, (size_t)count);
    }
    return true;
}

bool print_secret(struct slice secret)
{
    return print_flush() && write_all(secret) && write_all(SLICE_LITERAL("\n"));
}

const char *print_time(int64_t wall_seconds, char out[PRINT_TIME_CAPACITY])
{
    time_t seconds = (time_t)wall_seconds;
    struct tm parts;
    if (wall_seconds == 0 || localtime_r(&seconds, &parts) == NULL ||
        strftime(out, PRINT_TIME_CAPACITY, "%Y-%m-%d %H:%M", &parts) == 0)
        snprintf(out, PRINT_TIME_CAPACITY, "never");
    return out;
}

bool print_has_colours(void)
{
    const char *terminal = surroundings_variable("TERM");
    return isatty(STDOUT_FILENO) == 1 && terminal != NULL && strcmp(terminal, "dumb") != 0 &&
           surroundings_variable("NO_COLOR") == NULL;
}

bool print_flush(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}
