/*
 * What most subcommands come down to: a request (keeper/command.h) to the daemon when it runs, else
 * to a keeper of our own for as long as the answer takes.
 */
#ifndef ECLUSE_CLI_ASK_H
#define ECLUSE_CLI_ASK_H

#include <jansson.h>

#include "cli/arguments.h"
#include "cli/remote.h"

/* Adds a text to a request; NULL adds nothing. */
void ask_add(json_t *request, const char *key, const char *text);

/* Adds the line on stdin to a request: secret_input_read. False after it was said why not. */
MUST_CHECK bool ask_add_secret(const struct arguments *arguments, json_t *request, const char *key,
                               const char *what, size_t maximum);

/* `request` is taken over; "command" is the subcommand's name. 0 with *answer_out for json_decref,
 * or the exit code after one line on stderr has said why. */
MUST_CHECK int ask_keeper(const struct arguments *arguments, json_t *request, json_t **answer_out);

/* The same for another command than the one of the subcommand's name. */
MUST_CHECK int ask_command(const struct arguments *arguments, const char *command, json_t *request,
                           json_t **answer_out);

/* Has the daemon, when one runs, read its configuration again. */
MUST_CHECK int ask_to_reload(const struct arguments *arguments);
/* Several requests to the same keeper, which remembers what was begun: see ask_keeper. 0, or the
 * exit code after one line has said why. */
struct conversation;
MUST_CHECK int ask_open(const struct arguments *arguments, struct conversation **conversation_out);
/* `patience` in milliseconds for an answer that takes long; 0: the usual one. */
MUST_CHECK int ask_say(struct conversation *conversation, const char *command, json_t *request,
                       int patience, json_t **answer_out);
/* True when a daemon is talked to. */
bool ask_is_daemon(const struct conversation *conversation);
/* The same, but an answer that says no (ask_status) is the caller's to say. */
MUST_CHECK int ask_try(struct conversation *conversation, const char *command, json_t *request,
                       int patience, json_t **answer_out);
void ask_close(struct conversation *conversation);

/* The daemon alone: 69 when none runs. *remote_out stays open, for remote_close, unless NULL was
 * given. */
MUST_CHECK int ask_daemon(const struct arguments *arguments, struct remote *remote_out,
                          json_t **answer_out);

/* The exit code that an answer stands for. */
int ask_status(const json_t *answer);
/* Members of an answer; "" and 0 when they are not there. */
const char *ask_text(const json_t *answer, const char *key);
int64_t ask_number(const json_t *answer, const char *key);

#endif
