/*
 * Where state and the control socket go when the file does not say: systemd's folder, else the
 * user's own by the XDG base directory rules. Fails only when there is no home either.
 */
#include <stdio.h>
#include <string.h>

#include "conf/check.h"
#include "conf/problem.h"

/* For mem_free; NULL unless `folder` is absolute, as the XDG rules have it. */
static char *joined(const char *folder, const char *name)
{
    if (folder == NULL || folder[0] != '/')
        return NULL;
    size_t size = strlen(folder) + strlen(name) + 1;
    char *path = mem_new(size);
    (void)snprintf(path, size, "%s%s", folder, name);
    return path;
}

/* systemd lists several folders with ':' between them; the first is the one. */
static char *first_of_list(const char *list)
{
    if (list == NULL || list[0] != '/')
        return NULL;
    return mem_copy_bytes_as_string(list, strcspn(list, ":"));
}

static char *state_folder(const struct config_surroundings *surroundings)
{
    char *path = first_of_list(surroundings->state_directory);

    if (path == NULL)
        path = joined(surroundings->xdg_state_home, "/ecluse");
    if (path == NULL)
        path = joined(surroundings->home, "/.local/state/ecluse");
    return path;
}

static char *runtime_folder(const struct config_surroundings *surroundings)
{
    char of_user[48];
    char *path = first_of_list(surroundings->runtime_directory);

    if (path == NULL)
        path = joined(surroundings->xdg_runtime_dir, "/ecluse");
    if (path != NULL)
        return path;
    (void)snprintf(of_user, sizeof(of_user), "/run/user/%u/ecluse", surroundings->user_id);
    return mem_copy_string(of_user);
}

void check_folders(struct draft *draft)
{
    struct config *config = draft->config;

    if (*config->state_dir == '\0') {
        char *path = state_folder(draft->surroundings);
        if (path == NULL) {
            problems_add(draft->problems, draft_line(draft->sections[0], "state_dir"),
                         "state_dir has no default without $HOME; set it to a folder of your own");
        } else {
            mem_free(config->state_dir);
            config->state_dir = path;
        }
    }
    if (*config->runtime_dir == '\0') {
        mem_free(config->runtime_dir);
        config->runtime_dir = runtime_folder(draft->surroundings);
    }
}
