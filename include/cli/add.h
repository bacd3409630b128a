/*
 * What the steps of `ecluse add` share; nobody else includes it. Each step takes what the command
 * line says, else finds it out, else asks for it; it gives 0, or the exit code after it was said
 * why it cannot go on. Nothing is changed before add_write.
 */
#ifndef ECLUSE_CLI_ADD_H
#define ECLUSE_CLI_ADD_H

#include "auth/oauth_metadata.h"
#include "cli/arguments.h"
#include "cli/print.h"
#include "cli/prompt.h"
#include "conf/label.h"
#include "conf/mail_service.h"

struct add {
    const struct arguments *arguments;
    char *address;      /* its domain in lower case */
    const char *domain; /* in it */
    char *place;        /* of the configuration */
    bool is_there;
    struct config *config; /* what is in it, or the built-in table alone */
    /* The provider: a row of the configuration, or one to be made of `service`. */
    const struct provider_config *row;
    bool row_has_the_domain; /* the account need not name it */
    struct mail_service service;
    enum flow flow;
    bool registers;                   /* the issuer gives out a client_id */
    bool has_device;                  /* the provider has the device flow */
    char *client_id, *scope, *tenant; /* NULL: none */
    struct secret client_secret, password;
    char label[SECTION_LABEL_MAXIMUM + 1]; /* of the account */
};

/* ---- add_ask.c ---- */

/* The value of the option, when it was given, else an answer; both are checked. `initial` NULL:
 * there has to be one. `what` is for the text when nobody can be asked: "the client_id". */
struct add_question {
    const char *flag; /* NULL: there is none */
    const char *what, *question, *initial;
    prompt_check *check;
};
MUST_CHECK int add_ask(struct add *add, const struct add_question *question, char **answer_out);
/* A secret: by the option from stdin, else typed without echo. Empty is allowed when it is
 * optional. */
MUST_CHECK int add_ask_secret(struct add *add, const char *flag, const char *what,
                              const char *question, size_t maximum, bool is_optional,
                              struct secret *secret_out);
const char *add_flag(const struct add *add, const char *name);
/* What a human wants to know on the way; a script is told what is missing, and no more. */
#define add_tell(...)                                                                              \
    do {                                                                                           \
        if (prompt_is_possible())                                                                  \
            print_complaint(__VA_ARGS__);                                                          \
    } while (0)

/* ---- add_look_up.c: blocking, for seconds at most ---- */

/* What the domain publishes: true, with *service_out and where it stands; else why there is
 * nothing, and perhaps the host that takes its mail. The texts are for mem_free. */
struct add_finding {
    bool is_vouched_for;
    char *text;
    char *exchanger; /* NULL: none */
};
bool add_search(const struct add *add, struct mail_service *service_out,
                struct add_finding *finding_out);
/* What an issuer says of itself (keeper/discovery.h), by the authorities of `provider`, which may
 * be NULL; for oauth_metadata_clear. */
MUST_CHECK int add_ask_issuer(const struct add *add, const char *issuer,
                              const struct provider_config *provider,
                              struct oauth_metadata *metadata_out, struct err *err);

/* ---- add_endpoints.c: for the flow, when it is OAuth2 ---- */

/* Fills in `service` (issuer, endpoints, scope), `registers` and `has_device`. */
MUST_CHECK int add_find_endpoints(struct add *add);
/* Where the URLs of the row have {tenant}: an app of one directory signs in there alone. */
MUST_CHECK int add_find_tenant(struct add *add);
bool add_may_have_device(const struct add *add);

/* ---- the steps ---- */

int add_find_provider(struct add *add); /* add_provider.c */
int add_find_flow(struct add *add);     /* add_client.c: also the client, or the password */
int add_write(struct add *add);         /* add_write.c */
int add_sign_in(struct add *add);       /* add_sign_in.c: also the grant, and the settings */

#endif
