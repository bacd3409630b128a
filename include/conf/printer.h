/*
 * A configuration back to text: the listeners, providers and accounts of it as sections that
 * conf/reader reads again. Options that have their default are left out, and so is [ecluse].
 */
#ifndef ECLUSE_CONF_PRINTER_H
#define ECLUSE_CONF_PRINTER_H

#include "base/buf.h"
#include "conf/config.h"

/* Appended to `out`. Secrets are left out unless `with_secrets`; a comment stands in their place.
 * ERR_SYNTAX: a value that a line of the file cannot hold (" ;" in it, blanks around it); the text
 * names section and key. ERR_FULL. */
MUST_CHECK int config_print(const struct config *config, bool with_secrets, struct buf *out,
                            struct err *err);

#endif
