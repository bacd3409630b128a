/*
 * Happy path: it may connect to the mail servers' ports, and read the one device that libsasl2 asks
 * for chance.
 *
 * Failures: see net/confine.h. What the kernel does not have is said once by the keeper, which
 * meets the same kernel.
 */
#include "gate/gate.h"
#include "net/confine.h"

int gate_confine(const struct gate *gate, struct err *err)
{
    static const struct confine_place places[] = {{"/dev/urandom", CONFINE_READ}};
    const struct confinement confinement = {.role = CONFINE_GATE,
                                            .places = places,
                                            .place_count = LENGTH_OF(places),
                                            .ports = gate->configure.ports,
                                            .port_count = gate->configure.port_count};
    struct confine_result result;
    int status = confine(&confinement, &result, err);
    if (status == 0)
        log_debug(&gate->log, "confined: Landlock %d%s, system calls %s", result.landlock,
                  result.has_gate_ports ? " with ports" : "",
                  result.has_filter ? "filtered" : "free");
    return status;
}
