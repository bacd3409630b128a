/*
 * Happy path: one Host that is ours, no Origin or our own, GET, the path.
 *
 * Failures: each has its status, the first of them in this order counts. An Origin "null" is none:
 * browsers say so behind a redirect from another site. Of several, each has to be ours.
 */
#include "auth/redirect_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void redirect_request_begin(struct redirect_request *request, const char *path, uint16_t port)
{
    *request = (struct redirect_request){.path = path, .port = port};
}

/* The redirect's own host, or what else loopback is called: at our port in any case. */
static bool is_our_host(const struct redirect_request *request, const char *value)
{
    static const char *const names[] = {"127.0.0.1", "[::1]", "localhost"};
    char expected[64];
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        snprintf(expected, sizeof(expected), "%s:%u", names[i], (unsigned)request->port);
        if (strcasecmp(value, expected) == 0)
            return true;
    }
    return false;
}

static bool is_our_origin(const struct redirect_request *request, const char *value)
{
    static const char scheme[] = "http://";
    return strncmp(value, scheme, sizeof(scheme) - 1) == 0 &&
           is_our_host(request, value + sizeof(scheme) - 1);
}

void redirect_request_field(struct redirect_request *request, const char *name, const char *value)
{
    if (strcasecmp(name, "Host") == 0) {
        request->hosts++;
        request->host_is_ours = is_our_host(request, value);
    } else if (strcasecmp(name, "Origin") == 0 && strcmp(value, "null") != 0 &&
               !is_our_origin(request, value)) {
        request->is_foreign = true;
    }
}

enum redirect_status redirect_request_judge(const struct redirect_request *request,
                                            const char *method, const char *target,
                                            struct slice *query_out)
{
    struct slice whole = slice_of_string(target);
    struct slice path = slice_take(whole, slice_find(whole, '?'));
    *query_out = SLICE_NONE;
    if (request->hosts != 1 || !request->host_is_ours)
        return REDIRECT_MALFORMED;
    if (request->is_foreign)
        return REDIRECT_FOREIGN;
    if (strcmp(method, "GET") != 0)
        return REDIRECT_METHOD;
    if (!slice_is(path, request->path))
        return REDIRECT_ELSEWHERE;
    *query_out = slice_skip(whole, path.size + 1);
    return REDIRECT_TAKEN;
}
