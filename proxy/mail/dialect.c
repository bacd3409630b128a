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

bool dialect_split_line(struct slice bytes, struct unit *unit_out)
{
    struct slice rest = wire_trim_line_end(bytes);
    if (slice_has_control(rest))
        return false;
    unit_out->verb = wire_take_word(&rest);
    unit_out->arguments = rest;
    return true;
}

bool dialect_is_auth_line(struct slice line)
{
    return slice_is_ignoring_case(wire_take_word(&line), "AUTH");
}

void dialect_say_auth(struct engine *engine, const char *mechanism, const struct slice *initial)
{
    ENSURE(initial == NULL);
    engine_send_format(engine, SIDE_UPSTREAM, "AUTH %s\r\n", mechanism);
}

bool dialect_split_auth(struct slice arguments, struct auth_arguments *auth_out)
{
    *auth_out = (struct auth_arguments){.mechanism = wire_take_word(&arguments)};
    auth_out->has_initial = slice_next_word(&arguments, ' ', &auth_out->initial);
    return auth_out->mechanism.size > 0 && arguments.size == 0;
}
