/*
 * The JSON of keeper/command.h, from text and to text. Strict in what it reads: one object, no key
 * twice, nesting within COMMAND_DEPTH_MAX, nothing behind it.
 */
#ifndef ECLUSE_KEEPER_COMMAND_TEXT_H
#define ECLUSE_KEEPER_COMMAND_TEXT_H

#include <jansson.h>

#include "base/err.h"
#include "base/secret.h"

#define COMMAND_DEPTH_MAX 4

/* ERR_SYNTAX. The text names the place, never the content. */
MUST_CHECK int command_text_read(struct slice text, json_t **object_out, struct err *err);
/* One line without its end. */
void command_text_write(const json_t *object, struct secret *text_out);
/* A JSON string of any octets: what is no UTF-8 is shown escaped. NULL becomes null. */
json_t *command_text_string(const char *text);

#endif
