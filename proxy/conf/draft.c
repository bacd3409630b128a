/*
 * Sections are kept in the order of the file, each with its struct filled with defaults. Labels are
 * those of the structs. Adding fails only at SECTIONS_MAXIMUM.
 */
#include "conf/draft.h"

#include <string.h>

#include "conf/value.h"

static void fill_defaults(const struct option_table *table, void *target)
{
    for (size_t i = 0; i < table->count; i++) {
        int status = value_set(&table->rows[i], target, table->rows[i].initial, NULL, NULL);
        ENSURE(status == 0);
    }
}

static struct draft_section *append_section(struct draft *draft, enum section_kind kind,
                                            void *target, int line)
{
    const struct option_table *table = option_table(kind);
    struct draft_section *section = mem_new(sizeof(*section));

    section->kind = kind;
    section->line = line;
    section->target = target;
    section->values = mem_new_array(table->count, sizeof(struct draft_value));
    fill_defaults(table, target);
    draft->sections =
        mem_resize(draft->sections, (draft->section_count + 1) * sizeof(struct draft_section *));
    draft->sections[draft->section_count++] = section;
    return section;
}

void draft_init(struct draft *draft, const char *file,
                const struct config_surroundings *surroundings, struct config_problems *problems)
{
    *draft = (struct draft){.surroundings = surroundings, .problems = problems};
    draft->config = mem_new(sizeof(struct config));
    draft->config->file = mem_copy_string(file);
    (void)append_section(draft, SECTION_GLOBAL, draft->config, 0);
}

void draft_fini(struct draft *draft, struct config **config_out)
{
    for (size_t i = 0; i < draft->section_count; i++) {
        mem_free(draft->sections[i]->values);
        mem_free(draft->sections[i]);
    }
    mem_free(draft->sections);
    if (config_out != NULL)
        *config_out = draft->config;
    else
        config_free(draft->config);
    *draft = (struct draft){0};
}

static bool is_full(const struct config *config, enum section_kind kind)
{
    size_t count = kind == SECTION_LISTENER  ? config->listener_count
                   : kind == SECTION_ACCOUNT ? config->account_count
                                             : config->provider_count;
    return count == SECTIONS_MAXIMUM;
}

static void *add_listener(struct config *config, const char *label, int line)
{
    struct listener_config *listener = mem_new(sizeof(*listener));

    listener->name = mem_copy_string(label);
    listener->line = line;
    config->listeners = mem_resize(config->listeners,
                                   (config->listener_count + 1) * sizeof(struct listener_config *));
    config->listeners[config->listener_count++] = listener;
    return listener;
}

static void *add_account(struct config *config, const char *label, int line)
{
    struct account_config *account = mem_new(sizeof(*account));

    account->name = mem_copy_string(label);
    account->line = line;
    config->accounts =
        mem_resize(config->accounts, (config->account_count + 1) * sizeof(struct account_config *));
    config->accounts[config->account_count++] = account;
    return account;
}

static void *add_provider(struct config *config, const char *label, int line)
{
    struct provider_config *provider = mem_new(sizeof(*provider));

    provider->name = mem_copy_string(label);
    provider->line = line;
    config->providers = mem_resize(config->providers,
                                   (config->provider_count + 1) * sizeof(struct provider_config *));
    config->providers[config->provider_count++] = provider;
    return provider;
}

struct draft_section *draft_add_section(struct draft *draft, enum section_kind kind,
                                        const char *label, int line)
{
    void *target = NULL;

    ENSURE(kind != SECTION_GLOBAL);
    if (is_full(draft->config, kind))
        return NULL;
    if (kind == SECTION_LISTENER)
        target = add_listener(draft->config, label, line);
    else if (kind == SECTION_ACCOUNT)
        target = add_account(draft->config, label, line);
    else
        target = add_provider(draft->config, label, line);
    return append_section(draft, kind, target, line);
}

static const char *label_of(const struct draft_section *section)
{
    switch (section->kind) {
    case SECTION_LISTENER:
        return ((const struct listener_config *)section->target)->name;
    case SECTION_ACCOUNT:
        return ((const struct account_config *)section->target)->name;
    case SECTION_PROVIDER:
        return ((const struct provider_config *)section->target)->name;
    case SECTION_GLOBAL:
    case SECTION_KIND_COUNT:
        break;
    }
    return "";
}

struct draft_section *draft_find_section(const struct draft *draft, enum section_kind kind,
                                         const char *label)
{
    for (size_t i = 0; i < draft->section_count; i++)
        if (draft->sections[i]->kind == kind && strcmp(label_of(draft->sections[i]), label) == 0)
            return draft->sections[i];
    return NULL;
}

const struct draft_value *draft_value(const struct draft_section *section, const char *key)
{
    const struct option_table *table = option_table(section->kind);
    const struct option *option = option_find(table, key);

    ENSURE(option != NULL);
    return &section->values[option_index(table, option)];
}

int draft_line(const struct draft_section *section, const char *key)
{
    int line = draft_value(section, key)->line;

    return line != 0 ? line : section->line;
}
