/*
 * For the tests of keeper/command and keeper/control: a folder of its own, a configuration in it,
 * and a real offline keeper on a loop. Nobody listens on the token endpoint of the first account;
 * the other one's takes connections and says nothing.
 */
#ifndef ECLUSE_TESTS_NET_OFFLINE_KEEPER_H
#define ECLUSE_TESTS_NET_OFFLINE_KEEPER_H

/* cmocka.h wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/scratch_folder.h"
#include "keeper/command.h"
#include "keeper/keeper.h"

#define CONFIGURATION                                                                              \
    "[ecluse]\n"                                                                                   \
    "state_dir = %1$s/state\n"                                                                     \
    "runtime_dir = %1$s/run\n"                                                                     \
    "[listen imap]\n"                                                                              \
    "address = 127.0.0.1:1143\n"                                                                   \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "[account other]\n"                                                                            \
    "address = bob@example.test\n"                                                                 \
    "provider = silent\n"                                                                          \
    "client_id = test-client\n"                                                                    \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "authorization_endpoint = https://127.0.0.1:1/auth\n"                                          \
    "token_endpoint = https://127.0.0.1:1/token\n"                                                 \
    "[provider silent]\n"                                                                          \
    "imap = tls://imap.example.test:993\n"                                                         \
    "authorization_endpoint = https://127.0.0.1:%2$u/auth\n"                                       \
    "token_endpoint = https://127.0.0.1:%2$u/token\n"

struct offline_keeper {
    char *folder;
    int silent; /* listens, and never accepts */
    struct loop loop;
    struct keeper *keeper;
};

static unsigned open_silent_port(struct offline_keeper *offline)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    offline->silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(offline->silent >= 0);
    assert_int_equal(bind(offline->silent, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(offline->silent, 16), 0);
    assert_int_equal(getsockname(offline->silent, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

static void offline_keeper_open(struct offline_keeper *offline)
{
    char file[128];
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct err err;
    offline->folder = scratch_folder_new();
    snprintf(file, sizeof(file), "%s/ecluse.ini", offline->folder);
    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    fprintf(stream, CONFIGURATION, offline->folder, open_silent_port(offline));
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(file, 0600), 0);
    const struct config_surroundings surroundings = {.home = offline->folder,
                                                     .user_id = (unsigned)getuid()};
    int status = config_read(file, &surroundings, &config, &problems);
    if (status != 0 && problems.count > 0)
        print_error("line %d: %s\n", problems.items[0].line, problems.items[0].text);
    config_problems_free(&problems);
    assert_int_equal(status, 0);
    assert_int_equal(loop_init(&offline->loop, &err), 0);
    status = keeper_open(&offline->loop, config, KEEPER_OFFLINE, &offline->keeper, &err);
    if (status != 0)
        print_error("%s\n", err.text);
    assert_int_equal(status, 0);
}

/* loop_fini insists that every handle is closed. */
static void offline_keeper_close(struct offline_keeper *offline)
{
    keeper_free(offline->keeper);
    loop_fini(&offline->loop);
    close(offline->silent);
    scratch_folder_remove(offline->folder);
}

#endif
