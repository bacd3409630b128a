/*
 * What happens to tokens and local passwords, as records of the audit journal. A journal that is
 * NULL writes nothing down.
 */
#ifndef ECLUSE_KEEPER_JOURNAL_NOTES_H
#define ECLUSE_KEEPER_JOURNAL_NOTES_H

#include "auth/oauth.h"
#include "keeper/journal.h"

/* Somebody has signed in, or not. `grant` by which way; `issuer` and `scope` may be NULL. */
void journal_note_sign_in(struct journal *journal, enum why why, const char *account,
                          const char *grant, const char *issuer, const char *scope);

struct journal_refresh {
    const char *account;
    const char *issuer;              /* or token endpoint; NULL: not known */
    int http_status;                 /* 0: no answer */
    const struct oauth_answer *read; /* NULL: no answer */
    bool has_rotated;
    size_t waiters;
    const char *reason; /* printable; "": none */
};
/* Of a token request. Before the answer's tokens are moved from. */
void journal_note_refresh(struct journal *journal, const struct journal_refresh *refresh);

/* A command was run for a token or a password. `token` NULL: it is a password, of which nothing is
 * told. */
void journal_note_command(struct journal *journal, enum why why, const char *account,
                          const char *option, const struct secret *token);

/* A token was wiped here, or given back there. */
void journal_note_revoked(struct journal *journal, enum why why, const char *account,
                          const char *text);

/* `action` ACTION_GRANT_CREATE or _REVOKE. */
void journal_note_grant(struct journal *journal, enum record_action action, const char *account,
                        const char *name);

#endif
