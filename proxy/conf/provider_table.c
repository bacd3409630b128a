/*
 * The assembler puts the file into the program; the reader of every configuration reads it, below
 * the user's. Nothing fails: a row that is wrong is a broken invariant.
 */
#include "conf/provider_table.h"

#include <stdio.h>

#include "conf/check.h"
#include "conf/reader.h"

/* The path is that of a build from the top of the tree; the Makefile knows the dependency. */
__asm__(".pushsection .rodata\n"
        "provider_table_start:\n"
        ".incbin \"config/providers.ini\"\n"
        "provider_table_end:\n"
        ".popsection\n");

extern const char provider_table_start[], provider_table_end[];

struct slice provider_table_text(void)
{
    return slice_of(provider_table_start,
                    (uintptr_t)provider_table_end - (uintptr_t)provider_table_start);
}

void provider_table_add(struct draft *draft)
{
    struct config_problems none = {0};
    struct config_problems *problems = draft->problems;
    struct slice text = provider_table_text();
    /* fmemopen wants memory that may be written. */
    char *copy = mem_copy_bytes_as_string(text.data, text.size);
    FILE *stream = fmemopen(copy, text.size, "r");

    ENSURE(stream != NULL);
    draft->problems = &none;
    reader_run_below(stream, draft);
    draft->problems = problems;
    (void)fclose(stream);
    mem_free(copy);
    ENSURE(none.count == 0);
}

struct config *config_of_table(void)
{
    static const struct config_surroundings nowhere = {0};
    struct config_problems none = {0};
    struct config *config = NULL;
    struct draft draft;

    draft_init(&draft, "", &nowhere, &none);
    provider_table_add(&draft);
    check_providers(&draft);
    ENSURE(none.count == 0);
    draft_fini(&draft, &config);
    return config;
}
