/*
 * A transcript as it stands in its file: what is said, and the record that is expected of it. The
 * notation is described in test_mail_transcripts.c.
 */
#ifndef ECLUSE_TESTS_TRANSCRIPT_SCRIPT_H
#define ECLUSE_TESTS_TRANSCRIPT_SCRIPT_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/sasl_client.h"
#include "mail/dialect.h"

#define RECORD_MAX (8u * 1024 * 1024)
#define ITEMS_MAX  400
/* Of all protocols together. */
#define SCRIPTS_MAX 600

enum item_kind { ITEM_INPUT, ITEM_FACT, ITEM_EXPECT };

struct item {
    enum item_kind kind;
    enum side side;
    struct buf bytes; /* of the input */
    char *fact;
};

/* What happened, as text; sends of one kind that follow one another are one line. */
struct record {
    struct buf text;
    struct buf pending;
    const char *pending_kind;
};

struct script {
    char path[256];
    enum protocol protocol;
    char offer[128], user[128], refusal[128], capabilities[512];
    enum why refusal_why;
    enum tls_mode client_tls;
    bool needs_no_login, rejects_bare_newline, is_read_only;
    char senders[128];
    size_t token_size;
    struct item items[ITEMS_MAX];
    size_t item_count;
    struct record expected;
};

static struct sasl_initiator_library *library;

/* ---- the record ---- */

static void record_init(struct record *record)
{
    buf_init(&record->text, RECORD_MAX);
    buf_init(&record->pending, RECORD_MAX);
    record->pending_kind = NULL;
}

static void record_fini(struct record *record)
{
    buf_fini(&record->text);
    buf_fini(&record->pending);
}

static void record_flush(struct record *record)
{
    if (record->pending_kind == NULL)
        return;
    struct slice bytes = buf_bytes(&record->pending);
    char *text = mem_new(bytes.size * 4 + 8);
    slice_escape(bytes, text, bytes.size * 4 + 8);
    assert_int_equal(buf_append_string(&record->text, record->pending_kind), 0);
    assert_int_equal(buf_append_string(&record->text, text), 0);
    assert_int_equal(buf_append_string(&record->text, "\n"), 0);
    mem_free(text);
    buf_clear(&record->pending);
    record->pending_kind = NULL;
}

static void record_bytes(struct record *record, const char *kind, struct slice bytes)
{
    if (record->pending_kind == NULL || strcmp(record->pending_kind, kind) != 0)
        record_flush(record);
    record->pending_kind = kind;
    assert_int_equal(buf_append(&record->pending, bytes), 0);
}

static void record_line(struct record *record, const char *line)
{
    record_flush(record);
    assert_int_equal(buf_append_string(&record->text, line), 0);
    assert_int_equal(buf_append_string(&record->text, "\n"), 0);
}

static const char *record_text(struct record *record)
{
    record_flush(record);
    assert_int_equal(buf_append(&record->text, SLICE_LITERAL("\0")), 0);
    return (const char *)buf_bytes(&record->text).data;
}

/* ---- SASL as in the gate, with a token or a password of letters ---- */

struct login {
    const struct script *script;
    bool is_password;
    struct sasl_initiator *initiator;
};

static int login_start(void *owner, const char *mechanism, struct slice *response_out)
{
    struct login *login = owner;
    struct secret token = {0};
    char *letters = mem_new(login->script->token_size + 1);
    memset(letters, 't', login->script->token_size);
    secret_set(&token, slice_of_string(letters));
    mem_free(letters);
    sasl_initiator_free(login->initiator);
    login->initiator = NULL;
    struct sasl_initiator_identity identity = {.service = "imap",
                                               .host = "imap.example.test",
                                               .port = 993,
                                               .user = login->script->user,
                                               .token = &token,
                                               .is_password = login->is_password};
    int status = sasl_initiator_new(library, mechanism, &identity, &login->initiator);
    secret_wipe(&token);
    return status != 0 ? status : sasl_initiator_start(login->initiator, response_out);
}

static int login_step(void *owner, struct slice challenge, struct slice *response_out)
{
    struct login *login = owner;
    return sasl_initiator_step(login->initiator, challenge, response_out);
}

