/*
 * A generated password is all that stdout gets, so that a script can take it; what a human wants to
 * know goes to stderr.
 *
 * When the password cannot be printed the grant is there, but of no use: the error says so.
 */
#include <string.h>
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"
#include "keeper/grant_verifier.h"

#define PASSWORD_SHORT 8

/* False after it was said why. */
static bool add_password(const struct arguments *arguments, json_t *request)
{
    if (!ask_add_secret(arguments, request, "password", "the password", GRANT_PASSWORD_MAX))
        return false;
    if (strlen(ask_text(request, "password")) < PASSWORD_SHORT)
        print_note("grant: the password is short; %d octets or more are harder to guess",
                   PASSWORD_SHORT);
    return true;
}

/* What the password is to be kept for; NULL: it is not. */
static const char *mechanisms_of(const struct arguments *arguments)
{
    bool challenge = arguments_value(arguments, "--challenge") != NULL;
    bool apop = arguments_value(arguments, "--apop") != NULL;
    if (challenge && apop)
        return "challenge,apop";
    if (challenge)
        return "challenge";
    return apop ? "apop" : NULL;
}

static int report(const struct arguments *arguments, const json_t *answer)
{
    const char *password = ask_text(answer, "password");
    long long number = (long long)ask_number(answer, "number");
    if (mechanisms_of(arguments) != NULL)
        print_note("grant: a client that chooses its mechanism by itself may choose one of these "
                   "from now on; then it needs such a password");
    print_note("grant %lld of %s for %s is made%s", number, arguments->operands[0],
               arguments_value(arguments, "--name"),
               *password == '\0' ? "" : "; its password is shown this once:");
    if (*password != '\0' && !print_secret(slice_of_string(password)))
        return print_failure(EX_CANTCREAT,
                             "grant: the password could not be printed; ecluse revoke %s %lld",
                             arguments->operands[0], number);
    return EX_OK;
}

static int run(const struct arguments *arguments)
{
    const char *name = arguments_value(arguments, "--name");
    if (name == NULL)
        return print_failure(EX_USAGE, "grant: --name is missing; see ecluse help grant");
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", arguments->operands[0]);
    ask_add(request, "name", name);
    ask_add(request, "protocols", arguments_value(arguments, "--protocols"));
    ask_add(request, "mechanisms", mechanisms_of(arguments));
    ask_add(request, "access",
            arguments_value(arguments, "--read-only") == NULL ? NULL : "read-only");
    ask_add(request, "from", arguments_value(arguments, "--from"));
    if (arguments_value(arguments, "--password-stdin") != NULL &&
        !add_password(arguments, request)) {
        json_decref(request);
        return EX_DATAERR;
    }
    int exit_code = ask_keeper(arguments, request, &answer);
    if (exit_code == EX_OK)
        exit_code = report(arguments, answer);
    json_decref(answer);
    return exit_code;
}

static const struct flag flags[] = {
    {"--name", "NAME", "which client it is for; needed"},
    {"--protocols", "LIST", "imap,pop3,smtp or less of these (default: all)"},
    {"--read-only", NULL, "it changes nothing in the mailbox, and sends nothing"},
    {"--from", "ADDRESS", "it sends as this address alone (or these, separated by spaces)"},
    {"--challenge", NULL, "also for CRAM-MD5, DIGEST-MD5 and SCRAM: keeps the password itself"},
    {"--apop", NULL, "also for APOP of POP3: keeps the password itself"},
    {"--password-stdin", NULL, "a password of your own, as one line on stdin"},
};

const struct subcommand subcommand_grant = {
    .name = "grant",
    .operands = "ACCOUNT",
    .summary = "make a local password for one mail client",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .run = run,
};
