/*
 * What a handler of one command (proxy/keeper/command_*.c) works with. It is called once, from
 * within command_start, and ends by exactly one of command_succeed and command_fail, then or later.
 */
#ifndef ECLUSE_KEEPER_COMMAND_HANDLER_H
#define ECLUSE_KEEPER_COMMAND_HANDLER_H

#include <jansson.h>

#include "keeper/broker.h"
#include "keeper/command.h"

#define COMMAND_KEYS_MAX 6

struct command_rule {
    const char *name;
    bool needs_daemon;
    void (*run)(struct command *command);
    const char *required[COMMAND_KEYS_MAX]; /* keys of the request; every value is a string */
    const char *optional[COMMAND_KEYS_MAX];
};

void command_run_accounts(struct command *command);
void command_run_audit_erase(struct command *command);
void command_run_audit_init(struct command *command);
void command_run_credential(struct command *command);
void command_run_grant(struct command *command);
void command_run_grants(struct command *command);
void command_run_login(struct command *command);
void command_run_logout(struct command *command);
void command_run_reload(struct command *command);
void command_run_revoke(struct command *command);
void command_run_sessions(struct command *command);
void command_run_sign_in(struct command *command);
void command_run_sign_in_wait(struct command *command);
void command_run_status(struct command *command);
void command_run_stop(struct command *command);
void command_run_token(struct command *command);
void command_run_try(struct command *command);

/* "in", "out", "never", "by command" or "not needed"; `tokens` as vault_token_list gives them. */
const char *command_sign_in_state(const struct account_config *account,
                                  const struct vault_token *tokens, size_t count);

struct keeper *command_keeper(struct command *command);
/* Printable UTF-8 without control characters; NULL: an optional key that is not there. Borrowed
 * until the command ends. */
const char *command_value(const struct command *command, const char *key);
/* The account that the request names; NULL after the command has failed because there is none. */
const struct account_config *command_account(struct command *command);

/* As vault_token_list of all; false after the command has failed. */
MUST_CHECK bool command_list_tokens(struct command *command, struct vault_token **tokens_out,
                                    size_t *count_out);

/* A secret that the handler keeps until the command ends; wiped then. */
struct secret *command_kept_secret(struct command *command);

/* A sign-in that is cancelled with the command; 0: no longer. */
void command_keep_sign_in(struct command *command, uint64_t number);
uint64_t command_kept_sign_in(const struct command *command);

/* A refresh token that is tried (keeper/broker.h); moved from. The trial ends with the command
 * unless it was kept. `on_token` as below. */
void command_try_token(struct command *command, const char *account, struct secret *refresh_token,
                       void (*on_token)(struct command *command, enum why why,
                                        const struct broker_token *token, const char *text));
/* NULL: none, or no longer. */
struct broker_trial *command_trial(const struct command *command);
/* As broker_trial_keep. */
MUST_CHECK int command_keep_trial(struct command *command, struct err *err);

/* Takes over `answer` and adds "status": 0. */
void command_succeed(struct command *command, json_t *answer);
void command_fail(struct command *command, int exit_code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* By the code and the text of an error. */
void command_fail_error(struct command *command, const struct err *err);
/* Once the answer has been given, the keeper stops. */
void command_stop_afterwards(struct command *command);

/* What goes on for the command outside of it, and how that is cancelled, which happens when the
 * command is; NULL, NULL: it has ended. */
void command_set_work(struct command *command, void (*cancel)(void *work), void *work);

/* As broker_ask; the ticket goes with the command. `on_token` ends it. */
void command_ask_token(struct command *command, const char *account, uint64_t refused_generation,
                       void (*on_token)(struct command *command, enum why why,
                                        const struct broker_token *token, const char *text));
/* The same as broker_ask_for. */
void command_ask_token_for(struct command *command, const char *account, const char *mailbox,
                           void (*on_token)(struct command *command, enum why why,
                                            const struct broker_token *token, const char *text));

#endif
