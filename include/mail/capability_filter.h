/*
 * Hides capabilities in what the upstream says after the login: a client that asks again must not
 * be told of what would lead around us (COMPRESS, referrals, another login). Everything else passes
 * as it is, octet for octet.
 *
 * It follows framing only: lines are found by memchr, literals are skipped by their length. Only a
 * line that begins like a capability reply is held back, until its end has come, and never more
 * than CAPABILITY_LINE_MAX of it: a longer one passes as it is. A stream that it cannot follow
 * (compressed in spite of all, a text that ends in braces) passes unaltered.
 */
#ifndef ECLUSE_MAIL_CAPABILITY_FILTER_H
#define ECLUSE_MAIL_CAPABILITY_FILTER_H

#include "base/buf.h"
#include "mail/line_tail.h"

#define CAPABILITY_LINE_MAX 8192

struct capability_rule {
    const char *prefix; /* of the reply: "* CAPABILITY " */
    bool (*is_hidden)(struct slice capability);
};

/* Embedded; no memory of its own but while a line is held back. */
struct capability_filter {
    const struct capability_rule *rule;
    struct buf held;       /* the start of a capability reply */
    uint64_t literal_left; /* octets of a literal still to come */
    struct line_tail tail; /* of the line in hand */
    bool is_within_line;
};

void capability_filter_init(struct capability_filter *filter, const struct capability_rule *rule);
void capability_filter_fini(struct capability_filter *filter);

/* Gives what is to be passed on, in order, by any number of calls of `pass` from within; the slices
 * are valid during the call. */
void capability_filter_feed(struct capability_filter *filter, struct slice bytes,
                            void (*pass)(void *owner, struct slice bytes), void *owner);
/* Is the stream where a response begins, with nothing held back? */
bool capability_filter_is_between_lines(const struct capability_filter *filter);
/* What is held back when the stream ends. */
struct slice capability_filter_rest(const struct capability_filter *filter);

#endif
