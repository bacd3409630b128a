/*
 * The server side of SASL with users of its own, for tests: alice, " alice " and Renée have the
 * password "secret" where the password is sent; "later" is checked later; alice and bob have
 * "pencil" for the challenge mechanisms. Every function asserts.
 */
#ifndef ECLUSE_TESTS_ACCEPTOR_H
#define ECLUSE_TESTS_ACCEPTOR_H

#include "auth/sasl_server.h"

#define ACCEPTOR_EVERY "PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512"

/* What was asked in an exchange. */
struct acceptor_record {
    unsigned checks;
    unsigned lookups;
    char user[400];
    char password[2000];
};

extern const struct sasl_users acceptor_users;
/* The one that is open. */
extern struct sasl_acceptor_library *acceptor_library;

void acceptor_open_library(const char *folder, const char *mechanisms);
/* For cmocka: set-up with the plug-ins of the machine, and tear-down. */
int acceptor_open_every(void **state);
int acceptor_close_library(void **state);

struct sasl_acceptor *acceptor_begin(const char *mechanism, struct acceptor_record *record);
void acceptor_step(struct sasl_acceptor *acceptor, struct slice bytes, enum sasl_verdict expected,
                   const char *challenge_expected);
/* A first step without a message; it is to be CONTINUE. */
void acceptor_step_missing(struct sasl_acceptor *acceptor, const char *challenge_expected);
/* Frees it. Once an exchange is over, no further message changes that. */
void acceptor_end(struct sasl_acceptor *acceptor);

#endif
