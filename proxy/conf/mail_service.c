/*
 * A host and a port become an endpoint by the grammar of [provider]: what that refuses is refused
 * here, with whatever stands in it.
 */
#include "conf/mail_service.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"

#define HOST_MAXIMUM 255
#define PORT_MAXIMUM 5

static void clear_server(struct mail_server *server)
{
    mem_free(server->endpoint.host);
    mem_free(server->user);
    *server = (struct mail_server){0};
}

void mail_service_clear(struct mail_service *service)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        clear_server(&service->servers[i]);
    mem_free(service->issuer);
    mem_free(service->authorization_endpoint);
    mem_free(service->token_endpoint);
    mem_free(service->scope);
    mem_free(service->client_id);
    *service = (struct mail_service){0};
}

bool mail_service_has_server(const struct mail_service *service)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        if (service->servers[i].endpoint.is_set)
            return true;
    return false;
}

static bool takes(const struct mail_server *server, bool token)
{
    return server->endpoint.is_set && (token ? server->takes_token : server->takes_password);
}

bool mail_service_takes(const struct mail_service *service, bool token)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        if (takes(&service->servers[i], token))
            return true;
    return false;
}

void mail_service_keep(struct mail_service *service, bool token)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        if (!takes(&service->servers[i], token))
            clear_server(&service->servers[i]);
}

static bool is_within(const char *host, const char *domain)
{
    size_t size = strlen(host), tail = strlen(domain);

    if (size < tail || strcmp(host + size - tail, domain) != 0)
        return false;
    return size == tail || host[size - tail - 1] == '.';
}

bool mail_service_is_within(const struct mail_service *service, const char *domain)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        if (service->servers[i].endpoint.is_set &&
            !is_within(service->servers[i].endpoint.host, domain))
            return false;
    return true;
}

int mail_server_set(struct mail_server *server, enum protocol protocol, enum tls_mode tls,
                    struct slice host, struct slice port)
{
    char text[MAIL_SERVER_TEXT];
    struct endpoint endpoint = {0};

    ENSURE(tls != TLS_MODE_OFF);
    if (host.size == 0 || host.size > HOST_MAXIMUM || port.size == 0 || port.size > PORT_MAXIMUM ||
        slice_find(host, '\0') < host.size || slice_find(host, ':') < host.size)
        return ERR_SYNTAX;
    (void)snprintf(text, sizeof(text), "%s://%.*s:%.*s", tls == TLS_MODE_ON ? "tls" : "starttls",
                   SLICE_PRINT(host), SLICE_PRINT(port));
    if (endpoint_parse(text, protocol, &endpoint, NULL) != 0)
        return ERR_SYNTAX;
    mem_free(server->endpoint.host);
    server->endpoint = endpoint;
    return 0;
}

void mail_server_text(const struct mail_server *server, char text_out[MAIL_SERVER_TEXT])
{
    const struct endpoint *endpoint = &server->endpoint;
    bool is_ipv6 = strchr(endpoint->host, ':') != NULL;

    (void)snprintf(text_out, MAIL_SERVER_TEXT, is_ipv6 ? "%s://[%s]:%u" : "%s://%s:%u",
                   endpoint->tls == TLS_MODE_ON ? "tls" : "starttls", endpoint->host,
                   (unsigned)endpoint->port);
}
