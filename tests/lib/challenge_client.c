#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "auth/hostname.h"
#include "challenge_client.h"

static int client_name(void *context, int identifier, const char **result_out, unsigned *size_out)
{
    const struct challenge_client *client = context;
    *result_out = identifier == SASL_CB_USER ? client->authorization : client->user;
    if (size_out != NULL)
        *size_out = (unsigned)strlen(*result_out);
    return SASL_OK;
}

static int client_realm(void *context, int identifier, const char **realms, const char **result_out)
{
    (void)context;
    (void)identifier;
    *result_out = realms != NULL && realms[0] != NULL ? realms[0] : "";
    return SASL_OK;
}

static int client_password(sasl_conn_t *connection, void *context, int identifier,
                           sasl_secret_t **password_out)
{
    (void)connection;
    (void)identifier;
    const struct challenge_client *client = context;
    *password_out = client->password;
    return SASL_OK;
}

static int plugin_folder(void *context, const char **path_out)
{
    (void)context;
    *path_out = SASL_PLUGIN_FOLDER;
    return SASL_OK;
}

static int no_log(void *context, int level, const char *message)
{
    (void)context;
    (void)level;
    (void)message;
    return SASL_OK;
}

static sasl_callback_t callback(unsigned long identifier, void (*function)(void), void *context)
{
    return (sasl_callback_t){identifier, (int (*)(void))function, context};
}

static sasl_callback_t client_library_callbacks[3];

void challenge_client_library_open(void)
{
    assert_true(hostname_is_ours());
    client_library_callbacks[0] = callback(SASL_CB_GETPATH, (void (*)(void))plugin_folder, NULL);
    client_library_callbacks[1] = callback(SASL_CB_LOG, (void (*)(void))no_log, NULL);
    assert_int_equal(sasl_client_init(client_library_callbacks), SASL_OK);
}

void challenge_client_library_close(void)
{
    sasl_client_done();
}

void challenge_client_open(struct challenge_client *client, const char *user,
                           const char *authorization, const char *password)
{
    *client = (struct challenge_client){.user = user, .authorization = authorization};
    client->password = mem_new(sizeof(sasl_secret_t) + strlen(password) + 1);
    client->password->len = strlen(password);
    memcpy(client->password->data, password, strlen(password));
    client->callbacks[0] = callback(SASL_CB_USER, (void (*)(void))client_name, client);
    client->callbacks[1] = callback(SASL_CB_AUTHNAME, (void (*)(void))client_name, client);
    client->callbacks[2] = callback(SASL_CB_PASS, (void (*)(void))client_password, client);
    client->callbacks[3] = callback(SASL_CB_GETREALM, (void (*)(void))client_realm, client);
    client->callbacks[4] = callback(SASL_CB_LOG, (void (*)(void))no_log, client);
    assert_int_equal(
        sasl_client_new("imap", "localhost", NULL, NULL, client->callbacks, 0, &client->connection),
        SASL_OK);
    const sasl_security_properties_t properties = {.max_ssf = 0};
    assert_int_equal(sasl_setprop(client->connection, SASL_SEC_PROPS, &properties), SASL_OK);
}

void challenge_client_close(struct challenge_client *client)
{
    sasl_dispose(&client->connection);
    mem_free(client->password);
}
