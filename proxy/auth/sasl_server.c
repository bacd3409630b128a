/*
 * open: libsasl2 is started with callbacks for everything that it would else look for in files;
 * what of the wanted mechanisms it then lists is what we have. An exchange: sasl_server_start,
 * sasl_server_step until it says OK, and accepted only if the outcome of the look-up says so too.
 *
 * Failure modes:
 *  - a plug-in is missing: its mechanism is not on the list; nothing is left: ERR_CONFIG;
 *  - one is there, but cannot be loaded: ERR_SYSTEM, rather than to serve without it;
 *  - a PLAIN message that is none, or a name that can be nobody's, is refused before libsasl2 or
 *    the users see it;
 *  - libsasl2 says OK and no user was matched: refused. This is never to happen;
 *  - libsasl2 fails in another way (memory): refused.
 */
#include "auth/sasl_server.h"

#include <sasl/sasl.h>
#include <string.h>

#include "auth/sasl_library.h"
#include "auth/sasl_lookup.h"
#include "base/buf.h"

#define MESSAGE_MAX    12288u /* RFC 4954 section 4.2 allows as much in base64 */
#define MECHANISMS_MAX 256u
#define SERVER_NAME    "localhost" /* in the challenges of CRAM-MD5 and DIGEST-MD5 */

/* The mechanisms that we know how to judge, and Cyrus SASL's file for each. */
static const struct known_mechanism {
    const char *name;
    const char *file;
} KNOWN_MECHANISMS[] = {
    {"PLAIN", "libplain.so"},         {"LOGIN", "liblogin.so"},
    {"CRAM-MD5", "libcrammd5.so"},    {"DIGEST-MD5", "libdigestmd5.so"},
    {"SCRAM-SHA-1", "libscram.so"},   {"SCRAM-SHA-256", "libscram.so"},
    {"SCRAM-SHA-512", "libscram.so"},
};

struct sasl_acceptor_library {
    struct sasl_users users;
    char *plugin_folder;
    char *mechanisms; /* first those that are wanted and known, then those that work */
    bool folder_was_asked;
    size_t acceptor_count;
    sasl_callback_t callbacks[6];
};

struct sasl_acceptor {
    struct sasl_acceptor_library *library; /* borrowed */
    const struct known_mechanism *mechanism;
    sasl_conn_t *connection;
    struct sasl_lookup lookup;
    sasl_callback_t callbacks[SASL_LOOKUP_CALLBACKS + 2];
    struct secret message; /* what the client said last; libsasl2 may look back at it */
    bool user_was_seen;    /* LOGIN alone */
    enum { NOT_STARTED, STARTED, SUCCESS_DATA_SENT, FINISHED } state;
    enum sasl_verdict verdict; /* once FINISHED, or to be when the success data is answered */
};

static const struct known_mechanism *find_known(struct slice name)
{
    for (size_t i = 0; i < LENGTH_OF(KNOWN_MECHANISMS); i++)
        if (slice_is(name, KNOWN_MECHANISMS[i].name))
            return &KNOWN_MECHANISMS[i];
    return NULL;
}

/* The words of `list` that are known, and in `filter` unless that is NULL; each once. */
static char *filter_mechanisms(const char *list, const char *filter)
{
    char kept[MECHANISMS_MAX] = "";
    size_t size = 0;
    struct slice rest = slice_of_string(list), word;
    while (slice_next_word(&rest, ' ', &word)) {
        if (find_known(word) == NULL || sasl_library_list_has(kept, word) ||
            (filter != NULL && !sasl_library_list_has(filter, word)))
            continue;
        ENSURE(size + word.size + 2 <= sizeof(kept));
        if (size > 0)
            kept[size++] = ' ';
        memcpy(kept + size, word.data, word.size);
        size += word.size;
        kept[size] = '\0';
    }
    return mem_copy_string(kept);
}

static int get_option(void *context, const char *plugin, const char *option, const char **value_out,
                      unsigned *size_out)
{
    (void)plugin;
    const struct sasl_acceptor_library *library = context;
    const struct {
        const char *name, *value;
    } options[] = {
        {"mech_list", library->mechanisms},
        {"pwcheck_method", ""}, /* after our own check there is none */
        {"auxprop_plugin", SASL_LOOKUP_NAME},
        {"canon_user_plugin", SASL_LOOKUP_NAME},
        {"auto_transition", "no"},
        {"log_level", "0"},
        {"reauth_timeout", "0"}, /* DIGEST-MD5 remembers nobody */
    };
    for (size_t i = 0; i < LENGTH_OF(options); i++) {
        if (strcmp(option, options[i].name) != 0)
            continue;
        *value_out = options[i].value;
        if (size_out != NULL)
            *size_out = (unsigned)strlen(options[i].value);
        return SASL_OK;
    }
    return SASL_FAIL;
}

