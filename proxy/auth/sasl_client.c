/*
 * open: libsasl2 loads its own plug-ins for the mechanisms with a password, and gets ours for those
 * with a token; new: the identity is checked and kept, and a connection of libsasl2 made for it;
 * start and step: what the mechanism says.
 *
 * Failure modes:
 *  - libsasl2 would ask the C library for the machine's name: refused at open;
 *  - a plug-in is missing: its mechanism is not on the list;
 *  - an octet in the identity that could end a field of the message: ERR_DENIED, nothing is made;
 *  - the server's proof does not fit: ERR_DENIED;
 *  - steps out of order, a challenge that is none: ERR_SYNTAX.
 */
#include "auth/sasl_client.h"

#include <sasl/sasl.h>
#include <stdio.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/hostname.h"
#include "auth/sasl_library.h"
#include "auth/sasl_oauth.h"

#define HOST_MAX      253u /* RFC 1035 section 2.3.4, as text */
#define CHALLENGE_MAX (64u * 1024)
/* libscram looks some octets beyond the NUL that it asks for behind a challenge. */
#define CHALLENGE_PADDING 8u
#define MECHANISMS_MAX    128u

/* In order of preference; Cyrus SASL's file for each, NULL: a plug-in of this process. */
static const struct mechanism {
    const char *name;
    const char *file;
    bool wants_password; /* else a token */
    bool proves_server;
} MECHANISMS[] = {
    {"OAUTHBEARER", NULL, false, false},          {"XOAUTH2", NULL, false, false},
    {"SCRAM-SHA-256", "libscram.so", true, true}, {"SCRAM-SHA-1", "libscram.so", true, true},
    {"PLAIN", "libplain.so", true, false},        {"LOGIN", "liblogin.so", true, false},
};

struct sasl_initiator_library {
    char *plugin_folder;
    char mechanisms[MECHANISMS_MAX];
    bool folder_was_asked;
    size_t initiator_count;
    sasl_callback_t callbacks[5];
};

struct sasl_initiator {
    struct sasl_initiator_library *library; /* borrowed */
    const struct mechanism *mechanism;
    struct sasl_oauth_identity identity; /* without a token where there is a password */
    sasl_secret_t *password;
    sasl_conn_t *connection;
    sasl_callback_t callbacks[5];
    char *challenge; /* the last one; libsasl2 may look back at it */
    enum { NOT_STARTED, UNDER_WAY, COMPLETE, FAILED } state;
};

/* ---- what libsasl2 asks for ---- */

/* The context is what our own plug-ins look for; libsasl2's call the function. To act for another
 * user than oneself is not wanted: no authorization identity. */
static int get_name(void *context, int identifier, const char **result_out, unsigned *size_out)
{
    const struct sasl_oauth_identity *identity = context;
    *result_out = identifier == SASL_CB_USER ? "" : identity->user;
    if (size_out != NULL)
        *size_out = (unsigned)strlen(*result_out);
    return SASL_OK;
}

static int get_password(sasl_conn_t *connection, void *context, int identifier,
                        sasl_secret_t **password_out)
{
    (void)connection;
    (void)identifier;
    const struct sasl_initiator *initiator = context;
    *password_out = initiator->password;
    return initiator->password == NULL ? SASL_FAIL : SASL_OK;
}

static void fill_callbacks(struct sasl_initiator *initiator)
{
    void *identity = &initiator->identity;
    const sasl_callback_t callbacks[] = {
        sasl_library_callback(SASL_CB_AUTHNAME, (void (*)(void))get_name, identity),
        sasl_library_callback(SASL_CB_USER, (void (*)(void))get_name, identity),
        sasl_library_callback(SASL_CB_PASS, (void (*)(void))get_password, initiator),
        sasl_library_no_log(),
        {SASL_CB_LIST_END, NULL, NULL},
    };
    _Static_assert(sizeof(callbacks) == sizeof(initiator->callbacks), "one table");
    memcpy(initiator->callbacks, callbacks, sizeof(callbacks));
}

/* ---- the library ---- */

static int get_plugin_folder(void *context, const char **path_out)
{
    struct sasl_initiator_library *library = context;
    library->folder_was_asked = true;
    *path_out = library->plugin_folder;
    return SASL_OK;
}

static int verify_file(void *context, const char *path, sasl_verify_type_t type)
{
    const struct sasl_initiator_library *library = context;
    for (size_t i = 0; i < LENGTH_OF(MECHANISMS); i++)
        if (type == SASL_VRFY_PLUGIN && MECHANISMS[i].file != NULL &&
            sasl_library_is_file(path, library->plugin_folder, MECHANISMS[i].file))
            return SASL_OK;
    return SASL_CONTINUE;
}

