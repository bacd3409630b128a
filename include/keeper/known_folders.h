/*
 * The folders that a confined keeper may open files in: those of the configuration, with all that
 * it names, and what the C library and OpenSSL read by themselves. A folder and not a file, since
 * an editor or a renewed certificate puts another file into its place.
 *
 * They are those of the start. A configuration that needs others cannot be taken over by a reload.
 */
#ifndef ECLUSE_KEEPER_KNOWN_FOLDERS_H
#define ECLUSE_KEEPER_KNOWN_FOLDERS_H

#include "conf/config.h"
#include "net/confine.h"

struct known_folders {
    struct confine_place *places;
    size_t count;
};

/* Of links both ends are in it. For known_folders_clear. */
void known_folders_find(const struct config *config, struct known_folders *folders_out);
void known_folders_clear(struct known_folders *folders);

/* ERR_CONFIG: `config` names a file elsewhere, and which. */
MUST_CHECK int known_folders_check(const struct known_folders *folders, const struct config *config,
                                   struct err *err);

#endif
