/*
 * The listening sockets of one [listen NAME], and who may come in: a client of another user, or
 * from an address that is not allowed, is closed before the greeting. When all places are taken,
 * the connection that has waited longest for its login goes, so that a real user always gets in;
 * when none waits, the newcomer is told.
 */
#ifndef ECLUSE_GATE_LISTENER_H
#define ECLUSE_GATE_LISTENER_H

#include "gate/gate.h"

struct listener;

/* `index` within gate->configure.listeners; `descriptor` is the first of its sockets. */
MUST_CHECK int listener_open(struct gate *gate, uint16_t index, int descriptor,
                             struct listener **listener_out, struct err *err);
/* Accepts while the gate is not congested. */
void listener_update_accepting(struct listener *listener);
/* Stops accepting; the memory goes with its last session. The sockets stay open in the keeper. */
void listener_close(struct listener *listener);

#endif
