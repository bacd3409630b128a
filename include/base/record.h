/*
 * One thing that happened, for the audit journal: an action, how it ended, and what is known of it
 * as values of named fields (base/record_terms.h). Gates and the keeper make records; the journal
 * writes them down as its level allows.
 *
 * Only words and numbers go in. A struct secret cannot: there is no way to add one.
 *
 * Texts are borrowed: a record is handed on in the call in which it is made, and who keeps it
 * encodes it. It may hold what a peer sent; the journal escapes and cuts.
 */
#ifndef ECLUSE_BASE_RECORD_H
#define ECLUSE_BASE_RECORD_H

#include "base/record_terms.h"
#include "base/slice.h"
#include "base/terms.h"

enum record_action {
#define X(name, action, categories, types) name,
    RECORD_ACTIONS(X)
#undef X
        RECORD_ACTION_COUNT
};

enum record_kind {
    RECORD_TEXT,
    RECORD_NUMBER,
    RECORD_FLAG,
    RECORD_ADDRESS,
    RECORD_MAILBOX,
    RECORD_ARGUMENTS
};

enum record_field {
#define X(name, path, kind, meaning) name,
    RECORD_FIELDS(X)
#undef X
        RECORD_FIELD_COUNT
};

#define RECORD_VALUES_MAX 64
#define RECORD_TEXT_MAX   512u /* octets of one value; longer ones are cut there */

struct record_value {
    enum record_field field;
    struct slice text; /* of the kinds that are no number */
    uint64_t number;   /* of NUMBER and FLAG */
};

struct record {
    enum record_action action;
    enum why why;  /* WHY_NONE: success */
    uint64_t time; /* wall clock, microseconds */
    size_t count;
    struct record_value values[RECORD_VALUES_MAX]; /* the first `count` are set */
};

/* Empty but for these. */
void record_init(struct record *record, enum record_action action, enum why why, uint64_t time);

/* ENSURE that the field is of such a kind. A text that is empty is not added, nor is what goes
 * beyond RECORD_VALUES_MAX: lists say how many there are by a field of their own. */
void record_add_text(struct record *record, enum record_field field, struct slice text);
void record_add_string(struct record *record, enum record_field field, const char *string);
void record_add_number(struct record *record, enum record_field field, uint64_t number);
void record_add_flag(struct record *record, enum record_field field, bool flag);

/* What is set of it; the texts stay where they are. */
void record_copy(struct record *record, const struct record *from);

/* The first value of the field, or NULL. */
const struct record_value *record_find(const struct record *record, enum record_field field);

const char *record_action_name(enum record_action action);
MUST_CHECK int record_action_find(const char *name, enum record_action *action_out);
const char *record_action_categories(enum record_action action);
const char *record_action_types(enum record_action action);
const char *record_field_path(enum record_field field);
const char *record_field_meaning(enum record_field field);
enum record_kind record_field_kind(enum record_field field);

#endif
