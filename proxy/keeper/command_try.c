/*
 * try: a login at one of the account's mail servers with what its sessions would have, in a process
 * of its own (keeper/trial.h). What it logs in with leaves the keeper for that process alone; the
 * answer says whether it worked, and if not why.
 *
 * Failures: those of the broker, by which there is nothing to log in with; a password that cannot
 * be handed over. That the server says no is an answer.
 */
#include <sysexits.h>

#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/exit_code.h"
#include "keeper/trial.h"

static void on_tried(void *owner, const struct trial_answer *answer)
{
    struct command *command = owner;
    command_set_work(command, NULL, NULL);
    command_succeed(
        command, json_pack("{s:s, s:s, s:o}", "verdict", trial_verdict_word(answer->verdict), "why",
                           why_name(answer->why), "text", command_text_string(answer->text)));
}

static void cancel_trial(void *work)
{
    trial_cancel(work);
}

static void on_token(struct command *command, enum why why, const struct broker_token *token,
                     const char *text)
{
    struct keeper *keeper = command_keeper(command);
    struct secret request = {0};
    enum protocol protocol;
    if (why != WHY_NONE) {
        command_fail(command, exit_code_of_why(why), "%s", text);
        return;
    }
    const struct account_config *account = command_account(command);
    if (account == NULL)
        return;
    ENSURE(protocol_find(command_value(command, "protocol"), &protocol) == 0);
    if (trial_write_request(keeper_config(keeper), account, protocol, token->token, &request) != 0)
        command_fail(command, EX_DATAERR, "the password is no UTF-8 and cannot be tried here");
    else
        command_set_work(command, cancel_trial,
                         trial_start(keeper_loop(keeper), &request, on_tried, command));
}

void command_run_try(struct command *command)
{
    const struct account_config *account = command_account(command);
    enum protocol protocol;
    if (account == NULL)
        return;
    if (protocol_find(command_value(command, "protocol"), &protocol) != 0)
        command_fail(command, EX_USAGE, "try: protocol is one of imap pop3 smtp");
    else if (!account->provider_row->endpoints[protocol].is_set)
        command_fail(command, EX_DATAERR, "provider %s has no %s", account->provider,
                     protocol_name(protocol));
    else
        command_ask_token(command, account->name, 0, on_token);
}
