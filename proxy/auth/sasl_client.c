/*
 * new: the identity is checked and kept, and a connection of libsasl2 made for it; start: the
 * mechanism's message; step: the answer to the server's error.
 *
 * Failure modes:
 *  - libsasl2 would ask the C library for the machine's name: refused at open;
 *  - an octet in the identity that could end a field of the message: ERR_DENIED, nothing is made;
 *  - steps out of order: ERR_SYNTAX.
 */
#include "auth/sasl_client.h"

#include <sasl/sasl.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/hostname.h"
#include "auth/sasl_library.h"
#include "auth/sasl_oauth.h"

#define HOST_MAX 253u /* RFC 1035 section 2.3.4, as text */

struct sasl_initiator_library {
    bool folder_was_asked;
    size_t initiator_count;
    sasl_callback_t callbacks[5];
};

struct sasl_initiator {
    struct sasl_initiator_library *library; /* borrowed */
    const char *mechanism;
    struct sasl_oauth_identity identity;
    sasl_conn_t *connection;
    sasl_callback_t callbacks[3];
    bool has_started;
};

static int get_plugin_folder(void *context, const char **path_out)
{
    struct sasl_initiator_library *library = context;
    library->folder_was_asked = true;
    *path_out = ""; /* nothing is looked for anywhere */
    return SASL_OK;
}

static int verify_file(void *context, const char *path, sasl_verify_type_t type)
{
    (void)context;
    (void)path;
    (void)type;
    return SASL_CONTINUE;
}

static int start_library(struct sasl_initiator_library *library, struct err *err)
{
    const sasl_callback_t callbacks[] = {
        sasl_library_callback(SASL_CB_GETPATH, (void (*)(void))get_plugin_folder, library),
        sasl_library_callback(SASL_CB_VERIFYFILE, (void (*)(void))verify_file, NULL),
        sasl_library_no_configuration(),
        sasl_library_no_log(),
        {SASL_CB_LIST_END, NULL, NULL},
    };
    _Static_assert(sizeof(callbacks) == sizeof(library->callbacks), "one table");
    memcpy(library->callbacks, callbacks, sizeof(callbacks));
    sasl_library_prepare();
    int status = sasl_client_init(library->callbacks);
    if (status != SASL_OK)
        return err_set(err, ERR_SYSTEM, "libsasl2: %s", sasl_errstring(status, NULL, NULL));
    /* Where it runs already, libsasl2 counts one user more and reads no callback. */
    if (!library->folder_was_asked) {
        sasl_client_done();
        return err_set(err, ERR_EXISTS, "libsasl2's client side is in use");
    }
    status = sasl_client_add_plugin("ecluse", sasl_oauth_init);
    if (status == SASL_OK)
        return 0;
    sasl_client_done();
    return err_set(err, ERR_SYSTEM, "libsasl2: %s", sasl_errstring(status, NULL, NULL));
}

int sasl_initiator_library_open(struct sasl_initiator_library **library_out, struct err *err)
{
    *library_out = NULL;
    if (!hostname_is_ours())
        return err_set(err, ERR_SYSTEM, "the program is linked without its own gethostname");
    struct sasl_initiator_library *library = mem_new(sizeof(*library));
    int status = start_library(library, err);
    if (status != 0) {
        mem_free(library);
        return status;
    }
    *library_out = library;
    return 0;
}

void sasl_initiator_library_close(struct sasl_initiator_library *library)
{
    if (library == NULL)
        return;
    ENSURE(library->initiator_count == 0);
    sasl_client_done();
    mem_free(library);
}

const char *sasl_initiator_library_mechanisms(const struct sasl_initiator_library *library)
{
    (void)library;
    return SASL_OAUTH_MECHANISMS;
}

static bool host_is_valid(struct slice host)
{
    return host.size > 0 && host.size <= HOST_MAX && credential_is_printable(host) &&
           slice_find(host, ' ') == host.size;
}

