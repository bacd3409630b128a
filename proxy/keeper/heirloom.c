/*
 * Happy path: copied from the configuration at its start, opened in a thread by the first right
 * password, removed.
 *
 * Failure modes: a vault that cannot be asked leaves none; a token that is damaged opens for
 * nobody.
 */
#include "keeper/heirloom.h"

#include <string.h>

#include "auth/fernet.h"

struct heirloom {
    char *account;
    struct sealed_token sealed;
    bool is_decoy;
    struct secret token;
};

struct heirlooms {
    struct heirloom *items;
    size_t count;
};

static void heirloom_clear(struct heirloom *heirloom)
{
    mem_free(heirloom->account);
    mem_free(heirloom->sealed.token);
    mem_free(heirloom->sealed.salt);
    secret_wipe(&heirloom->token);
}

static struct heirloom heirloom_of(const char *account, const struct sealed_token *sealed)
{
    return (struct heirloom){
        .account = mem_copy_string(account),
        .sealed = {.token = mem_copy_string(sealed->token),
                   .salt = mem_copy_string(sealed->salt),
                   .iterations = sealed->iterations},
    };
}

/* ---- all of them ---- */

struct heirlooms *heirlooms_new(void)
{
    return mem_new(sizeof(struct heirlooms));
}

static void heirlooms_clear(struct heirlooms *heirlooms)
{
    for (size_t i = 0; i < heirlooms->count; i++)
        heirloom_clear(&heirlooms->items[i]);
    mem_free(heirlooms->items);
    *heirlooms = (struct heirlooms){0};
}

void heirlooms_free(struct heirlooms *heirlooms)
{
    if (heirlooms == NULL)
        return;
    heirlooms_clear(heirlooms);
    mem_free(heirlooms);
}

static int has_grant(struct vault *vault, const char *account, bool *has_out, struct err *err)
{
    struct vault_grant *grants = NULL;
    size_t count = 0;
    int status = vault_grant_list(vault, account, &grants, &count, err);
    *has_out = false;
    if (status != 0)
        return status;
    for (size_t i = 0; i < count; i++)
        *has_out = *has_out || strcmp(grants[i].name, HEIRLOOM_GRANT) == 0;
    vault_grants_free(grants, count);
    return 0;
}

static int is_settled(struct vault *vault, const char *account, bool *settled_out, struct err *err)
{
    struct vault_token *tokens = NULL;
    size_t count = 0;
    int status = vault_token_list(vault, account, &tokens, &count, err);
    if (status != 0)
        return status;
    vault_tokens_free(tokens, count);
    *settled_out = count > 0;
    return count > 0 ? 0 : has_grant(vault, account, settled_out, err);
}

int heirlooms_load(struct heirlooms *heirlooms, const struct config *config, struct vault *vault,
                   struct err *err)
{
    int status = 0;
    heirlooms_clear(heirlooms);
    heirlooms->items = mem_new_array(config->account_count + 1, sizeof(struct heirloom));
    for (size_t i = 0; status == 0 && i < config->account_count; i++) {
        const struct account_config *account = config->accounts[i];
        bool settled = true;
        if (account->sealed.token == NULL)
            continue;
        status = is_settled(vault, account->name, &settled, err);
        if (status == 0 && !settled)
            heirlooms->items[heirlooms->count++] = heirloom_of(account->name, &account->sealed);
    }
    if (status != 0)
        heirlooms_clear(heirlooms);
    return status;
}

bool heirlooms_remove(struct heirlooms *heirlooms, const char *account)
{
    for (size_t i = 0; i < heirlooms->count; i++) {
        if (strcmp(heirlooms->items[i].account, account) != 0)
            continue;
        heirloom_clear(&heirlooms->items[i]);
        heirlooms->items[i] = heirlooms->items[--heirlooms->count];
        return true;
    }
    return false;
}

bool heirlooms_are_left(const struct heirlooms *heirlooms)
{
    return heirlooms != NULL && heirlooms->count > 0;
}

/* ---- one ---- */

struct heirloom *heirlooms_find(const struct heirlooms *heirlooms, const char *account)
{
    size_t place = 0;
    if (!heirlooms_are_left(heirlooms))
        return NULL;
    while (place < heirlooms->count && strcmp(heirlooms->items[place].account, account) != 0)
        place++;
    bool is_decoy = place == heirlooms->count;
    struct heirloom *copy = mem_new(sizeof(*copy));
    *copy = heirloom_of(account, &heirlooms->items[is_decoy ? 0 : place].sealed);
    copy->is_decoy = is_decoy;
    return copy;
}

void heirloom_free(struct heirloom *heirloom)
{
    if (heirloom == NULL)
        return;
    heirloom_clear(heirloom);
    mem_free(heirloom);
}

void heirloom_open(struct heirloom *heirloom, struct slice password)
{
    const struct sealed_token *sealed = &heirloom->sealed;
    struct secret token = {0};
    int status =
        fernet_open_by_password(password, slice_of_string(sealed->salt), sealed->iterations,
                                slice_of_string(sealed->token), &token);
    if (status == 0 && !heirloom->is_decoy)
        secret_move(&heirloom->token, &token);
    secret_wipe(&token);
}

const struct secret *heirloom_token(const struct heirloom *heirloom)
{
    return heirloom == NULL || !secret_is_set(&heirloom->token) ? NULL : &heirloom->token;
}
