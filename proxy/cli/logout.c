/*
 * Wipes an account's token (or password) here, and gives the token back to the provider. That the
 * latter did not work is said, and is no failure: nobody logs in with it here any more.
 */
#include <string.h>
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

static void report(const char *account, const json_t *answer)
{
    const char *held = ask_text(answer, "held"), *reason = ask_text(answer, "reason");
    if (strcmp(held, "password") == 0)
        print_line("%s is signed out; its password is wiped", account);
    else if (json_is_true(json_object_get(answer, "revoked")))
        print_line("%s is signed out; its token is wiped here and revoked at the provider",
                   account);
    else if (strcmp(held, "token") == 0)
        print_line("%s is signed out; its token is wiped here", account);
    else
        print_line("%s is signed out; there was no token that could be revoked", account);
    if (strcmp(held, "token") == 0 && *reason != '\0')
        print_note(
            "logout: %s: its token could not be revoked at the provider: %s; take the access "
            "away in your account's settings there",
            account, reason);
}

static int run(const struct arguments *arguments)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", arguments->operands[0]);
    int exit_code = ask_keeper(arguments, request, &answer);
    if (exit_code == EX_OK)
        report(arguments->operands[0], answer);
    json_decref(answer);
    return exit_code;
}

const struct subcommand subcommand_logout = {
    .name = "logout",
    .operands = "ACCOUNT",
    .summary = "sign an account out: revoke its token at the provider, and wipe it",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .run = run,
};
