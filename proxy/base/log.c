#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/slice.h"

#define LINE_MAX_OCTETS 2048

/* syslog(3) priorities, as journald reads them at the start of a line */
static const int journald_priority[] = {
    [LOG_LEVEL_ERROR] = 3, [LOG_LEVEL_WARN] = 4, [LOG_LEVEL_INFO] = 6, [LOG_LEVEL_DEBUG] = 7};
static const char *const level_names[] = {[LOG_LEVEL_ERROR] = "error",
                                          [LOG_LEVEL_WARN] = "warn",
                                          [LOG_LEVEL_INFO] = "info",
                                          [LOG_LEVEL_DEBUG] = "debug"};

void log_init(struct log *log, enum log_level level, const char *prefix)
{
    *log = (struct log){
        .level = level, .journald = getenv("JOURNAL_STREAM") != NULL, .descriptor = STDERR_FILENO};
    snprintf(log->prefix, sizeof(log->prefix), "%s", prefix);
}

int log_level_parse(const char *name, enum log_level *level_out)
{
    for (size_t i = 0; i < LENGTH_OF(level_names); i++)
        if (strcmp(name, level_names[i]) == 0) {
            *level_out = (enum log_level)i;
            return 0;
        }
    return ERR_NOT_FOUND;
}

static size_t write_head(const struct log *log, enum log_level level, char *line, size_t capacity)
{
    int size;
    if (log->journald) {
        size = snprintf(line, capacity, "<%d>%s: ", journald_priority[level], log->prefix);
    } else {
        char stamp[32];
        struct tm parts;
        time_t now = time(NULL);
        gmtime_r(&now, &parts);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &parts);
        size = snprintf(line, capacity, "%s %-5s %s: ", stamp, level_names[level], log->prefix);
    }
    ENSURE(size > 0 && (size_t)size < capacity);
    return (size_t)size;
}

void log_write(const struct log *log, enum log_level level, const char *format, ...)
{
    if (level > log->level)
        return;
    char text[LINE_MAX_OCTETS / 2];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size < 0)
        return;

    char line[LINE_MAX_OCTETS];
    size_t used = write_head(log, level, line, sizeof(line) - 1);
    size_t length = (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1;
    slice_escape(slice_of(text, length), line + used, sizeof(line) - 1 - used);
    used = strlen(line);
    line[used++] = '\n';
    /* A log that cannot be written has nowhere to complain. */
    ssize_t written = write(log->descriptor, line, used);
    (void)written;
}
