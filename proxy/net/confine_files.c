/*
 * Landlock (landlock(7)).
 *
 * Happy path: the kernel's version of the interface is asked for, a ruleset is made that handles
 * all that this version knows, each place and port is added, and it is enforced.
 *
 * Failures: no Landlock in the kernel, or switched off, or hidden by a container: left out. A place
 * that is not there: left out, and nothing may be opened under its name later. Anything else:
 * ERR_SYSTEM.
 *
 * A rule holds for what is found at the path now, and all below it. So the folder of a file is
 * given where the file may be replaced by another of the same name.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/confine_parts.h"

/* Of the kernel's interface, by the versions that brought them: the machine that builds may have
 * older headers than the one that runs has a kernel. */
#define FILE_TRUNCATE  (1ull << 14) /* 3 */
#define FILE_IOCTL     (1ull << 15) /* 5 */
#define NET_BIND       (1ull << 0)  /* 4 */
#define NET_CONNECT    (1ull << 1)  /* 4 */
#define SCOPE_ABSTRACT (1ull << 0)  /* 6 */
#define SCOPE_SIGNAL   (1ull << 1)  /* 6 */
#define RULE_PORT      2

#define VERSION_REFER    2
#define VERSION_TRUNCATE 3
#define VERSION_PORTS    4
#define VERSION_IOCTL    5
#define VERSION_SCOPES   6

struct ruleset {
    uint64_t files, net, scoped;
};
struct port_rule {
    uint64_t allowed, port;
};

#define FILE_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_RUN  (FILE_READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define FILE_USE  (FILE_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FILE_TRUNCATE | FILE_IOCTL)
#define FILE_CHANGE                                                                                \
    (FILE_USE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                   \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
     LANDLOCK_ACCESS_FS_REFER)
/* What can be allowed for a file that is no folder. */
#define FILE_ALONE                                                                                 \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     FILE_TRUNCATE | FILE_IOCTL)

static const uint64_t rights[] = {[CONFINE_READ] = FILE_READ,
                                  [CONFINE_RUN] = FILE_RUN,
                                  [CONFINE_USE] = FILE_USE,
                                  [CONFINE_CHANGE] = FILE_CHANGE};

/* 0: there is none. */
static int version(void)
{
    long number = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return number < 0 ? 0 : (int)number;
}

static struct ruleset handled(const struct confinement *confinement, int version)
{
    struct ruleset ruleset = {.files = (1ull << 13) - 1};
    if (version >= VERSION_REFER)
        ruleset.files |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= VERSION_TRUNCATE)
        ruleset.files |= FILE_TRUNCATE;
    if (version >= VERSION_IOCTL)
        ruleset.files |= FILE_IOCTL;
    /* The keeper talks to whatever an issuer names, listens where a reload says, and ends gates. */
    if (confinement->role == CONFINE_KEEPER)
        return ruleset;
    if (version >= VERSION_PORTS)
        ruleset.net = NET_BIND | NET_CONNECT;
    if (version >= VERSION_SCOPES)
        ruleset.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
    return ruleset;
}

static int fail(struct err *err, const char *what)
{
    (void)err_set_errno(err, "Landlock: %s", what);
    return ERR_SYSTEM;
}

static int add_place(int ruleset, const struct confine_place *place, uint64_t known,
                     struct err *err)
{
    struct stat about;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights[place->access] & known};
    rule.parent_fd = open(place->path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : fail(err, place->path);
    int status = fstat(rule.parent_fd, &about);
    if (status == 0 && !S_ISDIR(about.st_mode))
        rule.allowed_access &= FILE_ALONE;
    if (status == 0)
        status = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    if (status != 0)
        status = fail(err, place->path);
    close(rule.parent_fd);
    return status;
}

static int add_places(int ruleset, const struct confinement *confinement, uint64_t known,
                      struct err *err)
{
    int status = 0;
    for (size_t i = 0; i < confinement->place_count && status == 0; i++)
        status = add_place(ruleset, &confinement->places[i], known, err);
#ifdef CONFINE_SANITIZED
    if (status == 0)
        status = add_place(ruleset, &(struct confine_place){"/", CONFINE_READ}, known, err);
#endif
    return status;
}

static int add_ports(int ruleset, const struct confinement *confinement, struct err *err)
{
    for (size_t i = 0; i < confinement->port_count; i++) {
        const struct port_rule rule = {.allowed = NET_CONNECT, .port = confinement->ports[i]};
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &rule, 0) != 0)
            return fail(err, "a port");
    }
    return 0;
}

int confine_files(const struct confinement *confinement, struct confine_result *result_out,
                  struct err *err)
{
    int kernel = version();
    if (kernel == 0)
        return 0;
    const struct ruleset attributes = handled(confinement, kernel);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    if (ruleset < 0)
        return fail(err, "no ruleset");
    int status = add_places(ruleset, confinement, attributes.files, err);
    if (status == 0 && attributes.net != 0)
        status = add_ports(ruleset, confinement, err);
    if (status == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        status = fail(err, "not enforced");
    close(ruleset);
    if (status != 0)
        return status;
    result_out->landlock = kernel;
    result_out->has_gate_ports = kernel >= VERSION_PORTS;
    return 0;
}
