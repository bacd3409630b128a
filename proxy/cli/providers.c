/*
 * The built-in table, and what the configuration makes of it when there is one.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/configuration.h"
#include "cli/print.h"
#include "conf/table.h"

#define COLUMNS        5
#define DOMAINS_SHOWN  2
#define CELL           160
#define FLOWS_CAPACITY 3

static const char *const headings[COLUMNS] = {"PROVIDER", "DOMAINS", "FLOWS", "CONFIDENCE", "HINT"};

struct row_texts {
    char domains[CELL], flows[CELL];
};

static const char *word(const char *key, unsigned value)
{
    return option_word(option_table(SECTION_PROVIDER), key, value);
}

static void add_flow(const char *flows[FLOWS_CAPACITY], size_t *count, enum flow flow)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(flows[i], word("flow", flow)) == 0)
            return;
    flows[(*count)++] = word("flow", flow);
}

/* That of its accounts first, then those that its endpoints allow. */
static size_t flows_of(const struct provider_config *provider, const char *flows[FLOWS_CAPACITY])
{
    size_t count = 0;

    add_flow(flows, &count, provider->flow);
    if (*provider->authorization_endpoint != '\0')
        add_flow(flows, &count, FLOW_CODE);
    if (*provider->device_authorization_endpoint != '\0')
        add_flow(flows, &count, FLOW_DEVICE);
    return count;
}

static void add_text(char cell[CELL], const char *text)
{
    size_t used = strlen(cell);
    snprintf(cell + used, CELL - used, "%s%s", used == 0 ? "" : " ", text);
}

static void fill_row(const struct provider_config *provider, struct row_texts *texts,
                     const char *cells[COLUMNS])
{
    const char *flows[FLOWS_CAPACITY];
    char more[32];
    size_t count = provider->domains.count;

    for (size_t i = 0; i < count && i < DOMAINS_SHOWN; i++)
        add_text(texts->domains, provider->domains.items[i]);
    if (count > DOMAINS_SHOWN) {
        snprintf(more, sizeof(more), "+%zu", count - DOMAINS_SHOWN);
        add_text(texts->domains, more);
    }
    count = flows_of(provider, flows);
    for (size_t i = 0; i < count; i++)
        add_text(texts->flows, flows[i]);
    cells[0] = provider->name;
    cells[1] = texts->domains;
    cells[2] = texts->flows;
    cells[3] = word("confidence", provider->confidence);
    cells[4] = provider->hint;
}

static void print_providers(const struct config *config)
{
    size_t count = config->provider_count;
    struct row_texts *texts = mem_new_array(count + 1, sizeof(*texts));
    const char **cells = mem_new_array((count + 1) * COLUMNS, sizeof(*cells));
    for (size_t i = 0; i < count; i++)
        fill_row(config->providers[i], &texts[i], cells + i * COLUMNS);
    print_table(headings, COLUMNS, cells, count);
    mem_free(cells);
    mem_free(texts);
}

static json_t *domains_as_json(const struct words *domains)
{
    json_t *list = json_array();
    for (size_t i = 0; i < domains->count; i++)
        json_array_append_new(list, json_string(domains->items[i]));
    return list;
}

static json_t *flows_as_json(const struct provider_config *provider)
{
    const char *flows[FLOWS_CAPACITY];
    size_t count = flows_of(provider, flows);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(flows[i]));
    return list;
}

static void print_as_json(const struct config *config)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct provider_config *provider = config->providers[i];
        json_array_append_new(rows, json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s}", "name",
                                              provider->name, "domains",
                                              domains_as_json(&provider->domains), "flows",
                                              flows_as_json(provider), "confidence",
                                              word("confidence", provider->confidence), "hint",
                                              provider->hint, "imap", provider->imap, "pop3",
                                              provider->pop3, "smtp", provider->smtp));
    }
    print_json(rows);
    json_decref(rows);
}

static int run(const struct arguments *arguments)
{
    struct config *config = NULL;
    int exit_code = configuration_read_or_table(arguments, &config);
    if (exit_code != EX_OK)
        return exit_code;
    if (arguments->json)
        print_as_json(config);
    else
        print_providers(config);
    config_free(config);
    return EX_OK;
}

const struct subcommand subcommand_providers = {
    .name = "providers",
    .operands = "",
    .summary = "list the known providers: domains, ways to sign in, what to do there first",
    .has_json = true,
    .run = run,
};
