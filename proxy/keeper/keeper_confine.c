/*
 * The daemon gives up what it will not need.
 *
 * Happy path: the process that runs commands is started if there are any, the folders of the
 * configuration are found, and the rest of the file system, most system calls and new privileges
 * are gone.
 *
 * Failures: see net/confine.h and keeper/runner.h. What the kernel does not have is said, once.
 */
#include "keeper/keeper_parts.h"
#include "keeper/runner.h"

static int open_runner(struct keeper *keeper, struct err *err)
{
    if (!runner_is_needed(keeper->config))
        return 0;
    int status =
        runner_open(keeper->loop, keeper->config->file, &keeper->log, &keeper->runner, err);
    if (status == 0)
        keeper->loop->runner = keeper->runner;
    return status;
}

static void tell(const struct log *log, const struct confine_result *result)
{
    if (result->landlock == 0)
        log_warn(log, "this kernel has no Landlock (Linux 5.13), or it is switched off: files are "
                      "not confined");
    else if (!result->has_gate_ports)
        log_info(log, "this kernel does not limit ports (Linux 6.7): gates may connect to any");
    if (!result->has_filter)
        log_warn(log, "this kernel has no filter of system calls: they are not confined");
    if (result->landlock > 0 && result->has_filter)
        log_info(log, "confined: files (Landlock %d), system calls", result->landlock);
}

int keeper_confine(struct keeper *keeper, struct err *err)
{
    struct confine_result result;
    int status = open_runner(keeper, err);
    if (status != 0)
        return status;
    known_folders_find(keeper->config, &keeper->folders);
    const struct confinement confinement = {.role = CONFINE_KEEPER,
                                            .places = keeper->folders.places,
                                            .place_count = keeper->folders.count};
    status = confine(&confinement, &result, err);
    if (status != 0)
        return status;
    keeper->is_confined = true;
    keeper->has_folders = result.landlock > 0;
    tell(&keeper->log, &result);
    return 0;
}

void keeper_close_runner(struct keeper *keeper)
{
    if (keeper->runner != NULL)
        runner_close(keeper->runner);
    keeper->runner = NULL;
    keeper->loop->runner = NULL;
}

int keeper_check_confinement(struct keeper *keeper, const struct config *config, struct err *err)
{
    if (keeper->is_confined && keeper->runner == NULL && runner_is_needed(config))
        return err_set(err, ERR_CONFIG,
                       "there was no command in the configuration when ecluse started, so that it "
                       "cannot run one now; start it again");
    if (keeper->has_folders) {
        int status = known_folders_check(&keeper->folders, config, err);
        if (status != 0)
            return status;
    }
    if (keeper->runner != NULL)
        runner_reread(keeper->runner);
    return 0;
}
