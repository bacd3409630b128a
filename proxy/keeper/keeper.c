/*
 * Happy path: the parts are opened in the order in which they need each other, and closed in the
 * opposite one; the loop is then run until the last handle is gone, since parts end there.
 *
 * Failures: any part that cannot be opened; those before it are closed again.
 */
#include "keeper/keeper.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/heirloom.h"
#include "keeper/keeper_parts.h"
#include "keeper/listen.h"
#include "keeper/vault_unlock.h"

#define LEFTOVER_TRIES              100
#define LEFTOVER_PAUSE_MILLISECONDS 20
#define FIRST_LOOK_MILLISECONDS     (120 * 1000)

/* ---- what both modes have ---- */

static int open_vault(struct keeper *keeper, struct err *err)
{
    int status = state_folder_open(keeper->config->state_dir, &keeper->folder, err);
    if (status == 0)
        status = vault_unlock(keeper->folder, keeper->config->vault_key, &keeper->vault, err);
    return status;
}

static int open_journal(struct keeper *keeper, struct err *err)
{
    const struct journal_parts parts = {
        .loop = keeper->loop,
        .vault = keeper->vault,
        .state = keeper->folder,
        .log = &keeper->log,
        .ops = keeper->mode == KEEPER_DAEMON ? &keeper_journal_ops : NULL,
        .owner = keeper,
    };
    int status = journal_open(&parts, keeper->config, &keeper->journal, err);
    if (status == 0 && keeper->mode == KEEPER_DAEMON) {
        keeper_note(keeper, ACTION_START, WHY_NONE, NULL);
        keeper_note_config(keeper, ACTION_CONFIG_LOAD, keeper->config);
    }
    return status;
}

static int open_grants(struct keeper *keeper, struct err *err)
{
    int status = grant_check_open(keeper->loop, keeper->vault, &keeper->grants, err);
    if (status == 0)
        status = keeper_load_grants(keeper, keeper->config, err);
    return status;
}

static int open_tokens(struct keeper *keeper, struct err *err)
{
    int status = fetcher_open(keeper->loop, &keeper->fetcher, err);
    if (status != 0)
        return status;
    keeper->broker =
        broker_open(keeper->loop, keeper->fetcher, keeper->vault, keeper->config, &keeper->log);
    broker_set_journal(keeper->broker, keeper->journal);
    const struct sign_ins_parts parts = {keeper->loop,   keeper->fetcher, keeper->vault,
                                         keeper->broker, &keeper->log,    keeper->journal};
    keeper->sign_ins = sign_ins_open(&parts, keeper->config);
    return 0;
}

/* ---- what the daemon has besides ---- */

/* A gate that cannot be reached is dead, and the desk hears of it by itself. */
static void send_to_gate(void *owner, unsigned gate, struct slice message)
{
    struct keeper *keeper = owner;
    if (keeper->gates != NULL && gates_send(keeper->gates, gate, message) != 0)
        log_debug(&keeper->log, "gate %u is not there any more", gate);
}

static void tell_offers(struct keeper *keeper)
{
    if (keeper->gates != NULL)
        gates_offer(keeper->gates, offers_list(keeper->offers));
}

static void learn(void *owner, const char *account, enum protocol protocol,
                  const char *capabilities)
{
    struct keeper *keeper = owner;
    offers_learn(keeper->offers, account, protocol, capabilities);
    tell_offers(keeper);
}

void keeper_renew_offers(struct keeper *keeper)
{
    if (keeper->offers == NULL)
        return;
    offers_refresh(keeper->offers);
    tell_offers(keeper);
}

static int send_question(void *owner, unsigned gate, struct slice message)
{
    const struct keeper *keeper = owner;
    return gates_send(keeper->gates, gate, message);
}

static int open_desk(struct keeper *keeper, struct err *err)
{
    keeper->offers = offers_new(keeper->vault, keeper->grants, &keeper->log);
    keeper->resolver = resolver_open(keeper->loop);
    const struct desk_parts parts = {
        .loop = keeper->loop,
        .vault = keeper->vault,
        .broker = keeper->broker,
        .resolver = keeper->resolver,
        .grants = keeper->grants,
        .offers = keeper->offers,
        .journal = keeper->journal,
        .sasl_plugin_folder = SASL_PLUGIN_FOLDER,
        .log = &keeper->log,
        .send = send_to_gate,
        .learn = learn,
        .owner = keeper,
    };
    int status = desk_open(&parts, keeper->config, &keeper->desk, err);
    if (status == 0)
        status = offers_load(keeper->offers, desk_mechanisms(keeper->desk), keeper->config, err);
    return status;
}

/* A daemon that was killed leaves its control socket behind. Its gates end as soon as they notice,
 * yet may hold the ports for a moment longer. */
static bool was_killed_before(const struct config *config)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof(path), "%s/control", config->runtime_dir);
    return size > 0 && (size_t)size < sizeof(path) && access(path, F_OK) == 0;
}

/* A port that is taken is an error at once, but for the time that leftover gates may need. */
static int open_gates(struct keeper *keeper, bool has_leftovers, struct err *err)
{
    struct gates_settings settings = {0};
    listen_inherited(&settings.inherited_first, &settings.inherited_count);
    unsigned tries = has_leftovers && settings.inherited_count == 0 ? LEFTOVER_TRIES : 1;
    int status = ERR_UNAVAILABLE;
    for (unsigned i = 0; i < tries && status == ERR_UNAVAILABLE; i++) {
        if (i > 0)
            uv_sleep(LEFTOVER_PAUSE_MILLISECONDS);
        status = gates_open(keeper->loop, keeper->config, offers_list(keeper->offers), &settings,
                            &keeper->log, &keeper_gates_ops, keeper, &keeper->gates, err);
    }
    return status;
}

