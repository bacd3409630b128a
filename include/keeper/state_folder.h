/*
 * The folder that holds what must outlive the process: vault, key, journal. Private to its user, or
 * it is not used at all; every file in it is opened through the folder's descriptor and checked
 * after opening, so that no name can be exchanged in between.
 *
 * ERR_DENIED: somebody else can or could reach it. The text names the path, what is wrong and the
 * command that mends it; the program ends with exit code 78. ERR_BUSY: another ecluse uses it.
 */
#ifndef ECLUSE_KEEPER_STATE_FOLDER_H
#define ECLUSE_KEEPER_STATE_FOLDER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct state_folder;

/* Makes it (0700), and the parents that are missing, then locks it for this process. Refused:
 * looser than 0700, a symbolic link, not a folder, of another user, below a folder that others can
 * write to. */
MUST_CHECK int state_folder_open(const char *path, struct state_folder **folder_out,
                                 struct err *err);
/* The same without the lock: for files that are put in their place whole while a daemon runs. */
MUST_CHECK int state_folder_open_unlocked(const char *path, struct state_folder **folder_out,
                                          struct err *err);
/* Unlocks. NULL is fine. */
void state_folder_close(struct state_folder *folder);

/* Absolute, without symbolic links; borrowed. */
const char *state_folder_path(const struct state_folder *folder);

/* For what the functions below do not do; borrowed. */
int state_folder_descriptor(const struct state_folder *folder);

enum state_file_mode {
    STATE_FILE_READ,   /* ERR_NOT_FOUND when there is none */
    STATE_FILE_WRITE,  /* the same, for reading and writing */
    STATE_FILE_CREATE, /* made 0600; ERR_EXISTS when there is one */
};

/* Refused with ERR_DENIED: looser than 0600, a symbolic link, not a regular file, more than one
 * link, of another user. Never blocks, whatever stands there. */
MUST_CHECK int state_folder_open_file(const struct state_folder *folder, const char *name,
                                      enum state_file_mode mode, int *descriptor_out,
                                      struct err *err);
/* The checks alone: 0, ERR_NOT_FOUND or ERR_DENIED. */
MUST_CHECK int state_folder_check_file(const struct state_folder *folder, const char *name,
                                       struct err *err);
/* Puts a whole file (at most a few KiB) in its place, durably: `name` is either not there or
 * complete, whenever the power goes. ERR_EXISTS when it is there already. */
MUST_CHECK int state_folder_create_whole(const struct state_folder *folder, const char *name,
                                         const void *bytes, size_t size, struct err *err);
/* The same over what is there: `name` is the old file or the new one, whenever the power goes. */
MUST_CHECK int state_folder_replace_whole(const struct state_folder *folder, const char *name,
                                          struct slice bytes, struct err *err);
/* Puts what was made as `name` + ".new" in its place, durably. ERR_EXISTS when there is one. */
MUST_CHECK int state_folder_publish(const struct state_folder *folder, const char *name,
                                    struct err *err);
/* Fine when it is not there. */
void state_folder_remove_file(const struct state_folder *folder, const char *name);

#endif
