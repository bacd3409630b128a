#include "cli/browser.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/mem.h"

#define PROGRAM "xdg-open"

bool browser_has_display(void)
{
    const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x11 != NULL && *x11 != '\0') || (wayland != NULL && *wayland != '\0');
}

/* A session of its own, so that Ctrl-C here ends no browser; SIGPIPE as programs expect it. */
static bool set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t defaults;
    return sigemptyset(&defaults) == 0 && sigaddset(&defaults, SIGPIPE) == 0 &&
           posix_spawnattr_setsigdefault(attributes, &defaults) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF) == 0;
}

static bool set_files(posix_spawn_file_actions_t *actions)
{
    return posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0) == 0 &&
           posix_spawn_file_actions_adddup2(actions, 0, 1) == 0 &&
           posix_spawn_file_actions_adddup2(actions, 0, 2) == 0;
}

/* It may live as long as the browser, and is not waited for. */
static bool start(const char *url)
{
    char program[] = PROGRAM;
    char *argument = mem_copy_string(url);
    char *const arguments[] = {program, argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t child;
    ENSURE(posix_spawn_file_actions_init(&actions) == 0);
    ENSURE(posix_spawnattr_init(&attributes) == 0);
    bool is_started = set_attributes(&attributes) && set_files(&actions) &&
                      posix_spawnp(&child, PROGRAM, &actions, &attributes, arguments, environ) == 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    mem_free(argument);
    return is_started;
}

bool browser_open(const char *url)
{
    return browser_has_display() && strncmp(url, "https://", 8) == 0 && start(url);
}
