/*
 * libsasl2 asks for the machine's name at each sasl_client_new, and when that name has no dot it
 * asks the resolver too: a blocking look-up in the event loop, for something that neither XOAUTH2
 * nor OAUTHBEARER uses. There is no option against it, so the program answers gethostname itself,
 * with a name that has a dot. The machine's own name goes nowhere.
 *
 * Failure modes: the executable does not export the symbol; then libsasl2 finds the C library's,
 * and sasl_initiator_library_open refuses to start.
 */
#include "auth/hostname.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Declared here: <unistd.h> may come with an inline one (_FORTIFY_SOURCE). */
__attribute__((visibility("default"))) int gethostname(char *name, size_t size);

int gethostname(char *name, size_t size)
{
    if (size < sizeof(HOSTNAME_TEXT)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, HOSTNAME_TEXT, sizeof(HOSTNAME_TEXT));
    return 0;
}

bool hostname_is_ours(void)
{
    int (*ours)(char *, size_t) = gethostname;
    void *found = dlsym(RTLD_DEFAULT, "gethostname");
    return found != NULL && memcmp(&found, &ours, sizeof(found)) == 0;
}
