/*
 * Plays every transcript of tests/scripts/<protocol>/ through the engine: whole, byte by byte, and
 * cut in two at every place of every run of input. The record must be the one written in the script
 * each time.
 *
 * A script, line by line:
 *   # a comment
 *   @name value     a setting: offer (local mechanisms, - for none), capability (a line to offer),
 *                   client-tls, login none, bare-newline reject, user, token-size, refusal,
 *                   refusal-why, read-only yes, from (addresses, of the grant)
 *   C: text         the client sends text CRLF; lines that follow one another are one run of input
 *   S: text         the server sends
 *   <C text         the client gets text CRLF from us     <S text   the server gets
 *   >C text         passed to the client, after =pass     >S text   passed to the server
 *   !fact …         challenge B64 · granted MECHANISMS · granted-password MECHANISMS · refused WHY
 *                   TEXT · connected · connected plain · tls-up SIDE · failed WHY TEXT · eof SIDE ·
 *                   tick · dismissed WHY TEXT · released (what was denied is to be answered)
 *   =deed …         ask MECHANISM B64 · answer B64 · again · dial · hang-up · start-tls SIDE ·
 *                   learned LINES · note NAME WHY TEXT · pass · end WHY · over WHY TEXT ·
 *                   denied RULE VERB
 * After =pass, C: and S: go through the passage, and =over is its end. In texts \xNN, \r, \n and
 * \\ stand for octets, {TOKEN:MECHANISM} for its first SASL message in base64, {LONG:n} for n
 * letters; a text that ends in a single \ has no CRLF behind it. "-" is an ask without bytes.
 */
#include "transcript_play.h"

/* Plays the script with item `cut_item` (or all, when everywhere) cut at `cut`. */
static void play_script(const struct script *script, const char *expected, size_t cut_item,
                        size_t cut)
{
    struct play play;
    play_begin(&play, script, dialect_of(script->protocol));
    play_items(&play, cut_item, cut);
    const char *actual = record_text(&play.record);
    /* Longer than what fail_msg shows. */
    if (strcmp(actual, expected) != 0) {
        fprintf(stderr, "%s, item %zu cut at %zd:\n--- expected\n%s--- got\n%s", script->path,
                cut_item, (ssize_t)cut, expected, actual);
        fail();
    }
    assert_true(play.ends <= 1);
    play_end(&play);
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

static size_t add_tests(enum protocol protocol, struct script *scripts, struct CMUnitTest *tests,
                        size_t count)
{
    size_t end = find_scripts(protocol, scripts, count);
    for (size_t i = count; i < end; i++) {
        const char *file = strrchr(scripts[i].path, '/') + 1;
        char *name = mem_copy_string(file);
        name[strcspn(name, ".")] = '\0';
        for (char *letter = name; *letter != '\0'; letter++)
            if (*letter == '-')
                *letter = '_';
        tests[i] = (struct CMUnitTest){name, test_script, NULL, NULL, &scripts[i]};
    }
    return end;
}

int main(void)
{
    static struct script scripts[SCRIPTS_MAX];
    static struct CMUnitTest tests[SCRIPTS_MAX];
    struct err err;
    size_t count = 0;
    for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
        count = add_tests((enum protocol)protocol, scripts, tests, count);
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
