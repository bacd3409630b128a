/*
 * The tap: sees both directions of a relayed session pass, on the upstream's side of the passage,
 * and tells what happened as records: each command with its answer, messages that were sent,
 * fetched, deleted, appended, flags that were changed. It follows framing only: lines are read as
 * far as their beginning, literals and bodies skipped by length or to their dot.
 *
 * It alters nothing and keeps no octet that is to pass. However the bytes are cut, the records are
 * the same. A command is told of when it is answered, or when the session ends. A stream that it
 * cannot follow turns it off, with a record that says so.
 *
 * What a login may hold is never told: no arguments of AUTHENTICATE, LOGIN, AUTH, USER, PASS and
 * APOP, of commands that are not known, nor literals; no line of an exchange.
 *
 * Memory: none of its own between two commands but for the name of the mailbox. At most
 * TAP_COMMANDS_MAX commands are followed at once, with TAP_TEXT_MAX octets of arguments together;
 * of more, the arguments are left out, and an IMAP command is told of without its answer.
 */
#ifndef ECLUSE_MAIL_TAP_H
#define ECLUSE_MAIL_TAP_H

#include "base/record.h"
#include "mail/engine.h"

#define TAP_COMMANDS_MAX 4096u
#define TAP_TEXT_MAX     (128u * 1024)

struct tap;

struct tap_settings {
    enum protocol protocol;
    bool wants_arguments;
    bool awaits_each; /* every answer waits for its records, not only that to a message sent */
};

struct tap_time {
    uint64_t wall;   /* microseconds */
    uint64_t steady; /* nanoseconds: for how long something took */
};

/* Called any number of times from within the functions below. `is_awaited`: this and all records
 * before it must be on disk before the client may have the octets that tap_feed consumes now. */
struct tap_sink {
    void (*record)(void *owner, const struct record *record, bool is_awaited);
    void *owner;
};

struct tap *tap_open(const struct tap_settings *settings);
/* NULL is fine. */
void tap_close(struct tap *tap);

/* Bytes in the order in which they pass. Of the client all are consumed; of the upstream all, or up
 * to the end of the answer whose record is awaited. */
MUST_CHECK size_t tap_feed(struct tap *tap, enum side from, struct slice bytes, struct tap_time now,
                           const struct tap_sink *sink);
/* The session is over: tells of what was not answered. */
void tap_finish(struct tap *tap, enum why why, struct tap_time now, const struct tap_sink *sink);

/* Of the last call of tap_feed: it ended with an answer whose record is awaited. */
bool tap_is_awaited(const struct tap *tap);
bool tap_is_off(const struct tap *tap);
/* Commands so far. */
uint64_t tap_count(const struct tap *tap);

#endif
