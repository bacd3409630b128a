/* Who is at the other end: asked of the kernel, and read from its tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/slice.h"
#include "net/peer.h"
#include "net/peer_table.h"

#define STRANGER 65534

enum kind { KIND_FOUR, KIND_SIX, KIND_MAPPED_SERVER, KIND_MAPPED_CLIENT, KIND_COUNT };

struct pair {
    int client, server;
};

static int new_listener(enum kind kind, uint16_t *port_out)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (kind == KIND_SIX)
        six.sin6_addr = in6addr_loopback;
    bool is_four = kind == KIND_FOUR || kind == KIND_MAPPED_CLIENT;
    struct sockaddr *name = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t size = is_four ? sizeof(four) : sizeof(six);
    int listener = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, name, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, name, &size), 0);
    *port_out = ntohs(is_four ? four.sin_port : six.sin6_port);
    return listener;
}

/* -1 when it fails, so that a forked child can use it. */
static int connect_to(enum kind kind, uint16_t port)
{
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_four = kind == KIND_FOUR || kind == KIND_MAPPED_SERVER;
    inet_pton(AF_INET6, kind == KIND_SIX ? "::1" : "::ffff:127.0.0.1", &six.sin6_addr);
    struct sockaddr *name = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    int client = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(client, name, is_four ? sizeof(four) : sizeof(six)) == 0)
        return client;
    close(client);
    return -1;
}

static struct pair connect_pair(enum kind kind)
{
    uint16_t port;
    int listener = new_listener(kind, &port);
    struct pair pair = {.client = connect_to(kind, port)};
    assert_true(pair.client >= 0);
    pair.server = accept(listener, NULL, NULL);
    assert_true(pair.server >= 0);
    close(listener);
    return pair;
}

static struct peer_lookup *lookup; /* of the group of tests */

static int set_up(void **state)
{
    (void)state;
    return peer_lookup_open(&lookup, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    peer_lookup_close(lookup);
    return 0;
}

/* By the tables of /proc, as where there is no netlink. */
static int user_by_table(int descriptor, uint32_t *user_id_out)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof(own);
    struct peer_address near_end, far_end = {0};
    if (peer_address(descriptor, &near_end) != 0)
        return ERR_NOT_FOUND;
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&own, &size), 0);
    if (own.ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&own;
        far_end.family = 4;
        far_end.port = ntohs(four->sin_port);
        memcpy(far_end.bytes, &four->sin_addr, 4);
    } else {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&own;
        far_end.family = 6;
        far_end.port = ntohs(six->sin6_port);
        memcpy(far_end.bytes, &six->sin6_addr, 16);
    }
    const char *tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    int status = ERR_NOT_FOUND;
    for (size_t i = 0; i < LENGTH_OF(tables) && status != 0; i++) {
        int table = open(tables[i], O_RDONLY | O_CLOEXEC);
        status = peer_table_find(table, &near_end, &far_end, user_id_out);
        close(table);
    }
    return status;
}

static void check_user(int descriptor, int status, uint32_t user_id)
{
    uint32_t found = 4242;
    assert_int_equal(peer_user(lookup, descriptor, &found), status);
    assert_int_equal(found, status == 0 ? user_id : 4242);
    found = 4242;
    assert_int_equal(user_by_table(descriptor, &found), status);
    assert_int_equal(found, status == 0 ? user_id : 4242);
}

static void test_own_user(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct pair pair = connect_pair((enum kind)kind);
        for (size_t i = 0; i < 3; i++)
            check_user(pair.server, 0, getuid());
        check_user(pair.client, 0, getuid());
        close(pair.client);
        close(pair.server);
    }
}

static void test_other_user(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip();
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        uint16_t port;
        int hold[2];
        int listener = new_listener((enum kind)kind, &port);
        assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0) {
            char byte;
            close(hold[1]);
            bool is_connected = setuid(STRANGER) == 0 && connect_to((enum kind)kind, port) >= 0;
            if (is_connected && read(hold[0], &byte, 1) != 0)
                _exit(2);
            _exit(is_connected ? 0 : 1);
        }
        close(hold[0]);
        int server = accept(listener, NULL, NULL);
        check_user(server, 0, STRANGER);
        close(hold[1]); /* lets the child end, and its socket with it */
        int ending;
        assert_int_equal(waitpid(child, &ending, 0), child);
        assert_true(WIFEXITED(ending) && WEXITSTATUS(ending) == 0);
        check_user(server, ERR_NOT_FOUND, 0);
        close(server);
        close(listener);
    }
}

static void test_closed_at_once(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        for (int is_reset = 0; is_reset < 2; is_reset++) {
            struct pair pair = connect_pair((enum kind)kind);
            const struct linger hard = {.l_onoff = is_reset};
            setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
            close(pair.client);
            check_user(pair.server, ERR_NOT_FOUND, 0);
            close(pair.server);
        }
    }
}

