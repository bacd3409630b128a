/*
 * Another configuration, read from the same file.
 *
 * Happy path: it is read, the grants of its accounts are loaded, a generation of gates is started
 * for it; then the others hear of it, and the one before goes.
 *
 * Failures: problems in the file, the vault, a port that is taken, a bundle that is not there:
 * everything stays as it was.
 */
#include <string.h>

#include "keeper/keeper_parts.h"
#include "keeper/notify.h"
#include "keeper/surroundings.h"

void keeper_say_what_is_missing(const struct keeper *keeper)
{
    if (strcmp(keeper->config->web, "off") != 0)
        log_debug(&keeper->log, "web: this version has no page");
}

int keeper_load_grants(struct keeper *keeper, const struct config *config, struct err *err)
{
    const char **labels = mem_new_array(config->account_count, sizeof(*labels));
    for (size_t i = 0; i < config->account_count; i++)
        labels[i] = config->accounts[i]->name;
    int status = grant_check_load(keeper->grants, labels, config->account_count, err);
    mem_free(labels);
    if (status != ERR_CORRUPT)
        return status;
    log_error(&keeper->log, "local passwords that are damaged are left out: %s", err->text);
    return 0;
}

/* The first error with a line becomes the text; all go to the log. */
static int set_problems(const struct keeper *keeper, const struct config_problems *problems,
                        struct err *err)
{
    const char *file = keeper->config->file;
    int status = err_set(err, ERR_CONFIG, "%s cannot be read", file);
    bool has_text = false;
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->items[i];
        log_warn(&keeper->log, "%s:%d: %s", file, problem->line, problem->text);
        if (!has_text && !problem->warning)
            err_set(err, ERR_CONFIG, "%s:%d: %s", file, problem->line, problem->text);
        has_text = has_text || !problem->warning;
    }
    return status;
}

static int read_again(struct keeper *keeper, struct config **config_out, struct err *err)
{
    struct surroundings surroundings;
    struct config_problems problems = {0};
    surroundings_read(&surroundings);
    int status = config_read(keeper->config->file, &surroundings.values, config_out, &problems);
    surroundings_clear(&surroundings);
    if (status != 0)
        status = set_problems(keeper, &problems, err);
    config_problems_free(&problems);
    return status;
}

static void warn_if_changed(const struct keeper *keeper, const char *key, const char *before,
                            const char *after)
{
    if (strcmp(before, after) != 0)
        log_warn(&keeper->log, "%s has changed; that takes effect when ecluse is started again",
                 key);
}

static void adopt(struct keeper *keeper, struct config *config)
{
    struct config *before = keeper->config;
    warn_if_changed(keeper, "state_dir", before->state_dir, config->state_dir);
    warn_if_changed(keeper, "runtime_dir", before->runtime_dir, config->runtime_dir);
    warn_if_changed(keeper, "vault_key", before->vault_key, config->vault_key);
    warn_if_changed(keeper, "web", before->web, config->web);
    desk_set_config(keeper->desk, config);
    desk_retire_gates(keeper->desk, gates_first(keeper->gates));
    broker_set_config(keeper->broker, config);
    keeper_find_heirs(keeper, config);
    sign_ins_set_config(keeper->sign_ins, config);
    keeper->log.level = config->log;
    keeper->config = config;
    config_free(before);
}

static int apply(struct keeper *keeper, struct config *config, struct err *err)
{
    struct err again;
    int status = journal_set_config(keeper->journal, config, err);
    if (status != 0)
        return status;
    status = keeper_load_grants(keeper, config, err);
    if (status != 0) {
        ENSURE(journal_set_config(keeper->journal, keeper->config, &again) == 0);
        return status;
    }
    offers_set_config(keeper->offers, config);
    status = gates_reload(keeper->gates, config, offers_list(keeper->offers), err);
    if (status == 0)
        return 0;
    if (keeper_load_grants(keeper, keeper->config, &again) != 0)
        log_error(&keeper->log, "local passwords: %s", again.text);
    ENSURE(journal_set_config(keeper->journal, keeper->config, &again) == 0);
    offers_set_config(keeper->offers, keeper->config);
    return status;
}

int keeper_reload(struct keeper *keeper, struct err *err)
{
    struct config *config = NULL;
    if (keeper->mode != KEEPER_DAEMON || keeper->is_stopping)
        return err_set(err, ERR_CLOSED, "ecluse is stopping");
    notify_reloading();
    int status = read_again(keeper, &config, err);
    if (status == 0)
        status = keeper_check_confinement(keeper, config, err);
    if (status == 0)
        status = apply(keeper, config, err);
    if (status != 0) {
        config_free(config);
        keeper_note(keeper, ACTION_CONFIG_RELOAD, WHY_INTERNAL, err->text);
        notify_ready();
        return status;
    }
    adopt(keeper, config);
    keeper_note_config(keeper, ACTION_CONFIG_RELOAD, config);
    log_info(&keeper->log, "the configuration was read again");
    return 0;
}
