/*
 * One reader for messages of every kind.
 */
#ifndef ECLUSE_TESTS_MESSAGE_PROBE_H
#define ECLUSE_TESTS_MESSAGE_PROBE_H

#include "auth/message.h"

/* 0 when it can be read, all of it, else ERR_SYNTAX. What was read is freed. */
int message_probe(struct slice bytes);

#endif
