/*
 * Whom to trust, by number: 0 is the bundle of the configuration as a whole, and each provider with
 * a ca_file of its own has the next. CONFIGURE gives a gate the bundles in this order, GRANTED
 * names one of them.
 */
#ifndef ECLUSE_KEEPER_AUTHORITIES_H
#define ECLUSE_KEEPER_AUTHORITIES_H

#include "conf/config.h"

size_t authorities_count(const struct config *config);
/* The file of a bundle. ENSURE: index < authorities_count. Borrowed. */
const char *authorities_file(const struct config *config, size_t index);
/* ENSURE: the provider is one of the configuration's. */
uint16_t authorities_index(const struct config *config, const struct provider_config *provider);

#endif
