/*
 * The passage of IMAP: the client's bytes less the commands that are answered here
 * (mail/commands_imap.h), the server's less the capabilities that are hidden
 * (mail/capability_filter.h).
 */
#ifndef ECLUSE_MAIL_PASSAGE_IMAP_H
#define ECLUSE_MAIL_PASSAGE_IMAP_H

#include "mail/capability_filter.h"
#include "mail/passage.h"

extern const struct passage_kind passage_imap;
extern const struct capability_rule passage_imap_capabilities;

/* Of what the server can do, what the client is not to know. */
bool imap_hides_capability(struct slice capability);

#endif
