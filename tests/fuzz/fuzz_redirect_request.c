/*
 * A request at the place where a sign-in ends: the method, the target, and the fields of its head,
 * each on a line. Whatever their order, the verdict is the same, and what is taken is a GET of the
 * path, for one Host of ours, from no page of another origin.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "auth/oauth_authorize.h"
#include "auth/redirect_request.h"

#define PATH       "/3b9f"
#define PORT       4711
#define FIELDS_MAX 32u

struct field {
    char *name, *value;
};

struct input {
    char *method, *target;
    struct field fields[FIELDS_MAX];
    size_t count;
};

/* The line at *rest, ended in place, and what stands behind it. */
static char *next_line(char **rest)
{
    static char nothing[1];
    char *line = *rest;
    if (line == NULL)
        return nothing;
    *rest = strchr(line, '\n');
    if (*rest != NULL)
        *(*rest)++ = '\0';
    return line;
}

static void split(char *text, struct input *input)
{
    input->method = next_line(&text);
    input->target = next_line(&text);
    for (input->count = 0; text != NULL && input->count < FIELDS_MAX; input->count++) {
        struct field *field = &input->fields[input->count];
        field->name = next_line(&text);
        field->value = strchr(field->name, ':');
        if (field->value != NULL)
            *field->value++ = '\0';
        else
            field->value = field->name + strlen(field->name);
    }
}

static enum redirect_status judge(const struct input *input, bool backwards, struct slice *query)
{
    struct redirect_request request;
    redirect_request_begin(&request, PATH, PORT);
    for (size_t i = 0; i < input->count; i++) {
        const struct field *field = &input->fields[backwards ? input->count - 1 - i : i];
        redirect_request_field(&request, field->name, field->value);
    }
    return redirect_request_judge(&request, input->method, input->target, query);
}

static bool is_ours(const char *host)
{
    return strcasecmp(host, "127.0.0.1:4711") == 0 || strcasecmp(host, "[::1]:4711") == 0 ||
           strcasecmp(host, "localhost:4711") == 0;
}

static void check_taken(const struct input *input, struct slice query)
{
    unsigned hosts = 0;
    size_t path = strlen(PATH), size = strlen(input->target);
    for (size_t i = 0; i < input->count; i++) {
        const char *value = input->fields[i].value;
        if (strcasecmp(input->fields[i].name, "Host") == 0) {
            ENSURE(is_ours(value));
            hosts++;
        } else if (strcasecmp(input->fields[i].name, "Origin") == 0) {
            ENSURE(strcmp(value, "null") == 0 ||
                   (strncmp(value, "http://", 7) == 0 && is_ours(value + 7)));
        }
    }
    ENSURE(hosts == 1 && strcmp(input->method, "GET") == 0);
    ENSURE(strncmp(input->target, PATH, path) == 0);
    ENSURE(size == path || input->target[path] == '?');
    ENSURE(slice_is(query, size == path ? "" : input->target + path + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_new(size + 1);
    struct slice query, again;
    struct input input;
    struct oauth_redirect redirect;
    if (size > 0)
        memcpy(text, data, size);
    split(text, &input);
    enum redirect_status status = judge(&input, false, &query);
    ENSURE(judge(&input, true, &again) == status && slice_equal(query, again));
    if (status == REDIRECT_TAKEN)
        check_taken(&input, query);
    else
        ENSURE(query.size == 0);
    if (oauth_read_redirect(query, &redirect) == 0)
        oauth_redirect_clear(&redirect);
    mem_free(text);
    return 0;
}
