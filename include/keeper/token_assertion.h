/*
 * The assertions of an account's requests (RFC 7523), signed with its jwt_key_file, each good for
 * five minutes and once.
 */
#ifndef ECLUSE_KEEPER_TOKEN_ASSERTION_H
#define ECLUSE_KEEPER_TOKEN_ASSERTION_H

#include "conf/config.h"
#include "keeper/token_inputs.h"

/* Of the client (private_key_jwt). `audience` is the token endpoint. PS256 and x5t#S256 when there
 * is a jwt_cert_file, else RS256. Errors: a file that cannot be read, or is no key or certificate;
 * a passphrase that is missing or wrong. The text says which file, and what to do. */
MUST_CHECK int token_assertion_of_client(const struct account_config *account,
                                         const struct token_inputs *inputs, const char *audience,
                                         struct secret *assertion_out, struct err *err);

/* Of a service account for `mailbox`, "" standing for the account's own, RS256. The issuer is the
 * one that the JSON file names, else client_id. Errors as above; ERR_CONFIG: neither names one. */
MUST_CHECK int token_assertion_of_service(const struct account_config *account, const char *mailbox,
                                          const struct token_inputs *inputs, const char *audience,
                                          const char *scope, struct secret *assertion_out,
                                          struct err *err);

/* What can be said of jwt_key_file and jwt_cert_file beforehand. Errors as above, but for an
 * encrypted key that has a jwt_passphrase_command, which is not run: 0 with *is_locked_out, and
 * nothing is known of what is in the two files but that they can be read. */
MUST_CHECK int token_assertion_check(const struct account_config *account, bool *is_locked_out,
                                     struct err *err);

#endif
