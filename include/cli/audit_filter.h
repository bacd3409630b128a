/*
 * Which records of the journal somebody wants to see.
 */
#ifndef ECLUSE_CLI_AUDIT_FILTER_H
#define ECLUSE_CLI_AUDIT_FILTER_H

#include "audit/reader.h"
#include "cli/arguments.h"

/* All zero: every one. Texts are borrowed from argv. */
struct audit_filter {
    const char *account, *protocol, *session;
    const char *actions;   /* separated by commas */
    uint64_t since, until; /* microseconds; 0: no such limit */
    bool failed;
};

/* From the options of `ecluse audit`; `now` in seconds. 0, or the exit code after it was said what
 * is wrong with them. */
MUST_CHECK int audit_filter_read(const struct arguments *arguments, int64_t now,
                                 struct audit_filter *filter_out);
bool audit_filter_takes(const struct audit_filter *filter, const struct reading *reading);

/* "2026-01-31", with "T23:59" or " 23:59:59" behind it, in local time; "90s", "15m", "2h", "7d": so
 * long ago; "today", "yesterday". False: none of these. */
bool audit_filter_time(const char *text, int64_t now, uint64_t *time_out);

#endif
