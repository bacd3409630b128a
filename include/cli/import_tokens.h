/*
 * The tokens of an emailproxy.config: opened with the local password, which is then the password
 * of a grant.
 */
#ifndef ECLUSE_CLI_IMPORT_TOKENS_H
#define ECLUSE_CLI_IMPORT_TOKENS_H

#include "cli/arguments.h"
#include "conf/emailproxy_reader.h"

struct import_token {
    bool is_opened;              /* the password is this account's */
    struct secret refresh_token; /* may be unset all the same */
};

/* All zero is none. */
struct import_tokens {
    struct secret password;
    struct import_token *items; /* one per account of the configuration */
    size_t count;
};

/* Asks for the password when there is something to open; an empty one leaves it. Client secrets
 * that open go into the configuration. 0, or the exit code after it was said what is wrong. */
MUST_CHECK int import_tokens_open(struct import_tokens *tokens, const struct emailproxy_file *file,
                                  struct config *config);
/* Signs in and grants, account by account, and says what came of each. The exit code of the first
 * failure. */
MUST_CHECK int import_tokens_hand_over(struct import_tokens *tokens,
                                       const struct arguments *arguments,
                                       const struct config *config);
void import_tokens_clear(struct import_tokens *tokens);

#endif
