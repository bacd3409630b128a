/*
 * The scrub: filters the header of a message that is submitted, line by line, before it is passed
 * on. The interface that the SMTP dialect's DATA will use; IMAP has no use for it.
 */
#ifndef ECLUSE_MAIL_SCRUB_H
#define ECLUSE_MAIL_SCRUB_H

#include "base/buf.h"

struct scrub_ops {
    void *(*open)(void);
    /* Takes bytes of the message; appends to *out what is to be sent of them. ERR_FULL: the caller
     * sends what is in *out and calls again with the rest, from *consumed_out on. */
    int (*feed)(void *scrub, struct slice bytes, size_t *consumed_out, struct buf *out);
    void (*close)(void *scrub);
};

#endif
