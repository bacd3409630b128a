/*
 * First step: the whole message. Second step: the server has sent an error as a challenge, and the
 * mechanism's dummy answer lets it go on to its refusal. A server that accepts the token sends no
 * challenge, so there is no step that ends in SASL_OK.
 *
 * Failure modes: a third step is SASL_BADPROT; an identity too long for a message, which the checks
 * before exclude, is SASL_BUFOVER.
 */
#include "auth/sasl_oauth.h"

#include <string.h>

#include "auth/credential.h"
#include "base/buf.h"

/* The user at most tripled by escapes, a host name, and the words around. */
#define MESSAGE_MAX (CREDENTIAL_TOKEN_MAX + 3 * CREDENTIAL_USER_MAX + 512)

struct exchange {
    struct buf message;
    int (*write)(struct buf *out, const struct sasl_oauth_identity *identity);
    struct slice error_answer;
    enum { BEFORE_MESSAGE, AFTER_MESSAGE, AFTER_ERROR } state;
};

static int append_token(struct buf *out, const struct sasl_oauth_identity *identity)
{
    int status = buf_append_string(out, "\001auth=Bearer ");
    if (status == 0)
        status = buf_append(out, secret_bytes(&identity->token));
    return status != 0 ? status : buf_append_string(out, "\001\001");
}

/* user=<user>^Aauth=Bearer <token>^A^A */
static int write_xoauth2(struct buf *out, const struct sasl_oauth_identity *identity)
{
    int status = buf_append_string(out, "user=");
    if (status == 0)
        status = buf_append_string(out, identity->user);
    return status != 0 ? status : append_token(out, identity);
}

/* saslname of RFC 5801 section 4: ',' and '=' would be read as structure. */
static int append_saslname(struct buf *out, const char *name)
{
    int status = 0;
    for (; *name != '\0' && status == 0; name++) {
        if (*name == ',')
            status = buf_append_string(out, "=2C");
        else if (*name == '=')
            status = buf_append_string(out, "=3D");
        else
            status = buf_append(out, slice_of(name, 1));
    }
    return status;
}

/* n,a=<user>,^Ahost=<host>^Aport=<port>^Aauth=Bearer <token>^A^A */
static int write_oauthbearer(struct buf *out, const struct sasl_oauth_identity *identity)
{
    int status = buf_append_string(out, "n,a=");
    if (status == 0)
        status = append_saslname(out, identity->user);
    if (status == 0)
        status = buf_append_format(out, ",\001host=%s\001port=%u", identity->host,
                                   (unsigned)identity->port);
    return status != 0 ? status : append_token(out, identity);
}

static void new_exchange(int (*write)(struct buf *, const struct sasl_oauth_identity *),
                         struct slice error_answer, void **exchange_out)
{
    struct exchange *exchange = mem_new(sizeof(*exchange));
    buf_init(&exchange->message, MESSAGE_MAX);
    exchange->write = write;
    exchange->error_answer = error_answer;
    *exchange_out = exchange;
}

static int new_xoauth2(void *context, sasl_client_params_t *parameters, void **exchange_out)
{
    (void)context;
    (void)parameters;
    new_exchange(write_xoauth2, SLICE_LITERAL(""), exchange_out);
    return SASL_OK;
}

static int new_oauthbearer(void *context, sasl_client_params_t *parameters, void **exchange_out)
{
    (void)context;
    (void)parameters;
    new_exchange(write_oauthbearer, SLICE_LITERAL("\001"), exchange_out);
    return SASL_OK;
}

static void dispose(void *context, const sasl_utils_t *utils)
{
    (void)utils;
    struct exchange *exchange = context;
    if (exchange == NULL)
        return;
    buf_fini(&exchange->message);
    mem_free(exchange);
}

static const struct sasl_oauth_identity *identity_of(const sasl_utils_t *utils)
{
    sasl_callback_ft function = NULL;
    void *context = NULL;
    int status = utils->getcallback(utils->conn, SASL_CB_AUTHNAME, &function, &context);
    return status == SASL_OK ? context : NULL;
}

static int step(void *context, sasl_client_params_t *parameters, const char *challenge,
                unsigned challenge_size, sasl_interact_t **prompts, const char **answer_out,
                unsigned *answer_size_out, sasl_out_params_t *result)
{
    (void)challenge;
    (void)challenge_size;
    (void)prompts;
    (void)result;
    struct exchange *exchange = context;
    struct slice answer = exchange->error_answer;
    switch (exchange->state) {
    case BEFORE_MESSAGE: {
        const struct sasl_oauth_identity *identity = identity_of(parameters->utils);
        if (identity == NULL)
            return SASL_FAIL;
        if (exchange->write(&exchange->message, identity) != 0)
            return SASL_BUFOVER;
        answer = buf_bytes(&exchange->message);
        exchange->state = AFTER_MESSAGE;
        break;
    }
    case AFTER_MESSAGE:
        buf_clear(&exchange->message);
        exchange->state = AFTER_ERROR;
        break;
    case AFTER_ERROR:
        return SASL_BADPROT;
    }
    *answer_out = (const char *)answer.data;
    *answer_size_out = (unsigned)answer.size;
    return SASL_CONTINUE;
}

int sasl_oauth_init(const sasl_utils_t *utils, int version_max, int *version_out,
                    sasl_client_plug_t **plugins_out, int *count_out)
{
    static const unsigned long no_prompts[] = {SASL_CB_LIST_END};
    /* libsasl2 takes them by a pointer to non-const; it does not write to them. */
    static sasl_client_plug_t plugins[] = {
        {
            .mech_name = "OAUTHBEARER",
            .security_flags = SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS,
            .features = SASL_FEAT_WANT_CLIENT_FIRST | SASL_FEAT_ALLOWS_PROXY,
            .required_prompts = no_prompts,
            .mech_new = new_oauthbearer,
            .mech_step = step,
            .mech_dispose = dispose,
        },
        {
            .mech_name = "XOAUTH2",
            .security_flags = SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS,
            .features = SASL_FEAT_WANT_CLIENT_FIRST | SASL_FEAT_ALLOWS_PROXY,
            .required_prompts = no_prompts,
            .mech_new = new_xoauth2,
            .mech_step = step,
            .mech_dispose = dispose,
        },
    };
    (void)utils;
    if (version_max < SASL_CLIENT_PLUG_VERSION)
        return SASL_BADVERS;
    *version_out = SASL_CLIENT_PLUG_VERSION;
    *plugins_out = plugins;
    *count_out = (int)LENGTH_OF(plugins);
    return SASL_OK;
}
