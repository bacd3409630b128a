/*
 * Nothing fails here: what cannot be read as it should (a boolean that is none) is as if it were
 * not there, and said by conf/emailproxy_map.
 */
#include "conf/emailproxy_look_up.h"

#include <string.h>

#include "conf/address.h"

bool emailproxy_boolean(const char *text, bool *value_out)
{
    static const char *const words[] = {"0", "no", "false", "off", "1", "yes", "true", "on"};

    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (slice_is_ignoring_case(slice_of_string(text), words[i])) {
            *value_out = i >= LENGTH_OF(words) / 2;
            return true;
        }
    return false;
}

bool emailproxy_has_catch_all(const struct emailproxy_file *file)
{
    const struct emailproxy_section *general = emailproxy_section(file, "emailproxy");
    const struct emailproxy_pair *pair =
        general == NULL ? NULL : emailproxy_find(file, general, "allow_catch_all_accounts");
    bool value = false;

    return pair != NULL && emailproxy_boolean(pair->value, &value) && value;
}

/* What a token is, is nobody else's. */
static bool is_of_one_alone(const char *key)
{
    static const char *const keys[] = {"access_token", "access_token_expiry", "refresh_token",
                                       "last_activity"};

    for (size_t i = 0; i < LENGTH_OF(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

const struct emailproxy_pair *emailproxy_look_up(const struct emailproxy_file *file,
                                                 const struct emailproxy_section *section,
                                                 const char *key)
{
    const struct emailproxy_pair *pair = emailproxy_find(file, section, key);
    const char *domain = strrchr(section->name, '@');
    const char *const parents[] = {domain, "@"};

    if (pair != NULL || domain == NULL || is_of_one_alone(key) || !emailproxy_has_catch_all(file))
        return pair;
    for (size_t i = 0; i < LENGTH_OF(parents) && pair == NULL; i++) {
        const struct emailproxy_section *parent = emailproxy_section(file, parents[i]);
        if (parent != NULL && parent != section)
            pair = emailproxy_find(file, parent, key);
    }
    return pair;
}

/* ---- the account of a section ---- */

char *emailproxy_address(const struct emailproxy_section *section)
{
    const char *name = section->name;
    size_t size = strlen(name) + sizeof("**");
    char *address = mem_new(size);

    (void)snprintf(address, size, "%s%s%s", name[0] == '@' ? "*" : "", name,
                   strcmp(name, "@") == 0 ? "*" : "");
    text_to_lower(strrchr(address, '@'));
    return address;
}

static bool is_of_section(const struct account_config *account,
                          const struct emailproxy_section *section)
{
    if (section->line != account->line || strchr(section->name, '@') == NULL)
        return false;
    char *address = emailproxy_address(section);
    bool is_same = strcmp(address, account->address) == 0;
    mem_free(address);
    return is_same;
}

const struct emailproxy_section *emailproxy_section_of(const struct emailproxy_file *file,
                                                       const struct account_config *account)
{
    for (size_t i = 0; i < file->count; i++)
        if (is_of_section(account, &file->sections[i]))
            return &file->sections[i];
    mem_broken("an account without a section", __FILE__, __LINE__);
}
