/*
 * What of a value a level lets be written: itself, a pseudonym, or how long it was.
 */
#ifndef ECLUSE_AUDIT_REDACTION_H
#define ECLUSE_AUDIT_REDACTION_H

#include "base/record.h"
#include "base/secret.h"

#define REDACTION_TEXT_MAX (RECORD_TEXT_MAX + 64u)

/* False: values of this field are left out altogether. `verb` is that of the record's command,
 * empty for none. */
bool redaction_shows(enum audit_level level, struct slice verb, enum record_field field);

/* What is shown of a value that is no number; it may stand in `memory`. ERR_CRYPTO: nothing. */
MUST_CHECK int redaction_apply(enum audit_level level, const struct secret *pseudonym_key,
                               struct slice verb, const struct record_value *value,
                               char memory[REDACTION_TEXT_MAX], struct slice *text_out);

#endif
