#include "keeper/surroundings.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

/* NULL for a variable that is not set or empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

static const char *home_folder(void)
{
    const char *home = variable("HOME");
    if (home != NULL)
        return home;
    const struct passwd *user = getpwuid(getuid());
    return user == NULL ? NULL : user->pw_dir;
}

struct config_surroundings surroundings_read(void)
{
    return (struct config_surroundings){
        .home = home_folder(),
        .state_directory = variable("STATE_DIRECTORY"),
        .runtime_directory = variable("RUNTIME_DIRECTORY"),
        .xdg_state_home = variable("XDG_STATE_HOME"),
        .xdg_runtime_dir = variable("XDG_RUNTIME_DIR"),
        .user_id = (unsigned)getuid(),
    };
}
