#include "keeper/authorities.h"

static bool has_own(const struct provider_config *provider)
{
    return *provider->ca_file != '\0';
}

size_t authorities_count(const struct config *config)
{
    size_t count = 1;
    for (size_t i = 0; i < config->provider_count; i++)
        count += has_own(config->providers[i]);
    return count;
}

const char *authorities_file(const struct config *config, size_t index)
{
    const char *file = config->ca_file;
    ENSURE(index < authorities_count(config));
    for (size_t i = 0; index > 0; i++)
        if (has_own(config->providers[i])) {
            file = config->providers[i]->ca_file;
            index--;
        }
    return file;
}

uint16_t authorities_index(const struct config *config, const struct provider_config *provider)
{
    size_t next = 1;
    if (!has_own(provider))
        return 0;
    for (size_t i = 0; i < config->provider_count && config->providers[i] != provider; i++)
        next += has_own(config->providers[i]);
    ENSURE(next < authorities_count(config) && next <= UINT16_MAX);
    return (uint16_t)next;
}
