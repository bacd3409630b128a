/*
 * A line of the journal, read back: what the seal covers, the seal, and the record. Everything that
 * reads a journal reads it by this.
 *
 * Strict: a line is one JSON object as audit/line writes it, without a space between its parts,
 * whose members are in order and stand once. Members that this version does not know are passed
 * over.
 */
#ifndef ECLUSE_AUDIT_READER_H
#define ECLUSE_AUDIT_READER_H

#include "audit/line.h"
#include "audit/link.h"

struct reading {
    struct slice body; /* of the line: without its seal */
    uint8_t head[LINK_SIZE];
    bool is_signed;
    uint8_t signature[SIGNATURE_SIZE];
    uint64_t sequence, epoch;
    enum audit_level level;
    struct slice
        action_name; /* when the record's action is RECORD_ACTION_COUNT: one we do not know */
    bool is_success;
    struct record record; /* texts stand in the line or in `texts`; an unknown word of event.code is
                             WHY_INTERNAL */
    size_t texts_size;
    char texts[LINE_CAPACITY];
};

/* `line` without its LF. ERR_SYNTAX: it is no such line. */
MUST_CHECK int reader_read(struct slice line, struct reading *reading_out);

/* The 32 octets of a field like FIELD_AUDIT_HEAD. False: not there, or not 64 digits. */
MUST_CHECK bool reader_hash(const struct reading *reading, enum record_field field,
                            uint8_t hash_out[LINK_SIZE]);
/* A number of the record; `otherwise` when it is not there. */
uint64_t reader_number(const struct reading *reading, enum record_field field, uint64_t otherwise);

#endif
