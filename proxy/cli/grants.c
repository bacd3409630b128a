#include <stdio.h>
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

#define COLUMNS 8

static const char *const headings[COLUMNS] = {"NUMBER", "ACCOUNT", "NAME",    "PROTOCOLS",
                                              "ACCESS", "KIND",    "CREATED", "LAST USE"};

/* The texts that are made for one row; the others lie in the JSON. */
struct row_texts {
    char number[24], access[500], kind[40];
    char created[PRINT_TIME_CAPACITY], last_used[PRINT_TIME_CAPACITY];
};

static void fill_access(const json_t *grant, char *out, size_t capacity)
{
    const char *from = ask_text(grant, "from");
    bool is_read_only = json_is_true(json_object_get(grant, "read_only"));
    snprintf(out, capacity, "%s%s%s", is_read_only ? "read-only" : "all",
             *from == '\0' ? "" : ", from ", from);
}

static void fill_row(const json_t *grant, struct row_texts *texts, const char *cells[COLUMNS])
{
    const char *mechanisms = ask_text(grant, "mechanisms");
    snprintf(texts->number, sizeof(texts->number), "%lld", (long long)ask_number(grant, "number"));
    snprintf(texts->kind, sizeof(texts->kind), "%s%s%s", ask_text(grant, "kind"),
             *mechanisms == '\0' ? "" : ":", mechanisms);
    fill_access(grant, texts->access, sizeof(texts->access));
    cells[0] = texts->number;
    cells[1] = ask_text(grant, "account");
    cells[2] = ask_text(grant, "name");
    cells[3] = ask_text(grant, "protocols");
    cells[4] = texts->access;
    cells[5] = texts->kind;
    cells[6] = print_time(ask_number(grant, "created"), texts->created);
    cells[7] = print_time(ask_number(grant, "last_used"), texts->last_used);
}

static void print_grants(const json_t *grants)
{
    size_t count = json_array_size(grants);
    struct row_texts *texts = mem_new_array(count + 1, sizeof(*texts));
    const char **cells = mem_new_array((count + 1) * COLUMNS, sizeof(*cells));
    for (size_t i = 0; i < count; i++)
        fill_row(json_array_get(grants, i), &texts[i], cells + i * COLUMNS);
    print_table(headings, COLUMNS, cells, count);
    mem_free(cells);
    mem_free(texts);
}

static int run(const struct arguments *arguments)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", arguments->operands[0]);
    int exit_code = ask_keeper(arguments, request, &answer);
    if (exit_code != EX_OK)
        return exit_code;
    const json_t *grants = json_object_get(answer, "grants");
    if (arguments->json)
        print_json(grants);
    else
        print_grants(grants);
    json_decref(answer);
    return EX_OK;
}

const struct subcommand subcommand_grants = {
    .name = "grants",
    .operands = "[ACCOUNT]",
    .summary = "list the local passwords (never the passwords themselves)",
    .operands_maximum = 1,
    .has_json = true,
    .run = run,
};
