/*
 * Plays every transcript of tests/scripts/<protocol>/ through the engine: whole, byte by byte, and
 * cut in two at every place of every run of input. The record must be the one written in the script
 * each time.
 *
 * A script, line by line:
 *   # a comment
 *   @name value     a setting: offer (local mechanisms), user, token-size, refusal
 *   C: text         the client sends text CRLF; lines that follow one another are one run of input
 *   S: text         the server sends
 *   <C text         the client gets text CRLF from us     <S text   the server gets
 *   >C text         relayed to the client, after =pass    >S text   relayed to the server
 *   !fact …         challenge B64 · granted MECHANISMS · refused WHY TEXT · connected · failed WHY
 * TEXT · eof SIDE · tick · dismissed WHY TEXT =deed …         ask MECHANISM B64 · answer B64 ·
 * again · dial · hang-up · note NAME WHY TEXT · pass · end WHY In texts \xNN, \r, \n and \\ stand
 * for octets, {TOKEN:MECHANISM} for its first SASL message in base64, {LONG:n} for n letters; a
 * text that ends in a single \ has no CRLF behind it. "-" is an ask without bytes.
 */
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
    char offer[128], user[128], refusal[128];
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

/* ---- SASL as in the gate, with a token of letters ---- */

struct login {
    const struct script *script;
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
                                               .token = &token};
    int status = sasl_initiator_new(library, mechanism, &identity, &login->initiator);
    secret_wipe(&token);
    return status != 0 ? status : sasl_initiator_start(login->initiator, response_out);
}

static int login_step(void *owner, struct slice challenge, struct slice *response_out)
{
    struct login *login = owner;
    return sasl_initiator_step(login->initiator, challenge, response_out);
}

/* ---- reading scripts ---- */

