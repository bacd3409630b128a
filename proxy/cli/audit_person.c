#include "cli/audit_person.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/escape.h"

enum amount { PLAIN, BYTES, NANOSECONDS, SECONDS };

/* Labels stand in front; "" is for what speaks for itself. */
static const struct {
    const char *label;
    enum record_field field;
    enum amount amount;
} details[] = {
    {"", FIELD_VERB, PLAIN},
    {"", FIELD_ARGUMENTS, PLAIN},
    {"", FIELD_STATUS, PLAIN},
    {"from", FIELD_MAIL_FROM, PLAIN},
    {"to", FIELD_RECIPIENT, PLAIN},
    {"recipients", FIELD_RECIPIENT_COUNT, PLAIN},
    {"size", FIELD_SMTP_SIZE, BYTES},
    {"reply", FIELD_QUEUE_REPLY, PLAIN},
    {"in", FIELD_MAILBOX, PLAIN},
    {"uid", FIELD_MESSAGE_UIDS, PLAIN},
    {"messages", FIELD_MESSAGE_COUNT, PLAIN},
    {"size", FIELD_MESSAGE_BYTES, BYTES},
    {"flags", FIELD_MESSAGE_FLAGS, PLAIN},
    {"by", FIELD_MECHANISM, PLAIN},
    {"as", FIELD_LOGIN, PLAIN},
    {"grant", FIELD_GRANT, PLAIN},
    {"it began with", FIELD_FIRST_WORD, PLAIN},
    {"client", FIELD_CLIENT_IP, PLAIN},
    {"server", FIELD_SERVER_DOMAIN, PLAIN},
    {"TLS", FIELD_TLS_VERSION, PLAIN},
    {"", FIELD_TLS_CIPHER, PLAIN},
    {"issuer", FIELD_OAUTH_ISSUER, PLAIN},
    {"HTTP", FIELD_OAUTH_STATUS, PLAIN},
    {"valid for", FIELD_OAUTH_EXPIRES_IN, SECONDS},
    {"rule", FIELD_POLICY_RULE, PLAIN},
    {"", FIELD_POLICY_ACTION, PLAIN},
    {"commands", FIELD_COMMANDS, PLAIN},
    {"sent", FIELD_CLIENT_BYTES, BYTES},
    {"got", FIELD_SERVER_BYTES, BYTES},
    {"took", FIELD_DURATION, NANOSECONDS},
    {"first", FIELD_AUDIT_FIRST, PLAIN},
    {"last", FIELD_AUDIT_LAST, PLAIN},
    {"", FIELD_AUDIT_FILE, PLAIN},
    {"", FIELD_REASON, PLAIN},
    {"session", FIELD_SESSION, PLAIN},
};

void audit_person_bytes(uint64_t bytes, char out[AUDIT_PERSON_AMOUNT])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    double amount = (double)bytes;
    size_t unit = 0;
    if (bytes < 1024) {
        snprintf(out, AUDIT_PERSON_AMOUNT, "%" PRIu64, bytes);
        return;
    }
    for (amount /= 1024; amount >= 1024 && unit + 1 < LENGTH_OF(units); amount /= 1024)
        unit++;
    snprintf(out, AUDIT_PERSON_AMOUNT, "%.1f %s", amount, units[unit]);
}

static void write_amount(FILE *stream, uint64_t number, enum amount amount)
{
    char text[AUDIT_PERSON_AMOUNT];
    if (amount == BYTES) {
        audit_person_bytes(number, text);
        fputs(text, stream);
    } else if (amount == NANOSECONDS) {
        fprintf(stream, number >= 1000000000 ? "%.1f s" : "%.1f ms",
                (double)number / (number >= 1000000000 ? 1e9 : 1e6));
    } else {
        fprintf(stream, amount == SECONDS ? "%" PRIu64 " s" : "%" PRIu64, number);
    }
}

static void write_text(FILE *stream, struct slice text)
{
    char escaped[RECORD_TEXT_MAX * ESCAPE_GROWTH];
    size_t size = escape_write(slice_take(text, RECORD_TEXT_MAX), escaped);
    fwrite(escaped, 1, size, stream);
}

/* Every value of one field. */
static void write_detail(FILE *stream, const struct record *record, size_t detail)
{
    const char *label = details[detail].label;
    bool is_first = true;
    for (size_t i = 0; i < record->count; i++) {
        const struct record_value *value = &record->values[i];
        enum record_kind kind = record_field_kind(value->field);
        if (value->field != details[detail].field)
            continue;
        if (is_first)
            fprintf(stream, " %s%s", label, *label == '\0' ? "" : " ");
        else
            fputc(' ', stream);
        is_first = false;
        if (kind == RECORD_NUMBER)
            write_amount(stream, value->number, details[detail].amount);
        else
            write_text(stream, value->text);
    }
}

static void write_time(FILE *stream, uint64_t time)
{
    char text[32] = "?";
    time_t seconds = (time_t)(time / 1000000);
    struct tm parts;
    if (localtime_r(&seconds, &parts) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    fputs(text, stream);
}

/* At least `width` characters wide, as ASCII has them. */
static void write_column(FILE *stream, const struct record *record, enum record_field field,
                         size_t width)
{
    const struct record_value *value = record_find(record, field);
    struct slice text = value == NULL ? SLICE_LITERAL("-") : value->text;
    fputs("  ", stream);
    write_text(stream, text);
    for (size_t i = text.size; i < width; i++)
        fputc(' ', stream);
}

void audit_person_write(FILE *stream, const struct reading *reading, bool has_colours)
{
    const struct record *record = &reading->record;
    write_time(stream, record->time);
    write_column(stream, record, FIELD_USER_NAME, 10);
    write_column(stream, record, FIELD_PROTOCOL, 4);
    fputs(has_colours ? (reading->is_success ? "  \033[1m" : "  \033[1;31m") : "  ", stream);
    write_text(stream, reading->action_name);
    for (size_t i = reading->action_name.size; i < 16; i++)
        fputc(' ', stream);
    fputs(has_colours ? "\033[0m" : "", stream);
    fprintf(stream, " %s", reading->is_success ? "ok" : "FAILED");
    if (record->why != WHY_NONE)
        fprintf(stream, " (%s)", why_name(record->why));
    for (size_t i = 0; i < LENGTH_OF(details); i++)
        write_detail(stream, record, i);
    fputc('\n', stream);
}
