#include "cli/audit_filter.h"

#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli/print.h"

#define SECOND UINT64_C(1000000)
#define DAY    86400

/* Midnight of the day on which `now` is, `days` earlier. */
static bool day_before(int64_t now, int days, uint64_t *time_out)
{
    time_t seconds = (time_t)now;
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL)
        return false;
    parts.tm_mday -= days;
    parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
    parts.tm_isdst = -1;
    time_t midnight = mktime(&parts);
    *time_out = midnight < 0 ? 0 : (uint64_t)midnight * SECOND;
    return midnight >= 0;
}

/* "15m" */
static bool read_age(const char *text, int64_t now, uint64_t *time_out)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', DAY}};
    struct slice digits = slice_of_string(text);
    uint64_t number;
    for (size_t i = 0; i < LENGTH_OF(units); i++) {
        if (digits.size < 2 || text[digits.size - 1] != units[i].unit ||
            !slice_read_number(slice_take(digits, digits.size - 1), 1000000, &number))
            continue;
        uint64_t age = number * units[i].seconds;
        *time_out = (uint64_t)now > age ? ((uint64_t)now - age) * SECOND : 1;
        return true;
    }
    return false;
}

static bool read_date(const char *text, uint64_t *time_out)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S",
                                        "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"};
    for (size_t i = 0; i < LENGTH_OF(forms); i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &parts);
        if (end == NULL || *end != '\0')
            continue;
        time_t seconds = mktime(&parts);
        *time_out = (uint64_t)seconds * SECOND;
        return seconds > 0;
    }
    return false;
}

bool audit_filter_time(const char *text, int64_t now, uint64_t *time_out)
{
    if (strcmp(text, "today") == 0)
        return day_before(now, 0, time_out);
    if (strcmp(text, "yesterday") == 0)
        return day_before(now, 1, time_out);
    return read_age(text, now, time_out) || read_date(text, time_out);
}

/* 0, or the exit code. */
static int read_time(const struct arguments *arguments, const char *name, int64_t now,
                     uint64_t *time_out)
{
    const char *text = arguments_value(arguments, name);
    if (text == NULL || audit_filter_time(text, now, time_out))
        return EX_OK;
    return print_failure(EX_USAGE,
                         "audit: %s %s is no time; write 2026-01-31, \"2026-01-31 23:59\", 2h, 7d, "
                         "today or yesterday",
                         name, text);
}

/* A name that there is not would show nothing, and nobody would know why. */
static int check_words(const struct audit_filter *filter)
{
    enum protocol protocol;
    struct slice rest = slice_of_string(filter->actions == NULL ? "" : filter->actions), action;
    if (filter->protocol != NULL && protocol_find(filter->protocol, &protocol) != 0)
        return print_failure(EX_USAGE, "audit: --protocol is imap, pop3 or smtp");
    while (slice_next_word(&rest, ',', &action)) {
        size_t i = 0;
        while (i < RECORD_ACTION_COUNT &&
               !slice_is(action, record_action_name((enum record_action)i)))
            i++;
        if (i == RECORD_ACTION_COUNT)
            return print_failure(EX_USAGE, "audit: %.*s is no action; ecluse-audit(5) has the list",
                                 SLICE_PRINT(slice_take(action, 100)));
    }
    return EX_OK;
}

int audit_filter_read(const struct arguments *arguments, int64_t now,
                      struct audit_filter *filter_out)
{
    *filter_out = (struct audit_filter){
        .account = arguments_value(arguments, "--account"),
        .protocol = arguments_value(arguments, "--protocol"),
        .session = arguments_value(arguments, "--session"),
        .actions = arguments_value(arguments, "--action"),
        .failed = arguments_value(arguments, "--failed") != NULL,
    };
    int exit_code = check_words(filter_out);
    if (exit_code == EX_OK)
        exit_code = read_time(arguments, "--since", now, &filter_out->since);
    if (exit_code == EX_OK)
        exit_code = read_time(arguments, "--until", now, &filter_out->until);
    return exit_code;
}

/* Whether one of the record's values of the field is that text; always, when there is none to be.
 */
static bool has(const struct record *record, enum record_field field, const char *text)
{
    const struct record_value *value = record_find(record, field);
    return text == NULL || (value != NULL && slice_is(value->text, text));
}

bool audit_filter_takes(const struct audit_filter *filter, const struct reading *reading)
{
    const struct record *record = &reading->record;
    if (filter->failed && reading->is_success)
        return false;
    if (record->time < filter->since || (filter->until > 0 && record->time >= filter->until))
        return false;
    if (filter->actions != NULL &&
        !slice_has_word(slice_of_string(filter->actions), ',', reading->action_name))
        return false;
    return has(record, FIELD_PROTOCOL, filter->protocol) &&
           has(record, FIELD_SESSION, filter->session) &&
           (has(record, FIELD_USER_NAME, filter->account) ||
            has(record, FIELD_LOGIN, filter->account));
}
