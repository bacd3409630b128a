/*
 * The segments of a journal, read from the files: those of the configuration's state folder, or of
 * a copy somewhere. Nothing is locked or changed; a daemon may write meanwhile.
 */
#ifndef ECLUSE_CLI_JOURNAL_FOLDER_H
#define ECLUSE_CLI_JOURNAL_FOLDER_H

#include "audit/reader.h"
#include "base/err.h"
#include "cli/arguments.h"

#define JOURNAL_FOLDER_NAME 32 /* of a segment, with its NUL */

struct journal_folder {
    char *path;
    int descriptor;
    size_t count;
    uint64_t *firsts; /* of the segments, in order */
};

/* `folder` NULL: that of the configuration. 0, or the exit code after it was said why not. An empty
 * folder is one without segments. */
MUST_CHECK int journal_folder_open(const struct arguments *arguments, const char *folder,
                                   struct journal_folder *folder_out);
void journal_folder_close(struct journal_folder *folder);
/* Lists the segments anew. ERR_SYSTEM. */
MUST_CHECK int journal_folder_list(struct journal_folder *folder, struct err *err);

/* What a start has put beside the chain, and what is no part of it any more. */
struct journal_aside {
    uint64_t folders;  /* whole chains, whose state was lost */
    uint64_t segments; /* in these */
    uint64_t tails;    /* of lines that a crash had cut off */
};

/* ERR_SYSTEM. */
MUST_CHECK int journal_folder_aside(const struct journal_folder *folder,
                                    struct journal_aside *aside_out, struct err *err);

void journal_folder_name(uint64_t first, char name_out[JOURNAL_FOLDER_NAME]);
/* For reading. ERR_NOT_FOUND: it is gone, as segments go by age. ERR_SYSTEM; ERR_DENIED: no regular
 * file. */
MUST_CHECK int journal_folder_segment(const struct journal_folder *folder, uint64_t first,
                                      int *descriptor_out, struct err *err);

/* ---- lines ---- */

/* Splits what is read into lines and reads each. */
struct journal_lines {
    /* `line` without its LF. */
    void (*on_line)(void *owner, const struct reading *reading, struct slice line);
    void *owner;
    uint64_t unreadable; /* lines */
    bool is_endless;
    size_t carried;
    char carry[LINE_CAPACITY];
    struct reading reading;
};

struct journal_lines *journal_lines_new(void (*on_line)(void *owner, const struct reading *reading,
                                                        struct slice line),
                                        void *owner);
void journal_lines_free(struct journal_lines *lines);
/* What can be read there, to its present end. ERR_SYSTEM. */
MUST_CHECK int journal_lines_read(struct journal_lines *lines, int descriptor, struct err *err);
/* All segments. */
MUST_CHECK int journal_lines_read_all(struct journal_lines *lines,
                                      const struct journal_folder *folder, struct err *err);

#endif
