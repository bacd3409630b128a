/*
 * Errors. Functions return 0 or one of the negative codes below. A text exists only where a human
 * reads it: such functions take a `struct err *`, set it at the place of failure, and callers wrap
 * it with context on the way up. No secret is ever put into a text.
 */
#ifndef ECLUSE_BASE_ERR_H
#define ECLUSE_BASE_ERR_H

#include "base/mem.h"

#define ERR_CODES(X)                                                                               \
    X(ERR_FULL, -1, "a limit was reached")                                                         \
    X(ERR_SYNTAX, -2, "malformed input")                                                           \
    X(ERR_NOT_FOUND, -3, "not found")                                                              \
    X(ERR_EXISTS, -4, "exists already")                                                            \
    X(ERR_DENIED, -5, "not allowed")                                                               \
    X(ERR_SYSTEM, -6, "the system refused")                                                        \
    X(ERR_CRYPTO, -7, "cryptographic failure")                                                     \
    X(ERR_CORRUPT, -8, "stored data is damaged")                                                   \
    X(ERR_CLOSED, -9, "closed")                                                                    \
    X(ERR_TIMEOUT, -10, "timed out")                                                               \
    X(ERR_UNAVAILABLE, -11, "not available now")                                                   \
    X(ERR_CONFIG, -12, "configuration")                                                            \
    X(ERR_BUSY, -13, "in use")

enum err_code {
#define X(name, value, text) name = value,
    ERR_CODES(X)
#undef X
};

/* Static text of a code; "ok" for 0. */
const char *err_code_text(int code);

struct err {
    int code; /* 0 or enum err_code */
    char text[480];
};

/* Sets code and text and returns the code. `err` may be NULL: only the code is returned then. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* As err_set with ": strerror(errno)" behind it; the code is ERR_SYSTEM. */
int err_set_errno(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* Puts context before the text that is there ("context: text") and returns the code. */
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
