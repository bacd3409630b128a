/*
 * Happy path: the provider of the address, how to sign in there, the sections in the configuration,
 * the sign-in, a local password, and what to type into the mail program. What the command line does
 * not say is found out; what cannot be found out is asked for.
 *
 * Failures: 64 options that exclude each other, or something missing and nobody to ask · 65 an
 * answer that cannot be used · 69 the domain publishes nothing · 73 the address is there already,
 * or the file cannot be written · 78 the configuration · and those of login and grant, after which
 * the account is there and it is said what is left.
 */
#include "cli/add.h"

#include <string.h>
#include <sysexits.h>

#include "auth/credential.h"
#include "cli/configuration.h"
#include "cli/configuration_append.h"
#include "cli/print.h"
#include "conf/address.h"

static void add_clear(struct add *add)
{
    config_free(add->config);
    mail_service_clear(&add->service);
    mem_free(add->address);
    mem_free(add->place);
    mem_free(add->client_id);
    mem_free(add->scope);
    mem_free(add->tenant);
    secret_wipe(&add->client_secret);
    secret_wipe(&add->password);
}

static int check_flags(const struct add *add)
{
    static const char *const pairs[][2] = {
        {"--device", "--paste"},
        {"--device", "--flow"},
        {"--client-secret-stdin", "--password-stdin"},
        {"--provider", "--issuer"},
        {"--password-stdin", "--client-id"},
    };
    for (size_t i = 0; i < LENGTH_OF(pairs); i++)
        if (add_flag(add, pairs[i][0]) != NULL && add_flag(add, pairs[i][1]) != NULL)
            return print_failure(EX_USAGE, "add: %s and %s exclude each other", pairs[i][0],
                                 pairs[i][1]);
    const char *name = add_flag(add, "--name");
    if (name != NULL && !label_is_valid(name))
        return print_failure(EX_USAGE, "add: --name: 1 to %d characters: a-z 0-9 . _ -",
                             SECTION_LABEL_MAXIMUM);
    return EX_OK;
}

static int take_address(struct add *add)
{
    const char *given = add->arguments->operands[0], *at = strrchr(given, '@');
    if (at == NULL || at == given || at[1] == '\0' || strchr(given, ' ') != NULL ||
        !credential_user_is_valid(slice_of_string(given)))
        return print_failure(EX_DATAERR, "add: %s is no address; write NAME@DOMAIN", given);
    add->address = mem_copy_string(given);
    add->domain = strrchr(add->address, '@') + 1;
    text_to_lower(strrchr(add->address, '@'));
    return EX_OK;
}

static int read_configuration(struct add *add)
{
    add->place = configuration_place(add->arguments, &add->is_there);
    if (add->is_there) {
        int exit_code = configuration_read(add->arguments, false, &add->config);
        if (exit_code != EX_OK)
            return exit_code;
    } else {
        add->config = config_of_table();
    }
    const struct account_config *other =
        config_account_by_address(add->config, slice_of_string(add->address));
    if (other != NULL)
        return print_failure(EX_CANTCREAT,
                             "add: %s is there already, as account %s; ecluse login %s signs it "
                             "in, ecluse grant %s --name N makes a password",
                             add->address, other->name, other->name, other->name);
    const char *name = add_flag(add, "--name");
    if (name != NULL && config_account(add->config, name) != NULL)
        return print_failure(EX_CANTCREAT,
                             "add: there is an account %s already; choose another --name", name);
    return configuration_can_append(add->place);
}

static int go(struct add *add)
{
    static int (*const steps[])(struct add *) = {
        take_address, read_configuration, add_find_provider, add_find_flow, add_write, add_sign_in};
    int exit_code = check_flags(add);
    for (size_t i = 0; exit_code == EX_OK && i < LENGTH_OF(steps); i++)
        exit_code = steps[i](add);
    return exit_code;
}

static int run(const struct arguments *arguments)
{
    struct add add = {.arguments = arguments};
    int exit_code = go(&add);
    add_clear(&add);
    return exit_code;
}

static const struct flag flags[] = {
    {"--provider", "NAME", "one of ecluse providers, or of the configuration"},
    {"--flow", "FLOW", "code, device (OAuth2) or none (a password)"},
    {"--issuer", "URL", "who gives out tokens, where nobody says"},
    {"--scope", "SCOPE", "what the provider calls mail access"},
    {"--tenant", "NAME", "the directory, at Microsoft (default: the provider's)"},
    {"--client-id", "ID", "under which the provider knows this program"},
    {"--client-secret-stdin", NULL, "its secret, one line on stdin"},
    {"--password-stdin", NULL, "the provider's password, one line on stdin (flow none)"},
    {"--name", "NAME", "of the account in the configuration"},
    {"--grant-name", "NAME", "of the mail program's password (default: mail)"},
    {"--device", NULL, "sign in by a code on another device"},
    {"--paste", NULL, "sign in by a browser elsewhere; paste the address at its end"},
    {"--yes", NULL, "use what the domain publishes without asking"},
};

const struct subcommand subcommand_add = {
    .name = "add",
    .operands = "ADDRESS",
    .summary = "add an account: find its provider, sign in, make a password for a mail program",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .has_json = true,
    .run = run,
};