static bool login_is_complete(void *owner)
{
    const struct login *login = owner;
    return sasl_initiator_is_complete(login->initiator);
}

/* ---- reading scripts ---- */

static void append_first_message(const struct script *script, const char *mechanism,
                                 struct buf *out)
{
    struct login login = {.script = script, .is_password = strcmp(mechanism, "PLAIN") == 0};
    struct slice message;
    assert_int_equal(login_start(&login, mechanism, &message), 0);
    assert_int_equal(wire_base64_encode(message, out), 0);
    sasl_initiator_free(login.initiator);
}

static const char *append_macro(const struct script *script, const char *text, struct buf *out)
{
    size_t length = 0;
    if (strncmp(text, "{TOKEN:", 7) == 0) {
        char mechanism[32] = "";
        snprintf(mechanism, sizeof(mechanism), "%.*s", (int)strcspn(text + 7, "}"), text + 7);
        append_first_message(script, mechanism, out);
    } else if (sscanf(text, "{LONG:%zu}", &length) == 1) {
        for (size_t i = 0; i < length; i++)
            assert_int_equal(buf_append(out, SLICE_LITERAL("x")), 0);
    } else {
        assert_int_equal(buf_append(out, slice_of(text, 1)), 0);
        return text + 1;
    }
    return strchr(text, '}') + 1;
}

static void unescape(const struct script *script, const char *text, struct buf *out)
{
    while (*text != '\0') {
        unsigned octet;
        uint8_t byte;
        if (*text == '{') {
            text = append_macro(script, text, out);
            continue;
        }
        if (text[0] == '\\' && text[1] == '\0')
            return;
        if (text[0] == '\\' && sscanf(text, "\\x%2x", &octet) == 1) {
            byte = (uint8_t)octet;
            text += 4;
        } else if (text[0] == '\\') {
            byte = text[1] == 'r' ? '\r' : text[1] == 'n' ? '\n' : (uint8_t)text[1];
            text += 2;
        } else {
            byte = (uint8_t)*text++;
        }
        assert_int_equal(buf_append(out, slice_of(&byte, 1)), 0);
    }
    assert_int_equal(buf_append(out, SLICE_LITERAL("\r\n")), 0);
}

static struct item *add_item(struct script *script, enum item_kind kind)
{
    assert_true(script->item_count < ITEMS_MAX);
    struct item *item = &script->items[script->item_count++];
    *item = (struct item){.kind = kind};
    return item;
}

static void add_input(struct script *script, enum side side, const char *text)
{
    struct item *item = script->item_count == 0 ? NULL : &script->items[script->item_count - 1];
    if (item == NULL || item->kind != ITEM_INPUT || item->side != side) {
        item = add_item(script, ITEM_INPUT);
        item->side = side;
        buf_init(&item->bytes, RECORD_MAX);
        record_line(&script->expected, side == SIDE_CLIENT ? "C:" : "S:");
    }
    unescape(script, text, &item->bytes);
}

static void add_expectation(struct script *script, const char *kind, const char *text)
{
    struct buf bytes;
    buf_init(&bytes, RECORD_MAX);
    unescape(script, text, &bytes);
    record_bytes(&script->expected, kind, buf_bytes(&bytes));
    buf_fini(&bytes);
    add_item(script, ITEM_EXPECT);
}

/* May hold what a user name must not. */
static void set_user(struct script *script, const char *value)
{
    struct buf bytes;
    buf_init(&bytes, sizeof(script->user));
    unescape(script, value, &bytes);
    struct slice user = wire_trim_line_end(buf_bytes(&bytes));
    snprintf(script->user, sizeof(script->user), "%.*s", SLICE_PRINT(user));
    buf_fini(&bytes);
}

static enum why find_why(const char *name)
{
    for (int why = 0; why < WHY_COUNT; why++)
        if (strcmp(why_name((enum why)why), name) == 0)
            return (enum why)why;
    fail_msg("no such reason: %s", name);
    return WHY_NONE;
}

