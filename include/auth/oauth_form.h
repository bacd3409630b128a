/*
 * application/x-www-form-urlencoded (RFC 6749 appendix B): the body of a request, and the query of
 * a URL.
 */
#ifndef ECLUSE_AUTH_OAUTH_FORM_H
#define ECLUSE_AUTH_OAUTH_FORM_H

#include "base/buf.h"

/* ERR_FULL. */
MUST_CHECK int oauth_form_encode(struct buf *out, struct slice value);
/* "name=value", with an ampersand before it unless `out` is empty. */
MUST_CHECK int oauth_form_add(struct buf *out, const char *name, struct slice value);
/* '+' and %HH; appends. ERR_SYNTAX: a '%' without two hexadecimal digits. ERR_FULL. */
MUST_CHECK int oauth_form_decode(struct slice text, struct buf *out);

#endif
