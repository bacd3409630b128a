#include "keeper/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The size of the address; 0 when it is none. "@name" is in the abstract name space. */
static socklen_t fill(const char *name, struct sockaddr_un *address)
{
    size_t length = strlen(name);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((*name != '/' && *name != '@') || length < 2 || length >= sizeof(address->sun_path))
        return 0;
    memcpy(address->sun_path, name, length);
    if (*name == '@')
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name == '/'));
}

static void say(const char *words)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t size = name == NULL ? 0 : fill(name, &address);
    if (size == 0)
        return;
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return;
    ssize_t sent = sendto(descriptor, words, strlen(words), MSG_NOSIGNAL,
                          (const struct sockaddr *)&address, size);
    (void)sent;
    close(descriptor);
}

void notify_ready(void)
{
    say("READY=1");
}

void notify_reloading(void)
{
    char words[80];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(words, sizeof(words), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    say(words);
}

void notify_stopping(void)
{
    say("STOPPING=1");
}
