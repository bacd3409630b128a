/*
 * The checks that need more than one value, and the fields that are worked out of the options
 * (endpoints, addresses, networks, provider_row, the folders' defaults). Each adds to the problems.
 */
#ifndef ECLUSE_CONF_CHECK_H
#define ECLUSE_CONF_CHECK_H

#include "conf/draft.h"

/* SASL mechanisms that can be named for a provider, by what they log in with. */
#define MECHANISMS_WITH_TOKEN    "OAUTHBEARER XOAUTH2"
#define MECHANISMS_WITH_PASSWORD "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"

/* All of the below over the whole draft. */
void check_draft(struct draft *draft);
/* The same for sections that are to be added to a configuration that has [ecluse] and a listener of
 * its own. */
void check_sections(struct draft *draft);

/* Every provider of the draft, and nothing else. */
void check_providers(struct draft *draft);

/* One section each; the others of the draft must have been read. Providers come before accounts,
 * accounts before listeners: a later one looks at what an earlier one worked out. */
void check_provider(struct draft *draft, const struct draft_section *section);
void check_account(struct draft *draft, const struct draft_section *section);
void check_listener(struct draft *draft, const struct draft_section *section);
/* Refuses what the grammar knows and this version does not do. */
void check_served(struct draft *draft, const struct draft_section *section);

/* A part of a URL: letters, digits, '.' and '-'. */
bool tenant_is_valid(const char *tenant);
bool mechanism_takes_token(const char *name);
bool mechanism_takes_password(const char *name);

/* state_dir and runtime_dir, when the file does not name them. */
void check_folders(struct draft *draft);

#endif
