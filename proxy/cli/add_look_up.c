/*
 * A loop of its own for each look-up, which runs until the answer is there.
 */
#include <string.h>

#include "cli/add.h"
#include "keeper/discovery.h"
#include "keeper/service_search.h"

struct look_up {
    struct loop loop;
    struct fetcher *fetcher;
    struct log log;
    /* of the search */
    struct mail_service *service;
    struct add_finding *finding;
    bool is_found;
    /* of the issuer */
    struct discovery *discovery;
    struct oauth_metadata *metadata;
    int status;
    struct err *err;
};

static int open_look_up(struct look_up *look_up, struct err *err)
{
    int status = loop_init(&look_up->loop, err);
    if (status != 0)
        return status;
    /* What goes wrong is said to the user in a sentence. */
    log_init(&look_up->log, LOG_LEVEL_ERROR, "add");
    status = fetcher_open(&look_up->loop, &look_up->fetcher, err);
    if (status != 0)
        loop_fini(&look_up->loop);
    return status;
}

static void on_fetcher_closed(void *owner)
{
    (void)owner;
}

static void close_look_up(struct look_up *look_up)
{
    fetcher_close(look_up->fetcher, on_fetcher_closed, NULL);
    loop_run(&look_up->loop);
    loop_fini(&look_up->loop);
}

/* ---- what the domain publishes ---- */

static void on_found(void *owner, const struct service_search_answer *answer)
{
    struct look_up *look_up = owner;
    look_up->finding->text = mem_copy_string(answer->source);
    look_up->finding->is_vouched_for = answer->is_vouched_for;
    if (answer->exchanger != NULL)
        look_up->finding->exchanger = mem_copy_string(answer->exchanger);
    if (answer->service != NULL) {
        look_up->is_found = true;
        *look_up->service = *answer->service;
        *answer->service = (struct mail_service){0};
    }
    uv_stop(&look_up->loop.uv);
}

bool add_search(const struct add *add, struct mail_service *service_out,
                struct add_finding *finding_out)
{
    struct look_up look_up = {.service = service_out, .finding = finding_out};
    struct err err;
    if (open_look_up(&look_up, &err) != 0) {
        finding_out->text = mem_copy_string(err.text);
        return false;
    }
    const struct service_search_parts parts = {
        .loop = &look_up.loop, .fetcher = look_up.fetcher, .ca_file = add->config->ca_file};
    (void)service_search_start(&parts, add->address, on_found, &look_up);
    loop_run(&look_up.loop);
    close_look_up(&look_up);
    return look_up.is_found;
}

/* ---- what the issuer says ---- */

static char *copy(const char *text)
{
    return text == NULL ? NULL : mem_copy_string(text);
}

static void on_metadata(void *owner, int status, const struct oauth_metadata *metadata,
                        const char *text)
{
    struct look_up *look_up = owner;
    look_up->status = status == 0 ? 0 : err_set(look_up->err, status, "%s", text);
    for (size_t i = 0; status == 0 && i < OAUTH_ENDPOINTS; i++)
        look_up->metadata->endpoints[i] = copy(metadata->endpoints[i]);
    if (status == 0)
        look_up->metadata->scopes = copy(metadata->scopes);
    uv_stop(&look_up->loop.uv);
}

int add_ask_issuer(const struct add *add, const char *issuer,
                   const struct provider_config *provider, struct oauth_metadata *metadata_out,
                   struct err *err)
{
    struct look_up look_up = {.metadata = metadata_out, .err = err};
    char *url = mem_copy_string(issuer), *none = mem_copy_string("");
    /* All that discovery looks at. */
    const struct provider_config row = {.issuer = url,
                                        .ca_file = provider == NULL ? none : provider->ca_file};
    const struct account_config account = {.tenant = provider == NULL ? none : provider->tenant,
                                           .provider_row = &row};
    *metadata_out = (struct oauth_metadata){0};
    int status = open_look_up(&look_up, err);
    if (status == 0) {
        look_up.discovery = discovery_open(&look_up.loop, look_up.fetcher, &look_up.log);
        (void)discovery_ask(look_up.discovery, add->config, &account, on_metadata, &look_up);
        loop_run(&look_up.loop);
        discovery_close(look_up.discovery);
        close_look_up(&look_up);
        status = look_up.status;
    }
    mem_free(url);
    mem_free(none);
    return status;
}
