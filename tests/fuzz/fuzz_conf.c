/*
 * Any octets as a configuration. Either it is accepted, and then whole, or there is an error that
 * says why; the same text read twice gives the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_config(const struct config *config)
{
    ENSURE(config->listener_count > 0);
    ENSURE(config->state_dir[0] == '/' && config->runtime_dir[0] == '/');
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = config->listeners[i];
        ENSURE(listener->address_count == listener->address.count && listener->address_count > 0);
        ENSURE(listener->allowed_count == listener->allow.count);
        ENSURE(*listener->account == '\0' || config_account(config, listener->account) != NULL);
    }
    for (size_t i = 0; i < config->account_count; i++) {
        const struct account_config *account = config->accounts[i];
        ENSURE(account->provider_row != NULL);
        ENSURE(slice_is_utf8(slice_of_string(account->name)) &&
               slice_is_utf8(slice_of_string(account->scope)));
        ENSURE(strcmp(account->provider, account->provider_row->name) == 0);
        ENSURE(config_account(config, account->name) == account);
        ENSURE(config_account_by_address(config, slice_of_string(account->address)) == account);
        for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
            ENSURE(*account_upstream_user(account, protocol) != '\0');
    }
    for (size_t i = 0; i < config->provider_count; i++)
        for (size_t j = 0; j < PROTOCOL_COUNT; j++)
            ENSURE(!config->providers[i]->endpoints[j].is_set ||
                   config->providers[i]->endpoints[j].tls != TLS_MODE_OFF);
}

static size_t read_once(const uint8_t *data, size_t size)
{
    static const struct config_surroundings surroundings = {.home = "/home/u", .user_id = 1000};
    struct config_problems problems = {0};
    struct config *config = NULL;
    /* One octet more than none: fmemopen refuses an empty buffer. It only reads. */
    char *copy = mem_new(size + 1);
    FILE *stream = NULL;

    memcpy(copy, data, size);
    copy[size] = '\n';
    stream = fmemopen(copy, size + 1, "r");
    ENSURE(stream != NULL);
    int status = config_read_stream(stream, "fuzz.ini", &surroundings, &config, &problems);
    (void)fclose(stream);
    ENSURE((status == 0) == (config != NULL));
    check_problems(&problems, status == 0);
    if (config != NULL)
        check_config(config);
    size_t count = problems.count;
    config_free(config);
    config_problems_free(&problems);
    mem_free(copy);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t first = size == 0 ? read_once((const uint8_t *)"", 0) : read_once(data, size);
    size_t second = size == 0 ? first : read_once(data, size);

    ENSURE(first == second);
    return 0;
}
