/*
 * Happy path: the segments are read from the first to the last, or, to follow, from the end of the
 * last one on, as the folder says that it has changed.
 *
 * Failures: lines that are no record are counted and told; what a journal lacks, `verify` knows.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/audit.h"
#include "cli/audit_filter.h"
#include "cli/audit_person.h"
#include "cli/journal_folder.h"
#include "cli/print.h"

/* Should the folder's changes not be told, it is looked at so often. */
#define LOOK_MILLISECONDS 1000

struct showing {
    struct audit_filter filter;
    bool is_raw, has_colours;
    uint64_t withheld; /* lines that are no good for a terminal: not ecluse's */
};

/* A line holds no control of one octet; those of two, U+0080 to U+009F, are looked for here. */
static bool is_harmless(struct slice line)
{
    for (size_t i = slice_find(line, 0xc2); i + 1 < line.size;
         i += 1 + slice_find(slice_skip(line, i + 1), 0xc2))
        if (line.data[i + 1] < 0xa0)
            return false;
    return true;
}

static void show_line(void *owner, const struct reading *reading, struct slice line)
{
    struct showing *showing = owner;
    if (!audit_filter_takes(&showing->filter, reading))
        return;
    if (!showing->is_raw)
        audit_person_write(stdout, reading, showing->has_colours);
    else if (is_harmless(line))
        printf("%.*s\n", SLICE_PRINT(line));
    else
        showing->withheld++;
}

static void tell_unreadable(uint64_t count)
{
    if (count > 0)
        print_note("audit: %llu lines are no record; see ecluse audit verify",
                   (unsigned long long)count);
}

static int show(const struct arguments *arguments, struct showing *showing)
{
    struct journal_folder folder;
    struct err err;
    int exit_code = journal_folder_open(arguments, arguments_value(arguments, "--folder"), &folder);
    if (exit_code != EX_OK)
        return exit_code;
    struct journal_lines *lines = journal_lines_new(show_line, showing);
    if (journal_lines_read_all(lines, &folder, &err) != 0)
        exit_code = print_failure(EX_UNAVAILABLE, "audit: %s", err.text);
    tell_unreadable(lines->unreadable + showing->withheld);
    journal_lines_free(lines);
    journal_folder_close(&folder);
    return exit_code;
}

static int begin(const struct arguments *arguments, struct showing *showing_out)
{
    *showing_out = (struct showing){.is_raw = arguments->json, .has_colours = print_has_colours()};
    return audit_filter_read(arguments, time(NULL), &showing_out->filter);
}

int audit_show(const struct arguments *arguments)
{
    struct showing showing;
    int exit_code = begin(arguments, &showing);
    return exit_code == EX_OK ? show(arguments, &showing) : exit_code;
}

int audit_export(const struct arguments *arguments)
{
    struct showing showing = {.is_raw = true};
    showing.filter.account = arguments_value(arguments, "--account");
    if (showing.filter.account == NULL)
        return print_failure(EX_USAGE, "audit: export needs --account; see ecluse help audit");
    return show(arguments, &showing);
}

/* ---- follow ---- */

struct following {
    struct journal_folder folder;
    struct journal_lines *lines;
    int watch;   /* inotify */
    int segment; /* that is read; -1: none yet */
    uint64_t first;
};

/* What has come; 0, or the exit code. */
static int read_more(struct following *following)
{
    struct err err;
    int status =
        following->segment < 0 ? 0 : journal_lines_read(following->lines, following->segment, &err);
    if (status == 0 && !print_flush())
        return EX_UNAVAILABLE;
    return status == 0 ? EX_OK : print_failure(EX_UNAVAILABLE, "audit: %s", err.text);
}

/* To the segment behind the one that is read, when there is one: true. */
static bool open_next(struct following *following)
{
    struct err err;
    int descriptor;
    if (journal_folder_list(&following->folder, &err) != 0)
        return false;
    size_t i = 0;
    while (i < following->folder.count && following->folder.firsts[i] <= following->first)
        i++;
    if (i == following->folder.count ||
        journal_folder_segment(&following->folder, following->folder.firsts[i], &descriptor,
                               &err) != 0)
        return false;
    if (following->segment >= 0)
        (void)close(following->segment);
    following->segment = descriptor;
    following->first = following->folder.firsts[i];
    following->lines->carried = 0;
    following->lines->is_endless = false;
    return true;
}

/* What is there already is not shown, unless it was asked for. */
static int begin_at(struct following *following, bool from_start)
{
    struct err err;
    size_t count = following->folder.count;
    if (count == 0 || from_start)
        return EX_OK;
    following->first = following->folder.firsts[count - 1];
    if (journal_folder_segment(&following->folder, following->first, &following->segment, &err) !=
            0 ||
        lseek(following->segment, 0, SEEK_END) < 0)
        return print_failure(EX_UNAVAILABLE, "audit: %s", err.text);
    return EX_OK;
}

/* Reads to the end of the last segment. */
static int catch_up(struct following *following)
{
    int exit_code;
    do
        exit_code = read_more(following);
    while (exit_code == EX_OK && open_next(following));
    return exit_code;
}

static void wait_for_change(const struct following *following)
{
    char events[4096];
    struct pollfd poll_for = {.fd = following->watch, .events = POLLIN};
    if (poll(&poll_for, 1, LOOK_MILLISECONDS) > 0 &&
        read(following->watch, events, sizeof(events)) < 0 && errno != EINTR)
        /* It is looked at in any case, only less often. */
        (void)poll(NULL, 0, LOOK_MILLISECONDS);
}

int audit_follow(const struct arguments *arguments)
{
    struct showing showing;
    struct following following = {.segment = -1};
    int exit_code = begin(arguments, &showing);
    if (exit_code == EX_OK)
        exit_code = journal_folder_open(arguments, NULL, &following.folder);
    if (exit_code != EX_OK)
        return exit_code;
    following.lines = journal_lines_new(show_line, &showing);
    following.watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (following.watch < 0 ||
        inotify_add_watch(following.watch, following.folder.path, IN_MODIFY | IN_CREATE) < 0)
        exit_code = print_failure(EX_SOFTWARE, "audit: %s cannot be watched: %s",
                                  following.folder.path, strerror(errno));
    if (exit_code == EX_OK)
        exit_code = begin_at(&following, showing.filter.since > 0);
    while (exit_code == EX_OK) {
        exit_code = catch_up(&following);
        if (exit_code == EX_OK)
            wait_for_change(&following);
    }
    if (following.segment >= 0)
        (void)close(following.segment);
    if (following.watch >= 0)
        (void)close(following.watch);
    journal_lines_free(following.lines);
    journal_folder_close(&following.folder);
    return exit_code;
}
