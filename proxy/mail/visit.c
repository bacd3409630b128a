/*
 * IMAP: LIST with an empty name asks for the hierarchy delimiter alone (RFC 3501 section 6.3.8);
 * CAPABILITY and NOOP are answered without a mailbox. POP3 and SMTP have NOOP.
 */
#include "mail/visit.h"

#define TAG "v1"

static const struct visit visits[] = {
    [PROTOCOL_IMAP] = {TAG " LIST \"\" \"\"\r\n", "v2 LOGOUT\r\n"},
    [PROTOCOL_POP3] = {"NOOP\r\n", "QUIT\r\n"},
    [PROTOCOL_SMTP] = {"NOOP\r\n", "QUIT\r\n"},
};

const struct visit *visit_of(enum protocol protocol)
{
    ENSURE((size_t)protocol < LENGTH_OF(visits));
    return &visits[protocol];
}

static enum visit_answer read_imap(struct slice line)
{
    if (slice_starts_with_ignoring_case(line, TAG " OK"))
        return VISIT_YES;
    if (slice_starts_with(line, "* ") && !slice_starts_with_ignoring_case(line, "* BYE"))
        return VISIT_MORE;
    return VISIT_NO;
}

static enum visit_answer read_smtp(struct slice line)
{
    if (line.size > 3 && line.data[3] == '-')
        return VISIT_MORE;
    return slice_starts_with(line, "2") ? VISIT_YES : VISIT_NO;
}

enum visit_answer visit_read(enum protocol protocol, struct slice line)
{
    switch (protocol) {
    case PROTOCOL_IMAP:
        return read_imap(line);
    case PROTOCOL_POP3:
        return slice_starts_with_ignoring_case(line, "+OK") ? VISIT_YES : VISIT_NO;
    case PROTOCOL_SMTP:
        return read_smtp(line);
    case PROTOCOL_COUNT:
        break;
    }
    return VISIT_NO;
}
