/*
 * Plays every transcript of tests/scripts/<protocol>/ through the engine: whole, byte by byte, and
 * cut in two at every place of every run of input. The record must be the one written in the script
 * each time.
 *
 * A script, line by line:
 *   # a comment
 *   @name value     a setting: offer (local mechanisms, - for none), capability (a line to offer),
 *                   client-tls, login none, bare-newline reject, user, token-size, refusal,
 *                   refusal-why
 *   C: text         the client sends text CRLF; lines that follow one another are one run of input
 *   S: text         the server sends
 *   <C text         the client gets text CRLF from us     <S text   the server gets
 *   >C text         passed to the client, after =pass     >S text   passed to the server
 *   !fact …         challenge B64 · granted MECHANISMS · granted-password MECHANISMS · refused WHY
 *                   TEXT · connected · connected plain · tls-up SIDE · failed WHY TEXT · eof SIDE ·
 *                   tick · dismissed WHY TEXT
 *   =deed …         ask MECHANISM B64 · answer B64 · again · dial · hang-up · start-tls SIDE ·
 *                   learned LINES · note NAME WHY TEXT · pass · end WHY · over WHY TEXT
 * After =pass, C: and S: go through the passage, and =over is its end. In texts \xNN, \r, \n and
 * \\ stand for octets, {TOKEN:MECHANISM} for its first SASL message in base64, {LONG:n} for n
 * letters; a text that ends in a single \ has no CRLF behind it. "-" is an ask without bytes.
 */
#include <dirent.h>

#include "transcript_play.h"

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
    bool has_apop = slice_has_word(slice_of_string(script->offer), ' ', SLICE_LITERAL("APOP"));
    struct engine_settings settings = {.dialect = dialect_of(script->protocol),
                                       .mechanisms = script->offer,
                                       .capabilities = script->capabilities,
                                       .timestamp = has_apop ? "<1.2@localhost>" : NULL,
                                       .client_tls = script->client_tls,
                                       .needs_no_login = script->needs_no_login,
                                       .refusal =
                                           script->refusal[0] == '\0' ? NULL : script->refusal,
                                       .refusal_why = script->refusal_why,
                                       .sasl = {.start = login_start,
                                                .step = login_step,
                                                .is_complete = login_is_complete,
                                                .owner = &play.login}};
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
    passage_close(play.passage);
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

#define SCRIPTS_MAX 600

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