static int get_plugin_folder(void *context, const char **path_out)
{
    struct sasl_acceptor_library *library = context;
    library->folder_was_asked = true;
    *path_out = library->plugin_folder;
    return SASL_OK;
}

static int verify_file(void *context, const char *path, sasl_verify_type_t type)
{
    const struct sasl_acceptor_library *library = context;
    struct slice rest = slice_of_string(library->mechanisms), word;
    while (slice_next_word(&rest, ' ', &word))
        if (type == SASL_VRFY_PLUGIN &&
            sasl_library_is_file(path, library->plugin_folder, find_known(word)->file))
            return SASL_OK;
    return SASL_CONTINUE;
}

static int start_library(struct sasl_acceptor_library *library, struct err *err)
{
    void *self = library;
    const sasl_callback_t callbacks[] = {
        sasl_library_callback(SASL_CB_GETOPT, (void (*)(void))get_option, self),
        sasl_library_callback(SASL_CB_GETPATH, (void (*)(void))get_plugin_folder, self),
        sasl_library_callback(SASL_CB_VERIFYFILE, (void (*)(void))verify_file, self),
        sasl_library_no_configuration(),
        sasl_library_no_log(),
        {SASL_CB_LIST_END, NULL, NULL},
    };
    _Static_assert(sizeof(callbacks) == sizeof(library->callbacks), "one table");
    memcpy(library->callbacks, callbacks, sizeof(callbacks));
    sasl_library_prepare();
    int status = sasl_server_init(library->callbacks, NULL);
    if (status != SASL_OK)
        return err_set(err, ERR_SYSTEM, "libsasl2: %s", sasl_errstring(status, NULL, NULL));
    /* Where it runs already, libsasl2 counts one user more and reads no callback. */
    if (!library->folder_was_asked) {
        sasl_server_done();
        return err_set(err, ERR_EXISTS, "libsasl2's server side is in use");
    }
    status = sasl_lookup_register();
    if (status == SASL_OK)
        return 0;
    sasl_server_done();
    return err_set(err, ERR_SYSTEM, "libsasl2: %s", sasl_errstring(status, NULL, NULL));
}

static int new_connection(const char *service, const sasl_callback_t *callbacks,
                          sasl_conn_t **connection_out)
{
    *connection_out = NULL;
    int status = sasl_server_new(service, SERVER_NAME, NULL, NULL, NULL, callbacks,
                                 SASL_SUCCESS_DATA, connection_out);
    return status != SASL_OK ? status : sasl_library_restrict(*connection_out);
}

static int check_plugins(const struct sasl_acceptor_library *library, struct err *err)
{
    struct slice rest = slice_of_string(library->mechanisms), word;
    int status = 0;
    while (status == 0 && slice_next_word(&rest, ' ', &word))
        status = sasl_library_check_loaded(library->plugin_folder, find_known(word)->file, err);
    return status;
}

/* Leaves on the list what libsasl2 offers. */
static int list_mechanisms(struct sasl_acceptor_library *library, struct err *err)
{
    sasl_conn_t *connection = NULL;
    const char *offered = NULL;
    int status = new_connection("imap", NULL, &connection);
    if (status == SASL_OK)
        status = sasl_listmech(connection, NULL, "", " ", "", &offered, NULL, NULL);
    char *mechanisms = filter_mechanisms(library->mechanisms, status == SASL_OK ? offered : "");
    sasl_dispose(&connection);
    mem_free(library->mechanisms);
    library->mechanisms = mechanisms;
    if (mechanisms[0] == '\0')
        return err_set(err, ERR_CONFIG, "no SASL mechanism of those that are wanted is in %s",
                       library->plugin_folder);
    return 0;
}

static void free_library(struct sasl_acceptor_library *library)
{
    mem_free(library->plugin_folder);
    mem_free(library->mechanisms);
    mem_free(library);
}

