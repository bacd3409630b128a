/*
 * Providers, accounts, listeners, in that order, each by its own file; here [ecluse] and the one
 * table of what this version does not do.
 *
 * Failures are problems of the draft: a vault_key, web or proxy of no known form; no folder to keep
 * state in; no listener at all; a value of which the table below says that it is not served.
 */
#include "conf/check.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/problem.h"

/* ---- not served ---- */

static bool has_proxy(const void *config)
{
    return *((const struct config *)config)->proxy != '\0';
}

static bool has_pin(const void *provider)
{
    return *((const struct provider_config *)provider)->pin_sha256 != '\0';
}

static bool has_other_mechanism(const void *provider)
{
    const struct words *words = &((const struct provider_config *)provider)->mechanisms;

    for (size_t i = 0; i < words->count; i++)
        if (!mechanism_takes_token(words->items[i]) && !mechanism_takes_password(words->items[i]))
            return true;
    return false;
}

/* What the grammar takes and this version does not do. A row goes when it does. */
static const struct {
    enum section_kind kind;
    const char *key;
    bool (*is_asked)(const void *target);
    const char *advice;
} not_served[] = {
    {SECTION_GLOBAL, "proxy", has_proxy, "leave it empty"},
    {SECTION_PROVIDER, "mechanisms", has_other_mechanism,
     "name " MECHANISMS_WITH_TOKEN " or, for flow = none, " MECHANISMS_WITH_PASSWORD},
    {SECTION_PROVIDER, "pin_sha256", has_pin, "leave it empty; chain and name are verified"},
};

void check_served(struct draft *draft, const struct draft_section *section)
{
    for (size_t i = 0; i < LENGTH_OF(not_served); i++)
        if (not_served[i].kind == section->kind && not_served[i].is_asked(section->target))
            problems_add(draft->problems, draft_line(section, not_served[i].key),
                         "%s: this value is not supported by this version; %s", not_served[i].key,
                         not_served[i].advice);
}

/* ---- [ecluse] ---- */

static void check_vault_key(struct draft *draft, const struct draft_section *section)
{
    const char *key = draft->config->vault_key;

    if (strcmp(key, "keyfile") == 0 || strcmp(key, "passphrase") == 0)
        return;
    if (strncmp(key, "credential:", 11) == 0 && key[11] != '\0' && strchr(key, '/') == NULL)
        return;
    if (strncmp(key, "command:", 8) == 0 && key[8] != '\0')
        return;
    problems_add(draft->problems, draft_line(section, "vault_key"),
                 "vault_key must be keyfile, passphrase, credential:NAME or command:CMD");
}

static void check_web(struct draft *draft, const struct draft_section *section)
{
    struct listen_address address = {0};
    struct err err = {0};

    if (strcmp(draft->config->web, "off") == 0)
        return;
    if (listen_address_parse(draft->config->web, NULL, &address, &err) != 0)
        problems_add(draft->problems, draft_line(section, "web"), "web: %s; off disables it",
                     err.text);
    else if (address.path != NULL || !listen_address_is_local(&address))
        problems_add(draft->problems, draft_line(section, "web"),
                     "web is plain HTTP and stays on loopback: 127.0.0.1:PORT, [::1]:PORT or off");
    listen_address_fini(&address);
}

static void check_proxy(struct draft *draft, const struct draft_section *section)
{
    static const char scheme[] = "socks5h://";

    if (*draft->config->proxy != '\0' &&
        strncmp(draft->config->proxy, scheme, sizeof(scheme) - 1) != 0)
        problems_add(draft->problems, draft_line(section, "proxy"),
                     "proxy must be socks5h://HOST:PORT, which leaves the names to the proxy too");
}

static void check_anchor(struct draft *draft, const struct draft_section *section)
{
    const char *anchor = draft->config->audit_anchor;

    if (strcmp(anchor, "auto") != 0 && strcmp(anchor, "none") != 0 &&
        strcmp(anchor, "syslog") != 0 && anchor[0] != '/')
        problems_add(draft->problems, draft_line(section, "audit_anchor"),
                     "audit_anchor must be auto, none, syslog or the absolute path of a file");
}

static void check_global(struct draft *draft, const struct draft_section *section)
{
    check_vault_key(draft, section);
    check_web(draft, section);
    check_proxy(draft, section);
    check_anchor(draft, section);
    check_folders(draft);
}

/* ---- all ---- */

static void check_each(struct draft *draft, enum section_kind kind,
                       void (*check)(struct draft *draft, const struct draft_section *section))
{
    for (size_t i = 0; i < draft->section_count; i++)
        if (draft->sections[i]->kind == kind)
            check(draft, draft->sections[i]);
}

void check_providers(struct draft *draft)
{
    check_each(draft, SECTION_PROVIDER, check_provider);
}

void check_sections(struct draft *draft)
{
    check_providers(draft);
    check_each(draft, SECTION_ACCOUNT, check_account);
    check_each(draft, SECTION_LISTENER, check_listener);
    for (enum section_kind kind = 0; kind < SECTION_KIND_COUNT; kind++)
        check_each(draft, kind, check_served);
}

void check_draft(struct draft *draft)
{
    check_global(draft, draft->sections[0]);
    check_sections(draft);
    if (draft->config->listener_count == 0)
        problems_add(draft->problems, 0,
                     "has no listener; add [listen imap] with protocol = imap and "
                     "address = 127.0.0.1:1143");
}
