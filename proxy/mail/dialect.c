#include "mail/dialect.h"

/* Each in a file of its own, dialect_NAME.c. */
extern const struct dialect dialect_imap, dialect_pop3, dialect_smtp;

const struct dialect *dialect_of(enum protocol protocol)
{
    static const struct dialect *const dialects[PROTOCOL_COUNT] = {
        [PROTOCOL_IMAP] = &dialect_imap,
        [PROTOCOL_POP3] = &dialect_pop3,
        [PROTOCOL_SMTP] = &dialect_smtp,
    };
    ENSURE(protocol < PROTOCOL_COUNT);
    return dialects[protocol];
}
