/*
 * Each X-macro row becomes a struct option; a type name becomes a value kind and, for a choice, the
 * words by enum value. Nothing fails here: a number without a range is a broken invariant.
 */
#include "conf/table.h"

#include <string.h>

#include "conf/config.h"

static const char *const peer_words[] = {[PEER_OWNER] = "owner", [PEER_ANY] = "any", NULL};
static const char *const log_words[] = {[LOG_LEVEL_ERROR] = "error",
                                        [LOG_LEVEL_WARN] = "warn",
                                        [LOG_LEVEL_INFO] = "info",
                                        [LOG_LEVEL_DEBUG] = "debug",
                                        NULL};
#define X(name, text) [name] = text,
static const char *const audit_words[] = {AUDIT_LEVELS(X) NULL};
#undef X
static const char *const audit_failure_words[] = {[AUDIT_FAILURE_CLOSE] = "close",
                                                  [AUDIT_FAILURE_BLOCK] = "block",
                                                  [AUDIT_FAILURE_WARN] = "warn",
                                                  NULL};
static const char *const audit_sync_words[] = {
    [AUDIT_SYNC_GROUP] = "group", [AUDIT_SYNC_STRICT] = "strict", NULL};
static const char *const remote_words[] = {
    [REMOTE_NO] = "no", [REMOTE_YES] = "yes", [REMOTE_PLAINTEXT] = "plaintext", NULL};
static const char *const newline_words[] = {
    [BARE_NEWLINE_NORMALIZE] = "normalize", [BARE_NEWLINE_REJECT] = "reject", NULL};
static const char *const auth_words[] = {
    [LISTENER_AUTH_REQUIRED] = "required", [LISTENER_AUTH_NONE] = "none", NULL};
static const char *const flow_words[] = {[FLOW_CODE] = "code",
                                         [FLOW_DEVICE] = "device",
                                         [FLOW_CLIENT_CREDENTIALS] = "client_credentials",
                                         [FLOW_PASSWORD] = "password",
                                         [FLOW_SERVICE_ACCOUNT] = "service_account",
                                         [FLOW_COMMAND] = "command",
                                         [FLOW_NONE] = "none",
                                         NULL};
static const char *const confidence_words[] = {[CONFIDENCE_UNKNOWN] = "unknown",
                                               [CONFIDENCE_LOW] = "low",
                                               [CONFIDENCE_MEDIUM] = "medium",
                                               [CONFIDENCE_HIGH] = "high",
                                               NULL};
static const char *const client_auth_words[] = {
    [CLIENT_AUTH_AUTO] = "auto",   [CLIENT_AUTH_NONE] = "none", [CLIENT_AUTH_POST] = "post",
    [CLIENT_AUTH_BASIC] = "basic", [CLIENT_AUTH_JWT] = "jwt",   NULL};
#define WORD(name, text) [name] = text,
static const char *const protocol_words[] = {PROTOCOLS(WORD) NULL};
static const char *const tls_words[] = {TLS_MODES(WORD) NULL};
#undef WORD

#define KIND_text                 VALUE_TEXT, NULL
#define KIND_path                 VALUE_PATH, NULL
#define KIND_number               VALUE_NUMBER, NULL
#define KIND_seconds              VALUE_NUMBER, NULL
#define KIND_flag                 VALUE_FLAG, NULL
#define KIND_words                VALUE_WORDS, NULL
#define KIND_secret               VALUE_SECRET, NULL
#define KIND_choice_peer          VALUE_CHOICE, peer_words
#define KIND_choice_log           VALUE_CHOICE, log_words
#define KIND_choice_audit         VALUE_CHOICE, audit_words
#define KIND_choice_audit_failure VALUE_CHOICE, audit_failure_words
#define KIND_choice_audit_sync    VALUE_CHOICE, audit_sync_words
#define KIND_choice_protocol      VALUE_CHOICE, protocol_words
#define KIND_choice_remote        VALUE_CHOICE, remote_words
#define KIND_choice_tls           VALUE_CHOICE, tls_words
#define KIND_choice_newline       VALUE_CHOICE, newline_words
#define KIND_choice_auth          VALUE_CHOICE, auth_words
#define KIND_choice_flow          VALUE_CHOICE, flow_words
#define KIND_choice_confidence    VALUE_CHOICE, confidence_words
#define KIND_choice_client_auth   VALUE_CHOICE, client_auth_words