/* The kernel falls back to a socket that listens on the port of a peer that is gone. TCP_REPAIR
 * lets the peer vanish without a word, so that the accepted end does not notice. */
static void test_listener_on_the_peers_port(void **state)
{
    (void)state;
    uint16_t port;
    int yes = 1, first = new_listener(KIND_FOUR, &port);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in target = name;
    socklen_t size = sizeof(name);
    target.sin_port = htons(port);
    struct pair pair = {.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(setsockopt(pair.client, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    assert_int_equal(bind(pair.client, (struct sockaddr *)&name, size), 0);
    assert_int_equal(getsockname(pair.client, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(connect(pair.client, (struct sockaddr *)&target, size), 0);
    pair.server = accept(first, NULL, NULL);
    close(first);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    check_user(pair.server, 0, getuid());
    bool may_vanish = setsockopt(pair.client, IPPROTO_TCP, TCP_REPAIR, &yes, sizeof(yes)) == 0;
    close(pair.client);
    struct peer_address address;
    if (may_vanish)
        assert_int_equal(peer_address(pair.server, &address), 0);
    check_user(pair.server, ERR_NOT_FOUND, 0);
    close(pair.server);
    close(listener);
}

static void test_unix(void **state)
{
    (void)state;
    int pair[2];
    uint32_t user_id = 4242;
    struct peer_address address;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(peer_user(lookup, pair[0], &user_id), 0);
    assert_int_equal(user_id, getuid());
    assert_int_equal(peer_address(pair[0], &address), 0);
    assert_int_equal(address.family, 1);
    assert_string_equal(address.text, "unix");
    assert_true(address.is_loopback);
    const uint8_t anything[16] = {0};
    assert_false(peer_is_within(&address, anything, 0));
    close(pair[0]);
    close(pair[1]);
}

static void test_no_peer(void **state)
{
    (void)state;
    struct peer_address address;
    uint32_t user_id = 4242;
    uint16_t port;
    int listener = new_listener(KIND_FOUR, &port);
    assert_int_equal(peer_address(listener, &address), ERR_NOT_FOUND);
    assert_int_equal(peer_user(lookup, listener, &user_id), ERR_NOT_FOUND);
    assert_int_equal(peer_user(lookup, -1, &user_id), ERR_NOT_FOUND);
    assert_int_equal(user_id, 4242);
    close(listener);
}

/* -- addresses -- */

static void test_addresses(void **state)
{
    (void)state;
    const char *texts[] = {"127.0.0.1:%u", "[::1]:%u", "[::ffff:127.0.0.1]:%u", "127.0.0.1:%u"};
    const uint8_t families[] = {4, 6, 6, 4};
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        struct pair pair = connect_pair((enum kind)kind);
        struct peer_address address;
        struct sockaddr_in6 name; /* the port is at the same place in sockaddr_in */
        socklen_t size = sizeof(name);
        char expected[64];
        assert_int_equal(getsockname(pair.client, (struct sockaddr *)&name, &size), 0);
        assert_int_equal(peer_address(pair.server, &address), 0);
        assert_int_equal(address.family, families[kind]);
        assert_int_equal(address.port, ntohs(name.sin6_port));
        assert_true(address.is_loopback);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(expected, sizeof(expected), texts[kind], address.port);
#pragma GCC diagnostic pop
        assert_string_equal(address.text, expected);
        close(pair.client);
        close(pair.server);
    }
}

static struct peer_address address_of(const char *text)
{
    struct peer_address address = {.family = strchr(text, ':') == NULL ? 4 : 6};
    assert_int_equal(inet_pton(address.family == 4 ? AF_INET : AF_INET6, text, address.bytes), 1);
    return address;
}

static bool is_within(const char *text, const char *network_text, unsigned prefix_length)
{
    struct peer_address address = address_of(text), network = address_of(network_text);
    uint8_t bytes[16];
    peer_address_map(&network, bytes);
    return peer_is_within(&address, bytes, prefix_length);
}

static void test_networks(void **state)
{
    (void)state;
    assert_true(is_within("192.0.2.7", "192.0.2.0", 96 + 24));
    assert_false(is_within("192.0.3.7", "192.0.2.0", 96 + 24));
    assert_true(is_within("192.0.3.7", "192.0.2.0", 96 + 23));
    assert_true(is_within("192.0.2.7", "192.0.2.7", 128));
    assert_false(is_within("192.0.2.6", "192.0.2.7", 128));
    assert_true(is_within("192.0.2.6", "192.0.2.7", 127));
    assert_true(is_within("::ffff:192.0.2.7", "192.0.2.0", 96 + 24));
    assert_true(is_within("2001:db8::1", "2001:db8::", 32));
    assert_false(is_within("2001:db9::1", "2001:db8::", 32));
    assert_true(is_within("2001:db9::1", "2001:db8::", 31));
    assert_false(is_within("2001:db8::1", "192.0.2.0", 96));
    assert_true(is_within("2001:db8::1", "::", 0));
    assert_true(is_within("192.0.2.1", "::", 0));
    assert_false(is_within("192.0.2.1", "::", 129));
}

/* -- the table -- */

static const char table_head[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";

static int find_in(const char *lines, uint32_t *user_id_out)
{
    int table = memfd_create("table", MFD_CLOEXEC);
    assert_int_equal(write(table, table_head, strlen(table_head)), strlen(table_head));
    assert_int_equal(write(table, lines, strlen(lines)), strlen(lines));
    struct peer_address near_end = address_of("127.0.0.1"), far_end = address_of("127.0.0.1");
    near_end.port = 0x9c40;
    far_end.port = 0x0477;
    int status = peer_table_find(table, &near_end, &far_end, user_id_out);
    close(table);
    return status;
}

#define LINE_REST " 00000000:00000000 00:00000000 00000000 "

static void test_table_lines(void **state)
{
    (void)state;
    uint32_t user_id = 0;
    assert_int_equal(find_in("   7: 0100007F:9C40 0100007F:0477 01" LINE_REST
                             " 1000        0 4711 1 0000 20 4 30 10 -1\n",
                             &user_id),
                     0);
    assert_int_equal(user_id, 1000);
    assert_int_equal(find_in("   7: 0000000000000000FFFF00000100007F:9C40 "
                             "0000000000000000FFFF00000100007F:0477 01" LINE_REST
                             " 1001        0 4711 1\n",
                             &user_id),
                     0);
    assert_int_equal(user_id, 1001);
    const char *strangers[] = {
        "",
        "   7: 0100007F:9C41 0100007F:0477 01" LINE_REST " 1000        0 4711 1\n",
        "   7: 0100007F:9C40 0100007F:0478 01" LINE_REST " 1000        0 4711 1\n",
        "   7: 0200007F:9C40 0100007F:0477 01" LINE_REST " 1000        0 4711 1\n",
        "   7: 0100007F:0477 0100007F:9C40 01" LINE_REST " 1000        0 4711 1\n",
        "   7: 0100007F:9C40 0100007F:0477 01" LINE_REST " 1000        0 0 1\n",
        "   7: 0100007F:9C40 0100007F:0477 0A" LINE_REST " 1000        0 4711 1\n",
        "   7: 0100007F:9C40 0100007F:0477 01" LINE_REST " 4294967296        0 4711 1\n",
        "   7: 0100007F:9C40 0100007F:0477 01" LINE_REST " -1        0 4711 1\n",
        "   7: 0100007F:9C40 0100007F:0477 01" LINE_REST " 1000        0\n",
        "   7: 0100007F:9C40 0100007F:0477 01" LINE_REST " 1000        0 4711 1", /* no end */
        "   7: 0100007F:9C40 0100007F:10477 01" LINE_REST " 1000        0 4711 1\n",
        "   7: 0100007F:9C40 0100007F 01" LINE_REST " 1000        0 4711 1\n",
        "   7: 0100007F:9C40 00000000000000000100007F:0477 01" LINE_REST " 1000 0 4711 1\n",
    };
    for (size_t i = 0; i < LENGTH_OF(strangers); i++) {
        user_id = 4242;
        assert_int_equal(find_in(strangers[i], &user_id), ERR_NOT_FOUND);
        assert_int_equal(user_id, 4242);
    }
}

static void test_table_larger_than_a_piece(void **state)
{
    (void)state;
    /* Each number of lines before it puts the border of the pieces elsewhere in the line. */
    char *lines = mem_new(64 * 1024);
    for (size_t before = 60; before < 260; before++) {
        size_t size = 0;
        for (size_t i = 0; i < before; i++)
            size += (size_t)snprintf(
                lines + size, 64 * 1024 - size,
                "%4zu: 0200007F:%04zX 0100007F:0477 01" LINE_REST " 0 0 %zu 1\n", i, i, i + 1);
        snprintf(lines + size, 64 * 1024 - size,
                 " 999: 0100007F:9C40 0100007F:0477 01" LINE_REST " 77 0 4711 1\n");
        uint32_t user_id = 0;
        assert_int_equal(find_in(lines, &user_id), 0);
        assert_int_equal(user_id, 77);
    }
    mem_free(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_user),       cmocka_unit_test(test_other_user),
        cmocka_unit_test(test_closed_at_once), cmocka_unit_test(test_listener_on_the_peers_port),
        cmocka_unit_test(test_unix),           cmocka_unit_test(test_no_peer),
        cmocka_unit_test(test_addresses),      cmocka_unit_test(test_networks),
        cmocka_unit_test(test_table_lines),    cmocka_unit_test(test_table_larger_than_a_piece),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
