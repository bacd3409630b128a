/*
 * The parent process: everything that lives long and is secret. Opens the vault, the broker, the
 * desk, the control socket and the gates, says READY to systemd, and goes on until it is told to
 * stop.
 *
 * The same object without gates, sockets and signals ("offline") serves the subcommands when no
 * daemon runs: keeper/command.h works on either.
 */
#ifndef ECLUSE_KEEPER_KEEPER_H
#define ECLUSE_KEEPER_KEEPER_H

#include "conf/config.h"
#include "net/loop.h"

struct keeper;

enum keeper_mode { KEEPER_DAEMON, KEEPER_OFFLINE };

/* Takes over the configuration, also when it fails. On failure nothing is left open: ERR_DENIED
 * (state folder or a file in it is not safe), ERR_BUSY (another ecluse has the vault),
 * ERR_UNAVAILABLE (a port is taken), others. */
MUST_CHECK int keeper_open(struct loop *loop, struct config *config, enum keeper_mode mode,
                           struct keeper **keeper_out, struct err *err);
/* The whole process gives up, for good, what a daemon does not need: before the loop is run for the
 * first time, and where nothing else is in the process. On failure it must not be run. */
MUST_CHECK int keeper_confine(struct keeper *keeper, struct err *err);
/* Runs the loop until a stop is complete; DAEMON only. */
void keeper_run(struct keeper *keeper);
/* Closes what is open and runs the loop until it is empty, then frees. */
void keeper_free(struct keeper *keeper);

/* Begin to stop: drain, then at once when called again. */
void keeper_stop(struct keeper *keeper);
/* Reads the configuration file again; on error nothing changes and the text says why. */
MUST_CHECK int keeper_reload(struct keeper *keeper, struct err *err);

/* Gives grant_check the accounts of a configuration. Damaged grants are said to the log. */
MUST_CHECK int keeper_load_grants(struct keeper *keeper, const struct config *config,
                                  struct err *err);

/* Grants have come or gone: the gates offer clients what goes with those that are there. */
void keeper_renew_offers(struct keeper *keeper);

/* The parts that commands need; NULL where the mode has none (gates, roll calls and desk when
 * OFFLINE). */
const struct config *keeper_config(const struct keeper *keeper);
struct vault *keeper_vault(struct keeper *keeper);
struct fetcher *keeper_fetcher(struct keeper *keeper);
const struct log *keeper_log(const struct keeper *keeper);
struct broker *keeper_broker(struct keeper *keeper);
struct sign_ins *keeper_sign_ins(struct keeper *keeper);
struct desk *keeper_desk(struct keeper *keeper);
struct gates *keeper_gates(struct keeper *keeper);
struct roll_calls *keeper_roll_calls(struct keeper *keeper);
struct grant_check *keeper_grants(struct keeper *keeper);
struct journal *keeper_journal(struct keeper *keeper);
struct loop *keeper_loop(struct keeper *keeper);
/* Wall seconds of the start. */
int64_t keeper_started(const struct keeper *keeper);

#endif
