/* What is within the machine, and that what is accepted there is not paced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/loopback.h"

static bool is_loopback(int family, const char *text)
{
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    void *bytes = family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&address)->sin6_addr
                                     : (void *)&((struct sockaddr_in *)&address)->sin_addr;
    assert_int_equal(inet_pton(family, text, bytes), 1);
    return loopback_is(&address);
}

static void test_addresses(void **state)
{
    (void)state;
    assert_true(is_loopback(AF_INET, "127.0.0.1"));
    assert_true(is_loopback(AF_INET, "127.255.0.9"));
    assert_false(is_loopback(AF_INET, "128.0.0.1"));
    assert_false(is_loopback(AF_INET, "0.0.0.0"));
    assert_true(is_loopback(AF_INET6, "::1"));
    assert_true(is_loopback(AF_INET6, "::ffff:127.0.0.1"));
    assert_false(is_loopback(AF_INET6, "::ffff:192.0.2.1"));
    assert_false(is_loopback(AF_INET6, "::"));
    assert_false(is_loopback(AF_INET6, "2001:db8::1"));
    assert_false(loopback_is(&(struct sockaddr_storage){.ss_family = AF_UNIX}));
}

static void test_what_is_accepted_inherits_it(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    char name[16] = "";
    socklen_t name_size = sizeof(name) - 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    loopback_tune(listener);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
    int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_CONGESTION, name, &name_size), 0);
    assert_string_equal(name, "reno");
    close(accepted);
    close(client);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_is_accepted_inherits_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
