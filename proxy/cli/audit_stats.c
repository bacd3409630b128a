/*
 * Happy path: every record is counted for its account and day, and days are shown in order.
 *
 * Failures: as of `show`. Of a journal that somebody filled with names, ROWS_MAX are counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/audit.h"
#include "cli/audit_filter.h"
#include "cli/audit_person.h"
#include "cli/journal_folder.h"
#include "cli/print.h"

#define ROWS_MAX         20000u
#define ACCOUNT_CAPACITY 64
#define DAY_CAPACITY     16
#define BAR_WIDTH        20u

struct row {
    char day[DAY_CAPACITY]; /* 2026-01-31, local */
    char account[ACCOUNT_CAPACITY];
    uint64_t sessions, messages, bytes, failures;
};

struct stats {
    struct audit_filter filter;
    struct row *rows;
    size_t count, capacity, latest; /* that was counted last */
    uint64_t left_out;
};

static bool is_row(const struct row *row, const char *day, const char *account)
{
    return strcmp(row->account, account) == 0 && strcmp(row->day, day) == 0;
}

/* NULL: there are too many. */
static struct row *find_row(struct stats *stats, const char *day, const char *account)
{
    size_t i = stats->count;
    if (stats->count > 0 && is_row(&stats->rows[stats->latest], day, account))
        return &stats->rows[stats->latest];
    while (i > 0 && !is_row(&stats->rows[i - 1], day, account))
        i--;
    if (i > 0) {
        stats->latest = i - 1;
        return &stats->rows[i - 1];
    }
    if (stats->count == ROWS_MAX)
        return NULL;
    if (stats->count == stats->capacity) {
        stats->capacity = 2 * stats->capacity + 64;
        stats->rows = mem_resize(stats->rows, stats->capacity * sizeof(*stats->rows));
    }
    struct row *row = &stats->rows[stats->count];
    *row = (struct row){0};
    snprintf(row->day, sizeof(row->day), "%s", day);
    snprintf(row->account, sizeof(row->account), "%s", account);
    stats->latest = stats->count++;
    return row;
}

/* Messages that one record is about. */
static uint64_t messages_of(const struct reading *reading)
{
    switch (reading->record.action) {
    case ACTION_MESSAGE_SEND:
    case ACTION_MESSAGE_FETCH:
    case ACTION_MESSAGE_APPEND:
        return reading->is_success ? reader_number(reading, FIELD_MESSAGE_COUNT, 1) : 0;
    default:
        return 0;
    }
}

static void count_line(void *owner, const struct reading *reading, struct slice line)
{
    struct stats *stats = owner;
    char day[DAY_CAPACITY] = "?", account[ACCOUNT_CAPACITY] = "-";
    time_t seconds = (time_t)(reading->record.time / 1000000);
    const struct record_value *name = record_find(&reading->record, FIELD_USER_NAME);
    struct tm parts;
    (void)line;
    if (!audit_filter_takes(&stats->filter, reading))
        return;
    if (localtime_r(&seconds, &parts) != NULL)
        strftime(day, sizeof(day), "%Y-%m-%d", &parts);
    if (name != NULL)
        slice_escape(name->text, account, sizeof(account));
    struct row *row = find_row(stats, day, account);
    if (row == NULL) {
        stats->left_out++;
        return;
    }
    bool is_session = reading->record.action == ACTION_SESSION_CLOSE;
    row->sessions += is_session;
    if (is_session)
        row->bytes += reader_number(reading, FIELD_CLIENT_BYTES, 0) +
                      reader_number(reading, FIELD_SERVER_BYTES, 0);
    row->messages += messages_of(reading);
    row->failures += !reading->is_success;
}

static int compare(const void *a, const void *b)
{
    const struct row *one = a, *other = b;
    int days = strcmp(one->day, other->day);
    return days != 0 ? days : strcmp(one->account, other->account);
}

/* Where stdout is a terminal, the messages as bars beside the numbers. */
static void draw_bar(uint64_t messages, uint64_t most)
{
    uint64_t width = most == 0 ? 0 : (messages * BAR_WIDTH + most - 1) / most;
    fputs("  ", stdout);
    for (uint64_t i = 0; i < width; i++)
        fputs("█", stdout);
}

static void print_rows(const struct stats *stats)
{
    uint64_t most = 0;
    bool has_bars = isatty(STDOUT_FILENO) == 1;
    for (size_t i = 0; i < stats->count; i++)
        most = stats->rows[i].messages > most ? stats->rows[i].messages : most;
    printf("%-10s  %-14s  %8s  %8s  %10s  %8s\n", "DAY", "ACCOUNT", "SESSIONS", "MESSAGES", "BYTES",
           "FAILURES");
    for (size_t i = 0; i < stats->count; i++) {
        const struct row *row = &stats->rows[i];
        char bytes[AUDIT_PERSON_AMOUNT];
        audit_person_bytes(row->bytes, bytes);
        printf("%-10s  %-14s  %8" PRIu64 "  %8" PRIu64 "  %10s  %8" PRIu64, row->day, row->account,
               row->sessions, row->messages, bytes, row->failures);
        if (has_bars)
            draw_bar(row->messages, most);
        putchar('\n');
    }
}

static void print_rows_as_json(const struct stats *stats)
{
    json_t *list = json_array();
    for (size_t i = 0; i < stats->count; i++) {
        const struct row *row = &stats->rows[i];
        json_t *object =
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "day", row->day, "account", row->account,
                      "sessions", (json_int_t)row->sessions, "messages", (json_int_t)row->messages,
                      "bytes", (json_int_t)row->bytes, "failures", (json_int_t)row->failures);
        ENSURE(object != NULL && json_array_append_new(list, object) == 0);
    }
    print_json(list);
    json_decref(list);
}

int audit_stats(const struct arguments *arguments)
{
    struct stats stats = {0};
    struct journal_folder folder;
    struct err err;
    int exit_code = audit_filter_read(arguments, time(NULL), &stats.filter);
    if (exit_code == EX_OK)
        exit_code = journal_folder_open(arguments, arguments_value(arguments, "--folder"), &folder);
    if (exit_code != EX_OK)
        return exit_code;
    struct journal_lines *lines = journal_lines_new(count_line, &stats);
    if (journal_lines_read_all(lines, &folder, &err) != 0)
        exit_code = print_failure(EX_UNAVAILABLE, "audit: %s", err.text);
    stats.left_out += lines->unreadable;
    if (stats.left_out > 0)
        print_note("audit: %" PRIu64 " lines are not counted; see ecluse audit verify",
                   stats.left_out);
    if (stats.count > 0)
        qsort(stats.rows, stats.count, sizeof(*stats.rows), compare);
    if (arguments->json)
        print_rows_as_json(&stats);
    else
        print_rows(&stats);
    mem_free(stats.rows);
    journal_lines_free(lines);
    journal_folder_close(&folder);
    return exit_code;
}
