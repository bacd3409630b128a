/*
 * A folder that nobody else can get at: state_dir and runtime_dir.
 */
#ifndef ECLUSE_KEEPER_PRIVATE_FOLDER_H
#define ECLUSE_KEEPER_PRIVATE_FOLDER_H

#include "base/err.h"

/* Makes it (0700), and the parents that are missing. ERR_DENIED: looser than 0700, a symbolic link,
 * not a folder, of another user, below a folder that others can write to; the text names the path,
 * what is wrong and the command that mends it. `option` is the configuration's word for it.
 * *path_out is absolute and without symbolic links, for mem_free. On an error nothing is open. */
MUST_CHECK int private_folder_open(const char *option, const char *path, int *descriptor_out,
                                   char **path_out, struct err *err);

#endif
