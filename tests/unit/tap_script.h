/*
 * What a session said, and the records that its tap is to make of it, as text.
 */
#ifndef ECLUSE_TESTS_TAP_SCRIPT_H
#define ECLUSE_TESTS_TAP_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mail/tap.h"

#define TAP_RUNS_MAX   200
#define TAP_SCRIPT_MAX (4u * 1024 * 1024)

struct tap_run {
    enum side side;
    struct buf bytes;
};

struct tap_script {
    char path[256];
    struct tap_settings settings;
    enum why end; /* NONE: the session does not end */
    struct tap_run runs[TAP_RUNS_MAX];
    size_t run_count;
    struct buf expected; /* text */
};

/* ---- records as text ---- */

static inline void tap_append(struct buf *out, const char *text)
{
    assert_int_equal(buf_append_string(out, text), 0);
}

static inline void tap_append_value(struct buf *out, const struct record_value *value)
{
    char text[4 * RECORD_TEXT_MAX + 1];
    enum record_kind kind = record_field_kind(value->field);
    const char *path = record_field_path(value->field);
    tap_append(out, " ");
    tap_append(out, strncmp(path, "ecluse.", 7) == 0 ? path + 7 : path);
    if (kind == RECORD_NUMBER || kind == RECORD_FLAG)
        snprintf(text, sizeof(text), "=%llu", (unsigned long long)value->number);
    else
        slice_escape(value->text, text, sizeof(text));
    if (kind != RECORD_NUMBER && kind != RECORD_FLAG)
        tap_append(out, "=\"");
    tap_append(out, text);
    if (kind != RECORD_NUMBER && kind != RECORD_FLAG)
        tap_append(out, "\"");
}

/* A tap_sink's; the owner is a struct buf. */
static inline void tap_write_record(void *owner, const struct record *record, bool is_awaited)
{
    struct buf *out = owner;
    tap_append(out, is_awaited ? "=!" : "=");
    tap_append(out, record_action_name(record->action));
    tap_append(out, " ");
    tap_append(out, why_name(record->why));
    for (size_t i = 0; i < record->count; i++)
        tap_append_value(out, &record->values[i]);
    tap_append(out, "\n");
}

/* ---- reading ---- */

static inline const char *tap_append_macro(const char *text, struct buf *out)
{
    unsigned octet;
    size_t length = 0;
    uint8_t byte = (uint8_t)*text;
    if (sscanf(text, "{LONG:%zu}", &length) == 1) {
        for (size_t i = 0; i < length; i++)
            tap_append(out, "x");
        return strchr(text, '}') + 1;
    }
    if (text[0] == '\\' && sscanf(text, "\\x%2x", &octet) == 1) {
        byte = (uint8_t)octet;
        text += 3;
    } else if (text[0] == '\\') {
        text++;
        byte = text[0] == 'r' ? '\r' : text[0] == 'n' ? '\n' : (uint8_t)text[0];
    }
    assert_int_equal(buf_append(out, slice_of(&byte, 1)), 0);
    return text + 1;
}

static inline void tap_add_input(struct tap_script *script, enum side side, const char *text)
{
    struct tap_run *run = script->run_count == 0 ? NULL : &script->runs[script->run_count - 1];
    if (run == NULL || run->side != side) {
        assert_true(script->run_count < TAP_RUNS_MAX);
        run = &script->runs[script->run_count++];
        run->side = side;
        buf_init(&run->bytes, TAP_SCRIPT_MAX);
    }
    while (*text != '\0' && strcmp(text, "\\") != 0)
        text = tap_append_macro(text, &run->bytes);
    if (*text == '\0')
        tap_append(&run->bytes, "\r\n");
}

static inline void tap_set(struct tap_script *script, const char *line)
{
    if (strcmp(line, "@arguments") == 0)
        script->settings.wants_arguments = true;
    else if (strcmp(line, "@strict") == 0)
        script->settings.awaits_each = true;
    else if (strcmp(line, "@end") == 0)
        script->end = WHY_CLIENT_GONE;
    else
        fail_msg("%s: unknown setting %s", script->path, line);
}

static inline void tap_read_line(struct tap_script *script, const char *line)
{
    if (line[0] == '#' || line[0] == '\0')
        return;
    if (line[0] == '@') {
        tap_set(script, line);
    } else if (strncmp(line, "C: ", 3) == 0) {
        tap_add_input(script, SIDE_CLIENT, line + 3);
    } else if (strncmp(line, "S: ", 3) == 0) {
        tap_add_input(script, SIDE_UPSTREAM, line + 3);
    } else if (line[0] == '=') {
        tap_append(&script->expected, line);
        tap_append(&script->expected, "\n");
    } else {
        fail_msg("%s: what is this? %s", script->path, line);
    }
}

/* Of a file named "imap-….txt". */
static inline void tap_script_read(struct tap_script *script)
{
    static char line[65536];
    char protocol[8] = "";
    snprintf(protocol, sizeof(protocol), "%.4s", strrchr(script->path, '/') + 1);
    assert_int_equal(protocol_find(protocol, &script->settings.protocol), 0);
    buf_init(&script->expected, TAP_SCRIPT_MAX);
    FILE *file = fopen(script->path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        tap_read_line(script, line);
    }
    fclose(file);
    assert_true(script->run_count > 0);
}

static inline void tap_script_free(struct tap_script *script)
{
    for (size_t i = 0; i < script->run_count; i++)
        buf_fini(&script->runs[i].bytes);
    buf_fini(&script->expected);
}

#endif
