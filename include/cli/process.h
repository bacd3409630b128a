/*
 * What the process is made safe with before anything else: no core file, no debugger of the same
 * user, files for nobody else, no descriptor that leaks into what it starts, libraries that wipe
 * what they free.
 */
#ifndef ECLUSE_CLI_PROCESS_H
#define ECLUSE_CLI_PROCESS_H

#include "base/err.h"

/* Once, first thing in main. ERR_DENIED: run setuid or setgid. */
MUST_CHECK int process_prepare(struct err *err);
/* Part of it: libcrypto starts up, and never goes on without memory. */
void process_open_crypto(void);
/* When nothing runs any more: ends libuv's threads while OpenSSL is still there, which wipes and
 * frees the random generator that it has made for each of them. */
void process_end(void);

#endif
