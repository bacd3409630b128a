/*
 * What the defaults of a configuration depend on, from the environment of this process.
 */
#ifndef ECLUSE_KEEPER_SURROUNDINGS_H
#define ECLUSE_KEEPER_SURROUNDINGS_H

#include "conf/config.h"

struct surroundings {
    struct config_surroundings values; /* borrowed from below, the environment, the user database */
    char *state_directory, *runtime_directory;
};

/* The folders that systemd gives are resolved: with DynamicUser they are symbolic links of its own
 * making, which state_dir and runtime_dir must not be. Cleared by surroundings_clear. */
void surroundings_read(struct surroundings *surroundings_out);
void surroundings_clear(struct surroundings *surroundings);

/* NULL for a variable that is not set or empty. */
const char *surroundings_variable(const char *name);

#endif
