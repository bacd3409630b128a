/*
 * What a browser asks for at the end of a sign-in (RFC 8252 section 7.3), or what somebody else
 * sends there: is it the redirect, and if not, what is it told. Pages of other origins, other names
 * for our address (DNS rebinding), other methods and other paths are not.
 */
#ifndef ECLUSE_AUTH_REDIRECT_REQUEST_H
#define ECLUSE_AUTH_REDIRECT_REQUEST_H

#include "base/slice.h"

/* By their numbers in HTTP. */
enum redirect_status {
    REDIRECT_TAKEN = 200,
    REDIRECT_MALFORMED = 400, /* not one Host, or not ours */
    REDIRECT_FOREIGN = 403,   /* a page of another origin asks */
    REDIRECT_ELSEWHERE = 404,
    REDIRECT_METHOD = 405,
};

struct redirect_request {
    const char *path; /* of the redirect URI; borrowed */
    uint16_t port;    /* ours */
    unsigned hosts;   /* fields "Host" so far */
    bool host_is_ours;
    bool is_foreign;
};

void redirect_request_begin(struct redirect_request *request, const char *path, uint16_t port);
/* Each field of its head, in whatever order. */
void redirect_request_field(struct redirect_request *request, const char *name, const char *value);
/* Behind all of them; the target as it was sent. When taken, what stood behind the '?' is in
 * *query_out, part of the target. */
enum redirect_status redirect_request_judge(const struct redirect_request *request,
                                            const char *method, const char *target,
                                            struct slice *query_out);

#endif
