/*
 * The sessions of which the journal has the beginning and not the end. A gate tells of both; one
 * that dies tells of no end any more, which is then written here, so that each session has one.
 */
#ifndef ECLUSE_KEEPER_OPEN_SESSIONS_H
#define ECLUSE_KEEPER_OPEN_SESSIONS_H

#include "base/record.h"
#include "keeper/journal.h"

struct open_sessions;

/* Of one gate; what goes beyond is not known here. */
#define OPEN_SESSIONS_PER_GATE_MAX 65536u

struct open_sessions *open_sessions_new(void);
void open_sessions_free(struct open_sessions *sessions);

/* What a gate told; only a session-open and a session-close matter. All of it is copied. */
void open_sessions_note(struct open_sessions *sessions, const struct journal_place *place,
                        const struct record *record);

/* `write` gets a session-close for each session of the gate, which is forgotten with it; the
 * record is lent. `place` has no account. `write` must not call back. */
void open_sessions_end_gate(struct open_sessions *sessions, unsigned gate, enum why why,
                            void (*write)(void *owner, const struct journal_place *place,
                                          const struct record *record),
                            void *owner);

#endif
