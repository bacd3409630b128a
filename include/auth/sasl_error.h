/*
 * What a server says inside of SASL when it does not take a token (JSON; RFC 7628 section 3.2.2,
 * and XOAUTH2's likewise): for words to a human alone, since the tagged reply is what counts.
 */
#ifndef ECLUSE_AUTH_SASL_ERROR_H
#define ECLUSE_AUTH_SASL_ERROR_H

#include "base/slice.h"

/* " (status 400, it wants scope https://mail.google.com/)": printable, cut; "" when it says nothing
 * of the kind. */
void sasl_error_describe(struct slice challenge, char *out, size_t capacity);

#endif
