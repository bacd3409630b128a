/*
 * The keeper from within. Private to proxy/keeper/keeper*.c.
 */
#ifndef ECLUSE_KEEPER_KEEPER_PARTS_H
#define ECLUSE_KEEPER_KEEPER_PARTS_H

#include "keeper/control.h"
#include "keeper/desk.h"
#include "keeper/gates.h"
#include "keeper/keeper.h"
#include "keeper/known_folders.h"
#include "keeper/roll_call.h"
#include "keeper/sign_in.h"

#define KEEPER_SIGNALS 3

struct keeper {
    struct loop *loop;
    struct log log;
    struct config *config;
    enum keeper_mode mode;
    int64_t started; /* wall seconds */

    /* NULL: not open */
    struct state_folder *folder;
    struct vault *vault;
    struct grant_check *grants;
    struct heirlooms *heirlooms;
    struct fetcher *fetcher;
    struct broker *broker;
    struct sign_ins *sign_ins;
    struct resolver *resolver;
    struct journal *journal;
    struct offers *offers;
    struct desk *desk;
    struct control *control;
    struct gates *gates;
    struct roll_calls *roll_calls;

    bool has_handles; /* the following are open */
    uv_signal_t signals[KEEPER_SIGNALS];
    uv_timer_t flush_timer;
    uv_timer_t patience; /* with the request under way, at a stop */

    struct runner *runner; /* NULL: there are no commands, or nothing forbids them */
    struct known_folders folders;
    bool is_confined;
    bool has_folders; /* it can open files in those alone */

    bool is_ready;
    bool is_stopping;
    bool is_hurried; /* told to stop twice */
    bool gates_have_stopped;
};

/* ---- keeper_heirs.c: passwords and tokens of an emailproxy.config ---- */

/* Once grants are open. */
void keeper_open_heirs(struct keeper *keeper);
/* For another configuration. */
void keeper_find_heirs(struct keeper *keeper, const struct config *config);

/* ---- keeper_confine.c ---- */

void keeper_close_runner(struct keeper *keeper);
/* Whether a configuration can be taken over by what is left of us: 0, and commands are from now on
 * those of its file, or ERR_CONFIG. */
MUST_CHECK int keeper_check_confinement(struct keeper *keeper, const struct config *config,
                                        struct err *err);

/* ---- keeper_run.c ---- */

void keeper_handles_open(struct keeper *keeper);
void keeper_handles_close(struct keeper *keeper);
extern const struct gates_ops keeper_gates_ops;

/* ---- keeper_journal.c ---- */

extern const struct journal_ops keeper_journal_ops;

/* What the keeper does itself. `why` WHY_NONE: it went well; `text` NULL: nothing more to say. */
void keeper_note(struct keeper *keeper, enum record_action action, enum why why, const char *text);
/* The same of a configuration, with the hash of its file. */
void keeper_note_config(struct keeper *keeper, enum record_action action,
                        const struct config *config);

/* ---- keeper_reload.c ---- */

/* What is configured and not done by this version. */
void keeper_say_what_is_missing(const struct keeper *keeper);

#endif
