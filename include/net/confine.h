/*
 * What a process gives up once it has all that it needs, for good: privileges by way of a setuid
 * program (no_new_privs), files and ports by Landlock, system calls by a seccomp filter. Whoever
 * takes the process over then has no more than it has.
 *
 * A gate may read and write the descriptors it has, accept, and connect TCP sockets to the given
 * ports; of files it has those that are given, of programs none. Any other system call ends it, but
 * for a few that libraries try and can do without. The keeper may open, make and remove what is
 * given, talk to the network, and start processes; what else there is fails, and what only an
 * intruder would try ends it. Both hold for the processes that it starts, too.
 *
 * Neither needs privileges. What the kernel lacks is left out, and told.
 */
#ifndef ECLUSE_NET_CONFINE_H
#define ECLUSE_NET_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum confine_role { CONFINE_GATE, CONFINE_KEEPER };

enum confine_access {
    CONFINE_READ,  /* a file, or all below a folder */
    CONFINE_RUN,   /* also execute it; a loader executes whatever may be read */
    CONFINE_USE,   /* read and write what is there */
    CONFINE_CHANGE /* also make, rename and remove files, sockets and folders in it */
};

struct confine_place {
    const char *path; /* one that is not there is left out; of a link it is what it points to */
    enum confine_access access;
};

struct confinement {
    enum confine_role role;
    const struct confine_place *places;
    size_t place_count;
    const uint16_t *ports; /* of CONFINE_GATE */
    size_t port_count;
};

struct confine_result {
    int landlock;        /* version of its interface; 0: this kernel has none */
    bool has_gate_ports; /* it limits the ports of gates, too (version 4, Linux 6.7) */
    bool has_filter;     /* of system calls */
};

/* For the whole process. ERR_BUSY: it has several threads already, which Landlock would not
 * hold for. ERR_SYSTEM: the kernel has it all, and refused; the process must not serve then. */
MUST_CHECK int confine(const struct confinement *confinement, struct confine_result *result_out,
                       struct err *err);

#endif
