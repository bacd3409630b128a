/*
 * Files that a configuration names and that are read at once: certificates, keys, authorities.
 */
#ifndef ECLUSE_KEEPER_WHOLE_FILE_H
#define ECLUSE_KEEPER_WHOLE_FILE_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends what is in it; `out` has the maximum. ERR_NOT_FOUND; ERR_DENIED: no regular file, or, of
 * a private one, that others can reach it or it is neither ours nor root's; ERR_FULL; ERR_SYSTEM.
 * The text names the path, and the command that mends it. Never blocks, whatever stands there. */
MUST_CHECK int whole_file_read(const char *path, bool is_private, struct buf *out, struct err *err);

#endif
