#include "auth/credential.h"

#include <string.h>

/* Octets of the UTF-8 sequence that starts `text`; 0 when it is none. */
static size_t utf8_sequence(struct slice text)
{
    uint8_t first = text.data[0];
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
    uint8_t second = text.data[1];
    bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : size;
}

bool credential_is_utf8(struct slice text)
{
    while (text.size > 0) {
        size_t size = utf8_sequence(text);
        if (size == 0)
            return false;
        text = slice_skip(text, size);
    }
    return true;
}

bool credential_is_printable(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return true;
}

bool credential_user_is_valid(struct slice user)
{
    return user.size > 0 && user.size <= CREDENTIAL_USER_MAX && !slice_has_control(user) &&
           credential_is_utf8(user);
}

static bool is_token_character(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || (byte != 0 && strchr("-._~+/", byte) != NULL);
}

bool credential_token_is_valid(struct slice token)
{
    size_t size = 0;
    while (size < token.size && is_token_character(token.data[size]))
        size++;
    if (size == 0 || token.size > CREDENTIAL_TOKEN_MAX)
        return false;
    while (size < token.size && token.data[size] == '=')
        size++;
    return size == token.size;
}

bool credential_password_is_valid(struct slice password)
{
    return password.size > 0 && password.size <= CREDENTIAL_PASSWORD_MAX &&
           slice_find(password, '\0') == password.size &&
           slice_find(password, '\r') == password.size &&
           slice_find(password, '\n') == password.size;
}
