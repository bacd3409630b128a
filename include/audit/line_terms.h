/*
 * What every line of the journal says besides the fields of its record (base/record_terms.h).
 */
#ifndef ECLUSE_AUDIT_LINE_TERMS_H
#define ECLUSE_AUDIT_LINE_TERMS_H

#define LINE_ECS_VERSION "9.0.0"

/* X(path, meaning): in the order of a line. */
#define LINE_FIELDS(X)                                                                             \
    X("@timestamp", "when, UTC, to the microsecond")                                               \
    X("ecs.version", "of the Elastic Common Schema")                                               \
    X("service.name", "ecluse")                                                                    \
    X("service.version", "of ecluse")                                                              \
    X("service.id", "which installation")                                                          \
    X("ecluse.audit.cut", "values that did not fit into the line whole; not there for none")       \
    X("ecluse.audit.level", "minimal, standard or full")                                           \
    X("ecluse.audit.epoch", "epoch of the key that sealed the line")                               \
    X("event.kind", "event")                                                                       \
    X("event.dataset", "ecluse.audit")                                                             \
    X("event.category", "list of categories, by action")                                           \
    X("event.type", "list of types, by action")                                                    \
    X("event.action", "what happened")                                                             \
    X("event.outcome", "success or failure")                                                       \
    X("event.code", "why it failed or ended, one word; not there for a success")                   \
    X("event.sequence", "number of the record, from 1, without a gap")                             \
    X("event.hash", "seal of the line, hexadecimal")                                               \
    X("event.signature", "of a checkpoint: Ed25519, base64")

#endif
