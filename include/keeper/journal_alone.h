/*
 * One record written down while no daemon runs, by a command that has the vault open and no keeper.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_ALONE_H
#define ECLUSE_KEEPER_JOURNAL_ALONE_H

#include "keeper/journal.h"

/* It is on disk on return; also 0 when audit is off. ERR_UNAVAILABLE: the journal cannot be
 * written; others as of journal_open. */
MUST_CHECK int journal_write_alone(const struct state_folder *folder, struct vault *vault,
                                   const struct config *config, const struct record *record,
                                   struct err *err);

#endif
