/*
 * A value of an option, from its text to its field and back to nothing.
 */
#ifndef ECLUSE_CONF_VALUE_H
#define ECLUSE_CONF_VALUE_H

#include "base/err.h"
#include "conf/table.h"

/*
 * Reads `text` by the option's type into its field of `target` (the section's struct), replacing
 * what was there. An empty text is right only where the default is empty too. `home` may be NULL.
 * ERR_SYNTAX leaves the field as it was; its text says what is allowed and never shows a secret.
 */
MUST_CHECK int value_set(const struct option *option, void *target, const char *text,
                         const char *home, struct err *err);
/* Frees, and wipes a secret; the field is then all zero. */
void value_clear(const struct option *option, void *target);

/* An absolute path for mem_free, "~/" replaced by `home`; NULL with *err. */
char *path_expand(const char *text, const char *home, struct err *err);

#endif
