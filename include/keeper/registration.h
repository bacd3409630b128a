/*
 * Everything that a sign-in needs before it begins: where the provider's endpoints are, and who we
 * are there. The issuer is asked when the configuration does not say all (keeper/discovery.h). An
 * account without a client_id has one registered (RFC 7591), once for an issuer and all its
 * accounts; the vault keeps it, until the provider says that it does not know it any more.
 */
#ifndef ECLUSE_KEEPER_REGISTRATION_H
#define ECLUSE_KEEPER_REGISTRATION_H

#include "conf/config.h"
#include "keeper/discovery.h"
#include "keeper/vault.h"

struct registration;

/* All borrowed, and outlive the registration but for the configuration. */
struct registration_parts {
    struct loop *loop;
    struct fetcher *fetcher;
    struct discovery *discovery;
    struct vault *vault;
    const struct config *config;
};

struct registration_answer {
    int status;
    const char *client_id; /* status 0, else NULL */
    bool is_registered;    /* the redirect's path has to be OAUTH_REGISTRATION_PATH */
    const char *text;      /* why not, one sentence, printable */
};

/* `page` is where the sign-in begins: the authorization or the device endpoint. With status 0 it
 * and the token endpoint are what endpoint_url says with discovery_known. `on_answer` is called
 * exactly once unless cancelled, never from within; what it is given is borrowed during the call.
 * ERR_UNAVAILABLE: not now; ERR_CONFIG: the provider registers nobody, or what it says must not be
 * used; ERR_DENIED: it refuses; others: the vault. Account and configuration are borrowed until
 * this returns. */
struct registration *
registration_start(const struct registration_parts *parts, const struct account_config *account,
                   enum oauth_endpoint page,
                   void (*on_answer)(void *owner, const struct registration_answer *answer),
                   void *owner);
void registration_cancel(struct registration *registration);

/* The client_id of the account: the configuration's, else the one that is registered; for mem_free.
 * ERR_NOT_FOUND: somebody must sign in first. */
MUST_CHECK int registration_client(const struct account_config *account, struct vault *vault,
                                   char **client_id_out, struct err *err);
/* The provider does not know the client: the next sign-in registers another. Nothing happens when
 * it stands in the configuration. */
MUST_CHECK int registration_forget(const struct account_config *account, struct vault *vault,
                                   struct err *err);

#endif
