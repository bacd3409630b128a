/*
 * The upstream's replies before the login (RFC 5321 section 4.2): up to many lines of one code,
 * which the dialect's rules see one by one. The engine keeps their text, the code before it, until
 * the reply is whole.
 */
#ifndef ECLUSE_MAIL_DIALECT_SMTP_REPLY_H
#define ECLUSE_MAIL_DIALECT_SMTP_REPLY_H

#include "mail/dialect.h"

/* The verb of a line that is not the last of its reply is "more"; of the last one it is the code
 * where a rule knows it, else its class. False: no reply, or of another code than its lines before.
 */
bool smtp_reply_split(const struct engine *engine, struct slice bytes, struct unit *unit_out);
/* Rule action: keeps the line. */
bool smtp_reply_keep(struct engine *engine, const struct unit *unit);
/* The last line came: the login fails, and the client is told the whole reply. Returns false, as
 * rule actions do. */
bool smtp_reply_fail(struct engine *engine, const struct unit *unit, enum why why,
                     const char *text);

#endif
