/*
 * What the sections of an emailproxy.config come to here: a server is a listener, and with those of
 * the other protocols the endpoints of providers; a section that is named by a mail address is an
 * account. Whatever is served differently is a warning on its line.
 *
 * There, a section that is of no use harms nobody, and the sample that comes with the program is
 * full of them. So it is here: a server or an account that our checks refuse is left out, and a
 * warning says so with what is wrong. That is an error only where nothing remains to be served, or
 * where somebody's mailbox would be served by another section instead.
 *
 * There, the port that a client connects to decides which server it reaches; here, the account
 * does. With several servers of a protocol an account gets the one whose operator also runs its
 * token endpoint or its domain.
 */
#ifndef ECLUSE_CONF_EMAILPROXY_MAP_H
#define ECLUSE_CONF_EMAILPROXY_MAP_H

#include "conf/draft.h"
#include "conf/emailproxy_reader.h"

struct emailproxy_choice {
    const char *address;         /* this account only; NULL: all of them */
    const struct config *beside; /* names and addresses that are taken already; or NULL */
    bool opens_secrets;          /* sealed client secrets come, opened, into the config later */
};

/* Adds sections with the lines of the file to the draft, which is then checked as any other
 * (check_draft). The labels of accounts are made of their addresses. */
void emailproxy_map(const struct emailproxy_file *file, const struct emailproxy_choice *choice,
                    struct draft *draft);

/* What was read is mapped and checked; `name` is that of the file. ERR_CONFIG with NULL when there
 * is an error among the problems, also one of reading. The config borrows nothing; an account's
 * `line` is that of its section. */
MUST_CHECK int emailproxy_config(const struct emailproxy_file *file, const char *name,
                                 const struct config_surroundings *surroundings,
                                 const struct emailproxy_choice *choice, struct config **config_out,
                                 struct config_problems *problems);

#endif
