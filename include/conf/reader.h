/*
 * The INI text of a configuration, read by inih into a draft. What inih would cut, drop or take for
 * something else (long lines, long headings, continuations, what stands behind a heading) is
 * refused before inih sees it.
 */
#ifndef ECLUSE_CONF_READER_H
#define ECLUSE_CONF_READER_H

#include <stdio.h>

#include "conf/draft.h"

#define LINE_MAXIMUM 4096        /* octets without the line end */
#define FILE_MAXIMUM (1u << 20u) /* octets */

/* Reads to the end of `stream`, which stays the caller's; what is wrong goes to the draft's
 * problems. */
void reader_run(FILE *stream, struct draft *draft);
/*
 * The same for a text that stands below one that was read: sections that are there go on, keys that
 * have a line keep their value, and nothing gets a line. Sections past the maximum are left out.
 */
void reader_run_below(FILE *stream, struct draft *draft);

#endif
