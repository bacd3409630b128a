/*
 * What a relayed session passes, and how. Once the login is over every octet goes through the
 * passage of its protocol. It follows framing only, and passes what it gets on in the same turn, as
 * it is but for this: capabilities that would lead around us are hidden, commands that would do so
 * (another login, STARTTLS) are answered here, and the content of a message that is submitted has
 * CRLF for its line ends.
 *
 * A passage may keep the client's bytes waiting, where what they are depends on the server's
 * answer: what passage_feed did not consume stays with the owner, who feeds it again whenever the
 * server has said something. The server's bytes are always consumed.
 *
 * Where a grant is narrow (mail/policy.h), what it does not allow is told to the owner and answered
 * here, behind passage_release if the owner wants that; the client waits until then.
 *
 * However the bytes are cut, what is passed is the same. A passage has no memory that a peer can
 * make grow beyond the maxima of its protocol.
 */
#ifndef ECLUSE_MAIL_PASSAGE_H
#define ECLUSE_MAIL_PASSAGE_H

#include "mail/engine.h"

struct passage_settings {
    struct slice capabilities; /* of the upstream, in the dialect's own form; borrowed */
    bool rejects_bare_newline; /* SMTP: a message with one is refused, not mended */
    bool is_read_only;         /* nothing is changed, nothing sent */
    const char *senders;       /* SMTP: separated by spaces; NULL or "": anybody. Borrowed */
};

/* Where bytes go; called any number of times from within the functions below. */
struct passage_sink {
    void (*pass)(void *owner, enum side to, struct slice bytes); /* borrowed during the call */
    /* Only of a narrow grant: the command `verb` breaks the rule. True: its answer is to wait for
     * passage_release. */
    bool (*deny)(void *owner, const char *rule, struct slice verb);
    void *owner;
};

/* Embedded as the first member of each protocol's own. */
struct passage {
    const struct passage_kind *kind;
    bool content_is_due; /* the client is sending a message: it may not take its time */
    bool verdict_is_due; /* all of it was passed, and the server has not answered */
    bool awaits_release; /* a command was denied, and its answer waits */
    bool is_over;        /* nothing more passes: the owner ends the session, with this: */
    enum why why;
    const char *text;
};

/* What a dialect gives. */
struct passage_kind {
    struct passage *(*open)(const struct passage_settings *settings);
    void (*close)(struct passage *passage);
    size_t (*feed)(struct passage *passage, enum side from, struct slice bytes,
                   const struct passage_sink *sink);
    void (*finish)(struct passage *passage, const struct passage_sink *sink);
    void (*say_bye)(struct passage *passage, enum why why, const char *text,
                    const struct passage_sink *sink);
    void (*release)(struct passage *passage, const struct passage_sink *sink);
    uint64_t (*due)(struct passage *passage); /* NULL: it is never known */
};

void passage_close(struct passage *passage);
/* Returns how many octets were consumed; look at `is_over` afterwards. */
MUST_CHECK size_t passage_feed(struct passage *passage, enum side from, struct slice bytes,
                               const struct passage_sink *sink);
/* Octets of a literal that the server has announced and has still to send. 0: it is not known what
 * comes. */
uint64_t passage_due(struct passage *passage);
/* The server has ended: passes on what was held back of its last words. */
void passage_finish(struct passage *passage, const struct passage_sink *sink);
/* Tells the client why its session ends, if that can be understood where the stream is. */
void passage_say_bye(struct passage *passage, enum why why, const char *text,
                     const struct passage_sink *sink);

/* The answer that waits may be said; then what was not consumed of the client's bytes is fed again.
 * Fine when none waits. */
void passage_release(struct passage *passage, const struct passage_sink *sink);

/* For passages: ends it. `text` lives as long as the program. */
void passage_end(struct passage *passage, enum why why, const char *text);

#endif
