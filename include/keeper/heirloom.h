/*
 * Refresh tokens of an emailproxy.config that is served as it is. The local password of the account
 * opens its token; that proves the password, and it is then kept as a grant, and the token in the
 * vault. From then on, and for whoever has signed in otherwise, there is nothing left here: what
 * was revoked does not come back.
 */
#ifndef ECLUSE_KEEPER_HEIRLOOM_H
#define ECLUSE_KEEPER_HEIRLOOM_H

#include "conf/config.h"
#include "keeper/vault.h"

#define HEIRLOOM_GRANT "emailproxy" /* name of the grant */

struct heirlooms;
struct heirloom;

struct heirlooms *heirlooms_new(void);
void heirlooms_free(struct heirlooms *heirlooms);

/* Those of the configuration whose account has neither a sign-in in the vault nor such a grant, in
 * the place of what was there. On an error there are none. */
MUST_CHECK int heirlooms_load(struct heirlooms *heirlooms, const struct config *config,
                              struct vault *vault, struct err *err);
/* False when it had none. */
MUST_CHECK bool heirlooms_remove(struct heirlooms *heirlooms, const char *account);
/* NULL has none. */
bool heirlooms_are_left(const struct heirlooms *heirlooms);

/* A copy for a thread; for an account without one that of another, which opens for nobody, so that
 * all names cost the same. NULL when none are left. */
struct heirloom *heirlooms_find(const struct heirlooms *heirlooms, const char *account);
void heirloom_free(struct heirloom *heirloom);
/* Some tenths of a second: PBKDF2, as often as fernet_open_by_password says. */
void heirloom_open(struct heirloom *heirloom, struct slice password);
/* NULL as long as it is not open; borrowed. NULL has none. */
const struct secret *heirloom_token(const struct heirloom *heirloom);

#endif
