/*
 * What the passages of POP3 and SMTP have in common: the client says commands of one line, the
 * server answers each of them in order. Lines are taken whole, looked up in a table, and passed on
 * or answered here; an answer of ours waits for its turn among the server's.
 *
 * What is in no table is not passed on, and answered here, too: behind another login it may be what
 * a client says without being asked for it, and nothing else tells such a line from a command.
 *
 * A command line is at most PASSAGE_LINE_MAX octets, and at most PASSAGE_ANSWERS_MAX commands may
 * be unanswered: the client waits then.
 */
#ifndef ECLUSE_MAIL_PASSAGE_LINES_H
#define ECLUSE_MAIL_PASSAGE_LINES_H

#include "base/buf.h"
#include "mail/passage.h"

#define PASSAGE_LINE_MAX    8192u
#define PASSAGE_ANSWERS_MAX 4096u

struct passage_lines;

/* A command; `verb` NULL ends the table and stands for all others. */
struct passage_command {
    const char *verb;
    /* What answer it gets: a number of the protocol's own, above PASSAGE_OWN_ANSWER an answer of
     * ours, and then the command is not passed on. */
    uint8_t answer;
    /* NULL, or a look at the line (without its end) behind the verb: gives the answer instead. */
    uint8_t (*judge)(struct passage_lines *lines, struct slice arguments);
    /* NULL, or what is said upstream in the place of the line. */
    const char *rewritten;
};

#define PASSAGE_OWN_ANSWER 128u

struct passage_lines_kind {
    const struct passage_command *commands;
    uint8_t login_answer;           /* to another login: one of ours */
    uint8_t control_answer;         /* to a line with control characters in it: likewise */
    const char *length_answer;      /* to one that is too long, with its line end */
    const char *const *own_answers; /* by number, less PASSAGE_OWN_ANSWER; with their line ends */
    /* Which rule of mail/policy.h an answer of ours stands for; NULL: none. */
    const char *(*rule)(uint8_t answer);
};

/* Embedded behind the struct passage of each. */
struct passage_lines {
    struct passage *passage;
    const struct passage_lines_kind *kind;
    struct buf line;      /* the start of a command that has not come whole */
    struct buf answers;   /* one octet for each command that is unanswered */
    bool waits;           /* no command is taken before the server has answered */
    uint8_t denied;       /* the answer to a command that waits for its release, or 0 */
    uint8_t exchange;     /* so many lines more may belong to a login that was answered here */
    bool is_within_reply; /* part of an answer was passed already */
};

void passage_lines_init(struct passage_lines *lines, struct passage *passage,
                        const struct passage_lines_kind *kind);
void passage_lines_fini(struct passage_lines *lines);

/* Takes commands until one makes the client wait or ends the passage. Returns what it consumed. */
MUST_CHECK size_t passage_lines_feed(struct passage_lines *lines, struct slice bytes,
                                     const struct passage_sink *sink);
/* The denied command may be answered. */
void passage_lines_release(struct passage_lines *lines, const struct passage_sink *sink);
/* An answer to come; for commands that are no line (the end of a message). */
void passage_lines_expect(struct passage_lines *lines, uint8_t answer);
/* What the server's next answer is to; 0 when it was not asked. */
uint8_t passage_lines_expected(const struct passage_lines *lines);
/* The server has given it: on to the next; answers of ours whose turn it is are said. */
void passage_lines_answered(struct passage_lines *lines, const struct passage_sink *sink);

#endif
