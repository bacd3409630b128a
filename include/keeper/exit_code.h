/*
 * What became of something, as the exit code (sysexits) that scripts see.
 */
#ifndef ECLUSE_KEEPER_EXIT_CODE_H
#define ECLUSE_KEEPER_EXIT_CODE_H

#include "base/err.h"
#include "base/terms.h"

/* Of an ERR_* of the keeper's parts; ERR_DENIED is about files there, hence 78. */
int exit_code_of(int code);
/* Of a token that could not be had: 77 somebody must sign in, 75 try again, else 70. */
int exit_code_of_why(enum why why);

#endif
