/*
 * Texts of anybody as the inside of a JSON string (RFC 8259 §7) that is safe to show: valid UTF-8
 * without anything that drives a terminal or is not seen. See audit/line.h for what becomes of the
 * rest.
 */
#ifndef ECLUSE_AUDIT_ESCAPE_H
#define ECLUSE_AUDIT_ESCAPE_H

#include "base/slice.h"

#define ESCAPE_GROWTH 6u /* octets that one may become */

/* Writes at most text.size * ESCAPE_GROWTH octets and returns their number. */
size_t escape_write(struct slice text, char *out);

/* The text that stands escaped, into `out`, which has room for escaped.size octets; *size_out of
 * them are written. ERR_SYNTAX: what no string can hold (a control, a quote, an escape that there
 * is not, half a pair of surrogates, no UTF-8). */
MUST_CHECK int escape_read(struct slice escaped, char *out, size_t *size_out);

/* How many octets at the start are themselves, in a string as in its text: no quote, backslash,
 * control, or octet above 0x7e. */
size_t escape_plain(struct slice bytes);

#endif
