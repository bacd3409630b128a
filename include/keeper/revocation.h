/*
 * Gives a refresh token back to the provider that issued it (RFC 7009), best effort: one request,
 * after the issuer has been asked where to when the configuration does not say it, and ten seconds
 * for all of it.
 */
#ifndef ECLUSE_KEEPER_REVOCATION_H
#define ECLUSE_KEEPER_REVOCATION_H

#include "conf/config.h"
#include "keeper/discovery.h"
#include "keeper/token_inputs.h"
#include "keeper/vault.h"
#include "net/fetch.h"

#define REVOCATION_SECONDS 10

struct revocation;

/* All borrowed; loop, fetcher and discovery outlive the revocation. */
struct revocation_parts {
    struct loop *loop;
    struct fetcher *fetcher;
    struct discovery *discovery;
    struct vault *vault;               /* this and the rest: during the start alone */
    const struct token_inputs *inputs; /* those of token_inputs_collect */
    const struct config *config;
};

/* `on_done` is called exactly once unless cancelled, never from within. status 0: the provider has
 * taken it back; ERR_NOT_FOUND: it offers no revocation; others: it could not be done. The text
 * says why not: printable, no secret. Account, configuration and token are borrowed until this
 * returns. */
struct revocation *revocation_start(const struct revocation_parts *parts,
                                    const struct account_config *account,
                                    const struct secret *refresh_token,
                                    void (*on_done)(void *owner, int status, const char *text),
                                    void *owner);
void revocation_cancel(struct revocation *revocation);

#endif
