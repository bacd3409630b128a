/*
 * The commands of an IMAP client whose grant is read-only, judged one by one before their first
 * octet passes. A literal that the server may refuse is waited for as the client has to: what comes
 * behind a refusal is a command, and judged.
 */
#ifndef ECLUSE_MAIL_POLICY_IMAP_H
#define ECLUSE_MAIL_POLICY_IMAP_H

#include "mail/passage.h"
#include "mail/tap_line.h"

#define POLICY_HEAD_MAX    128u /* tag and verb */
#define POLICY_ANSWERS_MAX (16u * 1024)

/* Embedded. */
struct policy_imap {
    enum { POLICY_JUDGING, POLICY_PASSING, POLICY_SWALLOWING } state;
    bool takes_literals; /* the server knows those that are not waited for */
    bool waits_for_go_ahead;
    bool ends_in_cr;    /* the piece before */
    uint64_t literal;   /* octets of the client's still to come */
    char tag[33];       /* of the command in hand */
    struct buf head;    /* its beginning, until it is judged */
    struct buf tail;    /* the last octets of the line in hand */
    struct buf answers; /* of ours, to be said between two responses */
    /* the server */
    struct tap_line line;
    uint64_t server_literal;
    bool is_within_response;
};

void policy_imap_init(struct policy_imap *policy, struct slice capabilities);
void policy_imap_fini(struct policy_imap *policy);

/* The client's bytes: passes what is allowed, and returns how much was consumed. It stops behind
 * what has an answer of ours, which goes before what follows does. */
MUST_CHECK size_t policy_imap_feed(struct policy_imap *policy, struct passage *passage,
                                   struct slice bytes, const struct passage_sink *sink);
/* The server's bytes, before they pass. */
void policy_imap_see(struct policy_imap *policy, struct slice bytes);
/* The denial may be told of. */
void policy_imap_release(struct policy_imap *policy, struct passage *passage);

#endif
