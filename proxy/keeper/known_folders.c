/*
 * Happy path: each file that is named gives the folder it is in, and the one its link leads to.
 *
 * Failures: what is not there has no link to follow, and is left to whoever opens it.
 */
#include "keeper/known_folders.h"

#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

/* What is read when nobody thinks of it: name look-ups and their plug-ins, character sets, the time
 * zone; the resolver's file may be a link into one of these, whoever writes it. */
static const struct confine_place common[] = {
    {"/etc", CONFINE_READ},
    {"/usr", CONFINE_READ},
    {"/lib", CONFINE_READ},
    {"/lib64", CONFINE_READ},
    {"/run/systemd/resolve", CONFINE_READ},
    {"/run/systemd/userdb", CONFINE_READ},
    {"/run/NetworkManager", CONFINE_READ},
    {"/run/resolvconf", CONFINE_READ},
    {"/run/nscd", CONFINE_READ},
    {"/proc/self", CONFINE_READ},
    {"/proc/net", CONFINE_READ},
    {"/proc/sys/vm", CONFINE_READ},
    {"/sys/devices/system/cpu", CONFINE_READ},
    {"/dev/urandom", CONFINE_READ},
    {"/dev/random", CONFINE_READ},
    {"/dev/null", CONFINE_USE},
    /* the gates; after an upgrade it is still the one that runs */
    {"/proc/self/exe", CONFINE_RUN},
};

/* ---- the list ---- */

static void add(struct known_folders *folders, char *path, enum confine_access access)
{
    folders->places = mem_resize(folders->places, (folders->count + 1) * sizeof(*folders->places));
    folders->places[folders->count++] = (struct confine_place){path, access};
}

static void add_folder(struct known_folders *folders, const char *folder,
                       enum confine_access access)
{
    char resolved[PATH_MAX];
    if (*folder != '\0')
        add(folders, mem_copy_string(realpath(folder, resolved) == NULL ? folder : resolved),
            access);
}

/* For mem_free. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        return mem_copy_string(".");
    return mem_copy_bytes_as_string(file, slash == file ? 1 : (size_t)(slash - file));
}

static void add_folder_of(struct known_folders *folders, const char *file,
                          enum confine_access access)
{
    char resolved[PATH_MAX];
    if (*file == '\0')
        return;
    char *folder = folder_of(file);
    add_folder(folders, folder, access);
    mem_free(folder);
    if (realpath(file, resolved) == NULL)
        return;
    folder = folder_of(resolved);
    add_folder(folders, folder, access);
    mem_free(folder);
}

/* ---- what a configuration names ---- */

static void find_listeners(const struct config *config, struct known_folders *folders)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = config->listeners[i];
        add_folder_of(folders, listener->tls_cert, CONFINE_READ);
        add_folder_of(folders, listener->tls_key, CONFINE_READ);
        for (size_t j = 0; j < listener->address_count; j++)
            if (listener->addresses[j].path != NULL)
                add_folder_of(folders, listener->addresses[j].path, CONFINE_CHANGE);
    }
}

static void find_named(const struct config *config, struct known_folders *folders)
{
    add_folder(folders, config->state_dir, CONFINE_CHANGE);
    add_folder(folders, config->runtime_dir, CONFINE_CHANGE);
    if (config->audit_anchor[0] == '/')
        add_folder_of(folders, config->audit_anchor, CONFINE_CHANGE);
    add_folder_of(folders, config->file, CONFINE_READ);
    add_folder_of(folders, config->ca_file, CONFINE_READ);
    find_listeners(config, folders);
    for (size_t i = 0; i < config->provider_count; i++)
        add_folder_of(folders, config->providers[i]->ca_file, CONFINE_READ);
    for (size_t i = 0; i < config->account_count; i++) {
        const struct account_config *account = config->accounts[i];
        add_folder_of(folders, account->client_secret_file, CONFINE_READ);
        add_folder_of(folders, account->jwt_key_file, CONFINE_READ);
        add_folder_of(folders, account->jwt_cert_file, CONFINE_READ);
    }
}

/* A gate that is started later loads what we have loaded, wherever that is. */
static int add_library(struct dl_phdr_info *library, size_t size, void *folders)
{
    (void)size;
    if (*library->dlpi_name == '/')
        add_folder_of(folders, library->dlpi_name, CONFINE_READ);
    for (int i = 0; i < library->dlpi_phnum; i++)
        if (library->dlpi_phdr[i].p_type == PT_INTERP) {
            const char *loader = (const char *)library->dlpi_addr + library->dlpi_phdr[i].p_vaddr;
            add(folders, mem_copy_string(loader), CONFINE_RUN);
        }
    return 0;
}

void known_folders_find(const struct config *config, struct known_folders *folders_out)
{
    *folders_out = (struct known_folders){0};
    for (size_t i = 0; i < LENGTH_OF(common); i++)
        add(folders_out, mem_copy_string(common[i].path), common[i].access);
    add_folder_of(folders_out, "/etc/resolv.conf", CONFINE_READ);
    add_folder(folders_out, SASL_PLUGIN_FOLDER, CONFINE_READ);
    dl_iterate_phdr(add_library, folders_out);
    find_named(config, folders_out);
}

void known_folders_clear(struct known_folders *folders)
{
    for (size_t i = 0; i < folders->count; i++)
        mem_free((char *)(uintptr_t)folders->places[i].path);
    mem_free(folders->places);
    *folders = (struct known_folders){0};
}

/* ---- a reload ---- */

static bool is_within(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 &&
           (path[size] == '\0' || path[size] == '/' || folder[size - 1] == '/');
}

static bool is_known(const struct known_folders *folders, const struct confine_place *place)
{
    for (size_t i = 0; i < folders->count; i++) {
        const struct confine_place *known = &folders->places[i];
        bool does = place->access == CONFINE_CHANGE ? known->access == CONFINE_CHANGE : true;
        if (does && is_within(place->path, known->path))
            return true;
    }
    return false;
}

int known_folders_check(const struct known_folders *folders, const struct config *config,
                        struct err *err)
{
    struct known_folders named = {0};
    int status = 0;
    find_named(config, &named);
    for (size_t i = 0; i < named.count && status == 0; i++)
        if (!is_known(folders, &named.places[i]))
            status = err_set(err, ERR_CONFIG,
                             "ecluse did not know of folder %s when it started, and is confined "
                             "to those it knew; start it again",
                             named.places[i].path);
    known_folders_clear(&named);
    return status;
}
