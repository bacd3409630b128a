/*
 * Every member of the journal's lines, in the order in which a line has them: those of its record
 * (base/record_terms.h) and those that every line has.
 */
#ifndef ECLUSE_AUDIT_LINE_TERMS_H
#define ECLUSE_AUDIT_LINE_TERMS_H

#include "base/record.h"

#define LINE_ECS_VERSION "9.0.0"

/* X(name, path, kind, meaning) */
#define LINE_HEAD_FIELDS(X)                                                                        \
    X(LINE_TIME, "@timestamp", TEXT, "when, UTC, to the microsecond")                              \
    X(LINE_ECS, "ecs.version", TEXT, "of the Elastic Common Schema")                               \
    X(LINE_SERVICE_NAME, "service.name", TEXT, "ecluse")                                           \
    X(LINE_SERVICE_VERSION, "service.version", TEXT, "of ecluse")                                  \
    X(LINE_SERVICE_ID, "service.id", TEXT, "which installation")

#define LINE_MIDDLE_FIELDS(X)                                                                      \
    X(LINE_CUT, "ecluse.audit.cut", NUMBER, "values left out because the line was full")           \
    X(LINE_LEVEL, "ecluse.audit.level", TEXT, "minimal, standard or full")                         \
    X(LINE_EPOCH, "ecluse.audit.epoch", NUMBER, "epoch of the key that sealed the line")           \
    X(LINE_KIND, "event.kind", TEXT, "event")                                                      \
    X(LINE_DATASET, "event.dataset", TEXT, "ecluse.audit")                                         \
    X(LINE_CATEGORY, "event.category", TEXT, "list of categories, by action")                      \
    X(LINE_TYPE, "event.type", TEXT, "list of types, by action")                                   \
    X(LINE_ACTION, "event.action", TEXT, "what happened")                                          \
    X(LINE_OUTCOME, "event.outcome", TEXT, "success or failure")                                   \
    X(LINE_CODE, "event.code", TEXT, "why it failed or ended, in one word")

#define LINE_TAIL_FIELDS(X)                                                                        \
    X(LINE_SEQUENCE, "event.sequence", NUMBER, "number of the record, counted from 1")

/* The seal, which the reader takes off before it reads the rest. */
#define LINE_SEAL_FIELDS(X)                                                                        \
    X(LINE_HASH, "event.hash", TEXT, "seal of the line, hexadecimal")                              \
    X(LINE_SIGNATURE, "event.signature", TEXT, "of checkpoints: Ed25519, hexadecimal")

#define LINE_FIELDS(X)                                                                             \
    LINE_HEAD_FIELDS(X) LINE_MIDDLE_FIELDS(X) LINE_TAIL_FIELDS(X) LINE_SEAL_FIELDS(X)

enum line_field {
#define X(name, path, kind, meaning) name,
    LINE_FIELDS(X)
#undef X
        LINE_FIELD_COUNT
};

struct line_member {
    const char *path;
    size_t path_size;
    enum record_kind kind;
    const char *meaning;
    enum line_field line_field;     /* LINE_FIELD_COUNT: it is of the record */
    enum record_field record_field; /* RECORD_FIELD_COUNT: it is of the line */
};

size_t line_member_count(void);
const struct line_member *line_member(size_t i);

const char *line_field_path(enum line_field field);

#endif
