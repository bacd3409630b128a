#include "auth/oauth_form.h"

#include <string.h>

int oauth_form_encode(struct buf *out, struct slice value)
{
    static const char digits[] = "0123456789ABCDEF";
    int status = 0;
    for (size_t i = 0; i < value.size && status == 0; i++) {
        uint8_t byte = value.data[i];
        bool is_plain = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                        (byte >= '0' && byte <= '9') || (byte != 0 && strchr("-._*", byte) != NULL);
        char escaped[] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (is_plain)
            status = buf_append(out, slice_of(&byte, 1));
        else if (byte == ' ')
            status = buf_append_string(out, "+");
        else
            status = buf_append(out, slice_of(escaped, sizeof(escaped)));
    }
    return status;
}

int oauth_form_add(struct buf *out, const char *name, struct slice value)
{
    int status = buf_size(out) > 0 ? buf_append_string(out, "&") : 0;
    if (status == 0)
        status = buf_append_string(out, name);
    if (status == 0)
        status = buf_append_string(out, "=");
    return status != 0 ? status : oauth_form_encode(out, value);
}

/* -1: none. */
static int digit_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

int oauth_form_decode(struct slice text, struct buf *out)
{
    int status = 0;
    for (size_t i = 0; i < text.size && status == 0; i++) {
        uint8_t byte = text.data[i] == '+' ? ' ' : text.data[i];
        if (byte == '%') {
            bool has_digits = text.size - i > 2;
            int high = has_digits ? digit_value(text.data[i + 1]) : -1;
            int low = has_digits ? digit_value(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return ERR_SYNTAX;
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        status = buf_append(out, slice_of(&byte, 1));
    }
    return status;
}
