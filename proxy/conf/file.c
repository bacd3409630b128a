/*
 * Happy path: open, permissions, read, check, hand out. The secret's permission can be judged only
 * when the file was read; the rest before, and a file that is not regular is not read at all.
 *
 * Failures, all ERR_CONFIG with the problems saying why:
 *  - it cannot be opened, is no regular file, belongs to somebody else
 *  - writable by group or others; readable by them while it holds a client_secret
 *  - whatever the reader and the checks found
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/check.h"
#include "conf/config.h"
#include "conf/emailproxy_map.h"
#include "conf/problem.h"
#include "conf/provider_table.h"
#include "conf/reader.h"

static void read_and_check(FILE *stream, struct draft *draft)
{
    reader_run(stream, draft);
    provider_table_add(draft);
    check_draft(draft);
}

/* A file of the other format is served as it is. */
static void take_over(FILE *stream, struct draft *draft)
{
    const struct emailproxy_choice everything = {0};
    struct emailproxy_file *file = NULL;

    if (emailproxy_read(stream, &file, draft->problems) != 0)
        return;
    emailproxy_map(file, &everything, draft);
    check_draft(draft);
    emailproxy_free(file);
}

static int finish(struct draft *draft, struct config **config_out)
{
    bool failed = problems_have_error(draft->problems);

    *config_out = NULL;
    problems_sort(draft->problems);
    draft_fini(draft, failed ? NULL : config_out);
    return failed ? ERR_CONFIG : 0;
}

int config_read_stream(FILE *stream, const char *file,
                       const struct config_surroundings *surroundings, struct config **config_out,
                       struct config_problems *problems)
{
    struct draft draft;

    draft_init(&draft, file, surroundings, problems);
    read_and_check(stream, &draft);
    return finish(&draft, config_out);
}

static bool holds_secret(const struct config *config)
{
    for (size_t i = 0; i < config->account_count; i++)
        if (secret_is_set(&config->accounts[i]->client_secret) ||
            secret_is_set(&config->accounts[i]->key))
            return true;
    return false;
}

/* True when it may be read on. */
static bool check_status(const struct stat *status, struct draft *draft)
{
    if (!S_ISREG(status->st_mode)) {
        problems_add(draft->problems, 0, "is no regular file; name a file with -c FILE");
        return false;
    }
    if (status->st_uid != 0 && status->st_uid != draft->surroundings->user_id)
        problems_add(draft->problems, 0,
                     "belongs to user %u, who could change it; it must be ours or root's: chown it",
                     (unsigned)status->st_uid);
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        problems_add(draft->problems, 0, "is writable by group or others; chmod go-w it");
    return true;
}

static void check_secrecy(const struct stat *status, struct draft *draft)
{
    if ((status->st_mode & (S_IRGRP | S_IROTH)) != 0 && holds_secret(draft->config))
        problems_add(
            draft->problems, 0,
            "is readable by group or others while it holds a client_secret; chmod 600 it, or "
            "use client_secret_file");
}

/* The descriptor is closed. The stream's memory is ours, so that it can be wiped. */
static void read_descriptor(int descriptor, struct draft *draft)
{
    char memory[BUFSIZ];
    FILE *stream = fdopen(descriptor, "r");

    if (stream == NULL) {
        problems_add(draft->problems, 0, "cannot be read: %s", strerror(errno));
        close(descriptor);
        return;
    }
    (void)setvbuf(stream, memory, _IOFBF, sizeof(memory));
    if (emailproxy_is_recognised(stream))
        take_over(stream, draft);
    else
        read_and_check(stream, draft);
    (void)fclose(stream);
    mem_wipe(memory, sizeof(memory));
}

int config_read(const char *file, const struct config_surroundings *surroundings,
                struct config **config_out, struct config_problems *problems)
{
    struct draft draft;
    struct stat status;

    draft_init(&draft, file, surroundings, problems);
    /* O_NONBLOCK: opening a FIFO would wait for its writer. */
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) {
        problems_add(problems, 0, "cannot be opened: %s; name the file with -c FILE",
                     strerror(errno));
        return finish(&draft, config_out);
    }
    if (fstat(descriptor, &status) != 0) {
        problems_add(problems, 0, "cannot be examined: %s", strerror(errno));
        close(descriptor);
    } else if (!check_status(&status, &draft)) {
        close(descriptor);
    } else {
        read_descriptor(descriptor, &draft);
        check_secrecy(&status, &draft);
    }
    return finish(&draft, config_out);
}
