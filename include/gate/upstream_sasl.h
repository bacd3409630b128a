/*
 * SASL towards the upstream, for whoever drives an engine (struct engine_sasl).
 */
#ifndef ECLUSE_GATE_UPSTREAM_SASL_H
#define ECLUSE_GATE_UPSTREAM_SASL_H

#include "auth/sasl_client.h"

/* Begins an exchange in place of the one in *initiator, which is freed (NULL: there is none).
 * `identity` has no token: `token` is copied, since it is sent again when a connection is lost
 * before the server has looked at it. Otherwise as sasl_initiator_new and sasl_initiator_start. */
MUST_CHECK int upstream_sasl_start(struct sasl_initiator_library *library, const char *mechanism,
                                   struct sasl_initiator_identity identity,
                                   const struct secret *token, struct sasl_initiator **initiator,
                                   struct slice *response_out);

#endif
