/*
 * APOP (RFC 1939 section 7), the server side: instead of a password the client sends the MD5 of the
 * greeting's timestamp and the password. A gate passes it on as
 *
 *     timestamp NUL user NUL digest        <1896.697170952@localhost> … 32 lower-case hex digits
 */
#ifndef ECLUSE_AUTH_APOP_H
#define ECLUSE_AUTH_APOP_H

#include "base/err.h"
#include "base/secret.h"

#define APOP_TIMESTAMP_MAX 128u
#define APOP_DIGEST_SIZE   16u

struct apop {
    struct slice timestamp; /* with its angle brackets */
    struct slice user;
    uint8_t digest[APOP_DIGEST_SIZE];
};

/* What is read is borrowed from `bytes`. ERR_SYNTAX: not of this form. Whether the user is one is
 * not asked here. */
MUST_CHECK int apop_read(struct slice bytes, struct apop *apop_out);

/* Takes the same time for every digest. False when MD5 cannot be had. */
bool apop_matches(const struct apop *apop, const struct secret *password);

#endif
