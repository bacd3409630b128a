/*
 * What an account of an emailproxy.config has: its own keys and, where that program serves
 * catch-all accounts, what [alice@mail.test] lacks from [@mail.test], then from [@]. A token is
 * nobody else's.
 */
#ifndef ECLUSE_CONF_EMAILPROXY_LOOK_UP_H
#define ECLUSE_CONF_EMAILPROXY_LOOK_UP_H

#include "conf/emailproxy_reader.h"

/* The section's own, of [DEFAULT], or inherited. NULL when there is none, or it is empty. */
const struct emailproxy_pair *emailproxy_look_up(const struct emailproxy_file *file,
                                                 const struct emailproxy_section *section,
                                                 const char *key);
/* False when it is no word for either. */
bool emailproxy_boolean(const char *text, bool *value_out);
/* allow_catch_all_accounts */
bool emailproxy_has_catch_all(const struct emailproxy_file *file);

/* The address that an account of ours has for the section, its domain in lower case: [@mail.test]
 * serves everybody there, "*@mail.test", and [@] everybody, "*@*". ENSURE: its name has an '@'. For
 * mem_free. */
char *emailproxy_address(const struct emailproxy_section *section);
/* ENSURE: the account has been made of a section of the file. */
const struct emailproxy_section *emailproxy_section_of(const struct emailproxy_file *file,
                                                       const struct account_config *account);

#endif
