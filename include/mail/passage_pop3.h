/*
 * The passage of POP3 (RFC 1939, RFC 2449): answers are followed to their ends, and lists of
 * capabilities passed without STLS and SASL. Another login is answered here.
 */
#ifndef ECLUSE_MAIL_PASSAGE_POP3_H
#define ECLUSE_MAIL_PASSAGE_POP3_H

#include "mail/passage.h"

extern const struct passage_kind passage_pop3;

/* Does a success answer to this command have lines behind it, up to one with a dot alone? */
bool pop3_expects_lines(struct slice line);

/* "[AUTH] " and the like, or "" (RFC 2449 section 8.1.1, RFC 3206). */
const char *pop3_response_code(enum why why);

#endif
