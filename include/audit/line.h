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

#include "audit/json_writer.h"
#include "audit/line_terms.h"
#include "base/secret.h"

#define LINE_CAPACITY   16384u /* a whole line with its seal and its LF */
#define LINE_PIECE_MAX  320u
#define LINE_NAME_COUNT (RECORD_FIELD_COUNT + LINE_FIELD_COUNT)

/* What a line says besides its record. All is borrowed; the texts stay where and as they are from
 * one line of a form to the next. */
struct line_place {
    enum audit_level level; /* ENSUREd: not AUDIT_OFF */
    const char *service_version;
    const char *service_id;             /* NULL: not shown */
    const struct secret *pseudonym_key; /* of the record's account; NULL or unset: it has none */
};

/* What of a line is as it was in others. */
struct line_piece {
    size_t size; /* 0: there is none yet */
    struct json_path last;
    char text[LINE_PIECE_MAX];
};

/* What lines have in common, kept from one to the next: to write it anew would take longer than the
 * rest of most of them. Zero before the first. */
struct line_form {
    const char *service_version, *service_id; /* of the head */
    uint64_t second;                          /* likewise, since 1970 */
    struct line_piece head;
    struct line_piece events[RECORD_ACTION_COUNT][2]; /* by success */
    struct json_name names[LINE_NAME_COUNT];
};

struct line {
    size_t size;
    char text[LINE_CAPACITY];
};

/* All of the line up to its seal; what does not fit is left out and counted ("ecluse.audit.cut").
 * ERR_CRYPTO: a pseudonym could not be made; then there is no line. */
MUST_CHECK int line_write(struct line_form *form, const struct line_place *place, uint64_t sequence,
                          uint64_t epoch, const struct record *record, struct line *line_out);

/* Success, as a line shows it: sessions may end for reasons that are no failure. */
bool line_is_success(const struct record *record);

#endif
