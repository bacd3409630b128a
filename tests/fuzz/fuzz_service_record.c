/*
 * The answer of a name server; the first octet is the kind that was asked for.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/address.h"
#include "conf/service_record.h"

static bool has_server(const struct mail_server *server)
{
    if (!server->endpoint.is_set)
        return false;
    ENSURE(host_name_is_valid(server->endpoint.host));
    ENSURE(server->endpoint.tls != TLS_MODE_OFF && server->endpoint.port != 0);
    return true;
}

static void check_exchanger(struct slice answer)
{
    char name[MAIL_EXCHANGER_MAX] = "";
    int status = mail_exchanger_read(answer, name);
    ENSURE(status == 0 || status == ERR_SYNTAX);
    ENSURE(*name == '\0' || (status == 0 && host_name_is_valid(name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mail_service service = {0};
    unsigned found = 0;
    if (size == 0)
        return 0;
    int status =
        service_record_take(slice_of(data + 1, size - 1),
                            (enum service_record_kind)(data[0] % SERVICE_RECORD_KINDS), &service);
    ENSURE(status == 0 || status == ERR_SYNTAX);
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        found += has_server(&service.servers[i]);
    ENSURE(found <= (status == 0));
    mail_service_clear(&service);
    check_exchanger(slice_of(data + 1, size - 1));
    return 0;
}
