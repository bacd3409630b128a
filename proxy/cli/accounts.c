#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

#define COLUMNS 8

static const char *const headings[COLUMNS] = {"ACCOUNT",      "ADDRESS",   "PROVIDER",
                                              "FLOW",         "SIGNED IN", "TOKEN EXPIRES",
                                              "LAST REFRESH", "LAST ERROR"};

struct row_texts {
    char expires[PRINT_TIME_CAPACITY], last_refresh[PRINT_TIME_CAPACITY];
};

/* "-" where there is none: an offline keeper holds no access token. */
static const char *time_cell(const json_t *account, const char *key, char *text)
{
    int64_t time = ask_number(account, key);
    return time == 0 ? "" : print_time(time, text);
}

static void fill_row(const json_t *account, struct row_texts *texts, const char *cells[COLUMNS])
{
    cells[0] = ask_text(account, "name");
    cells[1] = ask_text(account, "address");
    cells[2] = ask_text(account, "provider");
    cells[3] = ask_text(account, "flow");
    cells[4] = ask_text(account, "signed_in");
    cells[5] = time_cell(account, "expires", texts->expires);
    cells[6] = time_cell(account, "last_refresh", texts->last_refresh);
    cells[7] = ask_text(account, "last_error");
}

static void print_accounts(const json_t *accounts)
{
    size_t count = json_array_size(accounts);
    struct row_texts *texts = mem_new_array(count + 1, sizeof(*texts));
    const char **cells = mem_new_array((count + 1) * COLUMNS, sizeof(*cells));
    for (size_t i = 0; i < count; i++)
        fill_row(json_array_get(accounts, i), &texts[i], cells + i * COLUMNS);
    print_table(headings, COLUMNS, cells, count);
    mem_free(cells);
    mem_free(texts);
}

static int run(const struct arguments *arguments)
{
    json_t *answer = NULL;
    int exit_code = ask_keeper(arguments, json_object(), &answer);
    if (exit_code != EX_OK)
        return exit_code;
    const json_t *accounts = json_object_get(answer, "accounts");
    if (arguments->json)
        print_json(accounts);
    else
        print_accounts(accounts);
    json_decref(answer);
    return EX_OK;
}

const struct subcommand subcommand_accounts = {
    .name = "accounts",
    .operands = "",
    .summary = "list the accounts: signed in or not, tokens, the last error",
    .has_json = true,
    .run = run,
};
