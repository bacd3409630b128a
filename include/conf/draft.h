/*
 * A configuration while it is read and checked: the struct config that is filled, and which line
 * each value came from. The reader fills it, the checks go through it; both add to the problems.
 */
#ifndef ECLUSE_CONF_DRAFT_H
#define ECLUSE_CONF_DRAFT_H

#include "conf/config.h"
#include "conf/table.h"

/* Of one kind: more is no configuration that somebody wrote. */
#define SECTIONS_MAXIMUM 4096

struct draft_value {
    int line; /* 0: it stands not in the file, the default holds */
    bool bad; /* it was refused, the default holds: a check that depends on it is left out */
};

struct draft_section {
    enum section_kind kind;
    int line;     /* of its heading; 0 when [ecluse] is not in the file */
    void *target; /* struct config, listener_config, account_config or provider_config */
    struct draft_value *values; /* one per row of the kind's table */
};

struct draft {
    struct config *config;
    const struct config_surroundings *surroundings; /* borrowed */
    struct config_problems *problems;               /* borrowed */
    struct draft_section **sections;                /* [0] is [ecluse], there from the start */
    size_t section_count;
};

/* A config of defaults without listeners, accounts and providers. */
void draft_init(struct draft *draft, const char *file,
                const struct config_surroundings *surroundings, struct config_problems *problems);
/* Frees all but the configuration, which is moved to *config_out, or freed when that is NULL. */
void draft_fini(struct draft *draft, struct config **config_out);

/* NULL when the maximum of that kind is reached. Not for [ecluse]. */
struct draft_section *draft_add_section(struct draft *draft, enum section_kind kind,
                                        const char *label, int line);
/* NULL when there is none; the label of [ecluse] is "". */
struct draft_section *draft_find_section(const struct draft *draft, enum section_kind kind,
                                         const char *label);

/* ENSURE: the key is in the section's table. */
const struct draft_value *draft_value(const struct draft_section *section, const char *key);
/* The line of a value, or of the heading when it is a default. */
int draft_line(const struct draft_section *section, const char *key);

#endif
