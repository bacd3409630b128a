/*
 * What a narrow grant allows of a relayed session: one that is read-only changes nothing, one that
 * has senders sends as them alone. The passages ask, answer what is denied in their protocol's
 * words, and the server never sees it.
 *
 * Read-only is a list of what may be said, not of what may not: a server may know commands that we
 * do not.
 */
#ifndef ECLUSE_MAIL_POLICY_H
#define ECLUSE_MAIL_POLICY_H

#include "base/slice.h"

#define POLICY_READ_ONLY "read-only" /* the rules' names, for records and answers */
#define POLICY_FROM      "from"

enum policy_verdict {
    POLICY_PASS,
    POLICY_EXAMINE, /* IMAP's SELECT, in whose place EXAMINE is said */
    POLICY_DENY
};

/* A command of IMAP to a read-only grant; `second` is the word behind UID. */
enum policy_verdict policy_judge_imap(struct slice verb, struct slice second);

/* The arguments of MAIL against a list of addresses separated by spaces. What is between the
 * brackets has to be one of them to the letter, but for the case of its domain: the server must not
 * be able to read it in another way. */
bool policy_allows_sender(const char *senders, struct slice arguments);

#endif
