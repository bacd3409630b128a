#include "keeper/command_text.h"

#include <string.h>

/* The library's own limit is 2048 levels: enough to keep its stack, too many for us. */
static bool is_deeper_than(json_t *json, unsigned levels)
{
    const char *key;
    size_t index;
    json_t *value;

    if (!json_is_object(json) && !json_is_array(json))
        return false;
    if (levels == 0)
        return true;
    json_object_foreach(json, key, value) if (is_deeper_than(value, levels - 1)) return true;
    json_array_foreach(json, index, value) if (is_deeper_than(value, levels - 1)) return true;
    return false;
}

int command_text_read(struct slice text, json_t **object_out, struct err *err)
{
    json_error_t problem;
    json_t *json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &problem);
    if (json == NULL)
        return err_set(err, ERR_SYNTAX, "no JSON that can be read, at octet %d", problem.position);
    if (!json_is_object(json) || is_deeper_than(json, COMMAND_DEPTH_MAX)) {
        json_decref(json);
        return err_set(err, ERR_SYNTAX, "not a JSON object of at most %d levels",
                       COMMAND_DEPTH_MAX);
    }
    *object_out = json;
    return 0;
}

void command_text_write(const json_t *object, struct secret *text_out)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    ENSURE(text != NULL);
    secret_set(text_out, slice_of_string(text));
    mem_free_wiped_string(text);
}

json_t *command_text_string(const char *text)
{
    if (text == NULL)
        return json_null();
    json_t *string = json_string(text);
    if (string != NULL)
        return string;
    size_t capacity = strlen(text) * 4 + 1;
    char *escaped = mem_new(capacity);
    slice_escape(slice_of_string(text), escaped, capacity);
    string = json_string(escaped);
    mem_free(escaped);
    return string;
}
