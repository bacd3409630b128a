/*
 * What the file says by itself, then the certificates and keys that its listeners and accounts
 * name, and last what is known of the providers that its accounts have.
 */
#include <stdio.h>
#include <sysexits.h>

#include "base/clock.h"
#include "cli/configuration.h"
#include "cli/print.h"
#include "conf/table.h"
#include "keeper/listener_tls.h"
#include "keeper/token_assertion.h"
#include "net/tls_certificate.h"

static void warn_of_expiry(const struct config *config, const struct listener_config *listener,
                           const char *text)
{
    struct tls_certificate certificate;
    char date[PRINT_TIME_CAPACITY];
    if (tls_certificate_read(slice_of_string(text), &certificate, NULL) == 0 &&
        certificate.not_after < clock_wall_seconds())
        print_complaint("%s:%d: warning: listen %s: the certificate has expired on %s; %s",
                        config->file, listener->line, listener->name,
                        print_time(certificate.not_after, date),
                        *listener->tls_cert == '\0' ? "run ecluse cert" : "renew it");
}

static bool check_certificate(const struct config *config, const struct listener_config *listener)
{
    char *certificate = NULL;
    struct secret key = {0};
    struct err err;
    if (listener->tls == TLS_MODE_OFF)
        return true;
    if (listener_tls_read(config, listener, &certificate, &key, &err) != 0) {
        print_complaint("%s:%d: %s", config->file, listener->line, err.text);
        return false;
    }
    warn_of_expiry(config, listener, certificate);
    mem_free(certificate);
    secret_wipe(&key);
    return true;
}

static bool check_key(const struct config *config, const struct account_config *account)
{
    bool is_locked = false;
    struct err err;
    if (*account->jwt_key_file == '\0' && !secret_is_set(&account->key))
        return true;
    if (token_assertion_check(account, &is_locked, &err) != 0) {
        print_complaint("%s:%d: account %s: %s", config->file, account->line, account->name,
                        err.text);
        return false;
    }
    if (is_locked)
        print_complaint("%s:%d: note: account %s: %s is encrypted; jwt_passphrase_command was not "
                        "run to look into it",
                        config->file, account->line, account->name, account->jwt_key_file);
    return true;
}

static int check_files(const struct config *config)
{
    bool are_fine = true;
    for (size_t i = 0; i < config->listener_count; i++)
        are_fine = check_certificate(config, config->listeners[i]) && are_fine;
    for (size_t i = 0; i < config->account_count; i++)
        are_fine = check_key(config, config->accounts[i]) && are_fine;
    return are_fine ? EX_OK : EX_CONFIG;
}

static bool is_used(const struct config *config, const struct provider_config *provider)
{
    for (size_t i = 0; i < config->account_count; i++)
        if (config->accounts[i]->provider_row == provider)
            return true;
    return false;
}

static void print_hints(const struct config *config)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct provider_config *provider = config->providers[i];
        if (*provider->hint != '\0' && is_used(config, provider))
            print_line(
                "provider %s (confidence: %s): %s", provider->name,
                option_word(option_table(SECTION_PROVIDER), "confidence", provider->confidence),
                provider->hint);
    }
}

static int run(const struct arguments *arguments)
{
    if (arguments_value(arguments, "--defaults") != NULL) {
        config_print_defaults(stdout);
        return EX_OK;
    }
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, true, &config);
    if (exit_code == EX_OK)
        exit_code = check_files(config);
    if (exit_code == EX_OK) {
        print_line("%s: fine", config->file);
        print_hints(config);
    }
    config_free(config);
    return exit_code;
}

static const struct flag flags[] = {
    {"--defaults", NULL, "print every option with its default instead"},
};

const struct subcommand subcommand_check = {
    .name = "check",
    .operands = "",
    .summary = "say every problem of the configuration, with file, line and the fix",
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .run = run,
};
