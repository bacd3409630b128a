/*
 * The log's lines: one for each event of a session that a person looks for. Commands and messages
 * have none, and what the keeper does itself is logged where it is done.
 */
#include <stdio.h>
#include <string.h>

#include "keeper/journal_internal.h"

#define TEXT_MAX 600

static const char *or_dash(const char *text)
{
    return text == NULL || *text == '\0' ? "-" : text;
}

/* Up to a NUL; the log escapes it. */
static void text_of(const struct record *record, enum record_field field, char out[TEXT_MAX])
{
    const struct record_value *value = record_find(record, field);
    *out = '\0';
    if (value != NULL)
        snprintf(out, TEXT_MAX, "%.*s", SLICE_PRINT(value->text));
}

static unsigned long long number_of(const struct record *record, enum record_field field)
{
    const struct record_value *value = record_find(record, field);
    return value == NULL ? 0 : value->number;
}

static void say_outcome(const struct record *record, char *out, size_t capacity)
{
    if (record->action == ACTION_SESSION_CLOSE)
        snprintf(out, capacity, "reason=%s client_bytes=%llu server_bytes=%llu",
                 why_name(record->why), number_of(record, FIELD_CLIENT_BYTES),
                 number_of(record, FIELD_SERVER_BYTES));
    else if (record->why == WHY_NONE)
        snprintf(out, capacity, "outcome=success");
    else
        snprintf(out, capacity, "outcome=failure reason=%s", why_name(record->why));
}

static void say_peer(const struct record *record, char *out, size_t capacity)
{
    char ip[TEXT_MAX];
    text_of(record, FIELD_CLIENT_IP, ip);
    if (*ip == '\0')
        snprintf(out, capacity, "-");
    else
        snprintf(out, capacity, strchr(ip, ':') == NULL ? "%s:%llu" : "[%s]:%llu", ip,
                 number_of(record, FIELD_CLIENT_PORT));
}

static void say_detail(const struct record *record, char *out, size_t capacity)
{
    char reason[TEXT_MAX], mechanism[TEXT_MAX], version[TEXT_MAX], cipher[TEXT_MAX];
    text_of(record, FIELD_REASON, reason);
    text_of(record, FIELD_MECHANISM, mechanism);
    text_of(record, FIELD_TLS_VERSION, version);
    text_of(record, FIELD_TLS_CIPHER, cipher);
    bool has_both = *mechanism != '\0' && *reason != '\0';
    if (*version != '\0')
        snprintf(out, capacity, "TLSv%s %s%s", version, cipher,
                 number_of(record, FIELD_TLS_RESUMED) != 0 ? " resumed" : "");
    else
        snprintf(out, capacity, "%s%s%s", mechanism, has_both ? ": " : "", reason);
}

/* How a session ends when nothing is wrong: who says goodbye first is the same. */
static bool is_farewell(enum why why)
{
    return why == WHY_CLIENT_GONE || why == WHY_SERVER_GONE;
}

/* A session in which all is well has one line at `info`: who logged in. The rest of it is for
 * whoever looks into it. */
static bool has_line(const struct record *record, enum log_level *level_out)
{
    bool is_well = false;
    switch (record->action) {
    case ACTION_PEER_REJECTED:
    case ACTION_CROSS_PROTOCOL:
    case ACTION_CLIENT_AUTH:
    case ACTION_POLICY:
    case ACTION_TAP_OFF:
        break;
    case ACTION_SESSION_OPEN:
    case ACTION_UPSTREAM_CONNECT:
    case ACTION_UPSTREAM_AUTH:
        is_well = record->why == WHY_NONE;
        break;
    case ACTION_SESSION_CLOSE:
        is_well = is_farewell(record->why);
        break;
    default:
        return false;
    }
    *level_out = is_well ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    return true;
}

static void write_line(const struct log *log, enum log_level level,
                       const struct journal_place *place, const struct record *record)
{
    char outcome[120], peer[TEXT_MAX], detail[2 * TEXT_MAX];
    say_outcome(record, outcome, sizeof(outcome));
    say_peer(record, peer, sizeof(peer));
    say_detail(record, detail, sizeof(detail));
    log_write(log, level, "%s %s account=%s peer=%s %s listener=%s session=%u.%llu detail=\"%s\"",
              or_dash(place->protocol), record_action_name(record->action), or_dash(place->account),
              peer, outcome, or_dash(place->listener), place->gate,
              (unsigned long long)place->session, detail);
}

void journal_log(const struct log *log, const struct journal_place *place,
                 const struct record *record)
{
    enum log_level level;
    if (place != NULL && has_line(record, &level) && level <= log->level)
        write_line(log, level, place, record);
}
