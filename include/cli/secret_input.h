/*
 * A password or token from stdin: one line, not shown when a human types it.
 */
#ifndef ECLUSE_CLI_SECRET_INPUT_H
#define ECLUSE_CLI_SECRET_INPUT_H

#include "base/err.h"
#include "base/secret.h"

/* The first line without its end (LF or CRLF); the end of the input ends it too. `prompt` is shown
 * on a terminal. ERR_NOT_FOUND: empty. ERR_SYNTAX: more than `maximum` octets, more than one line,
 * not UTF-8, or with control characters. `what` ("the password") is for the text. */
MUST_CHECK int secret_input_read(const char *what, size_t maximum, struct secret *secret_out,
                                 struct err *err);

#endif
