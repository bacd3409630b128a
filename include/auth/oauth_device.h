/*
 * The device authorization grant (RFC 8628): a code that the user types in on another device, while
 * the token endpoint is asked again and again.
 */
#ifndef ECLUSE_AUTH_OAUTH_DEVICE_H
#define ECLUSE_AUTH_OAUTH_DEVICE_H

#include "auth/oauth.h"

#define OAUTH_DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"

struct oauth_device {
    struct secret device_code;
    char *user_code;        /* printable */
    char *verification_uri; /* https */
    char *complete_uri;     /* the same with the code in it, https; or NULL */
    int64_t expires_in;     /* seconds, 1 to 1800 */
    int64_t interval;       /* seconds, 1 to 60; 5 when the answer has none */
    unsigned unanswered;    /* polls in a row */
};

/* Of status 200. ERR_SYNTAX: no such answer; *device_out is all zero then. A complete URI that is
 * no https URL is left out. */
MUST_CHECK int oauth_read_device(struct slice body, struct oauth_device *device_out);
void oauth_device_clear(struct oauth_device *device);

enum oauth_poll {
    OAUTH_POLL_GRANTED,
    OAUTH_POLL_WAIT,       /* authorization_pending; also what passes by itself: 5xx */
    OAUTH_POLL_SLOWER,     /* slow_down: from here on five seconds more */
    OAUTH_POLL_UNANSWERED, /* the connection was lost, or timed out; of no answer */
    OAUTH_POLL_EXPIRED,
    OAUTH_POLL_FAILED /* refused, by the user or the provider */
};

/* What the token endpoint's answer to a poll comes to. */
enum oauth_poll oauth_poll_of(const struct oauth_answer *answer);

/* Seconds until the next poll, after one that has come to WAIT, SLOWER or UNANSWERED (RFC 8628
 * section 3.5): the interval, which SLOWER makes longer for good; twice as long for each UNANSWERED
 * in a row, a minute at most unless the interval is longer. */
MUST_CHECK int64_t oauth_device_pause(struct oauth_device *device, enum oauth_poll poll);

#endif
