/*
 * What each listener offers to clients before they log in: SASL mechanisms, and what the mail
 * server behind it can do (auth/capability_lines.h).
 *
 * PLAIN and LOGIN are offered always; the challenge mechanisms and APOP only where an account that
 * the listener serves has a password that is kept for them. A listener without login offers none.
 *
 * Capabilities are those that the account's upstream had last time, or a cautious few until it was
 * asked once. Where several accounts may come, what all of them have. They are remembered in the
 * vault, together with the host that had them.
 */
#ifndef ECLUSE_KEEPER_OFFER_H
#define ECLUSE_KEEPER_OFFER_H

#include "auth/message.h"
#include "conf/config.h"
#include "keeper/grant_check.h"

struct offers;

/* Offers nothing until offers_load. Vault, grants and log are borrowed. */
struct offers *offers_new(struct vault *vault, const struct grant_check *grants,
                          const struct log *log);
void offers_free(struct offers *offers);

/* Reads what the vault remembers. `mechanisms`: those that libsasl2 has, separated by spaces; the
 * configuration is borrowed until another one is set. */
MUST_CHECK int offers_load(struct offers *offers, const char *mechanisms,
                           const struct config *config, struct err *err);
void offers_set_config(struct offers *offers, const struct config *config);
/* Grants have come or gone. */
void offers_refresh(struct offers *offers);
/* What the account's upstream can do, valid lines. Is written down when it is news; a vault that
 * does not take it is only said to the log. An account that is not there is none of ours. */
void offers_learn(struct offers *offers, const char *account, enum protocol protocol,
                  const char *capabilities);

/* One a listener, in the order of the configuration. Borrowed until something above is called. */
const struct message_offer *offers_list(const struct offers *offers);
/* False too when there is no such listener. */
bool offers_has(const struct offers *offers, size_t listener, const char *mechanism);

#endif