static bool has_sessions(void *owner, const char *account)
{
    struct keeper *keeper = owner;
    return keeper->desk != NULL && desk_session_count(keeper->desk, account) > 0;
}

static int open_daemon(struct keeper *keeper, struct err *err)
{
    bool has_leftovers = was_killed_before(keeper->config);
    int status = open_desk(keeper, err);
    if (status == 0)
        status = control_open(keeper->loop, keeper, keeper->config->runtime_dir, &keeper->log,
                              &keeper->control, err);
    if (status == 0)
        status = open_gates(keeper, has_leftovers, err);
    if (status != 0)
        return status;
    keeper->roll_calls = roll_calls_open(
        &(struct roll_calls_parts){.loop = keeper->loop, .send = send_question, .owner = keeper});
    keeper_handles_open(keeper);
    const struct broker_tending_options tending = {
        .first_look = FIRST_LOOK_MILLISECONDS,
        .has_sessions = has_sessions,
        .owner = keeper,
    };
    broker_tend(keeper->broker, &tending);
    keeper_say_what_is_missing(keeper);
    return 0;
}

/* ---- open and close ---- */

int keeper_open(struct loop *loop, struct config *config, enum keeper_mode mode,
                struct keeper **keeper_out, struct err *err)
{
    struct keeper *keeper = mem_new(sizeof(*keeper));
    keeper->loop = loop;
    keeper->config = config;
    keeper->mode = mode;
    keeper->started = clock_wall_seconds();
    log_init(&keeper->log, config->log, "keeper");
    int status = open_vault(keeper, err);
    if (status == 0)
        status = open_journal(keeper, err);
    if (status == 0)
        status = open_grants(keeper, err);
    if (status == 0)
        status = open_tokens(keeper, err);
    if (status == 0)
        keeper_open_heirs(keeper);
    if (status == 0 && mode == KEEPER_DAEMON)
        status = open_daemon(keeper, err);
    if (status != 0) {
        keeper_free(keeper);
        return status;
    }
    *keeper_out = keeper;
    return 0;
}

static void on_part_closed(void *owner)
{
    (void)owner;
}

/* Who asks goes before who answers. */
static void close_parts(struct keeper *keeper)
{
    if (keeper->control != NULL)
        control_close(keeper->control);
    if (keeper->has_handles)
        keeper_handles_close(keeper);
    if (keeper->roll_calls != NULL)
        roll_calls_close(keeper->roll_calls);
    if (keeper->gates != NULL)
        gates_close(keeper->gates);
    if (keeper->desk != NULL)
        desk_close(keeper->desk);
    if (keeper->sign_ins != NULL)
        sign_ins_close(keeper->sign_ins);
    if (keeper->broker != NULL)
        broker_close(keeper->broker);
    keeper_close_runner(keeper);
    if (keeper->resolver != NULL)
        resolver_close(keeper->resolver);
    if (keeper->fetcher != NULL)
        fetcher_close(keeper->fetcher, on_part_closed, NULL);
    if (keeper->grants != NULL)
        grant_check_close(keeper->grants, on_part_closed, NULL);
    if (keeper->journal != NULL && keeper->mode == KEEPER_DAEMON)
        keeper_note(keeper, ACTION_STOP, WHY_NONE, NULL);
    journal_close(keeper->journal);
}

void keeper_free(struct keeper *keeper)
{
    close_parts(keeper);
    loop_run(keeper->loop);
    offers_free(keeper->offers);
    heirlooms_free(keeper->heirlooms);
    vault_close(keeper->vault);
    state_folder_close(keeper->folder);
    config_free(keeper->config);
    known_folders_clear(&keeper->folders);
    mem_free(keeper);
}

/* ---- the parts ---- */

const struct config *keeper_config(const struct keeper *keeper)
{
    return keeper->config;
}

struct vault *keeper_vault(struct keeper *keeper)
{
    return keeper->vault;
}

const struct log *keeper_log(const struct keeper *keeper)
{
    return &keeper->log;
}

struct fetcher *keeper_fetcher(struct keeper *keeper)
{
    return keeper->fetcher;
}

struct broker *keeper_broker(struct keeper *keeper)
{
    return keeper->broker;
}

struct sign_ins *keeper_sign_ins(struct keeper *keeper)
{
    return keeper->sign_ins;
}

struct desk *keeper_desk(struct keeper *keeper)
{
    return keeper->desk;
}

struct gates *keeper_gates(struct keeper *keeper)
{
    return keeper->gates;
}

struct roll_calls *keeper_roll_calls(struct keeper *keeper)
{
    return keeper->roll_calls;
}

struct grant_check *keeper_grants(struct keeper *keeper)
{
    return keeper->grants;
}

struct journal *keeper_journal(struct keeper *keeper)
{
    return keeper->journal;
}

struct loop *keeper_loop(struct keeper *keeper)
{
    return keeper->loop;
}

int64_t keeper_started(const struct keeper *keeper)
{
    return keeper->started;
}
