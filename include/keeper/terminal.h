/*
 * A secret that a human types: read without echo.
 */
#ifndef ECLUSE_KEEPER_TERMINAL_H
#define ECLUSE_KEEPER_TERMINAL_H

#include "base/buf.h"
#include "base/secret.h"

/* Shows "`what`: " on `output` and appends what is typed on `terminal` up to the line's end, with
 * it; at the end of the input without. The echo is as before afterwards, whatever came; a signal
 * that ends the program does so after that. ERR_FULL: longer than `input` may be; ERR_SYSTEM. */
MUST_CHECK int terminal_read_silently(int terminal, int output, const char *what,
                                      struct buf *input);

/* The line (1 to `maximum` octets of UTF-8 without control characters) that is typed on the
 * controlling terminal, whatever stdin and stdout are. ERR_CONFIG: there is no terminal;
 * ERR_SYNTAX: not such a line; ERR_CLOSED: its end, or a signal. */
MUST_CHECK int terminal_ask(const char *what, size_t maximum, struct secret *line_out,
                            struct err *err);

#endif
