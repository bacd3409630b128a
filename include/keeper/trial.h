/*
 * Does this access token, or this password of flow none, open the account's own mailbox? Asked of
 * the account's mail servers, IMAP before SMTP before POP3, or of one of them, by a login that does
 * nothing else.
 *
 * The keeper never sees a byte of mail: a process of its own, a fresh exec of this binary
 * (`ecluse try`), gets the one token and the names of the servers on its input, parses whatever
 * they say, and answers yes, no or unknown, with a reason and a text. It lives as long as that
 * takes, TRIAL_SECONDS at most.
 */
#ifndef ECLUSE_KEEPER_TRIAL_H
#define ECLUSE_KEEPER_TRIAL_H

#include "conf/config.h"
#include "net/loop.h"

#define TRIAL_SECONDS  120
#define TRIAL_TEXT_MAX 300u /* with its NUL */

enum trial_verdict {
    TRIAL_YES,    /* a server has let it in */
    TRIAL_NO,     /* every server that could be asked has refused it, and there was one */
    TRIAL_UNKNOWN /* none could be asked */
};

struct trial_answer {
    enum trial_verdict verdict;
    enum why why; /* it did not: NONE when YES */
    /* The host and what it said, or, when YES, how the login was done. Printable, and never the
     * token. */
    char text[TRIAL_TEXT_MAX];
};

struct trial;

/* `request` is one of trial_write_request, moved from. `on_done` is called exactly once unless
 * cancelled, never from within. */
struct trial *trial_start(struct loop *loop, struct secret *request,
                          void (*on_done)(void *owner, const struct trial_answer *answer),
                          void *owner);
/* Kills the process; the loop lives on until it is gone, which is at once. */
void trial_cancel(struct trial *trial);

/* ---- what the two processes say to each other, as text ---- */

/* What the process reads: JSON in one line, for as long as it takes a secret. It tries the token at
 * the account's server of that protocol (PROTOCOL_COUNT: at all of them) as the account's SASL
 * user. ERR_SYNTAX: a password that is no UTF-8, which JSON cannot carry. */
MUST_CHECK int trial_write_request(const struct config *config,
                                   const struct account_config *account, enum protocol only,
                                   const struct secret *token, struct secret *request_out);
#define TRIAL_REQUEST_MAX (64ul * 1024)

/* What it writes: a word for the verdict, one for the reason, the text, with blanks in between and
 * a line end. */
const char *trial_verdict_word(enum trial_verdict verdict);
/* Anything else is TRIAL_UNKNOWN, with a text of its own. */
void trial_read_answer(struct slice line, struct trial_answer *answer_out);

#endif
