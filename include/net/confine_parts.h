/*
 * Private to proxy/net/confine*.c. Both: 0, with what there is in the result, or ERR_SYSTEM.
 */
#ifndef ECLUSE_NET_CONFINE_PARTS_H
#define ECLUSE_NET_CONFINE_PARTS_H

#include "net/confine.h"

/* A build with sanitizers reads files to name functions, and stops its own threads to look for
 * leaks: those may do that, and nothing else in addition. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif
#if !defined(CONFINE_SANITIZED) && defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZED 1
#endif

MUST_CHECK int confine_files(const struct confinement *confinement,
                             struct confine_result *result_out, struct err *err);
MUST_CHECK int confine_calls(enum confine_role role, struct confine_result *result_out,
                             struct err *err);

#endif
