/*
 * The folder of the audit journal, `audit` in the state folder and as private. Its segments hold
 * the lines, each named by the number of its first one: 00000000000000000001.jsonl. Beside them
 * stand the chain's state, the public key, and what had to be put aside.
 *
 * Everything blocks until the disk has it. One owner at a time, in any thread.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_FILES_H
#define ECLUSE_KEEPER_JOURNAL_FILES_H

#include "keeper/state_folder.h"

#define JOURNAL_FILES_FOLDER "audit"
#define JOURNAL_SEGMENT_NAME sizeof("01234567890123456789.jsonl")
#define JOURNAL_ASIDE_NAME   sizeof("01234567890123456789-01234567890123456789.torn")

struct journal_files;

struct journal_segment {
    uint64_t first; /* number of its first line */
    uint64_t size;
    int64_t modified; /* wall seconds */
};

/* Made when it is missing. ERR_DENIED as of the state folder. */
MUST_CHECK int journal_files_open(const struct state_folder *state,
                                  struct journal_files **files_out, struct err *err);
/* NULL is fine. */
void journal_files_close(struct journal_files *files);
/* Borrowed. */
const struct state_folder *journal_files_folder(const struct journal_files *files);

void journal_segment_name(uint64_t first, char name_out[JOURNAL_SEGMENT_NAME]);

/* In order; for mem_free. */
MUST_CHECK int journal_files_list(const struct journal_files *files,
                                  struct journal_segment **segments_out, size_t *count_out,
                                  struct err *err);

/* For appending alone. The new one's name is on disk; ERR_EXISTS when there is one. */
MUST_CHECK int journal_files_create(const struct journal_files *files, uint64_t first,
                                    int *descriptor_out, struct err *err);
MUST_CHECK int journal_files_append(const struct journal_files *files, uint64_t first,
                                    int *descriptor_out, struct err *err);
/* From its start; ERR_NOT_FOUND. */
MUST_CHECK int journal_files_read(const struct journal_files *files, uint64_t first,
                                  int *descriptor_out, struct err *err);
MUST_CHECK int journal_files_remove(const struct journal_files *files, uint64_t first,
                                    struct err *err);

/* What stands behind `size` octets goes into a file of its own, first, and then out of the segment.
 */
MUST_CHECK int journal_files_cut(const struct journal_files *files, uint64_t first, uint64_t size,
                                 char name_out[JOURNAL_ASIDE_NAME], struct err *err);
/* All segments go into a folder of their own, "aside-" and the time. */
MUST_CHECK int journal_files_put_aside(const struct journal_files *files, int64_t now,
                                       char name_out[JOURNAL_ASIDE_NAME], struct err *err);

#endif
