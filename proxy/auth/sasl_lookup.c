/*
 * PLAIN and LOGIN: the mechanism hands the name to our canon_user plug-in, which takes it as it is
 * or refuses it, then name and password to the check callback. The challenge mechanisms request
 * the property userPassword; the name goes the same way, and our auxprop plug-in sets it.
 *
 * Failure modes:
 *  - the name is no valid one: SASL_BADAUTH, and nobody is asked;
 *  - the check says no: libsasl2 then tries the methods of its option pwcheck_method, of which
 *    sasl_server.c leaves it none;
 *  - the user has no password to tell: a random one is told, so that the exchange takes the course
 *    that it takes for a wrong password. The outcome stays NOTHING, whatever libsasl2 finds;
 *  - an authorization identity other than the user: SASL_NOAUTHZ.
 */
#include "auth/sasl_lookup.h"

#include <openssl/rand.h>
#include <sasl/saslplug.h>
#include <string.h>

#include "auth/sasl_library.h"
#include "base/hex.h"

static void remember(struct sasl_lookup *lookup, const char *user, enum sasl_lookup_outcome outcome)
{
    size_t size = strlen(user);
    ENSURE(size < sizeof(lookup->user));
    memcpy(lookup->user, user, size + 1);
    lookup->outcome = outcome;
}

static enum sasl_lookup_outcome ask(struct sasl_lookup *lookup, struct slice user,
                                    struct slice password)
{
    switch (lookup->users->check(lookup->exchange, user, password)) {
    case SASL_CHECK_MATCH:
        return SASL_LOOKUP_MATCH;
    case SASL_CHECK_LATER:
        return SASL_LOOKUP_LATER;
    case SASL_CHECK_MISMATCH:
        break;
    }
    return SASL_LOOKUP_MISMATCH;
}

static int check_password(sasl_conn_t *connection, void *context, const char *user,
                          const char *password, unsigned password_size, struct propctx *properties)
{
    (void)connection;
    (void)properties;
    struct sasl_lookup *lookup = context;
    struct slice bytes = slice_of(password, password_size);
    lookup->outcome = SASL_LOOKUP_NOTHING;
    lookup->is_malformed = slice_find(bytes, '\0') < bytes.size;
    if (lookup->is_malformed || bytes.size == 0)
        return SASL_BADAUTH;
    remember(lookup, user, ask(lookup, slice_of_string(user), bytes));
    return lookup->outcome == SASL_LOOKUP_MISMATCH ? SASL_BADAUTH : SASL_OK;
}

static int permit_only_oneself(sasl_conn_t *connection, void *context, const char *user,
                               unsigned user_size, const char *authenticated,
                               unsigned authenticated_size, const char *realm, unsigned realm_size,
                               struct propctx *properties)
{
    (void)connection;
    (void)context;
    (void)realm;
    (void)realm_size;
    (void)properties;
    return slice_equal(slice_of(user, user_size), slice_of(authenticated, authenticated_size))
               ? SASL_OK
               : SASL_NOAUTHZ;
}

void sasl_lookup_callbacks(struct sasl_lookup *lookup, sasl_callback_t *callbacks_out)
{
    callbacks_out[0] = sasl_library_callback(SASL_CB_SERVER_USERDB_CHECKPASS,
                                             (void (*)(void))check_password, lookup);
    callbacks_out[1] =
        sasl_library_callback(SASL_CB_PROXY_POLICY, (void (*)(void))permit_only_oneself, lookup);
}

static struct sasl_lookup *lookup_of(const sasl_server_params_t *parameters)
{
    sasl_callback_ft function = NULL;
    void *context = NULL;
    const sasl_utils_t *utils = parameters->utils;
    int status =
        utils->getcallback(utils->conn, SASL_CB_SERVER_USERDB_CHECKPASS, &function, &context);
    return status == SASL_OK ? context : NULL;
}

