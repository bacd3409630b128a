#include "base/record.h"

#include <string.h>

#include "base/err.h"

static const struct {
    const char *name, *categories, *types;
} actions[] = {
#define X(name, action, categories, types) [name] = {action, categories, types},
    RECORD_ACTIONS(X)
#undef X
};

static const struct {
    const char *path;
    enum record_kind kind;
    const char *meaning;
} fields[] = {
#define X(name, path, kind, meaning) [name] = {path, RECORD_##kind, meaning},
    RECORD_FIELDS(X)
#undef X
};

void record_init(struct record *record, enum record_action action, enum why why, uint64_t time)
{
    ENSURE(action < RECORD_ACTION_COUNT);
    record->action = action;
    record->why = why;
    record->time = time;
    record->count = 0;
}

void record_copy(struct record *record, const struct record *from)
{
    record_init(record, from->action, from->why, from->time);
    record->count = from->count;
    memcpy(record->values, from->values, from->count * sizeof(*from->values));
}

static void add(struct record *record, struct record_value value)
{
    if (record->count < RECORD_VALUES_MAX)
        record->values[record->count++] = value;
}

void record_add_text(struct record *record, enum record_field field, struct slice text)
{
    enum record_kind kind = record_field_kind(field);
    ENSURE(kind != RECORD_NUMBER && kind != RECORD_FLAG);
    if (text.size > 0)
        add(record,
            (struct record_value){.field = field, .text = slice_take(text, RECORD_TEXT_MAX)});
}

void record_add_string(struct record *record, enum record_field field, const char *string)
{
    record_add_text(record, field, slice_of_string(string == NULL ? "" : string));
}

void record_add_number(struct record *record, enum record_field field, uint64_t number)
{
    ENSURE(record_field_kind(field) == RECORD_NUMBER);
    add(record,
        (struct record_value){.field = field, .number = number > INT64_MAX ? INT64_MAX : number});
}

void record_add_flag(struct record *record, enum record_field field, bool flag)
{
    ENSURE(record_field_kind(field) == RECORD_FLAG);
    add(record, (struct record_value){.field = field, .number = flag});
}

const struct record_value *record_find(const struct record *record, enum record_field field)
{
    for (size_t i = 0; i < record->count; i++)
        if (record->values[i].field == field)
            return &record->values[i];
    return NULL;
}

const char *record_action_name(enum record_action action)
{
    ENSURE(action < RECORD_ACTION_COUNT);
    return actions[action].name;
}

int record_action_find(const char *name, enum record_action *action_out)
{
    for (size_t i = 0; i < RECORD_ACTION_COUNT; i++)
        if (strcmp(actions[i].name, name) == 0) {
            *action_out = (enum record_action)i;
            return 0;
        }
    return ERR_NOT_FOUND;
}

const char *record_action_categories(enum record_action action)
{
    ENSURE(action < RECORD_ACTION_COUNT);
    return actions[action].categories;
}

const char *record_action_types(enum record_action action)
{
    ENSURE(action < RECORD_ACTION_COUNT);
    return actions[action].types;
}

const char *record_field_path(enum record_field field)
{
    ENSURE(field < RECORD_FIELD_COUNT);
    return fields[field].path;
}

const char *record_field_meaning(enum record_field field)
{
    ENSURE(field < RECORD_FIELD_COUNT);
    return fields[field].meaning;
}

enum record_kind record_field_kind(enum record_field field)
{
    ENSURE(field < RECORD_FIELD_COUNT);
    return fields[field].kind;
}
