#include "auth/credential.h"

#include <string.h>

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
           slice_is_utf8(user);
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
