/*
 * Is this the local password of that account? All verifiers are in memory, and so are the passwords
 * of clear grants. Generated passwords and those cost one keyed hash and are answered at once.
 * Chosen ones are derived (scrypt, 0.1 s, off the loop) when they come for the first time; after
 * that a keyed hash of the password, under a key of this process alone, is remembered, and they too
 * are answered at once.
 *
 * A user that does not exist takes the same way and the same number of hashes, comparisons and
 * derivations as one that does.
 *
 * A login:  grant_check_password → MATCH or MISMATCH: done; LATER: grant_check_derive_start, whose
 * on_done says MATCH or MISMATCH.
 */
#ifndef ECLUSE_KEEPER_GRANT_CHECK_H
#define ECLUSE_KEEPER_GRANT_CHECK_H

#include "base/secret.h"
#include "keeper/vault.h"
#include "net/loop.h"

struct grant_check;
struct grant_derivation; /* a ticket */

/* Different passwords that wait or run. One runs at a time, so that the memory (32 MiB) is bounded
 * and the thread pool stays free for look-ups. */
#define GRANT_DERIVATIONS_MAX 4
/* All who wait for them: the connections that a client opens at once share one derivation. */
#define GRANT_WAITING_MAX 1024

enum grant_verdict { GRANT_MATCH, GRANT_MISMATCH, GRANT_LATER };

/* Accounts that come from an emailproxy.config: their first right password is recognised by what it
 * opens, and becomes a grant (keeper/heirloom.h). */
struct heirlooms;
struct grant_heirs {
    struct heirlooms *heirlooms; /* borrowed */
    /* In the loop, before the verdict: the token is opened by the password. Gives the number of the
     * grant that was made of it, which grant_check_load has loaded; 0: it could not be made. */
    int64_t (*inherit)(void *owner, const char *account, const struct secret *token,
                       const struct secret *password);
    void *owner;
};

/* The vault is borrowed. Knows no grants until grant_check_load. */
MUST_CHECK int grant_check_open(struct loop *loop, struct vault *vault,
                                struct grant_check **check_out, struct err *err);
/* Before the first password; without it there are none. */
void grant_check_set_heirs(struct grant_check *check, const struct grant_heirs *heirs);
/* Derivations must have been answered or cancelled. on_closed follows once, when a running thread
 * has ended. */
void grant_check_close(struct grant_check *check, void (*on_closed)(void *owner), void *owner);

/* Reads the grants of these accounts (labels) anew: at start, at a reload, and after each
 * vault_grant_add. What was remembered of grants that are still there stays.
 * ERR_CORRUPT: grants that are damaged were left out (they match nothing; the text names the
 * first), all others are loaded. Any other error: nothing has changed. */
MUST_CHECK int grant_check_load(struct grant_check *check, const char *const *accounts,
                                size_t count, struct err *err);

/* The grant opens nothing from here on; fine when it is not known. Cannot fail, as a load can. */
void grant_check_remove(struct grant_check *check, int64_t number);

/* `account` NULL: a user that does not exist. *grant_out is the grant's number when MATCH, else 0.
 * Whether the grant allows the protocol is the caller's to ask (vault_grant_allows). */
MUST_CHECK enum grant_verdict grant_check_password(struct grant_check *check, const char *account,
                                                   struct slice password, int64_t *grant_out);

/* The password for mechanisms that never send it: of the account's one clear grant that allows the
 * protocol and serves the class. ERR_NOT_FOUND. */
MUST_CHECK int grant_check_clear(const struct grant_check *check, const char *account,
                                 enum protocol protocol, enum vault_grant_class class,
                                 struct secret *password_out, int64_t *grant_out);
bool grant_check_has_clear(const struct grant_check *check, const char *account,
                           enum protocol protocol, enum vault_grant_class class);

/* After LATER. The password is moved from in any case. on_done is called exactly once unless
 * cancelled, never from within this function; verdict MATCH or MISMATCH, a grant that was removed
 * meanwhile does not match. NULL: too many are waiting; tell the client to try again. */
MUST_CHECK struct grant_derivation *
grant_check_derive_start(struct grant_check *check, const char *account, struct secret *password,
                         void (*on_done)(void *owner, enum grant_verdict verdict, int64_t grant),
                         void *owner);
void grant_check_derive_cancel(struct grant_derivation *derivation);

/* The grant as loaded, for what it allows; borrowed until the next load. NULL when it is gone. */
const struct vault_grant *grant_check_grant(const struct grant_check *check, int64_t number);

/* 128 random bits as 26 characters: digits and lower-case letters without i, l, o and u, which are
 * easily mistaken for others. */
MUST_CHECK int grant_password_generate(struct secret *password_out, struct err *err);

#endif
