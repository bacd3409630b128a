/*
 * Records as a person reads them: one line each.
 */
#ifndef ECLUSE_CLI_AUDIT_PERSON_H
#define ECLUSE_CLI_AUDIT_PERSON_H

#include <stdio.h>

#include "audit/reader.h"

/* Time in local time, account, protocol, action, how it ended, and what else is known. Nothing of
 * it drives the terminal but the colours. */
void audit_person_write(FILE *stream, const struct reading *reading, bool has_colours);

#define AUDIT_PERSON_AMOUNT 24
/* "17", "1.2 KiB", "3.4 MiB" */
void audit_person_bytes(uint64_t bytes, char out[AUDIT_PERSON_AMOUNT]);

#endif