static int canonical_name(void *context, sasl_server_params_t *parameters, const char *user,
                          unsigned size, unsigned flags, char *out, unsigned out_maximum,
                          unsigned *out_size)
{
    (void)context;
    (void)parameters;
    (void)flags;
    if (!credential_user_is_valid(slice_of(user, size)) || size >= out_maximum)
        return SASL_BADAUTH;
    memmove(out, user, size);
    out[size] = '\0';
    *out_size = size;
    return SASL_OK;
}

static bool password_is_requested(const sasl_server_params_t *parameters, unsigned flags)
{
    if (flags & SASL_AUXPROP_AUTHZID)
        return false;
    const struct propval *property = parameters->utils->prop_get(parameters->propctx);
    for (; property != NULL && property->name != NULL; property++)
        if (strcmp(property->name, SASL_AUX_PASSWORD) == 0)
            return property->values == NULL || (flags & SASL_AUXPROP_OVERRIDE);
    return false;
}

static void set_decoy(struct secret *password)
{
    uint8_t random[16];
    char text[2 * sizeof(random)];
    ENSURE(RAND_bytes(random, sizeof(random)) == 1);
    hex_write(slice_of(random, sizeof(random)), text);
    secret_set(password, slice_of(text, sizeof(text)));
    mem_wipe(text, sizeof(text));
    mem_wipe(random, sizeof(random));
}

static bool find_password(const struct sasl_lookup *lookup, struct slice user,
                          struct secret *password)
{
    if (lookup->users->password == NULL ||
        lookup->users->password(lookup->exchange, user, password) != 0)
        return false;
    struct slice bytes = secret_bytes(password);
    return bytes.size > 0 && slice_find(bytes, '\0') == bytes.size;
}

static int look_up(void *context, sasl_server_params_t *parameters, unsigned flags,
                   const char *user, unsigned size)
{
    (void)context;
    struct sasl_lookup *lookup = lookup_of(parameters);
    if (lookup == NULL)
        return SASL_NOUSER;
    if (!password_is_requested(parameters, flags))
        return SASL_OK;
    struct secret password = {0};
    bool found = find_password(lookup, slice_of(user, size), &password);
    remember(lookup, user, found ? SASL_LOOKUP_TOLD : SASL_LOOKUP_NOTHING);
    if (!found)
        set_decoy(&password);
    int status = parameters->utils->prop_set(parameters->propctx, SASL_AUX_PASSWORD,
                                             (const char *)password.bytes, (int)password.size);
    secret_wipe(&password);
    return status;
}

/* libsasl2 takes the plug-ins by pointers to non-const; it does not write to them. */
static char plugin_name[] = SASL_LOOKUP_NAME;
static sasl_canonuser_plug_t name_plugin = {
    .name = plugin_name,
    .canon_user_server = canonical_name,
};
static sasl_auxprop_plug_t password_plugin = {
    .name = plugin_name,
    .auxprop_lookup = look_up,
};

static int init_name_plugin(const sasl_utils_t *utils, int version_max, int *version_out,
                            sasl_canonuser_plug_t **plugin_out, const char *name)
{
    (void)utils;
    (void)name;
    if (version_max < SASL_CANONUSER_PLUG_VERSION)
        return SASL_BADVERS;
    *version_out = SASL_CANONUSER_PLUG_VERSION;
    *plugin_out = &name_plugin;
    return SASL_OK;
}

static int init_password_plugin(const sasl_utils_t *utils, int version_max, int *version_out,
                                sasl_auxprop_plug_t **plugin_out, const char *name)
{
    (void)utils;
    (void)name;
    if (version_max < SASL_AUXPROP_PLUG_VERSION)
        return SASL_BADVERS;
    *version_out = SASL_AUXPROP_PLUG_VERSION;
    *plugin_out = &password_plugin;
    return SASL_OK;
}

int sasl_lookup_register(void)
{
    int status = sasl_canonuser_add_plugin(SASL_LOOKUP_NAME, init_name_plugin);
    return status != SASL_OK ? status
                             : sasl_auxprop_add_plugin(SASL_LOOKUP_NAME, init_password_plugin);
}
