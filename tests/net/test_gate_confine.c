/*
 * A gate's own confinement, with all that it is given: the ports of its CONFIGURE, and a device.
 */
#include "confine_ground.h"

#include "gate/gate.h"

static void as_real_gate(void)
{
    struct err err;
    struct gate gate = {.configure = {.ports = test.ports, .port_count = 1}};
    log_init(&gate.log, LOG_LEVEL_ERROR, "gate 1");
    if (gate_confine(&gate, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        _exit(200);
    }
}

static int find_root(void)
{
    return open_file("/", O_RDONLY | O_DIRECTORY);
}

static int write_chance(void)
{
    return open_file("/dev/urandom", O_WRONLY);
}

static int read_peers(void)
{
    return open_file("/proc/net/tcp", O_RDONLY);
}

static void test_what_it_has(void **state)
{
    (void)state;
    assert_done(as_real_gate, connect_given);
    assert_done(as_real_gate, read_chance);
}

static void test_no_file(void **state)
{
    (void)state;
    assert_refused(as_real_gate, write_outside);
    assert_refused(as_real_gate, write_chance);
    assert_refused_strictly(as_real_gate, find_root);
    assert_refused_strictly(as_real_gate, read_passwords);
    assert_refused_strictly(as_real_gate, read_peers);
}

static void test_no_other_port(void **state)
{
    (void)state;
    if (test.landlock >= VERSION_PORTS)
        assert_refused(as_real_gate, connect_foreign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_has),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_no_other_port),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
