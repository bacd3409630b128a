#include "auth/sasl_library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "auth/wiping_memory.h"

/* Not everywhere does libsasl2 look whether it has got memory. Without any the process ends here,
 * as it does where ours is out (base/mem.h); what a peer can make it ask for is bounded. */
static void *not_null(void *memory)
{
    if (memory == NULL)
        mem_broken("libsasl2 has no memory", __FILE__, __LINE__);
    return memory;
}

static void *some_malloc(size_t size)
{
    return not_null(wiping_malloc(size));
}

static void *some_calloc(size_t count, size_t size)
{
    return not_null(wiping_calloc(count, size));
}

static void *some_realloc(void *memory, size_t size)
{
    return not_null(wiping_realloc(memory, size));
}

void sasl_library_prepare(void)
{
    sasl_set_alloc(some_malloc, some_calloc, some_realloc, wiping_free);
    /* A mask of 0 would only ask; libsasl2 never writes with the priority that is left. */
    setlogmask(LOG_MASK(LOG_EMERG));
}

sasl_callback_t sasl_library_callback(unsigned long identifier, void (*function)(void),
                                      void *context)
{
    return (sasl_callback_t){identifier, (int (*)(void))function, context};
}

static int drop_log(void *context, int level, const char *message)
{
    (void)context;
    (void)level;
    (void)message;
    return SASL_OK;
}

sasl_callback_t sasl_library_no_log(void)
{
    return sasl_library_callback(SASL_CB_LOG, (void (*)(void))drop_log, NULL);
}

static int no_configuration(void *context, char **path_out)
{
    (void)context;
    (void)path_out;
    return SASL_FAIL;
}

sasl_callback_t sasl_library_no_configuration(void)
{
    return sasl_library_callback(SASL_CB_GETCONFPATH, (void (*)(void))no_configuration, NULL);
}

bool sasl_library_folder_is_valid(const char *folder, struct err *err)
{
    if (strpbrk(folder, ":=") == NULL)
        return true;
    err_set(err, ERR_CONFIG, "':' and '=' cannot stand in the name of the SASL folder");
    return false;
}

bool sasl_library_is_file(const char *path, const char *folder, const char *file)
{
    struct slice rest = slice_of_string(path);
    return slice_starts_with(rest, folder) && slice_is(slice_skip(rest, strlen(folder) + 1), file);
}

int sasl_library_check_loaded(const char *folder, const char *file, struct err *err)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof(path), "%s/%s", folder, file);
    if (size < 0 || (size_t)size >= sizeof(path) || access(path, F_OK) != 0)
        return 0;
    void *plugin = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (plugin == NULL)
        return err_set(err, ERR_SYSTEM, "libsasl2 cannot load %s", path);
    (void)dlclose(plugin);
    return 0;
}

bool sasl_library_list_has(const char *list, struct slice name)
{
    return slice_has_word(slice_of_string(list), ' ', name);
}

int sasl_library_restrict(sasl_conn_t *connection)
{
    const sasl_security_properties_t properties = {
        .min_ssf = 0,
        .max_ssf = 0,
        .maxbufsize = 0,
        .security_flags = SASL_SEC_NOANONYMOUS,
    };
    return sasl_setprop(connection, SASL_SEC_PROPS, &properties);
}
