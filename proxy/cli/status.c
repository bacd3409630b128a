#include <stdio.h>
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

#define COLUMNS 3

static const char *const headings[COLUMNS] = {"ACCOUNT", "SESSIONS", "STATE"};

/* "3 d 04:05:06" */
static void format_uptime(int64_t seconds, char *out, size_t capacity)
{
    snprintf(out, capacity, "%lld d %02d:%02d:%02d", (long long)(seconds / 86400),
             (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60), (int)(seconds % 60));
}

static void print_gates(const json_t *answer)
{
    const json_t *gates = json_object_get(answer, "gates");
    printf("gates     %zu, restarted %lld times; pid", json_array_size(gates),
           (long long)ask_number(answer, "gate_restarts"));
    for (size_t i = 0; i < json_array_size(gates); i++)
        printf(" %lld", (long long)json_integer_value(json_array_get(gates, i)));
    printf("\n");
}

static void print_accounts(const json_t *accounts)
{
    size_t count = json_array_size(accounts);
    char(*sessions)[24] = mem_new_array(count + 1, sizeof(*sessions));
    const char **cells = mem_new_array((count + 1) * COLUMNS, sizeof(*cells));
    for (size_t i = 0; i < count; i++) {
        const json_t *account = json_array_get(accounts, i);
        bool needs_user = json_is_true(json_object_get(account, "needs_user"));
        snprintf(sessions[i], sizeof(*sessions), "%lld",
                 (long long)ask_number(account, "sessions"));
        cells[i * COLUMNS] = ask_text(account, "name");
        cells[i * COLUMNS + 1] = sessions[i];
        cells[i * COLUMNS + 2] = needs_user ? "must be signed in: ecluse login" : "fine";
    }
    print_table(headings, COLUMNS, cells, count);
    mem_free(cells);
    mem_free(sessions);
}

static void print_audit(const json_t *audit)
{
    const char *error = ask_text(audit, "error");
    if (json_is_true(json_object_get(audit, "failing")))
        print_line("audit     %s; THE JOURNAL CANNOT BE WRITTEN: %s", ask_text(audit, "level"),
                   error);
    else
        print_line("audit     %s, record %lld, %lld on their way, %lld lost",
                   ask_text(audit, "level"), (long long)ask_number(audit, "sequence"),
                   (long long)ask_number(audit, "queued"), (long long)ask_number(audit, "lost"));
}

static void print_status(const json_t *answer)
{
    char uptime[48];
    format_uptime(ask_number(answer, "uptime"), uptime, sizeof(uptime));
    print_line("ecluse    %s, pid %lld, up %s", ask_text(answer, "version"),
               (long long)ask_number(answer, "pid"), uptime);
    print_line("config    %s", ask_text(answer, "config"));
    print_gates(answer);
    print_line("sessions  %lld", (long long)ask_number(answer, "sessions"));
    print_audit(json_object_get(answer, "audit"));
    print_line("%s", "");
    print_accounts(json_object_get(answer, "accounts"));
}

static int run(const struct arguments *arguments)
{
    json_t *answer = NULL;
    int exit_code = ask_daemon(arguments, NULL, &answer);
    if (exit_code != EX_OK)
        return exit_code;
    if (arguments->json)
        print_json(answer);
    else
        print_status(answer);
    json_decref(answer);
    return EX_OK;
}

const struct subcommand subcommand_status = {
    .name = "status",
    .operands = "",
    .summary = "how the daemon is: gates, sessions, accounts that need their user",
    .has_json = true,
    .run = run,
};
