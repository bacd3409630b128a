/*
 * What the subcommands say: one line on stderr when something failed, tables, JSON and secrets on
 * stdout. Whatever comes from files, peers or providers is escaped: nothing of it drives the
 * terminal.
 */
#ifndef ECLUSE_CLI_PRINT_H
#define ECLUSE_CLI_PRINT_H

#include <jansson.h>
#include <stdint.h>

#include "base/secret.h"

/* "ecluse: what failed: why; what to do" as one line on stderr; gives `exit_code` back. */
int print_failure(int exit_code, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same on stderr for what is worth knowing: "ecluse: …". */
void print_note(const char *format, ...) PRINTF_LIKE(1, 2);
/* A line on stderr without "ecluse: " in front. */
void print_complaint(const char *format, ...) PRINTF_LIKE(1, 2);
/* A line on stdout. */
void print_line(const char *format, ...) PRINTF_LIKE(1, 2);

/* `cells` has rows * columns texts; NULL is shown as "-". Columns are as wide as their widest. */
void print_table(const char *const *headings, size_t columns, const char *const *cells,
                 size_t rows);
/* Indented, on stdout. */
void print_json(const json_t *json);
/* The bytes and a line end, past stdio, which would keep a copy. False when not all was taken. */
MUST_CHECK bool print_secret(struct slice secret);

#define PRINT_TIME_CAPACITY 32
/* Local time, "2026-01-31 23:59"; "never" for 0. Returns `out`. */
const char *print_time(int64_t wall_seconds, char out[PRINT_TIME_CAPACITY]);

/* True when stdout is a terminal that shows colours and nobody asked it not to (NO_COLOR). */
bool print_has_colours(void);

/* True when everything that was written to stdout has arrived. */
MUST_CHECK bool print_flush(void);

#endif
