#include "keeper/surroundings.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *surroundings_variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

static const char *home_folder(void)
{
    const char *home = surroundings_variable("HOME");
    if (home != NULL)
        return home;
    const struct passwd *user = getpwuid(getuid());
    return user == NULL ? NULL : user->pw_dir;
}

/* The first folder of a list, resolved when it is there; NULL without one. For mem_free. */
static char *folder_of_systemd(const char *name)
{
    const char *list = surroundings_variable(name);
    if (list == NULL)
        return NULL;
    char *folder = mem_copy_bytes_as_string(list, strcspn(list, ":"));
    char *resolved = realpath(folder, NULL);
    if (resolved == NULL)
        return folder;
    mem_free(folder);
    folder = mem_copy_string(resolved);
    free(resolved);
    return folder;
}

void surroundings_read(struct surroundings *surroundings_out)
{
    char *state_directory = folder_of_systemd("STATE_DIRECTORY");
    char *runtime_directory = folder_of_systemd("RUNTIME_DIRECTORY");
    *surroundings_out = (struct surroundings){
        .values = {.home = home_folder(),
                   .state_directory = state_directory,
                   .runtime_directory = runtime_directory,
                   .xdg_state_home = surroundings_variable("XDG_STATE_HOME"),
                   .xdg_runtime_dir = surroundings_variable("XDG_RUNTIME_DIR"),
                   .ssl_cert_file = surroundings_variable("SSL_CERT_FILE"),
                   .user_id = (unsigned)getuid()},
        .state_directory = state_directory,
        .runtime_directory = runtime_directory,
    };
}

void surroundings_clear(struct surroundings *surroundings)
{
    mem_free(surroundings->state_directory);
    mem_free(surroundings->runtime_directory);
    *surroundings = (struct surroundings){0};
}
