#include "auth/oauth_json.h"

#include "auth/oauth.h"

#define DEPTH_MAX 16u

/* jansson has a limit of its own, 2048, which is deep for a stack and does not end at 16. */
static bool depth_is_sound(struct slice text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '{' || byte == '['))
            depth++;
        else if (!in_string && (byte == '}' || byte == ']') && depth > 0)
            depth--;
        if (depth > DEPTH_MAX)
            return false;
    }
    return true;
}

json_t *oauth_json_read(struct slice text)
{
    if (text.size == 0 || text.size > OAUTH_ANSWER_MAX || !depth_is_sound(text))
        return NULL;
    json_t *root = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

bool oauth_json_string(const json_t *root, const char *key, struct slice *value_out)
{
    const json_t *value = json_object_get(root, key);
    *value_out = SLICE_NONE;
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_string(value))
        return false;
    *value_out = slice_of(json_string_value(value), json_string_length(value));
    return true;
}