int sasl_acceptor_library_open(const char *plugin_folder, const char *mechanisms,
                               const struct sasl_users *users,
                               struct sasl_acceptor_library **library_out, struct err *err)
{
    *library_out = NULL;
    if (!sasl_library_folder_is_valid(plugin_folder, err))
        return ERR_CONFIG;
    struct sasl_acceptor_library *library = mem_new(sizeof(*library));
    library->users = *users;
    library->plugin_folder = mem_copy_string(plugin_folder);
    library->mechanisms = filter_mechanisms(mechanisms, NULL);
    int status = start_library(library, err);
    if (status != 0) {
        free_library(library);
        return status;
    }
    status = check_plugins(library, err);
    if (status == 0)
        status = list_mechanisms(library, err);
    if (status != 0) {
        sasl_acceptor_library_close(library);
        return status;
    }
    *library_out = library;
    return 0;
}

void sasl_acceptor_library_close(struct sasl_acceptor_library *library)
{
    if (library == NULL)
        return;
    ENSURE(library->acceptor_count == 0);
    sasl_server_done();
    free_library(library);
}

const char *sasl_acceptor_library_mechanisms(const struct sasl_acceptor_library *library)
{
    return library->mechanisms;
}

int sasl_acceptor_new(struct sasl_acceptor_library *library, const char *service,
                      const char *mechanism, void *exchange, struct sasl_acceptor **acceptor_out)
{
    *acceptor_out = NULL;
    if (!sasl_library_list_has(library->mechanisms, slice_of_string(mechanism)))
        return ERR_NOT_FOUND;
    struct sasl_acceptor *acceptor = mem_new(sizeof(*acceptor));
    acceptor->library = library;
    acceptor->mechanism = find_known(slice_of_string(mechanism));
    acceptor->lookup.users = &library->users;
    acceptor->lookup.exchange = exchange;
    library->acceptor_count++;
    sasl_lookup_callbacks(&acceptor->lookup, acceptor->callbacks);
    acceptor->callbacks[SASL_LOOKUP_CALLBACKS] = sasl_library_no_log();
    acceptor->callbacks[SASL_LOOKUP_CALLBACKS + 1] =
        (sasl_callback_t){SASL_CB_LIST_END, NULL, NULL};
    if (new_connection(service, acceptor->callbacks, &acceptor->connection) != SASL_OK) {
        sasl_acceptor_free(acceptor);
        return ERR_SYSTEM;
    }
    *acceptor_out = acceptor;
    return 0;
}

void sasl_acceptor_free(struct sasl_acceptor *acceptor)
{
    if (acceptor == NULL)
        return;
    sasl_dispose(&acceptor->connection);
    secret_wipe(&acceptor->message);
    acceptor->library->acceptor_count--;
    mem_wipe(acceptor, sizeof(*acceptor));
    mem_free(acceptor);
}

static enum sasl_verdict finish(struct sasl_acceptor *acceptor, enum sasl_verdict verdict)
{
    acceptor->state = FINISHED;
    acceptor->verdict = verdict;
    secret_wipe(&acceptor->message);
    return verdict;
}

/* [authzid] NUL authcid NUL passwd (RFC 4616 section 2). CONTINUE: libsasl2 may have it. */
static enum sasl_verdict judge_plain(struct slice message)
{
    size_t end_of_authorization = slice_find(message, '\0');
    struct slice authorization = slice_take(message, end_of_authorization);
    struct slice rest = slice_skip(message, end_of_authorization + 1);
    size_t end_of_user = slice_find(rest, '\0');
    struct slice user = slice_take(rest, end_of_user);
    struct slice password = slice_skip(rest, end_of_user + 1);
    if (end_of_authorization == message.size || end_of_user == rest.size ||
        slice_find(password, '\0') < password.size)
        return SASL_VERDICT_MALFORMED;
    if (password.size == 0 || !credential_user_is_valid(user))
        return SASL_VERDICT_REFUSED;
    if (authorization.size > 0 && !slice_equal(authorization, user))
        return SASL_VERDICT_REFUSED;
    return SASL_VERDICT_CONTINUE;
}

/* The first message of LOGIN that is not an empty initial response is the user name. It is judged
 * here because libsasl2's plug-in, when its canon_user is refused, forgets to free the password. */
static enum sasl_verdict judge_login(struct sasl_acceptor *acceptor, struct slice message)
{
    bool is_user = !acceptor->user_was_seen && (acceptor->state == STARTED || message.size > 0);
    acceptor->user_was_seen = acceptor->user_was_seen || is_user;
    return is_user && !credential_user_is_valid(message) ? SASL_VERDICT_REFUSED
                                                         : SASL_VERDICT_CONTINUE;
}

