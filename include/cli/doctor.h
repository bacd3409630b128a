/*
 * What the files of `ecluse doctor` share.
 *
 * It walks in two rounds. In the first the keeper is asked for each account's token, through the
 * control socket or, without a daemon, by a keeper of our own; in the second each server is
 * connected to and logged in to. In between our own keeper is closed: no long-lived secret is in
 * this process when a server's words are parsed (gate/probe.h), as in a gate. A password that a
 * daemon holds stays there: it logs in itself, in a process of its own, and says what came of it.
 */
#ifndef ECLUSE_CLI_DOCTOR_H
#define ECLUSE_CLI_DOCTOR_H

#include "cli/ask.h"
#include "cli/doctor_report.h"
#include "conf/config.h"
#include "gate/probe.h"
#include "net/fetch.h"
#include "net/resolve.h"

#define DOCTOR_CLOCK_OFF_SECONDS 120

struct doctor {
    const struct arguments *arguments;
    const struct config *config;
    struct conversation *conversation; /* NULL: closed */
    struct loop loop;                  /* of what follows, which a keeper of our own has not */
    struct fetcher *fetcher;
    struct resolver *resolver;
    struct sasl_initiator_library *sasl;
    struct doctor_report report;
    int64_t deadline; /* of the walk; steady milliseconds */
};

/* One account on its way through both rounds. */
struct doctor_account {
    const struct account_config *options;
    struct secret token; /* not set: there is none here */
    bool is_held;        /* by a daemon, which tries it itself: a password */
    uint64_t generation; /* of the token */
    char *scope;         /* that was granted; "": not known */
    const char *absence; /* why there is no token, in words */
    int64_t clock_off;   /* seconds that our clock is ahead of the token endpoint's */
};

/* True, after the step was skipped, when the time for the walk is over. */
bool doctor_is_over(struct doctor *doctor, const struct diagnosis_names *names,
                    enum diagnosis_step step, const char *what);

/* The first round. Nonzero: the keeper cannot be asked, which was said; the exit code. */
MUST_CHECK int doctor_try_account(struct doctor *doctor, struct doctor_account *account);
/* Another token for one that was refused. False: there is none. */
MUST_CHECK bool doctor_renew_token(struct doctor *doctor, struct doctor_account *account);
/* The second round. */
void doctor_try_server(struct doctor *doctor, struct doctor_account *account,
                       enum protocol protocol);

/* What an account's token shows: a clue, with words for it ("" for none). */
enum diagnosis_clue doctor_look_at_token(const struct doctor_account *account,
                                         enum protocol protocol, char *words_out, size_t capacity);

#endif
