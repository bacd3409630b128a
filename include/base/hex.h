/*
 * Octets as lower-case hexadecimal digits.
 */
#ifndef ECLUSE_BASE_HEX_H
#define ECLUSE_BASE_HEX_H

#include "base/slice.h"

/* Two digits an octet; no NUL. */
void hex_write(struct slice bytes, char *digits_out);
/* Half as many octets as there are digits. False: an odd number of them, or others than 0-9 and
 * a-f. */
MUST_CHECK bool hex_read(struct slice digits, uint8_t *bytes_out);

#endif
