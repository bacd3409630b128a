/*
 * The parts of `ecluse audit`, which proxy/cli/audit.c chooses among. Each gives the exit code.
 */
#ifndef ECLUSE_CLI_AUDIT_H
#define ECLUSE_CLI_AUDIT_H

#include "cli/arguments.h"

int audit_show(const struct arguments *arguments);
int audit_follow(const struct arguments *arguments);
int audit_stats(const struct arguments *arguments);
int audit_export(const struct arguments *arguments);
int audit_verify(const struct arguments *arguments);
int audit_init(const struct arguments *arguments);
int audit_erase(const struct arguments *arguments);

#endif
