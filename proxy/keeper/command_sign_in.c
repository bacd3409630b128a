/*
 * sign_in, sign_in_wait: the two halves of `ecluse login` for a human. The first says where to go,
 * the second how it has ended; a client that goes away in between takes the sign-in with it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/exit_code.h"
#include "keeper/sign_in.h"

#define NUMBER_TEXT 24

/* ---- where to go ---- */

/* What has to be done at the provider before anybody can sign in there. */
static void add_hint(struct command *command, json_t *answer)
{
    const struct account_config *account =
        config_account(keeper_config(command_keeper(command)), command_value(command, "account"));
    if (account == NULL || *account->provider_row->hint == '\0')
        return;
    json_object_set_new(answer, "provider", command_text_string(account->provider));
    json_object_set_new(answer, "hint", command_text_string(account->provider_row->hint));
}

static void on_offer(void *owner, const struct sign_in_news *news)
{
    struct command *command = owner;
    char number[NUMBER_TEXT];
    snprintf(number, sizeof(number), "%" PRIu64, command_kept_sign_in(command));
    command_keep_sign_in(command, 0);
    if (news->has_ended) {
        command_fail(command, news->exit_code, "%s: %s", command_value(command, "account"),
                     news->text);
        return;
    }
    json_t *answer = json_pack(
        "{s:s, s:o, s:o, s:o, s:I}", "sign_in", number, "url", command_text_string(news->url),
        "user_code", command_text_string(news->user_code), "complete_url",
        command_text_string(news->complete_url), "expires_in", (json_int_t)news->expires_in);
    add_hint(command, answer);
    command_succeed(command, answer);
}

/* Without a word of the user the account's flow decides. */
static bool find_way(const struct account_config *account, const char *word,
                     enum sign_in_way *way_out)
{
    static const char *const words[] = {"browser", "paste", "device"};
    *way_out = account->flow == FLOW_DEVICE ? SIGN_IN_DEVICE : SIGN_IN_BROWSER;
    for (size_t i = 0; word != NULL && i < LENGTH_OF(words); i++)
        if (strcmp(words[i], word) == 0)
            *way_out = (enum sign_in_way)i;
    return word == NULL || strcmp(words[*way_out], word) == 0;
}

void command_run_sign_in(struct command *command)
{
    const struct account_config *account = command_account(command);
    const char *word = command_value(command, "way");
    enum sign_in_way way;
    uint64_t number;
    struct err err;
    if (account == NULL)
        return;
    if (account->flow == FLOW_NONE)
        command_fail(command, EX_USAGE, "%s: flow = none takes a password; use --password-stdin",
                     account->name);
    else if (account->flow != FLOW_CODE && account->flow != FLOW_DEVICE)
        command_fail(command, EX_USAGE, "%s: its flow needs no sign-in", account->name);
    else if (!find_way(account, word, &way))
        command_fail(command, EX_USAGE, "%s is no way to sign in; one of browser paste device",
                     word);
    else if (sign_in_begin(keeper_sign_ins(command_keeper(command)), account, way, on_offer,
                           command, &number, &err) != 0)
        command_fail(command, exit_code_of(err.code), "%s: %s", account->name, err.text);
    else
        command_keep_sign_in(command, number);
}

/* ---- how it has ended ---- */

static void on_tried(struct command *command, enum why why, const struct broker_token *token,
                     const char *text)
{
    const struct secret *note = command_kept_secret(command);
    if (why != WHY_NONE)
        command_fail(command, exit_code_of_why(why),
                     "%s: the sign-in worked, but the token from it did not: %s",
                     command_value(command, "account"), text);
    else
        command_succeed(command, json_pack("{s:s, s:I}", "note", note->bytes, "expires",
                                           (json_int_t)token->expires));
}

/* The first refresh is made while the user looks on: not every scope that a provider signs in with
 * is one that it refreshes with. */
static void on_end(void *owner, const struct sign_in_news *news)
{
    struct command *command = owner;
    const char *account = command_value(command, "account");
    command_keep_sign_in(command, 0);
    if (news->exit_code != EX_OK) {
        command_fail(command, news->exit_code, "%s: %s", account, news->text);
        return;
    }
    secret_set(command_kept_secret(command), slice_of_string(news->text));
    command_ask_token(command, account, 0, on_tried);
}

void command_run_sign_in_wait(struct command *command)
{
    struct sign_ins *all = keeper_sign_ins(command_keeper(command));
    const char *redirect = command_value(command, "redirect");
    uint64_t number = 0;
    struct err err;
    if (!slice_read_number(slice_of_string(command_value(command, "sign_in")), UINT32_MAX,
                           &number)) {
        command_fail(command, EX_USAGE, "sign_in is no number");
        return;
    }
    int status = redirect == NULL ? 0 : sign_in_paste(all, number, redirect, &err);
    if (status == 0)
        status = sign_in_wait(all, number, on_end, command, &err);
    if (status == 0)
        command_keep_sign_in(command, number);
    else
        command_fail(command, status == ERR_SYNTAX ? EX_DATAERR : EX_TEMPFAIL, "%s: %s",
                     command_value(command, "account"), err.text);
}