static int start_library(struct sasl_initiator_library *library, struct err *err)
{
    const sasl_callback_t callbacks[] = {
        sasl_library_callback(SASL_CB_GETPATH, (void (*)(void))get_plugin_folder, library),
        sasl_library_callback(SASL_CB_VERIFYFILE, (void (*)(void))verify_file, library),
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

static int new_connection(const char *service, const char *host, const sasl_callback_t *callbacks,
                          sasl_conn_t **connection_out)
{
    *connection_out = NULL;
    int status = sasl_client_new(service, host, NULL, NULL, callbacks, 0, connection_out);
    if (status == SASL_OK)
        status = sasl_library_restrict(*connection_out);
    return status == SASL_OK ? 0 : ERR_SYSTEM;
}

static int check_plugins(const struct sasl_initiator_library *library, struct err *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < LENGTH_OF(MECHANISMS); i++)
        if (MECHANISMS[i].file != NULL)
            status = sasl_library_check_loaded(library->plugin_folder, MECHANISMS[i].file, err);
    return status;
}

/* Those of ours that libsasl2 has a plug-in for. */
static int list_mechanisms(struct sasl_initiator_library *library, struct err *err)
{
    sasl_conn_t *connection = NULL;
    struct sasl_initiator nobody = {0}; /* libsasl2 lists what it could ask for */
    const char *offered = NULL;
    size_t size = 0;
    fill_callbacks(&nobody);
    int status = new_connection("imap", "localhost", nobody.callbacks, &connection);
    if (status == 0 &&
        sasl_listmech(connection, NULL, "", " ", "", &offered, NULL, NULL) != SASL_OK)
        status = ERR_SYSTEM;
    for (size_t i = 0; status == 0 && i < LENGTH_OF(MECHANISMS); i++) {
        const char *name = MECHANISMS[i].name;
        if (!sasl_library_list_has(offered, slice_of_string(name)))
            continue;
        ENSURE(size + strlen(name) + 2 <= sizeof(library->mechanisms));
        size += (size_t)snprintf(library->mechanisms + size, sizeof(library->mechanisms) - size,
                                 "%s%s", size == 0 ? "" : " ", name);
    }
    sasl_dispose(&connection);
    return status == 0 ? 0 : err_set(err, status, "libsasl2 does not list its mechanisms");
}

int sasl_initiator_library_open(const char *plugin_folder,
                                struct sasl_initiator_library **library_out, struct err *err)
{
    *library_out = NULL;
    if (!hostname_is_ours())
        return err_set(err, ERR_SYSTEM, "the program is linked without its own gethostname");
    if (!sasl_library_folder_is_valid(plugin_folder, err))
        return ERR_CONFIG;
    struct sasl_initiator_library *library = mem_new(sizeof(*library));
    library->plugin_folder = mem_copy_string(plugin_folder);
    int status = start_library(library, err);
    if (status != 0) {
        mem_free(library->plugin_folder);
        mem_free(library);
        return status;
    }
    status = check_plugins(library, err);
    if (status == 0)
        status = list_mechanisms(library, err);
    if (status != 0) {
        sasl_initiator_library_close(library);
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
    mem_free(library->plugin_folder);
    mem_free(library);
}

const char *sasl_initiator_library_mechanisms(const struct sasl_initiator_library *library)
{
    return library->mechanisms;
}

/* ---- who ---- */

static bool host_is_valid(struct slice host)
{
    return host.size > 0 && host.size <= HOST_MAX && credential_is_printable(host) &&
           slice_find(host, ' ') == host.size;
}

/* libsasl2's own mechanisms would strip the blanks. */
static bool has_blank_ends(struct slice user)
{
    return user.data[0] == ' ' || user.data[user.size - 1] == ' ';
}

static bool identity_is_valid(const struct sasl_initiator_identity *identity)
{
    struct slice user = slice_of_string(identity->user);
    if (!credential_user_is_valid(user) || !host_is_valid(slice_of_string(identity->host)))
        return false;
    if (identity->is_password)
        return credential_password_is_valid(secret_bytes(identity->token)) && !has_blank_ends(user);
    return credential_token_is_valid(secret_bytes(identity->token));
}

static const struct mechanism *find_mechanism(const struct sasl_initiator_library *library,
                                              const char *name)
{
    for (size_t i = 0; i < LENGTH_OF(MECHANISMS); i++)
        if (strcmp(name, MECHANISMS[i].name) == 0 &&
            sasl_library_list_has(library->mechanisms, slice_of_string(name)))
            return &MECHANISMS[i];
    return NULL;
}

/* As libsasl2 wants it: the size, the octets, a NUL. */
static sasl_secret_t *make_password(struct secret *secret)
{
    struct slice bytes = secret_bytes(secret);
    sasl_secret_t *password = mem_new(sizeof(*password) + bytes.size + 1);
    password->len = bytes.size;
    memcpy(password->data, bytes.data, bytes.size);
    secret_wipe(secret);
    return password;
}

static void free_password(sasl_secret_t *password)
{
    if (password == NULL)
        return;
    mem_wipe(password->data, password->len);
    mem_free(password);
}

int sasl_initiator_new(struct sasl_initiator_library *library, const char *mechanism,
                       const struct sasl_initiator_identity *identity,
                       struct sasl_initiator **initiator_out)
{
    *initiator_out = NULL;
    const struct mechanism *found = find_mechanism(library, mechanism);
    if (found == NULL || found->wants_password != identity->is_password)
        return ERR_NOT_FOUND;
    if (!identity_is_valid(identity))
        return ERR_DENIED;
    struct sasl_initiator *initiator = mem_new(sizeof(*initiator));
    initiator->library = library;
    initiator->mechanism = found;
    initiator->identity.host = mem_copy_string(identity->host);
    initiator->identity.port = identity->port;
    initiator->identity.user = mem_copy_string(identity->user);
    library->initiator_count++;
    fill_callbacks(initiator);
    int status = new_connection(identity->service, initiator->identity.host, initiator->callbacks,
                                &initiator->connection);
    if (status != 0) {
        sasl_initiator_free(initiator);
        return status;
    }
    if (identity->is_password)
        initiator->password = make_password(identity->token);
    else
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
    free_password(initiator->password);
    mem_free(initiator->identity.host);
    mem_free(initiator->identity.user);
    mem_free(initiator->challenge);
    initiator->library->initiator_count--;
    mem_free(initiator);
}

/* ---- the exchange ---- */

static int take_answer(struct sasl_initiator *initiator, int status, struct slice answer,
                       struct slice *response_out)
{
    if (status != SASL_OK && status != SASL_CONTINUE) {
        initiator->state = FAILED;
        return status == SASL_BADAUTH || status == SASL_BADSERV ? ERR_DENIED : ERR_SYNTAX;
    }
    initiator->state = status == SASL_OK ? COMPLETE : UNDER_WAY;
    *response_out = answer;
    return 0;
}

int sasl_initiator_start(struct sasl_initiator *initiator, struct slice *response_out)
{
    *response_out = SLICE_NONE;
    if (initiator->state != NOT_STARTED)
        return ERR_SYNTAX;
    const char *answer = NULL;
    unsigned size = 0;
    int status = sasl_client_start(initiator->connection, initiator->mechanism->name, NULL, &answer,
                                   &size, NULL);
    return take_answer(initiator, status, slice_of(answer, size), response_out);
}

static const char *keep_challenge(struct sasl_initiator *initiator, struct slice challenge)
{
    mem_free(initiator->challenge);
    initiator->challenge = mem_new(challenge.size + CHALLENGE_PADDING);
    if (challenge.size > 0)
        memcpy(initiator->challenge, challenge.data, challenge.size);
    return initiator->challenge;
}

int sasl_initiator_step(struct sasl_initiator *initiator, struct slice challenge,
                        struct slice *response_out)
{
    *response_out = SLICE_NONE;
    if (initiator->state != UNDER_WAY || challenge.size > CHALLENGE_MAX)
        return ERR_SYNTAX;
    /* server-error of RFC 5802 section 7, which libsasl2 does not know. */
    if (initiator->mechanism->proves_server && slice_starts_with(challenge, "e=")) {
        initiator->state = FAILED;
        *response_out = SLICE_LITERAL("");
        return 0;
    }
    const char *answer = NULL;
    unsigned size = 0;
    const char *bytes = keep_challenge(initiator, challenge);
    int status = sasl_client_step(initiator->connection, bytes, (unsigned)challenge.size, NULL,
                                  &answer, &size);
    return take_answer(initiator, status,
                       answer == NULL ? SLICE_LITERAL("") : slice_of(answer, size), response_out);
}

bool sasl_initiator_is_complete(const struct sasl_initiator *initiator)
{
    /* libsasl2's plug-ins say it; ours leave it open, because the server may send an error. */
    return initiator->state == COMPLETE ||
           (initiator->state == UNDER_WAY && !initiator->mechanism->wants_password);
}
