/*
 * Happy path: section by section, key by key. Nothing fails.
 */
#include "conf/emailproxy_cache.h"

#include <string.h>

#include "conf/emailproxy_look_up.h"

bool emailproxy_is_cached(const char *key)
{
    static const char *const keys[] = {
        "token_salt",    "token_iterations",        "access_token", "access_token_expiry",
        "refresh_token", "client_secret_encrypted", "last_activity"};

    for (size_t i = 0; i < LENGTH_OF(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* NULL: nothing in the file is for that account. */
static struct emailproxy_section *add_section(struct emailproxy_file *file, const char *name)
{
    const struct emailproxy_section *general = NULL;

    if (emailproxy_has_catch_all(file)) {
        general = emailproxy_section(file, strrchr(name, '@'));
        general = general == NULL ? emailproxy_section(file, "@") : general;
    }
    if (general == NULL)
        return NULL;
    struct emailproxy_section added = {.name = mem_copy_string(name), .line = general->line};
    file->sections =
        mem_resize(file->sections, (file->count + 1) * sizeof(struct emailproxy_section));
    file->sections[file->count++] = added;
    return &file->sections[file->count - 1];
}

static struct emailproxy_pair *find_pair(struct emailproxy_section *section, const char *key)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->pairs[i].key, key) == 0)
            return &section->pairs[i];
    section->pairs =
        mem_resize(section->pairs, (section->count + 1) * sizeof(struct emailproxy_pair));
    section->pairs[section->count] = (struct emailproxy_pair){.key = mem_copy_string(key)};
    return &section->pairs[section->count++];
}

static void take_pair(struct emailproxy_section *section, struct emailproxy_pair *cached)
{
    struct emailproxy_pair *pair = find_pair(section, cached->key);

    mem_free_wiped_string(pair->value);
    pair->value = cached->value;
    pair->line = section->line;
    cached->value = mem_copy_string("");
}

static bool take_section(struct emailproxy_file *file, struct emailproxy_section *cached)
{
    struct emailproxy_section *section = emailproxy_section(file, cached->name);
    bool has_any = false;

    if (section == NULL)
        section = add_section(file, cached->name);
    for (size_t i = 0; section != NULL && i < cached->count; i++)
        if (emailproxy_is_cached(cached->pairs[i].key) && *cached->pairs[i].value != '\0') {
            take_pair(section, &cached->pairs[i]);
            has_any = true;
        }
    return has_any;
}

size_t emailproxy_take_cache(struct emailproxy_file *file, struct emailproxy_file *cache)
{
    size_t taken = 0;

    for (size_t i = 0; i < cache->count; i++)
        if (strchr(cache->sections[i].name, '@') != NULL)
            taken += take_section(file, &cache->sections[i]);
    return taken;
}
