/*
 * The live sessions. 69 no daemon runs.
 */
#include <stdio.h>
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

#define COLUMNS 9

static const char *const headings[COLUMNS] = {"ACCOUNT",     "GRANT",       "CLIENT",
                                              "PROTOCOL",    "LISTENER",    "STATE",
                                              "FROM CLIENT", "FROM SERVER", "AGE"};

/* The texts that are made for one row; the others lie in the JSON. */
struct row_texts {
    char client_bytes[24], server_bytes[24], age[32];
};

static void fill_row(const json_t *session, struct row_texts *texts, const char *cells[COLUMNS])
{
    long long age = (long long)ask_number(session, "age");
    snprintf(texts->client_bytes, sizeof(texts->client_bytes), "%lld",
             (long long)ask_number(session, "client_bytes"));
    snprintf(texts->server_bytes, sizeof(texts->server_bytes), "%lld",
             (long long)ask_number(session, "server_bytes"));
    snprintf(texts->age, sizeof(texts->age), "%lld:%02d:%02d", age / 3600, (int)(age / 60 % 60),
             (int)(age % 60));
    cells[0] = ask_text(session, "account");
    cells[1] = ask_text(session, "grant");
    cells[2] = ask_text(session, "client");
    cells[3] = ask_text(session, "protocol");
    cells[4] = ask_text(session, "listener");
    cells[5] = ask_text(session, "state");
    cells[6] = texts->client_bytes;
    cells[7] = texts->server_bytes;
    cells[8] = texts->age;
}

static void print_rows(const json_t *sessions)
{
    size_t count = json_array_size(sessions);
    struct row_texts *texts = mem_new_array(count + 1, sizeof(*texts));
    const char **cells = mem_new_array((count + 1) * COLUMNS, sizeof(*cells));
    for (size_t i = 0; i < count; i++)
        fill_row(json_array_get(sessions, i), &texts[i], cells + i * COLUMNS);
    print_table(headings, COLUMNS, cells, count);
    mem_free(cells);
    mem_free(texts);
}

static void print_counts(const json_t *answer)
{
    long long waiting = (long long)ask_number(answer, "before_login");
    long long omitted = (long long)ask_number(answer, "omitted");
    long long silent = (long long)ask_number(answer, "silent_gates");
    if (waiting > 0)
        print_note("sessions: %lld more have not logged in yet", waiting);
    if (omitted > 0)
        print_note("sessions: %lld more are not shown", omitted);
    if (silent > 0)
        print_note("sessions: %lld gate%s did not answer in time; theirs are not shown", silent,
                   silent == 1 ? "" : "s");
}

static int run(const struct arguments *arguments)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", arguments_value(arguments, "--account"));
    int exit_code = ask_keeper(arguments, request, &answer);
    if (exit_code != EX_OK)
        return exit_code;
    json_object_del(answer, "status");
    if (arguments->json)
        print_json(answer);
    else
        print_rows(json_object_get(answer, "sessions"));
    print_counts(answer);
    json_decref(answer);
    return EX_OK;
}

static const struct flag flags[] = {
    {"--account", "ACCOUNT", "those of one account"},
};

const struct subcommand subcommand_sessions = {
    .name = "sessions",
    .operands = "",
    .summary = "the sessions that are open: whose, from where, what has passed",
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .has_json = true,
    .run = run,
};
