/*
 * The commands of a relayed IMAP client, looked at one by one before their first octet passes: what
 * would lead around us (another login, STARTTLS, COMPRESS) is swallowed and answered here, with its
 * literals, which nobody upstream is to see. Of a grant that is read-only each command is judged
 * besides (mail/policy.h), and nothing passes that a server might read in another way than we do.
 *
 * It follows framing only, and lends what passes from the bytes that it got: lines are found by
 * memchr, literals are skipped by their length. A literal that the server may refuse is waited for
 * as the client has to: what comes behind a refusal is a command.
 */
#ifndef ECLUSE_MAIL_COMMANDS_IMAP_H
#define ECLUSE_MAIL_COMMANDS_IMAP_H

#include "base/buf.h"
#include "mail/line_tail.h"
#include "mail/passage.h"
#include "mail/wire.h"

#define IMAP_COMMANDS_HEAD_MAX    128u /* tag and verb */
#define IMAP_COMMANDS_ANSWERS_MAX (16u * 1024)

/* Embedded; no memory of its own but while the beginning of a command, or an answer, waits. */
struct imap_commands {
    uint8_t state; /* private to the source */
    uint8_t own_answer;
    bool is_read_only;
    bool takes_literals; /* the server knows those that are not waited for */
    bool waits_for_go_ahead;
    bool ends_in_cr; /* read-only: the piece before */
    uint8_t tag_size;
    uint8_t matched;             /* of the server's response in hand; private too */
    char tag[WIRE_IMAP_TAG_MAX]; /* of the command in hand */
    uint64_t literal;            /* octets of it still to come */
    struct line_tail tail;       /* of the line in hand */
    struct buf head;             /* the beginning of a command, until it can be judged */
    struct buf answers;          /* of ours, to be said between two responses */
};

/* `capabilities`: the upstream's; borrowed during the call. */
void imap_commands_init(struct imap_commands *commands, bool is_read_only,
                        struct slice capabilities);
void imap_commands_fini(struct imap_commands *commands);

/* The client's bytes: passes what is allowed, and returns how much was consumed. It stops behind
 * what has an answer of ours, which goes before what follows does. */
MUST_CHECK size_t imap_commands_feed(struct imap_commands *commands, struct passage *passage,
                                     struct slice bytes, const struct passage_sink *sink);
/* While waits_for_go_ahead: the server's bytes, of one line, before they pass. `is_start`: of a
 * response. */
void imap_commands_see(struct imap_commands *commands, struct slice bytes, bool is_start);
/* The denial may be told of. */
void imap_commands_release(struct imap_commands *commands, struct passage *passage);

#endif
