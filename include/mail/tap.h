/*
 * The tap: sees both directions of a relayed session pass, by framing only, and yields what
 * happened as events. This is the interface that gate/relay and the journal agree on; no dialect
 * implements it in this version, and the relay runs without one.
 *
 * It never delays or alters a byte and keeps none: lines are followed to their verb and status,
 * literals and bodies are skipped by length. A stream that it cannot follow turns it off with an
 * event that says so.
 */
#ifndef ECLUSE_MAIL_TAP_H
#define ECLUSE_MAIL_TAP_H

#include "mail/engine.h"

struct tap_event {
    const char *verb;       /* of the dialect's table, never the client's own bytes */
    struct slice arguments; /* borrowed until the next call; empty for what may hold a secret */
    struct slice status;    /* OK NO BAD, +OK -ERR, a code; empty for what has none */
    uint64_t client_bytes, server_bytes;
};

struct tap_ops {
    void *(*open)(const struct dialect *dialect);
    /* Bytes in the order in which they pass on their side. */
    void (*feed)(void *tap, enum side side, struct slice bytes);
    /* False: nothing (more) has happened. */
    bool (*next)(void *tap, struct tap_event *event_out);
    void (*close)(void *tap);
};

#endif
