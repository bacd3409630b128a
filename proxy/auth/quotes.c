/*
 * In base64 three octets are four characters. Where the secret began within a message is not known,
 * but of its first three octets one began such a group: what follows there looks the same whatever
 * the message was.
 */
#include "auth/quotes.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"

#define GROUPS_MAX 4
#define GROUPS_MIN 2

static bool holds(struct slice text, struct slice part)
{
    return part.size > 0 && text.size >= part.size &&
           memmem(text.data, text.size, part.data, part.size) != NULL;
}

static bool holds_base64(struct slice text, struct slice secret)
{
    unsigned char encoded[GROUPS_MAX * 4 + 1];
    size_t groups = secret.size / 3;
    if (groups > GROUPS_MAX)
        groups = GROUPS_MAX;
    if (groups < GROUPS_MIN)
        return false;
    int size = EVP_EncodeBlock(encoded, secret.data, (int)groups * 3);
    bool found = holds(text, slice_of(encoded, (size_t)size));
    mem_wipe(encoded, sizeof(encoded));
    return found;
}

bool quotes_secret(struct slice text, struct slice secret)
{
    if (holds(text, slice_take(secret, QUOTES_SHOWN)))
        return true;
    for (size_t skipped = 0; skipped < 3; skipped++)
        if (holds_base64(text, slice_skip(secret, skipped)))
            return true;
    return false;
}
