/*
 * The names of sections, [account NAME]: what they may be, and how one is made of an address.
 */
#ifndef ECLUSE_CONF_LABEL_H
#define ECLUSE_CONF_LABEL_H

#include <stdbool.h>

#define SECTION_LABEL_MAXIMUM 32

/* 1 to SECTION_LABEL_MAXIMUM of a-z 0-9 . _ - */
bool label_is_valid(const char *label);
/* "alice" of alice@mail.test, "mail.test" of a domain; "alice-2" when alice is taken. */
void label_make(const char *text, bool (*is_taken)(const void *owner, const char *label),
                const void *owner, char label_out[SECTION_LABEL_MAXIMUM + 1]);

#endif
