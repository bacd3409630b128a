/*
 * Happy path: the configuration is read, each account gets its token from the keeper, the keeper of
 * our own (when no daemon runs) is closed, and each server of each account is tried.
 *
 * Exit codes, by the worst failure: 78 the configuration has to be changed · 77 somebody has to
 * sign in, or to allow it · 69 a server or the way there is at fault · 75 it may pass by itself.
 */
#include <sysexits.h>

#include "base/clock.h"
#include "cli/configuration.h"
#include "cli/doctor.h"
#include "cli/print.h"

#define WALK_MILLISECONDS (10 * 60 * 1000)

static void on_fetcher_closed(void *owner)
{
    (void)owner;
}

static void close_tools(struct doctor *doctor)
{
    if (doctor->sasl != NULL)
        sasl_initiator_library_close(doctor->sasl);
    if (doctor->resolver != NULL)
        resolver_close(doctor->resolver);
    if (doctor->fetcher != NULL)
        fetcher_close(doctor->fetcher, on_fetcher_closed, NULL);
    loop_run(&doctor->loop);
    loop_fini(&doctor->loop);
}

static int open_tools(struct doctor *doctor)
{
    struct err err;
    int status = loop_init(&doctor->loop, &err);
    if (status != 0)
        return print_failure(EX_SOFTWARE, "doctor: %s", err.text);
    status = sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &doctor->sasl, &err);
    if (status == 0)
        status = fetcher_open(&doctor->loop, &doctor->fetcher, &err);
    if (status == 0) {
        doctor->resolver = resolver_open(&doctor->loop);
        return EX_OK;
    }
    close_tools(doctor);
    return print_failure(EX_SOFTWARE, "doctor: %s", err.text);
}

/* ---- the walk ---- */

static int try_accounts(struct doctor *doctor, struct doctor_account *accounts, size_t count)
{
    int exit_code = EX_OK;
    for (size_t i = 0; i < count && exit_code == EX_OK; i++)
        exit_code = doctor_try_account(doctor, &accounts[i]);
    if (exit_code != EX_OK || !ask_is_daemon(doctor->conversation)) {
        ask_close(doctor->conversation);
        doctor->conversation = NULL;
    }
    return exit_code;
}

static void try_servers(struct doctor *doctor, struct doctor_account *accounts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
            if (accounts[i].options->provider_row->endpoints[protocol].is_set)
                doctor_try_server(doctor, &accounts[i], (enum protocol)protocol);
        secret_wipe(&accounts[i].token);
    }
}

static void free_accounts(struct doctor_account *accounts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        secret_wipe(&accounts[i].token);
        mem_free(accounts[i].scope);
    }
    mem_free(accounts);
}

/* `only` NULL: all accounts. */
static int walk(struct doctor *doctor, const struct account_config *only)
{
    size_t count = only != NULL ? 1 : doctor->config->account_count;
    struct doctor_account *accounts = mem_new_array(count + 1, sizeof(*accounts));
    for (size_t i = 0; i < count; i++)
        accounts[i].options = only != NULL ? only : doctor->config->accounts[i];
    doctor->deadline = clock_steady_milliseconds() + WALK_MILLISECONDS;
    doctor_report_open(&doctor->report, doctor->arguments->json);
    int exit_code = try_accounts(doctor, accounts, count);
    if (exit_code == EX_OK)
        try_servers(doctor, accounts, count);
    free_accounts(accounts, count);
    int worst = doctor_report_close(&doctor->report);
    return exit_code != EX_OK ? exit_code : worst;
}

static int walk_with_keeper(struct doctor *doctor, const struct account_config *only)
{
    int exit_code = ask_open(doctor->arguments, &doctor->conversation);
    if (exit_code != EX_OK)
        return exit_code;
    exit_code = walk(doctor, only);
    if (doctor->conversation != NULL)
        ask_close(doctor->conversation);
    return exit_code;
}

static int run(const struct arguments *arguments)
{
    const char *name = arguments->operands[0];
    struct doctor doctor = {.arguments = arguments};
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    doctor.config = config;
    const struct account_config *only = name == NULL ? NULL : config_account(config, name);
    if (name != NULL && only == NULL) {
        exit_code = print_failure(EX_DATAERR,
                                  "doctor: %s: no such account; ecluse accounts lists them", name);
    } else {
        exit_code = open_tools(&doctor);
        if (exit_code == EX_OK) {
            exit_code = walk_with_keeper(&doctor, only);
            close_tools(&doctor);
        }
    }
    config_free(config);
    return exit_code;
}

const struct subcommand subcommand_doctor = {
    .name = "doctor",
    .operands = "[ACCOUNT]",
    .summary = "try every step from the configuration to the login, and say what to do",
    .operands_maximum = 1,
    .has_json = true,
    .run = run,
};
