/*
 * The option lists of conf/option.h as tables: one per kind of section, one row per key. The
 * reader, the defaults and `ecluse check --defaults` all walk these.
 */
#ifndef ECLUSE_CONF_TABLE_H
#define ECLUSE_CONF_TABLE_H

#include <stdint.h>

#include "base/mem.h"

enum section_kind {
    SECTION_GLOBAL,
    SECTION_LISTENER,
    SECTION_ACCOUNT,
    SECTION_PROVIDER,
    SECTION_KIND_COUNT
};

enum value_kind {
    VALUE_TEXT,
    VALUE_PATH,
    VALUE_NUMBER,
    VALUE_FLAG,
    VALUE_WORDS,
    VALUE_CHOICE,
    VALUE_SECRET
};

struct option {
    const char *key;
    const char *initial; /* the default, as it would stand in the file */
    const char *help;
    enum value_kind kind;
    const char *const *choices; /* of a VALUE_CHOICE: its words by enum value, NULL at the end */
    size_t offset;              /* of the field in the section's struct */
};

struct option_table {
    const char *section; /* "ecluse", "listen", "account", "provider" */
    const struct option *rows;
    size_t count;
    size_t struct_size;
};

/* What a number may be. `zero_word` may stand for 0, which is otherwise below the minimum. */
struct number_range {
    const char *key;
    int64_t minimum, maximum;
    const char *zero_word; /* or NULL */
    const char *unit;      /* what may stand behind it, "" for nothing */
};

const struct option_table *option_table(enum section_kind kind);
/* The word of a value of a choice. ENSURE: the table has the key, and it is a choice. */
const char *option_word(const struct option_table *table, const char *key, unsigned value);
/* NULL when the table has no such key. */
const struct option *option_find(const struct option_table *table, const char *key);
/* Position of a row of `table` in it. */
size_t option_index(const struct option_table *table, const struct option *option);
/* The key that was probably meant, or NULL when none is near. */
const struct option *option_nearest(const struct option_table *table, const char *key);
/* ENSURE: the option is a number. */
const struct number_range *option_range(const struct option *option);

/* SECTION_KIND_COUNT when there is no such section. */
enum section_kind section_kind_find(const char *word);
enum section_kind section_kind_nearest(const char *word);

#endif
