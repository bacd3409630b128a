/*
 * A record as one line of JSON: what of it may be written at a level, escaped, in a fixed order,
 * 16 KiB at most. audit/chain seals it; audit/reader reads it back.
 *
 * Texts come out as valid UTF-8 in which nothing is a control of a terminal: controls, marks of
 * writing direction, and what is no character are \uNNNN, an octet that is no UTF-8 is \xNN.
 *
 * Level minimal: addresses and folders are pseudonyms, "h:" and 24 hexadecimal digits of an HMAC by
 * the account's key, with the domain of an address behind it. Whoever has lost the key (audit
 * erase) has lost the address. Without a key: "<redacted n octets>". What stood behind a command is
 * shown at the level full alone, and never behind those that log in.
 */
#ifndef ECLUSE_AUDIT_LINE_H
#define ECLUSE_AUDIT_LINE_H

#include "base/record.h"
#include "base/secret.h"

#define LINE_CAPACITY 16384u /* a whole line with its seal and its LF */

/* What a line says besides its record. All is borrowed. */
struct line_place {
    enum audit_level level; /* ENSUREd: not AUDIT_OFF */
    const char *service_version;
    const char *service_id;             /* NULL: not shown */
    const struct secret *pseudonym_key; /* of the record's account; NULL or unset: it has none */
};

struct line {
    size_t size;
    char text[LINE_CAPACITY];
};

/* All of the line up to its seal; what does not fit is left out and counted ("ecluse.audit.cut").
 * ERR_CRYPTO: a pseudonym could not be made; then there is no line. */
MUST_CHECK int line_write(const struct line_place *place, uint64_t sequence, uint64_t epoch,
                          const struct record *record, struct line *line_out);

/* Success, as a line shows it: sessions may end for reasons that are no failure. */
bool line_is_success(const struct record *record);

#endif