static enum sasl_verdict judge_message(struct sasl_acceptor *acceptor, struct slice message)
{
    if (strcmp(acceptor->mechanism->name, "PLAIN") == 0)
        return judge_plain(message);
    if (strcmp(acceptor->mechanism->name, "LOGIN") == 0)
        return judge_login(acceptor, message);
    return SASL_VERDICT_CONTINUE;
}

/* libsasl2 speaks of the same user, both as who proved it and as who it is to be. */
static bool user_is_the_same(const struct sasl_acceptor *acceptor)
{
    const void *authenticated = NULL, *user = NULL;
    return sasl_getprop(acceptor->connection, SASL_AUTHUSER, &authenticated) == SASL_OK &&
           sasl_getprop(acceptor->connection, SASL_USERNAME, &user) == SASL_OK &&
           authenticated != NULL && user != NULL &&
           strcmp(authenticated, acceptor->lookup.user) == 0 &&
           strcmp(user, acceptor->lookup.user) == 0;
}

static enum sasl_verdict judge_success(const struct sasl_acceptor *acceptor)
{
    if (!user_is_the_same(acceptor))
        return SASL_VERDICT_REFUSED;
    switch (acceptor->lookup.outcome) {
    case SASL_LOOKUP_MATCH:
    case SASL_LOOKUP_TOLD:
        return SASL_VERDICT_ACCEPTED;
    case SASL_LOOKUP_LATER:
        return SASL_VERDICT_PENDING;
    case SASL_LOOKUP_NOTHING:
    case SASL_LOOKUP_MISMATCH:
        break;
    }
    return SASL_VERDICT_REFUSED;
}

static enum sasl_verdict judge_failure(const struct sasl_acceptor *acceptor, int status)
{
    bool is_malformed = acceptor->lookup.is_malformed || status == SASL_BADPROT ||
                        status == SASL_BADPARAM || status == SASL_BUFOVER;
    return is_malformed ? SASL_VERDICT_MALFORMED : SASL_VERDICT_REFUSED;
}

static enum sasl_verdict run(struct sasl_acceptor *acceptor, bool has_bytes,
                             struct slice *challenge_out)
{
    const char *output = NULL;
    unsigned output_size = 0;
    const char *input = has_bytes ? (const char *)acceptor->message.bytes : NULL;
    unsigned input_size = has_bytes ? (unsigned)acceptor->message.size : 0;
    int status =
        acceptor->state == NOT_STARTED
            ? sasl_server_start(acceptor->connection, acceptor->mechanism->name, input, input_size,
                                &output, &output_size)
            : sasl_server_step(acceptor->connection, input, input_size, &output, &output_size);
    if (status != SASL_OK && status != SASL_CONTINUE)
        return finish(acceptor, judge_failure(acceptor, status));
    acceptor->state = STARTED;
    if (status == SASL_OK) {
        enum sasl_verdict verdict = judge_success(acceptor);
        if (output_size == 0 || verdict == SASL_VERDICT_REFUSED)
            return finish(acceptor, verdict);
        acceptor->state = SUCCESS_DATA_SENT;
        acceptor->verdict = verdict;
    }
    if (output != NULL)
        *challenge_out = slice_of(output, output_size);
    return SASL_VERDICT_CONTINUE;
}

enum sasl_verdict sasl_acceptor_step(struct sasl_acceptor *acceptor, bool has_bytes,
                                     struct slice bytes, struct slice *challenge_out)
{
    *challenge_out = SLICE_NONE;
    if (acceptor->state == FINISHED || bytes.size > MESSAGE_MAX)
        return finish(acceptor, SASL_VERDICT_MALFORMED);
    if (acceptor->state == SUCCESS_DATA_SENT)
        return finish(acceptor, bytes.size == 0 ? acceptor->verdict : SASL_VERDICT_MALFORMED);
    /* Only a first message can be missing; that is not the same as an empty one. */
    has_bytes = has_bytes || acceptor->state == STARTED;
    secret_set(&acceptor->message, bytes);
    enum sasl_verdict verdict = has_bytes ? judge_message(acceptor, bytes) : SASL_VERDICT_CONTINUE;
    if (verdict != SASL_VERDICT_CONTINUE)
        return finish(acceptor, verdict);
    return run(acceptor, has_bytes, challenge_out);
}

const char *sasl_acceptor_user(const struct sasl_acceptor *acceptor)
{
    bool is_known = acceptor->state == FINISHED && (acceptor->verdict == SASL_VERDICT_ACCEPTED ||
                                                    acceptor->verdict == SASL_VERDICT_PENDING);
    return is_known ? acceptor->lookup.user : NULL;
}
