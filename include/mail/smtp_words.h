/*
 * Words of SMTP (RFC 5321) that its dialect and its passage share.
 */
#ifndef ECLUSE_MAIL_SMTP_WORDS_H
#define ECLUSE_MAIL_SMTP_WORDS_H

#include "base/slice.h"
#include "base/terms.h"

/* By which name we call ourselves: the machine's own concerns nobody. */
#define SMTP_EHLO "EHLO [127.0.0.1]\r\n"
#define SMTP_HELO "HELO [127.0.0.1]\r\n"

/* Of the lines of an EHLO reply, those that clients are not to know. */
bool smtp_hides_extension(struct slice line);
/* "454 4.7.0" and the like: code and enhanced code (RFC 3463, RFC 4954) of a failed login, and of
 * last words. */
const char *smtp_failure_code(enum why why);
const char *smtp_bye_code(enum why why);

/* A reply line "250-text" or "250 text" (without its end). False: it is none (RFC 5321 section
 * 4.2). */
bool smtp_read_reply(struct slice line, unsigned *code_out, bool *is_last_out,
                     struct slice *text_out);

#endif
