#include "base/hex.h"

void hex_write(struct slice bytes, char *digits_out)
{
    static const char digits[16] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        digits_out[2 * i] = digits[bytes.data[i] >> 4];
        digits_out[2 * i + 1] = digits[bytes.data[i] & 15];
    }
}

/* 0 to 15; 16 for what is no digit. */
static unsigned value_of(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - (unsigned)'0';
    return digit >= 'a' && digit <= 'f' ? digit - (unsigned)'a' + 10 : 16;
}

bool hex_read(struct slice digits, uint8_t *bytes_out)
{
    if (digits.size % 2 != 0)
        return false;
    for (size_t i = 0; i < digits.size; i += 2) {
        unsigned high = value_of(digits.data[i]), low = value_of(digits.data[i + 1]);
        if (high > 15 || low > 15)
            return false;
        bytes_out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}
