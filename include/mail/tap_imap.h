/*
 * The tap of IMAP, shared by its files and by nobody else: tap_imap.c follows the client,
 * tap_imap_server.c the server, tap_imap_record.c says what a command that was answered did.
 */
#ifndef ECLUSE_MAIL_TAP_IMAP_H
#define ECLUSE_MAIL_TAP_IMAP_H

#include "mail/tap_internal.h"

enum tap_imap_kind {
    TAP_IMAP_SELECT = 1,
    TAP_IMAP_UNSELECT,
    TAP_IMAP_CLOSE,
    TAP_IMAP_APPEND,
    TAP_IMAP_FETCH,
    TAP_IMAP_STORE,
    TAP_IMAP_COPY,
    TAP_IMAP_MOVE,
    TAP_IMAP_EXPUNGE,
    TAP_IMAP_IDLE,
    TAP_IMAP_AUTHENTICATE,
    TAP_IMAP_COMPRESS
};

/* What the server said since the last answer. */
struct tap_imap_seen {
    struct tap_ranges fetched; /* by UID where it is said */
    uint64_t fetched_count, fetched_bytes;
    uint64_t expunged_count;
    char vanished[TAP_RANGES_MAX]; /* UIDs, as the server writes them */
    size_t vanished_size;
};

struct imap_tap {
    struct tap tap;

    /* the client */
    struct tap_command *current; /* has not come whole; NULL: none, or one that is not followed */
    bool is_within_command;
    uint64_t client_literal;     /* octets of a literal still to come */
    bool client_literal_is_kept; /* it is a name */
    bool waits_for_go_ahead;     /* a literal was announced that the server may refuse */
    bool is_in_exchange;         /* the next line answers a "+" of IDLE or AUTHENTICATE */

    /* the server */
    uint64_t server_literal;
    bool is_within_response;
    bool response_is_fetch;
    struct tap_imap_seen *seen; /* NULL: nothing */

    struct buf mailbox; /* that is selected; empty: none */
    bool is_read_only;
    bool has_deleted; /* something was marked \Deleted in it */
};

struct imap_tap *tap_imap_self(struct tap *tap);
/* Of what is to be remembered until then. */
struct tap_imap_seen *tap_imap_see(struct imap_tap *self);
void tap_imap_feed_server(struct tap *tap, struct slice *rest);
/* The command was answered: its records, less its own. `words` is what stands behind the status. */
void tap_imap_tell(struct imap_tap *self, const struct tap_command *command, struct slice status,
                   struct slice words);

#endif
