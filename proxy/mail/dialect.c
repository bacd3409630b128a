#include "mail/dialect.h"

/* Each in a file of its own, dialect_NAME.c. */
extern const struct dialect dialect_imap;

const struct dialect *dialect_of(enum protocol protocol)
{
    static const struct dialect *const dialects[PROTOCOL_COUNT] = {
        [PROTOCOL_IMAP] = &dialect_imap,
    };
    ENSURE(protocol < PROTOCOL_COUNT);
    return dialects[protocol];
}
