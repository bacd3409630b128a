/*
 * Sections added to the configuration file: read as a whole before it takes the old one's place, so
 * that it is never left with a problem that it did not have.
 */
#ifndef ECLUSE_CLI_CONFIGURATION_APPEND_H
#define ECLUSE_CLI_CONFIGURATION_APPEND_H

#include "base/buf.h"
#include "conf/config.h"

/* The file is made, and its folder, when it is not there; 0600 in any case. What stands in it stays
 * octet for octet. 0, or the exit code after it was said what is wrong; then nothing was changed.
 */
MUST_CHECK int configuration_append(const char *file, struct slice sections);
/* The path of a file of that name beside it, absolute when the folder is there; for mem_free. */
char *configuration_beside(const char *file, const char *name);
/* Makes a private file there; its path is for mem_free. One that is there already with just this
 * content will do, and any other stays. 0, or 73 after it was said why not. */
MUST_CHECK int configuration_write_beside(const char *file, const char *name, struct slice content,
                                          char **path_out, bool *is_new_out);
/* For who has questions first: 0, or 73 after it was said that the file could not be written. */
MUST_CHECK int configuration_can_append(const char *file);

#endif
