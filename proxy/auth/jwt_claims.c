/*
 * The second part of "header.claims.signature" is base64url of a JSON object (RFC 7515 section
 * 7.1); whatever is not is no token of this kind.
 */
#include "auth/jwt_claims.h"

#include <string.h>

#include "auth/oauth.h"
#include "auth/oauth_json.h"

static int value_of(uint8_t character)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *place = character == '\0' ? NULL : strchr(alphabet, character);
    return place == NULL ? -1 : (int)(place - alphabet);
}

/* False: not base64url without padding. */
static bool decode_base64url(struct slice text, struct buf *out)
{
    unsigned bits = 0, count = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (unsigned)value) & 0xfff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            uint8_t byte = (uint8_t)(bits >> count);
            if (buf_append(out, slice_of(&byte, 1)) != 0)
                return false;
        }
    }
    return text.size > 0 && count < 6;
}

json_t *jwt_claims_read(struct slice token)
{
    struct slice rest = token, header, claims, signature;
    json_t *root = NULL;
    struct buf text;
    if (!slice_next_word(&rest, '.', &header) || !slice_next_word(&rest, '.', &claims) ||
        !slice_next_word(&rest, '.', &signature) || rest.size > 0)
        return NULL;
    buf_init(&text, OAUTH_ANSWER_MAX);
    if (decode_base64url(claims, &text))
        root = oauth_json_read(buf_bytes(&text));
    buf_fini(&text);
    return root;
}
