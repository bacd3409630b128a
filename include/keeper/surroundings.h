/*
 * What the defaults of a configuration depend on, from the environment of this process.
 */
#ifndef ECLUSE_KEEPER_SURROUNDINGS_H
#define ECLUSE_KEEPER_SURROUNDINGS_H

#include "conf/config.h"

/* Borrowed from the environment and the user database. */
struct config_surroundings surroundings_read(void);

#endif
