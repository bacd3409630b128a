/*
 * An address and a document: the first line is the address, the rest what its domain says.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/address.h"
#include "conf/autoconfig.h"

#define HOST_NAME_MAXIMUM 253

/* In code points of printable ASCII: conf/ has no room for auth/credential. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void check_url(const char *url)
{
    ENSURE(url == NULL || https_url_check(url, true, NULL) == 0);
}

static void check_server(const struct mail_server *server, enum protocol protocol)
{
    char text[MAIL_SERVER_TEXT];
    struct endpoint again = {0};
    if (!server->endpoint.is_set)
        return;
    ENSURE(server->endpoint.tls != TLS_MODE_OFF && server->endpoint.port != 0);
    ENSURE(server->takes_token || server->takes_password);
    mail_server_text(server, text);
    ENSURE(endpoint_parse(text, protocol, &again, NULL) == 0);
    ENSURE(strcmp(again.host, server->endpoint.host) == 0);
    ENSURE(again.port == server->endpoint.port && again.tls == server->endpoint.tls);
    mem_free(again.host);
    ENSURE(server->user == NULL || !slice_has_control(slice_of_string(server->user)));
}

static void check_document(struct slice document, const char *address)
{
    struct mail_service service;
    struct err err = {0};
    int status = autoconfig_read(document, address, &service, &err);
    ENSURE(status == 0 || status == ERR_SYNTAX || status == ERR_NOT_FOUND);
    ENSURE(is_printable(err.text));
    ENSURE((status == 0) == mail_service_has_server(&service));
    for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
        check_server(&service.servers[protocol], protocol);
    check_url(service.issuer);
    check_url(service.authorization_endpoint);
    check_url(service.token_endpoint);
    ENSURE((service.authorization_endpoint == NULL) == (service.token_endpoint == NULL));
    ENSURE(service.scope == NULL || is_printable(service.scope));
    ENSURE(service.client_id == NULL || is_printable(service.client_id));
    mail_service_clear(&service);
}

/* Before a domain of the greatest length there is no room for "autoconfig."; nobody answers there.
 */
static void check_address(const char *address)
{
    if (strlen(strrchr(address, '@') + 1) + strlen("autoconfig.") > HOST_NAME_MAXIMUM)
        return;
    for (enum autoconfig_place place = 0; place < AUTOCONFIG_PLACES; place++) {
        char *url = autoconfig_url(address, place, 0);
        check_url(url);
        mem_free(url);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    size_t end = slice_find(rest, '\n');
    char *address = mem_copy_bytes_as_string(data, end);
    const char *at = strrchr(address, '@');
    if (at != NULL && host_name_is_valid(at + 1)) {
        check_address(address);
        check_document(slice_skip(rest, end + 1), address);
    }
    mem_free(address);
    return 0;
}
