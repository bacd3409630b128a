/*
 * credential: what the upstream is logged in with, for one that tries whether that works. It is the
 * access token, as `token` gives it, with the scope that the provider granted. Who was refused with
 * one says so by its generation, and gets another one, as a session does.
 *
 * The provider's password of flow = none is given by an offline keeper alone: there it does not
 * leave the process. The daemon says that it has one, and tries it itself (command_try.c).
 */
#include <sysexits.h>

#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/exit_code.h"

/* Nothing that could be handed out at all. */
static void on_held(struct command *command, enum why why, const struct broker_token *token,
                    const char *text)
{
    (void)token;
    if (why != WHY_NONE)
        command_fail(command, exit_code_of_why(why), "%s", text);
    else
        command_succeed(command, json_pack("{s:b}", "held", 1));
}

static void on_token(struct command *command, enum why why, const struct broker_token *token,
                     const char *text)
{
    if (why != WHY_NONE) {
        command_fail(command, exit_code_of_why(why), "%s", text);
        return;
    }
    struct slice bytes = secret_bytes(token->token);
    /* A password may hold octets that are no UTF-8, which JSON cannot carry. */
    json_t *secret = json_stringn((const char *)bytes.data, bytes.size);
    if (secret == NULL) {
        command_fail(command, EX_DATAERR, "the password is no UTF-8 and cannot be tried here");
        return;
    }
    command_succeed(command, json_pack("{s:o, s:I, s:I, s:o}", "token", secret, "expires",
                                       (json_int_t)token->expires, "generation",
                                       (json_int_t)token->generation, "scope",
                                       command_text_string(token->scope)));
}

void command_run_credential(struct command *command)
{
    const struct account_config *account = command_account(command);
    const char *word = command_value(command, "refused");
    uint64_t refused = 0;
    if (account == NULL)
        return;
    if (word != NULL && !slice_read_number(slice_of_string(word), INT64_MAX, &refused))
        command_fail(command, EX_USAGE, "credential: refused is no number");
    else if (account->flow == FLOW_NONE && keeper_gates(command_keeper(command)) != NULL)
        command_ask_token(command, account->name, refused, on_held);
    else
        command_ask_token(command, account->name, refused, on_token);
}
