/*
 * The vault: refresh tokens, local passwords (grants), and what upstreams can do, in SQLite,
 * `vault.db` of the state folder. Secret columns are sealed (AES-256-GCM) and bound to their place:
 * format version, table, account, issuer or grant, column. A row that was moved, a bit that was
 * flipped or a header that was put back is ERR_CORRUPT, and what is there stays there for somebody
 * to look at.
 *
 * Everything is synchronous: short local transactions, on disk before the function returns. The
 * only exception is vault_grant_used. Functions that fail have changed nothing. Errors, besides
 * those named at the functions: ERR_CORRUPT, ERR_SYSTEM (disk full, input/output), ERR_BUSY
 * (somebody else holds SQLite's lock). No text ever holds a secret.
 *
 * A store other than SQLite, say PostgreSQL, has to give what these functions promise: transactions
 * over all tables (vault_rekey) that are durable when a function returns, numbers of grants that
 * never come back, (account, name) unique among grants, and nobody else who writes meanwhile. It
 * sees accounts, issuers, names and times; secrets are sealed before they get there.
 *
 * An account is its label; labels, names and issuers are compared octet by octet. Times are wall
 * clock seconds, 0 = never. Not thread safe.
 */
#ifndef ECLUSE_KEEPER_VAULT_H
#define ECLUSE_KEEPER_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/terms.h"
#include "keeper/state_folder.h"
#include "keeper/vault_key.h"

struct vault;

/* How the vault that is there is sealed; not vouched for before it is opened. ERR_NOT_FOUND: there
 * is none. ERR_DENIED, ERR_CORRUPT as at vault_open. */
MUST_CHECK int vault_read_lock(const struct state_folder *folder, struct vault_lock *lock_out,
                               struct err *err);

#define VAULT_LEFT_TEXT 400 /* with its NUL */

/* What was damaged, or belongs to another row than the one that it stands in. */
struct vault_left {
    size_t count;
    char names[VAULT_LEFT_TEXT]; /* "the token of work, password phone of work"; printable; cut when
                                  * there are many */
};

/* Seals everything for another key, which is moved from, in one transaction: on return it is on
 * disk, and at any moment all of it opens with the old key or all of it with the new one. What is
 * damaged or was moved stays as it is, octet by octet, and is never sealed for the place where it
 * was found; *left_out tells of it. On an error the vault is as it was before. */
MUST_CHECK int vault_rekey(struct vault *vault, const struct vault_lock *lock, struct secret *key,
                           struct vault_left *left_out, struct err *err);

/* The folder is borrowed and outlives the vault; the key (keeper/vault_key.h) is moved from. A new
 * vault is made when there is none, one of an older version is brought to this one. ERR_DENIED: the
 * file's permissions, or the key does not fit and is not of a key file; ERR_CORRUPT: not a vault of
 * such a version, or the key file does not fit it. */
MUST_CHECK int vault_open_sealed(const struct state_folder *folder, const struct vault_lock *lock,
                                 struct secret *key, struct vault **vault_out, struct err *err);
/* One that is sealed with a keyfile. */
MUST_CHECK int vault_open(const struct state_folder *folder, struct secret *key,
                          struct vault **vault_out, struct err *err);
/* As vault_flush, then closes; what cannot be written then is lost, and is only last_used. NULL is
 * fine. */
void vault_close(struct vault *vault);

/* ---- refresh tokens: one per account ---- */

#define VAULT_TEXT_MAX 300 /* of last_error; longer ones are cut */

enum vault_token_state {
    VAULT_SIGNED_IN,
    VAULT_SIGNED_OUT,
    VAULT_DAMAGED, /* there is one that does not open, or that was put there by somebody else */
};

struct vault_token {
    char *account;
    char *issuer;
    enum vault_token_state state;
    int64_t created; /* the sign-in */
    int64_t last_refresh;
    char *last_error; /* printable; "" = none. When signed out: the reason */
};

/* Puts the token in the place of the one before: on return the new one is on disk, and at any
 * moment either the old or the new one is. When the account is signed in at that issuer already
 * this is a rotation: last_refresh = now. Otherwise it is a sign-in: created = now, last_refresh =
 * 0. last_error becomes "". `issuer` is what the token is bound to: the issuer or the token
 * endpoint. A token there that is damaged is kept aside, not overwritten. */
MUST_CHECK int vault_token_store(struct vault *vault, const char *account, const char *issuer,
                                 const struct secret *refresh_token, int64_t now, struct err *err);
/* ERR_NOT_FOUND: none, signed out, or obtained from another issuer; the text says which.
 * ERR_CORRUPT: VAULT_DAMAGED, or the vault's file is. */
MUST_CHECK int vault_token_load(struct vault *vault, const char *account, const char *issuer,
                                struct secret *refresh_token_out, struct err *err);
/* Wipes the token (and any kept aside); the row stays with the reason as last_error. ERR_NOT_FOUND
 * when the account has no row. */
MUST_CHECK int vault_token_sign_out(struct vault *vault, const char *account, const char *reason,
                                    struct err *err);