/* One of ours, with the life of the program. */
static const char *find_mechanism(const char *name)
{
    static const char *const mechanisms[] = {"OAUTHBEARER", "XOAUTH2"};
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++)
        if (strcmp(name, mechanisms[i]) == 0)
            return mechanisms[i];
    return NULL;
}

/* libsasl2 wants a function where the plug-ins look for the context; nobody calls it. */
static int no_name(void *context, int identifier, const char **result_out, unsigned *size_out)
{
    (void)context;
    (void)identifier;
    (void)result_out;
    (void)size_out;
    return SASL_FAIL;
}

static int new_connection(struct sasl_initiator *initiator, const char *service)
{
    const sasl_callback_t callbacks[] = {
        sasl_library_callback(SASL_CB_AUTHNAME, (void (*)(void))no_name, &initiator->identity),
        sasl_library_no_log(),
        {SASL_CB_LIST_END, NULL, NULL},
    };
    _Static_assert(sizeof(callbacks) == sizeof(initiator->callbacks), "one table");
    memcpy(initiator->callbacks, callbacks, sizeof(callbacks));
    int status = sasl_client_new(service, initiator->identity.host, NULL, NULL,
                                 initiator->callbacks, 0, &initiator->connection);
    if (status == SASL_OK)
        status = sasl_library_restrict(initiator->connection);
    return status == SASL_OK ? 0 : ERR_SYSTEM;
}

int sasl_initiator_new(struct sasl_initiator_library *library, const char *mechanism,
                       const struct sasl_initiator_identity *identity,
                       struct sasl_initiator **initiator_out)
{
    *initiator_out = NULL;
    const char *found = find_mechanism(mechanism);
    if (found == NULL)
        return ERR_NOT_FOUND;
    if (!credential_user_is_valid(slice_of_string(identity->user)) ||
        !credential_token_is_valid(secret_bytes(identity->token)) ||
        !host_is_valid(slice_of_string(identity->host)))
        return ERR_DENIED;
    struct sasl_initiator *initiator = mem_new(sizeof(*initiator));
    initiator->library = library;
    initiator->mechanism = found;
    initiator->identity.host = mem_copy_string(identity->host);
    initiator->identity.port = identity->port;
    initiator->identity.user = mem_copy_string(identity->user);
    library->initiator_count++;
    int status = new_connection(initiator, identity->service);
    if (status != 0) {
        sasl_initiator_free(initiator);
        return status;
    }
    secret_move(&initiator->identity.token, identity->token);
    *initiator_out = initiator;
    return 0;
}

void sasl_initiator_free(struct sasl_initiator *initiator)
{
    if (initiator == NULL)
        return;
    sasl_dispose(&initiator->connection);
    secret_wipe(&initiator->identity.token);
    mem_free(initiator->identity.host);
    mem_free(initiator->identity.user);
    initiator->library->initiator_count--;
    mem_free(initiator);
}

static int take_answer(int status, const char *answer, unsigned size, struct slice *response_out)
{
    if (status != SASL_CONTINUE)
        return ERR_SYNTAX;
    *response_out = slice_of(answer, size);
    return 0;
}

int sasl_initiator_start(struct sasl_initiator *initiator, struct slice *response_out)
{
    *response_out = SLICE_NONE;
    if (initiator->has_started)
        return ERR_SYNTAX;
    const char *answer = NULL;
    unsigned size = 0;
    int status =
        sasl_client_start(initiator->connection, initiator->mechanism, NULL, &answer, &size, NULL);
    initiator->has_started = status == SASL_CONTINUE;
    return take_answer(status, answer, size, response_out);
}

int sasl_initiator_step(struct sasl_initiator *initiator, struct slice challenge,
                        struct slice *response_out)
{
    *response_out = SLICE_NONE;
    if (!initiator->has_started || challenge.size > UINT32_MAX)
        return ERR_SYNTAX;
    const char *answer = NULL;
    unsigned size = 0;
    const char *bytes = challenge.data == NULL ? "" : (const char *)challenge.data;
    int status = sasl_client_step(initiator->connection, bytes, (unsigned)challenge.size, NULL,
                                  &answer, &size);
    return take_answer(status, answer, size, response_out);
}