#define ROW(owner, type, key, initial, help)                                                       \
    {#key, initial, help, KIND_##type, offsetof(struct owner, key)},
#define GLOBAL_ROW(type, key, initial, help)   ROW(config, type, key, initial, help)
#define LISTENER_ROW(type, key, initial, help) ROW(listener_config, type, key, initial, help)
#define ACCOUNT_ROW(type, key, initial, help)  ROW(account_config, type, key, initial, help)
#define PROVIDER_ROW(type, key, initial, help) ROW(provider_config, type, key, initial, help)

static const struct option global_rows[] = {GLOBAL_OPTIONS(GLOBAL_ROW)};
static const struct option listener_rows[] = {LISTENER_OPTIONS(LISTENER_ROW)};
static const struct option account_rows[] = {ACCOUNT_OPTIONS(ACCOUNT_ROW)};
static const struct option provider_rows[] = {PROVIDER_OPTIONS(PROVIDER_ROW)};

static const struct option_table tables[SECTION_KIND_COUNT] = {
    [SECTION_GLOBAL] = {"ecluse", global_rows, LENGTH_OF(global_rows), sizeof(struct config)},
    [SECTION_LISTENER] = {"listen", listener_rows, LENGTH_OF(listener_rows),
                          sizeof(struct listener_config)},
    [SECTION_ACCOUNT] = {"account", account_rows, LENGTH_OF(account_rows),
                         sizeof(struct account_config)},
    [SECTION_PROVIDER] = {"provider", provider_rows, LENGTH_OF(provider_rows),
                          sizeof(struct provider_config)},
};

static const struct number_range ranges[] = {
    {"workers", 1, 64, "auto", ""},        {"drain", 0, 3600, NULL, ""},
    {"audit_keep", 1, 36500, NULL, "d"},   {"audit_segment", 1, 65536, NULL, "M"},
    {"max_sessions", 1, 100000, NULL, ""}, {"max_sessions_per_account", 1, 100000, NULL, ""},
    {"redirect_port", 0, 65535, NULL, ""},
};

const struct option_table *option_table(enum section_kind kind)
{
    ENSURE(kind < SECTION_KIND_COUNT);
    return &tables[kind];
}

const struct option *option_find(const struct option_table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].key, key) == 0)
            return &table->rows[i];
    return NULL;
}

const char *option_word(const struct option_table *table, const char *key, unsigned value)
{
    const struct option *option = option_find(table, key);

    ENSURE(option != NULL && option->kind == VALUE_CHOICE);
    return option->choices[value];
}

size_t option_index(const struct option_table *table, const struct option *option)
{
    ENSURE(option >= table->rows && option < table->rows + table->count);
    return (size_t)(option - table->rows);
}

const struct number_range *option_range(const struct option *option)
{
    for (size_t i = 0; i < LENGTH_OF(ranges); i++)
        if (strcmp(ranges[i].key, option->key) == 0)
            return &ranges[i];
    mem_broken("a number without a range", __FILE__, __LINE__);
}

/* Case, '-' for '_' and a blank for '_' are slips, not differences. */
static char folded(char character)
{
    if (character >= 'A' && character <= 'Z')
        return (char)(character - 'A' + 'a');
    return character == '-' || character == ' ' ? '_' : character;
}

#define WORD_MAXIMUM 48

/* Insertions, deletions and replacements that make one word of the other (Levenshtein). */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[WORD_MAXIMUM + 1];
    size_t length = strlen(b);

    if (length > WORD_MAXIMUM)
        return SIZE_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t best = diagonal + (folded(a[i]) != folded(b[j]));
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[length];
}

/* A third of the letters may be wrong: more is another word. */
static size_t distance_allowed(const char *word)
{
    return strlen(word) / 3;
}

const struct option *option_nearest(const struct option_table *table, const char *key)
{
    const struct option *nearest = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < table->count; i++) {
        size_t distance = edit_distance(key, table->rows[i].key);
        if (distance < best && distance <= distance_allowed(table->rows[i].key)) {
            best = distance;
            nearest = &table->rows[i];
        }
    }
    return nearest;
}

enum section_kind section_kind_find(const char *word)
{
    for (enum section_kind kind = 0; kind < SECTION_KIND_COUNT; kind++)
        if (strcmp(tables[kind].section, word) == 0)
            return kind;
    return SECTION_KIND_COUNT;
}

enum section_kind section_kind_nearest(const char *word)
{
    enum section_kind nearest = SECTION_KIND_COUNT;
    size_t best = SIZE_MAX;

    for (enum section_kind kind = 0; kind < SECTION_KIND_COUNT; kind++) {
        size_t distance = edit_distance(word, tables[kind].section);
        if (distance < best && distance <= distance_allowed(tables[kind].section)) {
            best = distance;
            nearest = kind;
        }
    }
    return nearest;
}
