/*
 * The policy: may hold a command of a relayed session back, for grants that are read-only and the
 * like. The interface that the relay will ask for each command that the tap finds; no rule exists
 * in this version, and grants that would need one are refused when they are made.
 */
#ifndef ECLUSE_MAIL_POLICY_H
#define ECLUSE_MAIL_POLICY_H

#include "mail/tap.h"

enum policy_verdict { POLICY_PASS, POLICY_DENY };

struct policy_ops {
    /* Before the command's first octet is passed on. Denied: the dialect says no in its own words,
     * and the upstream never sees the command. */
    enum policy_verdict (*judge)(const void *grant, const struct tap_event *command);
};

#endif
