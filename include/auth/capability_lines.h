/*
 * What a mail server can do, as lines: "SIZE 1000\n8BITMIME\n". The first word of a line is its
 * keyword, the rest are its parameters; letter case does not count (RFC 5321 section 2.4, RFC 2449
 * section 3).
 */
#ifndef ECLUSE_AUTH_CAPABILITY_LINES_H
#define ECLUSE_AUTH_CAPABILITY_LINES_H

#include "base/slice.h"

/* At most MESSAGE_LINES_MAX octets; every line is printable ASCII, not empty, and ends in \n. No
 * line at all is fine. */
bool capability_lines_are_valid(struct slice lines);

/* What both can do, for mem_free: lines that stand in both; for SIZE (RFC 1870) the smaller number,
 * where none and 0 are no limit. Other keywords whose parameters differ are left out. The order is
 * that of the first. */
char *capability_lines_common(const char *lines, const char *others);

#endif
