/*
 * The small words of the wire that all three protocols or their SASL exchanges are made of: lines,
 * base64, IMAP strings. Pure scanning over bytes that are there; what is not complete says MORE.
 */
#ifndef ECLUSE_MAIL_WIRE_H
#define ECLUSE_MAIL_WIRE_H

#include "base/buf.h"

enum wire_status { WIRE_DONE, WIRE_MORE, WIRE_BAD };

/* The line's content without its CRLF or bare LF. */
struct slice wire_trim_line_end(struct slice line);
/* Takes the first word, up to a space, and the space off the start of *rest. */
struct slice wire_take_word(struct slice *rest);

/* RFC 4648 section 4, strict: padding required, nothing else between or behind. Appends to *out;
 * ERR_SYNTAX or ERR_FULL leave it as it was. */
MUST_CHECK int wire_base64_decode(struct slice text, struct buf *out);
MUST_CHECK int wire_base64_encode(struct slice bytes, struct buf *out);

/* IMAP (RFC 3501 section 9). A word of ASTRING-CHARs, as a command's name is one. */
bool wire_is_imap_atom(struct slice word);
/* A tag: the same without "+", 1 to WIRE_IMAP_TAG_MAX octets. */
#define WIRE_IMAP_TAG_MAX 32u
bool wire_is_imap_tag(struct slice tag);

struct wire_literal {
    uint64_t size;
    bool is_synchronizing; /* {n}: the client waits for "+"; {n+} (RFC 7888) does not */
};

/* Does a line (with its line end) announce a literal? DONE: it does; MORE: it does not; BAD: it
 * ends in braces that are no literal of RFC 3501 or RFC 7888, or one over 63 bits. */
MUST_CHECK enum wire_status wire_imap_literal(struct slice line, struct wire_literal *literal_out);

/* Takes an astring (atom, quoted or literal) off the start of *rest and appends its value to *out.
 * In *rest literals stand as they were sent: "{5}\r\nhello". DONE, or BAD. */
MUST_CHECK enum wire_status wire_imap_astring(struct slice *rest, struct buf *out);

#endif
