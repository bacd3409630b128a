#include "cli/browser.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define PROGRAM "xdg-open"

static bool has_display(void)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x11 != NULL && *x11 != '\0') || (wayland != NULL && *wayland != '\0');
}

/* It may live as long as the browser, and is not waited for. */
static bool start(const char *url)
{
    char program[] = PROGRAM;
    char *argument = strdup(url);
    char *const arguments[] = {program, argument, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    if (argument == NULL || posix_spawn_file_actions_init(&actions) != 0) {
        free(argument);
        return false;
    }
    bool is_started = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0) == 0 &&
                      posix_spawn_file_actions_adddup2(&actions, 0, 1) == 0 &&
                      posix_spawn_file_actions_adddup2(&actions, 0, 2) == 0 &&
                      posix_spawnp(&child, PROGRAM, &actions, NULL, arguments, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    free(argument);
    return is_started;
}

bool browser_open(const char *url)
{
    return has_display() && strncmp(url, "https://", 8) == 0 && start(url);
}
