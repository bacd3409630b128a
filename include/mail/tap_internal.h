/*
 * What the taps of the three protocols have in common: the commands that are unanswered, and how
 * their records are made. Private to proxy/mail/tap*.c.
 */
#ifndef ECLUSE_MAIL_TAP_INTERNAL_H
#define ECLUSE_MAIL_TAP_INTERNAL_H

#include "base/list.h"
#include "mail/tap.h"
#include "mail/tap_line.h"

/* A row of a protocol's table; the last one, with a name, stands for commands that are not known.
 */
struct tap_verb {
    const char *word; /* as it stands in the command; NULL in the last row */
    const char *name; /* for the record */
    uint8_t kind;     /* of the protocol's own; 0: nothing but a command */
    bool is_secret;   /* its arguments may be a login */
    bool keeps_text;  /* its arguments are needed for a record */
};

#define TAP_PLAIN(word)                                                                            \
    {                                                                                              \
        word, word, 0, false, false                                                                \
    }
#define TAP_KIND(word, kind)                                                                       \
    {                                                                                              \
        word, word, kind, false, false                                                             \
    }
#define TAP_KEPT(word, kind)                                                                       \
    {                                                                                              \
        word, word, kind, false, true                                                              \
    }
#define TAP_SECRET(word, kind)                                                                     \
    {                                                                                              \
        word, word, kind, true, false                                                              \
    }
#define TAP_OTHERS                                                                                 \
    {                                                                                              \
        NULL, "other", 0, false, false                                                             \
    }

/* One that is unanswered. */
struct tap_command {
    struct list node;
    const struct tap_verb *verb;
    uint64_t number;
    uint64_t began; /* steady nanoseconds */
    uint64_t client_bytes, literal_bytes;
    uint64_t name_bytes; /* of the literal that is a name */
    unsigned literals;
    struct slice text; /* arguments, in the memory behind the struct */
    size_t text_size;  /* for which there is room */
    uint8_t tag_size;
    bool has_text; /* POP3: a success has lines behind it */
    bool is_uid;
    bool is_hasty; /* IMAP: a literal of it came before the server could refuse it */
    bool is_ended; /* IDLE: by DONE */
    char tag[32];  /* IMAP */
};

struct tap_kind {
    void (*feed_client)(struct tap *tap, struct slice *rest);
    /* Stops when an answer is awaited. */
    void (*feed_upstream)(struct tap *tap, struct slice *rest);
    /* A command is not answered; may be NULL. True: a record of its own was told in the place of
     * the command's. */
    bool (*abandon)(struct tap *tap, const struct tap_command *command, enum why why);
    void (*free)(struct tap *tap);
};

struct tap {
    const struct tap_kind *kind;
    struct tap_settings settings;
    struct list commands; /* oldest first */
    size_t command_count, text_size;
    uint64_t number;       /* of commands so far */
    uint64_t client_bytes; /* of the line in hand */
    uint64_t server_bytes; /* since the answer before */
    struct tap_line client_line, server_line;
    bool is_off;
    bool is_awaited; /* the answer that was just told of */
    /* during a call */
    struct tap_time now;
    const struct tap_sink *sink;
};

void tap_init(struct tap *tap, const struct tap_kind *kind, const struct tap_settings *settings);

/* The row of a word, or the last one. */
const struct tap_verb *tap_find_verb(const struct tap_verb *verbs, struct slice word);
/* The first line of a command was read; `goes_on`: it is not the last. NULL: there are too many
 * that are unanswered. */
struct tap_command *tap_begin(struct tap *tap, const struct tap_verb *verb, struct slice arguments,
                              bool goes_on);
/* More of its arguments, as far as there is room. */
void tap_add_text(struct tap_command *command, struct slice more);
void tap_forget(struct tap *tap, struct tap_command *command);
/* The oldest, or NULL. */
struct tap_command *tap_first(const struct tap *tap);

/* A record about a command, with its number. */
void tap_record_init(const struct tap *tap, struct record *record, enum record_action action,
                     const struct tap_command *command, bool is_success);
void tap_tell(struct tap *tap, const struct record *record);
/* The last of those that an answer makes. `is_awaited`: whatever the settings say. */
void tap_tell_last(struct tap *tap, const struct record *record, bool is_awaited);
/* The command's own record, which is the last; forgets the command. */
void tap_answer(struct tap *tap, struct tap_command *command, struct slice status, bool is_success);
/* Tells of a command that is not followed to its answer, and forgets it. */
void tap_abandon(struct tap *tap, struct tap_command *command, enum why why);
/* Of one that has no struct: it was counted already. */
void tap_tell_unfollowed(struct tap *tap, const struct tap_verb *verb, const char *reason);
/* From here nothing is told. `text` lives as long as the program. */
void tap_turn_off(struct tap *tap, enum why why, const char *text);

/* Numbers that mostly follow one another, as "1:3,7". All zero at the start. */
#define TAP_RANGES_MAX 200u

struct tap_ranges {
    char text[TAP_RANGES_MAX];
    size_t size;
    uint64_t first, last, count;
    bool is_cut; /* there are more than are named */
};

void tap_ranges_add(struct tap_ranges *ranges, uint64_t number);
/* Adds FIELD_MESSAGE_UIDS and FIELD_MESSAGE_COUNT. */
void tap_ranges_tell(struct tap_ranges *ranges, struct record *record);

struct tap *tap_imap_open(const struct tap_settings *settings);
struct tap *tap_pop3_open(const struct tap_settings *settings);
struct tap *tap_smtp_open(const struct tap_settings *settings);

#endif
