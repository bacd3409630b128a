/*
 * The passage of SMTP (RFC 5321) after the login: replies are followed, EHLO is said in our name
 * and its answer passed without what would lead around us, messages go through mail/data_framing.h.
 * Another login, STARTTLS and BDAT, whose chunks could not be mended, are answered here; so is a
 * message whose SIZE (RFC 1870) is more than the server takes, and a line that begins with a blank,
 * which servers read in different ways.
 */
#ifndef ECLUSE_MAIL_PASSAGE_SMTP_H
#define ECLUSE_MAIL_PASSAGE_SMTP_H

#include "mail/passage.h"

extern const struct passage_kind passage_smtp;

#endif
