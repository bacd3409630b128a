/*
 * The providers that every configuration has: config/providers.ini, embedded into the program at
 * build. It is no input: that it is right is shown by tests, and ENSUREd where it is read.
 */
#ifndef ECLUSE_CONF_PROVIDER_TABLE_H
#define ECLUSE_CONF_PROVIDER_TABLE_H

#include "base/slice.h"
#include "conf/draft.h"

/* The file as it was at build. */
struct slice provider_table_text(void);

/* Adds its rows below what was read, once that is all: a [provider NAME] of the user's keeps its
 * own keys and gets the others of the row of that name. */
void provider_table_add(struct draft *draft);

#endif
