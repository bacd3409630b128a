/*
 * The operator's log: one line on a stream, `<priority>` in front when journald reads it. It is not
 * the audit journal. Every line is escaped (slice_escape), so nothing that a peer sent can forge a
 * line or drive a terminal. Secrets have no way in: struct secret has no printable form.
 */
#ifndef ECLUSE_BASE_LOG_H
#define ECLUSE_BASE_LOG_H

#include <stdbool.h>

#include "base/mem.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Copied freely: a part of the program makes its own from its parent's with another prefix. */
struct log {
    enum log_level level; /* lines above it are not formatted at all */
    bool journald;        /* prefix "<3>" and so on, no time stamp */
    int descriptor;       /* written with one write(2) a line, so that processes may share it */
    char prefix[32];      /* "keeper", "gate 1" */
};

void log_init(struct log *log, enum log_level level, const char *prefix);
/* 0 or ERR_NOT_FOUND: error warn info debug. */
MUST_CHECK int log_level_parse(const char *name, enum log_level *level_out);

void log_write(const struct log *log, enum log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);

#define log_error(log, ...) log_write((log), LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_write((log), LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_write((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_write((log), LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
