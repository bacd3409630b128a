#include "auth/sasl_error.h"

#include <stdio.h>

#include "auth/oauth_json.h"

#define VALUE_MAX 160

static void read_value(const json_t *root, const char *key, char out[VALUE_MAX])
{
    struct slice value;
    if (!oauth_json_string(root, key, &value))
        value = SLICE_NONE;
    slice_escape(value, out, VALUE_MAX);
}

void sasl_error_describe(struct slice challenge, char *out, size_t capacity)
{
    char status[VALUE_MAX], scope[VALUE_MAX], schemes[VALUE_MAX];
    json_t *root = oauth_json_read(challenge);
    out[0] = '\0';
    read_value(root, "status", status);
    read_value(root, "scope", scope);
    read_value(root, "schemes", schemes);
    json_decref(root);
    if (status[0] == '\0')
        return;
    snprintf(out, capacity, " (status %s%s%s%s%s)", status, scope[0] == '\0' ? "" : ", scope ",
             scope, schemes[0] == '\0' ? "" : ", schemes ", schemes);
}