static void set(struct script *script, const char *line)
{
    char name[32], value[128];
    assert_int_equal(sscanf(line, "@%31s %127[^\n]", name, value), 2);
    if (strcmp(name, "offer") == 0)
        snprintf(script->offer, sizeof(script->offer), "%s", strcmp(value, "-") == 0 ? "" : value);
    else if (strcmp(name, "capability") == 0)
        snprintf(script->capabilities + strlen(script->capabilities),
                 sizeof(script->capabilities) - strlen(script->capabilities), "%s\n", value);
    else if (strcmp(name, "client-tls") == 0)
        assert_int_equal(tls_mode_find(value, &script->client_tls), 0);
    else if (strcmp(name, "login") == 0)
        script->needs_no_login = strcmp(value, "none") == 0;
    else if (strcmp(name, "bare-newline") == 0)
        script->rejects_bare_newline = strcmp(value, "reject") == 0;
    else if (strcmp(name, "read-only") == 0)
        script->is_read_only = true;
    else if (strcmp(name, "from") == 0)
        snprintf(script->senders, sizeof(script->senders), "%s", value);
    else if (strcmp(name, "user") == 0)
        set_user(script, value);
    else if (strcmp(name, "refusal") == 0)
        snprintf(script->refusal, sizeof(script->refusal), "%s", value);
    else if (strcmp(name, "refusal-why") == 0)
        script->refusal_why = find_why(value);
    else if (strcmp(name, "token-size") == 0)
        script->token_size = strtoul(value, NULL, 10);
    else
        fail_msg("%s: unknown setting %s", script->path, name);
}

static void read_line(struct script *script, const char *line)
{
    static const char *const kinds[] = {"<C ", "<S ", ">C ", ">S "};
    for (size_t i = 0; i < LENGTH_OF(kinds); i++)
        if (strncmp(line, kinds[i], 3) == 0) {
            add_expectation(script, kinds[i], line + 3);
            return;
        }
    if (line[0] == '#' || line[0] == '\0')
        return;
    if (line[0] == '@')
        set(script, line);
    else if (strncmp(line, "C: ", 3) == 0)
        add_input(script, SIDE_CLIENT, line + 3);
    else if (strncmp(line, "S: ", 3) == 0)
        add_input(script, SIDE_UPSTREAM, line + 3);
    else if (line[0] == '!') {
        add_item(script, ITEM_FACT)->fact = mem_copy_string(line + 1);
        record_line(&script->expected, line);
    } else if (line[0] == '=') {
        add_item(script, ITEM_EXPECT);
        record_line(&script->expected, line);
    } else
        fail_msg("%s: what is this? %s", script->path, line);
}

static void read_script(struct script *script)
{
    static char line[65536];
    snprintf(script->offer, sizeof(script->offer), "PLAIN LOGIN");
    snprintf(script->user, sizeof(script->user), "alice@example.test");
    script->refusal_why = WHY_LIMIT;
    script->token_size = 40;
    record_init(&script->expected);
    FILE *file = fopen(script->path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        read_line(script, line);
    }
    fclose(file);
    assert_true(script->item_count > 0);
}

static void free_script(struct script *script)
{
    for (size_t i = 0; i < script->item_count; i++) {
        if (script->items[i].kind == ITEM_INPUT)
            buf_fini(&script->items[i].bytes);
        mem_free(script->items[i].fact);
    }
    record_fini(&script->expected);
}

/* ---- finding scripts ---- */

static int is_script(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".txt") == 0;
}

/* Puts those of the protocol behind the `count` that are there. Returns how many there are then. */
static size_t find_scripts(enum protocol protocol, struct script *scripts, size_t count)
{
    char folder[64];
    struct dirent **entries;
    snprintf(folder, sizeof(folder), "tests/scripts/%s", protocol_name(protocol));
    int found = scandir(folder, &entries, is_script, alphasort);
    for (int i = 0; i < found; i++) {
        struct script *script = &scripts[count++];
        ENSURE(count <= SCRIPTS_MAX);
        script->protocol = protocol;
        snprintf(script->path, sizeof(script->path), "%s/%.180s", folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (found >= 0)
        free(entries);
    return count;
}

#endif
