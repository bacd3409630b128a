#include "gate/upstream_sasl.h"

int upstream_sasl_start(struct sasl_initiator_library *library, const char *mechanism,
                        struct sasl_initiator_identity identity, const struct secret *token,
                        struct sasl_initiator **initiator, struct slice *response_out)
{
    struct secret copy = {0};
    sasl_initiator_free(*initiator);
    *initiator = NULL;
    secret_copy(&copy, token);
    identity.token = &copy;
    int status = sasl_initiator_new(library, mechanism, &identity, initiator);
    secret_wipe(&copy);
    return status != 0 ? status : sasl_initiator_start(*initiator, response_out);
}
