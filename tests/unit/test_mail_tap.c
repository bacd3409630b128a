/*
 * Plays every transcript of tests/scripts/tap/ through the tap of its protocol, which its name
 * begins with: whole, byte by byte, and cut in two at every place of every run of input. The
 * records must be those written in the script each time.
 *
 * A script, line by line:
 *   # a comment
 *   @arguments      the level full           @strict    every answer is awaited
 *   @end            the session ends behind the last line, because the client has gone
 *   C: text         the client says text CRLF, as it comes to the server
 *   S: text         the server says text CRLF
 *   =action why …   a record, with its values; =! one that is awaited
 * In texts \xNN, \r, \n and \\ stand for octets, {LONG:n} for n letters; a text that ends in a
 * single \ has no CRLF behind it.
 */
#include <dirent.h>

#include "tap_script.h"

#define CUT_NOWHERE    0u
#define CUT_EVERYWHERE SIZE_MAX

static void feed(struct tap *tap, enum side side, struct slice bytes, const struct tap_sink *sink)
{
    const struct tap_time now = {.wall = 1, .steady = 1};
    while (bytes.size > 0) {
        size_t consumed = tap_feed(tap, side, bytes, now, sink);
        assert_in_range(consumed, 1, bytes.size);
        bytes = slice_skip(bytes, consumed);
    }
}

static void feed_run(struct tap *tap, const struct tap_run *run, size_t cut,
                     const struct tap_sink *sink)
{
    struct slice bytes = buf_bytes(&run->bytes);
    if (cut == CUT_EVERYWHERE) {
        for (size_t i = 0; i < bytes.size; i++)
            feed(tap, run->side, slice_of(bytes.data + i, 1), sink);
        return;
    }
    feed(tap, run->side, slice_take(bytes, cut), sink);
    feed(tap, run->side, slice_skip(bytes, cut), sink);
}

/* Run number `cut_run`, or every one, is cut at `cut`. */
static void play(const struct tap_script *script, size_t cut_run, size_t cut)
{
    struct buf actual;
    struct tap *tap = tap_open(&script->settings);
    const struct tap_sink sink = {.record = tap_write_record, .owner = &actual};
    buf_init(&actual, TAP_SCRIPT_MAX);
    for (size_t i = 0; i < script->run_count; i++)
        feed_run(tap, &script->runs[i], cut == CUT_EVERYWHERE || i == cut_run ? cut : CUT_NOWHERE,
                 &sink);
    if (script->end != WHY_NONE)
        tap_finish(tap, script->end, (struct tap_time){.wall = 1, .steady = 1}, &sink);
    if (!slice_equal(buf_bytes(&actual), buf_bytes(&script->expected))) {
        fprintf(stderr, "%s, run %zu cut at %zd:\n--- expected\n%.*s--- got\n%.*s---\n",
                script->path, cut_run, (ssize_t)cut, SLICE_PRINT(buf_bytes(&script->expected)),
                SLICE_PRINT(buf_bytes(&actual)));
        fail();
    }
    buf_fini(&actual);
    tap_close(tap);
}

static void test_script(void **state)
{
    struct tap_script *script = *state;
    tap_script_read(script);
    play(script, 0, CUT_NOWHERE);
    play(script, 0, CUT_EVERYWHERE);
    for (size_t i = 0; i < script->run_count; i++)
        for (size_t cut = 1; cut < buf_size(&script->runs[i].bytes); cut++)
            play(script, i, cut);
    tap_script_free(script);
}

static int is_script(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".txt") == 0;
}

int main(void)
{
    static const char folder[] = "tests/scripts/tap";
    struct dirent **entries;
    int count = scandir(folder, &entries, is_script, alphasort);
    if (count <= 0) {
        fputs("no transcripts: run from the top of the tree\n", stderr);
        return 1;
    }
    struct tap_script *scripts = mem_new_array((size_t)count, sizeof(*scripts));
    struct CMUnitTest *tests = mem_new_array((size_t)count, sizeof(*tests));
    for (int i = 0; i < count; i++) {
        snprintf(scripts[i].path, sizeof(scripts[i].path), "%s/%.180s", folder, entries[i]->d_name);
        tests[i] = (struct CMUnitTest){strrchr(scripts[i].path, '/') + 1, test_script, NULL, NULL,
                                       &scripts[i]};
        free(entries[i]);
    }
    free(entries);
    int status = _cmocka_run_group_tests("tap", tests, (size_t)count, NULL, NULL);
    mem_free(tests);
    mem_free(scripts);
    return status;
}