/* last_refresh 0: stays. last_error NULL: stays, "": cleared; made printable and cut.
 * ERR_NOT_FOUND. */
MUST_CHECK int vault_token_note(struct vault *vault, const char *account, int64_t last_refresh,
                                const char *last_error, struct err *err);
/* Of one account (then 0 or 1), or of all for NULL, by account. Freed by vault_tokens_free. */
MUST_CHECK int vault_token_list(struct vault *vault, const char *account,
                                struct vault_token **tokens_out, size_t *count_out,
                                struct err *err);
void vault_tokens_free(struct vault_token *tokens, size_t count);

/* ---- grants: local passwords, any number per account ---- */

enum vault_grant_kind {
    VAULT_GRANT_GENERATED, /* by grant_password_generate: 128 random bits, one keyed hash */
    VAULT_GRANT_CHOSEN,    /* by a human: scrypt */
    VAULT_GRANT_CLEAR, /* either; the password itself is kept, for mechanisms that never send it */
};

/* What a grant whose password is kept serves besides. */
enum vault_grant_class {
    VAULT_GRANT_CHALLENGE, /* CRAM-MD5, DIGEST-MD5, SCRAM-SHA-1, SCRAM-SHA-256 */
    VAULT_GRANT_APOP,      /* POP3's APOP */
    VAULT_GRANT_CLASSES
};

struct vault_grant {
    int64_t number; /* never used twice, also not after a removal */
    char *account;
    char *name;      /* unique per account */
    char *protocols; /* separated by commas: "imap,smtp"; "" = all */
    bool read_only;
    char *from; /* the only sender address allowed, or "" */
    enum vault_grant_kind kind;
    bool classes[VAULT_GRANT_CLASSES]; /* of a clear one at least one, else none */
    int64_t created;
    int64_t last_used;
};

/* number, created and last_used of `grant` are ignored. For a chosen password this derives a key:
 * about 0.1 s. ERR_EXISTS: the account has a grant of that name, or a clear one that serves the
 * same class over one of the protocols, where a user can have one password only. ERR_SYNTAX: an
 * empty name or password, or control characters in one of the texts. */
MUST_CHECK int vault_grant_add(struct vault *vault, const struct vault_grant *grant,
                               const struct secret *password, int64_t now, int64_t *number_out,
                               struct err *err);
/* ERR_NOT_FOUND. The number is for closing the sessions that it opened. */
MUST_CHECK int vault_grant_remove(struct vault *vault, const char *account, const char *name,
                                  int64_t *number_out, struct err *err);
/* Of one account, or of all for NULL, by account and number. Freed by vault_grants_free. What a
 * grant allows is bound into its verifier's seal: it is vault_grant_verifier that vouches for it.
 */
MUST_CHECK int vault_grant_list(struct vault *vault, const char *account,
                                struct vault_grant **grants_out, size_t *count_out,
                                struct err *err);
void vault_grants_free(struct vault_grant *grants, size_t count);
bool vault_grant_allows(const struct vault_grant *grant, enum protocol protocol);

/* Kept in memory, since a login must not wait for the disk; vault_grant_list shows it at once.
 * Written by vault_flush, which the keeper calls now and then, and by vault_close. */
void vault_grant_used(struct vault *vault, int64_t number, int64_t now);
MUST_CHECK int vault_flush(struct vault *vault, struct err *err);

/* For keeper/grant_check: the verifier of a grant as listed, which for a clear one is its password
 * (ERR_CORRUPT also when any of its fields but last_used is not what was sealed), and the key of
 * generated ones; borrowed. */
MUST_CHECK int vault_grant_verifier(struct vault *vault, const struct vault_grant *grant,
                                    struct secret *verifier_out, struct err *err);
const struct secret *vault_grant_key(const struct vault *vault);

/* ---- clients that were registered at issuers (RFC 7591), by issuer; not secret ---- */

/* ERR_EXISTS: the issuer has one, which stays. */
MUST_CHECK int vault_client_store(struct vault *vault, const char *issuer, const char *client_id,
                                  int64_t now, struct err *err);
/* ERR_NOT_FOUND. For mem_free. */
MUST_CHECK int vault_client_load(struct vault *vault, const char *issuer, char **client_id_out,
                                 struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK int vault_client_forget(struct vault *vault, const char *issuer, struct err *err);

/* ---- what upstreams can do: one row per account and protocol; not secret, so not sealed ---- */

struct vault_upstream {
    char *account;
    enum protocol protocol;
    char *host;         /* that was asked */
    char *capabilities; /* lines as in auth/message.h, at most MESSAGE_LINES_MAX octets */
    int64_t learned;
};

/* In the place of what was known before. */
MUST_CHECK int vault_upstream_store(struct vault *vault, const struct vault_upstream *upstream,
                                    struct err *err);
/* Of all accounts. Rows that nobody of us can have written are left out. Freed by
 * vault_upstreams_free. */
MUST_CHECK int vault_upstream_list(struct vault *vault, struct vault_upstream **upstreams_out,
                                   size_t *count_out, struct err *err);
void vault_upstreams_free(struct vault_upstream *upstreams, size_t count);

#endif
