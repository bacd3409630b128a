/*
 * Happy path: one thread, no_new_privs, Landlock, then the filter, since that one allows no more
 * Landlock to a gate.
 *
 * Failures: several threads; a kernel that refuses what it has.
 */
#include "net/confine.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include "net/confine_parts.h"

/* A folder has two links, and one for each folder in it. Without /proc nobody knows. */
static bool has_one_thread(void)
{
    struct stat about;
    return stat("/proc/self/task", &about) != 0 || about.st_nlink <= 3;
}

int confine(const struct confinement *confinement, struct confine_result *result_out,
            struct err *err)
{
    *result_out = (struct confine_result){0};
    if (!has_one_thread())
        return err_set(err, ERR_BUSY, "confinement comes too late: there are threads already");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set_errno(err, "no_new_privs");
    int status = confine_files(confinement, result_out, err);
    return status != 0 ? status : confine_calls(confinement->role, result_out, err);
}