static void append_first_message(const struct script *script, const char *mechanism,
                                 struct buf *out)
{
    struct login login = {.script = script};
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

static void set(struct script *script, const char *line)
{
    char name[32], value[128];
    assert_int_equal(sscanf(line, "@%31s %127[^\n]", name, value), 2);
    if (strcmp(name, "offer") == 0)
        snprintf(script->offer, sizeof(script->offer), "%s", value);
    else if (strcmp(name, "user") == 0)
        set_user(script, value);
    else if (strcmp(name, "refusal") == 0)
        snprintf(script->refusal, sizeof(script->refusal), "%s", value);
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

/* ---- playing ---- */

struct play {
    struct engine *engine;
    struct login login;
    struct record record;
    struct buf held[2]; /* what the engine has not consumed */
    bool is_relaying;
    unsigned ends;
};

static void relay(struct play *play)
{
    static const char *const kinds[] = {">S ", ">C "};
    for (int side = SIDE_CLIENT; side <= SIDE_UPSTREAM; side++)
        if (buf_size(&play->held[side]) > 0) {
            record_bytes(&play->record, kinds[side], buf_bytes(&play->held[side]));
            buf_clear(&play->held[side]);
        }
}

static void record_deed(struct play *play, const struct deed *deed)
{
    static const char *const notes[] = {[ENGINE_NOTE_CROSS_PROTOCOL] = "cross-protocol",
                                        [ENGINE_NOTE_UPSTREAM_AUTH] = "upstream-auth"};
    char line[20000] = "";
    struct buf text;
    buf_init(&text, RECORD_MAX);
    assert_int_equal(wire_base64_encode(deed->bytes, &text), 0);
    assert_int_equal(buf_append(&text, SLICE_LITERAL("\0")), 0);
    const char *base64 = (const char *)buf_bytes(&text).data;
    switch (deed->kind) {
    case DEED_SEND:
        record_bytes(&play->record, deed->side == SIDE_CLIENT ? "<C " : "<S ", deed->bytes);
        break;
    case DEED_ASK:
        snprintf(line, sizeof(line), "=ask %s %s", deed->mechanism, deed->has_bytes ? base64 : "-");
        break;
    case DEED_ANSWER:
        snprintf(line, sizeof(line), "=answer %s", base64);
        break;
    case DEED_AGAIN:
        snprintf(line, sizeof(line), "=again");
        break;
    case DEED_DIAL:
        snprintf(line, sizeof(line), "=dial");
        break;
    case DEED_HANG_UP:
        snprintf(line, sizeof(line), "=hang-up");
        break;
    case DEED_NOTE:
        snprintf(line, sizeof(line), "=note %s %s %s", notes[deed->note], why_name(deed->why),
                 deed->text);
        break;
    case DEED_PASS:
        snprintf(line, sizeof(line), "=pass");
        break;
    case DEED_END:
        snprintf(line, sizeof(line), "=end %s", why_name(deed->why));
        break;
    }
    if (line[0] != '\0')
        record_line(&play->record, line);
    buf_fini(&text);
}

static void do_deeds(struct play *play)
{
    struct deed deed;
    while (engine_next(play->engine, &deed)) {
        record_deed(play, &deed);
        play->is_relaying = play->is_relaying || deed.kind == DEED_PASS;
        play->ends += deed.kind == DEED_END || deed.kind == DEED_PASS;
    }
}

/* Feeds what is held until nothing moves any more, as the owner of an engine does. */
static void feed(struct play *play)
{
    bool has_moved = true;
    do_deeds(play);
    while (has_moved && !play->is_relaying) {
        has_moved = false;
        for (int side = SIDE_CLIENT; side <= SIDE_UPSTREAM && !play->is_relaying; side++) {
            if (buf_size(&play->held[side]) == 0)
                continue;
            size_t consumed =
                engine_feed(play->engine, (enum side)side, buf_bytes(&play->held[side]));
            buf_consume(&play->held[side], consumed);
            has_moved = has_moved || consumed > 0;
            do_deeds(play);
        }
    }
    if (play->is_relaying)
        relay(play);
}

static void play_input(struct play *play, enum side side, struct slice bytes)
{
    assert_int_equal(buf_append(&play->held[side], bytes), 0);
    feed(play);
}

static enum why find_why(const char *name)
{
    for (int why = 0; why < WHY_COUNT; why++)
        if (strcmp(why_name((enum why)why), name) == 0)
            return (enum why)why;
    fail_msg("no such reason: %s", name);
    return WHY_NONE;
}

static void play_fact(struct play *play, const char *text)
{
    char name[32] = "", first[64] = "", rest[400] = "";
    struct fact fact = {0};
    struct buf bytes;
    buf_init(&bytes, RECORD_MAX);
    sscanf(text, "%31s %63s %399[^\n]", name, first, rest);
    fact.text = rest;
    if (strcmp(name, "challenge") == 0) {
        fact.kind = FACT_CHALLENGE;
        assert_int_equal(wire_base64_decode(slice_of_string(first), &bytes), 0);
        fact.bytes = buf_bytes(&bytes);
    } else if (strcmp(name, "granted") == 0) {
        fact.kind = FACT_GRANTED;
        fact.text = text[sizeof("granted") - 1] == ' ' ? text + sizeof("granted") : "";
    } else if (strcmp(name, "refused") == 0 || strcmp(name, "failed") == 0) {
        fact.kind = name[0] == 'r' ? FACT_REFUSED : FACT_FAILED;
        fact.why = find_why(first);
    } else if (strcmp(name, "connected") == 0) {
        fact.kind = FACT_CONNECTED;
    } else if (strcmp(name, "eof") == 0) {
        fact.kind = FACT_EOF;
        fact.side = strcmp(first, "client") == 0 ? SIDE_CLIENT : SIDE_UPSTREAM;
    } else if (strcmp(name, "tick") == 0) {
        fact.kind = FACT_TICK;
    } else if (strcmp(name, "dismissed") == 0) {
        fact.kind = FACT_DISMISSED;
        fact.why = find_why(first);
    } else
        fail_msg("no such fact: %s", text);
    engine_tell(play->engine, &fact);
    buf_fini(&bytes);
    feed(play);
}

#define CUT_NOWHERE    SIZE_MAX
#define CUT_EVERYWHERE (SIZE_MAX - 1)

static void play_run(struct play *play, const struct item *item, size_t cut)
{
    struct slice bytes = buf_bytes(&item->bytes);
    record_line(&play->record, item->side == SIDE_CLIENT ? "C:" : "S:");
    if (cut == CUT_EVERYWHERE) {
        for (size_t i = 0; i < bytes.size; i++)
            play_input(play, item->side, slice_take(slice_skip(bytes, i), 1));
    } else if (cut == CUT_NOWHERE) {
        play_input(play, item->side, bytes);
    } else {
        play_input(play, item->side, slice_take(bytes, cut));
        play_input(play, item->side, slice_skip(bytes, cut));
    }
}

/* Plays the script with item `cut_item` (or all, when everywhere) cut at `cut`. */
static void play_script(const struct script *script, const char *expected, size_t cut_item,
                        size_t cut)
{
    struct play play = {.login = {.script = script}};
    struct engine_settings settings = {
        .dialect = dialect_of(script->protocol),
        .mechanisms = script->offer,
        .refusal = script->refusal[0] == '\0' ? NULL : script->refusal,
        .sasl = {.start = login_start, .step = login_step, .owner = &play.login}};
    record_init(&play.record);
    buf_init(&play.held[SIDE_CLIENT], RECORD_MAX);
    buf_init(&play.held[SIDE_UPSTREAM], RECORD_MAX);
    play.engine = engine_new(&settings);
    do_deeds(&play);
    for (size_t i = 0; i < script->item_count; i++) {
        const struct item *item = &script->items[i];
        bool is_cut = cut == CUT_EVERYWHERE || i == cut_item;
        if (item->kind == ITEM_INPUT)
            play_run(&play, item, is_cut ? cut : CUT_NOWHERE);
        if (item->kind == ITEM_FACT) {
            char line[600];
            snprintf(line, sizeof(line), "!%s", item->fact);
            record_line(&play.record, line);
            play_fact(&play, item->fact);
        }
    }
    const char *actual = record_text(&play.record);
    if (strcmp(actual, expected) != 0)
        fail_msg("%s, item %zu cut at %zd:\n--- expected\n%s--- got\n%s", script->path, cut_item,
                 (ssize_t)cut, expected, actual);
    assert_true(play.ends <= 1);
    engine_free(play.engine);
    sasl_initiator_free(play.login.initiator);
    record_fini(&play.record);
    buf_fini(&play.held[SIDE_CLIENT]);
    buf_fini(&play.held[SIDE_UPSTREAM]);
}

static void test_script(void **state)
{
    struct script *script = *state;
    read_script(script);
    const char *expected = record_text(&script->expected);
    play_script(script, expected, SIZE_MAX, CUT_NOWHERE);
    play_script(script, expected, SIZE_MAX, CUT_EVERYWHERE);
    for (size_t i = 0; i < script->item_count; i++) {
        if (script->items[i].kind != ITEM_INPUT)
            continue;
        size_t size = buf_size(&script->items[i].bytes);
        /* Every place, but of long runs those around the limits and each 97th. */
        for (size_t cut = 1; cut < size; cut += size < 3000 || cut % 4096 > 4090 ? 1 : 97)
            play_script(script, expected, i, cut);
    }
    free_script(script);
}

/* ---- finding scripts ---- */

#define SCRIPTS_MAX 200

static int is_script(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".txt") == 0;
}

static size_t add_scripts(enum protocol protocol, struct script *scripts, struct CMUnitTest *tests,
                          size_t count)
{
    char folder[64];
    struct dirent **entries;
    snprintf(folder, sizeof(folder), "tests/scripts/%s", protocol_name(protocol));
    int found = scandir(folder, &entries, is_script, alphasort);
    for (int i = 0; i < found; i++) {
        struct script *script = &scripts[count];
        ENSURE(count < SCRIPTS_MAX);
        script->protocol = protocol;
        snprintf(script->path, sizeof(script->path), "%s/%.180s", folder, entries[i]->d_name);
        char *name = mem_copy_string(entries[i]->d_name);
        name[strcspn(name, ".")] = '\0';
        for (char *letter = name; *letter != '\0'; letter++)
            if (*letter == '-')
                *letter = '_';
        tests[count++] = (struct CMUnitTest){name, test_script, NULL, NULL, script};
        free(entries[i]);
    }
    if (found >= 0)
        free(entries);
    return count;
}

int main(void)
{
    static struct script scripts[SCRIPTS_MAX];
    static struct CMUnitTest tests[SCRIPTS_MAX];
    struct err err;
    size_t count = 0;
    for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
        if (dialect_of((enum protocol)protocol) != NULL)
            count = add_scripts((enum protocol)protocol, scripts, tests, count);
    if (count == 0) {
        fputs("no transcripts: run from the top of the tree\n", stderr);
        return 1;
    }
    if (sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &library, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int status = _cmocka_run_group_tests("transcripts", tests, count, NULL, NULL);
    sasl_initiator_library_close(library);
    for (size_t i = 0; i < count; i++)
        mem_free((void *)(uintptr_t)tests[i].name);
    return status;
}
