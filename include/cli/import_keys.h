/*
 * Keys of service accounts that stand in an emailproxy.config itself: our configuration names a
 * file for each, so that it gets one, 0600, beside the configuration.
 */
#ifndef ECLUSE_CLI_IMPORT_KEYS_H
#define ECLUSE_CLI_IMPORT_KEYS_H

#include "conf/config.h"

/* Zero-initialised. */
struct import_keys {
    char **made; /* files that were not there before */
    size_t count;
};

void import_keys_clear(struct import_keys *keys);

/* Names the files that there would be. */
void import_keys_name(struct config *config, const char *place);
/* Writes and names them. Nothing that is there is changed: see configuration_write_beside. On a
 * failure, which was said, those of this call are gone again. */
MUST_CHECK int import_keys_write(struct import_keys *keys, struct config *config,
                                 const char *place);
/* The configuration that they are for has not come about. */
void import_keys_undo(const struct import_keys *keys);

#endif
