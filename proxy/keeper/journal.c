#include "keeper/journal.h"

#include <stdio.h>

struct journal {
    const struct log *log;
};

struct journal *journal_open(const struct log *log)
{
    struct journal *journal = mem_new(sizeof(*journal));
    journal->log = log;
    return journal;
}

void journal_close(struct journal *journal)
{
    mem_free(journal);
}

static const char *or_dash(const char *text)
{
    return text == NULL || *text == '\0' ? "-" : text;
}

void journal_write(struct journal *journal, const struct journal_place *place,
                   const struct message_note *note)
{
    char outcome[120] = "outcome=success";
    if (note->kind == NOTE_SESSION_CLOSE)
        snprintf(outcome, sizeof(outcome), "reason=%s client_bytes=%llu server_bytes=%llu",
                 why_name(note->why), (unsigned long long)note->client_bytes,
                 (unsigned long long)note->server_bytes);
    else if (note->why != WHY_NONE)
        snprintf(outcome, sizeof(outcome), "outcome=failure reason=%s", why_name(note->why));
    log_info(journal->log, "%s %s account=%s peer=%s %s listener=%s session=%u.%llu detail=\"%s\"",
             or_dash(place->protocol), message_note_name(note->kind), or_dash(note->account),
             or_dash(note->peer), outcome, or_dash(place->listener), place->gate,
             (unsigned long long)place->session, note->detail == NULL ? "" : note->detail);
}
