/*
 * What the issuers of the configuration say of themselves (RFC 8414, else OpenID Connect
 * Discovery): asked for when somebody needs it, once for all who wait, and kept for a day, in
 * memory. An endpoint of the configuration goes before what is said here: keeper/endpoint.h.
 *
 * It is believed because TLS vouches for the host of the issuer and the document names exactly that
 * issuer; redirects are not followed.
 */
#ifndef ECLUSE_KEEPER_DISCOVERY_H
#define ECLUSE_KEEPER_DISCOVERY_H

#include "auth/oauth_metadata.h"
#include "conf/config.h"
#include "net/fetch.h"

struct discovery;
struct discovery_ticket;

/* All borrowed; they outlive it. */
struct discovery *discovery_open(struct loop *loop, struct fetcher *fetcher, const struct log *log);
/* ENSURE: every ticket has been answered or cancelled. */
void discovery_close(struct discovery *discovery);

/* What the issuer of the account's provider says, borrowed until the loop turns; NULL when it is
 * not known, or the provider has no issuer. */
const struct oauth_metadata *discovery_known(const struct discovery *discovery,
                                             const struct config *config,
                                             const struct account_config *account);

/* `on_answer` is called exactly once unless cancelled, never from within: `status` is 0 with the
 * metadata, borrowed during the callback; ERR_UNAVAILABLE: the issuer cannot be asked now;
 * ERR_CONFIG: what it says must not be used, or the provider has no issuer. The text is one
 * sentence, printable. Configuration and account are borrowed until this returns. */
struct discovery_ticket *discovery_ask(struct discovery *discovery, const struct config *config,
                                       const struct account_config *account,
                                       void (*on_answer)(void *owner, int status,
                                                         const struct oauth_metadata *metadata,
                                                         const char *text),
                                       void *owner);
void discovery_cancel(struct discovery_ticket *ticket);

#endif
