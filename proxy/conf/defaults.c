/*
 * The tables as a file: key = default, and behind the comment mark what it is. A value that is not
 * set by default stands empty, which the reader takes for the same.
 */
#include <stdio.h>

#include "conf/config.h"
#include "conf/table.h"

void config_print_defaults(FILE *stream)
{
    for (enum section_kind kind = 0; kind < SECTION_KIND_COUNT; kind++) {
        const struct option_table *table = option_table(kind);
        (void)fprintf(stream, "%s[%s%s]\n", kind == SECTION_GLOBAL ? "" : "\n", table->section,
                      kind == SECTION_GLOBAL ? "" : " name");
        for (size_t i = 0; i < table->count; i++)
            (void)fprintf(stream, "%-29s = %-34s ; %s\n", table->rows[i].key,
                          table->rows[i].initial, table->rows[i].help);
    }
}
