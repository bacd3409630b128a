#include "conf/label.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"

static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

bool label_is_valid(const char *label)
{
    size_t length = strspn(label, allowed);

    return length > 0 && length <= SECTION_LABEL_MAXIMUM && label[length] == '\0';
}

void label_make(const char *text, bool (*is_taken)(const void *owner, const char *label),
                const void *owner, char label_out[SECTION_LABEL_MAXIMUM + 1])
{
    char base[SECTION_LABEL_MAXIMUM - 5];
    size_t size = 0;

    if (text[0] == '@')
        text++;
    for (; size < sizeof(base) - 1 && text[size] != '@' && text[size] != '\0'; size++)
        base[size] = text[size];
    base[size] = '\0';
    text_to_lower(base);
    for (char *letter = base; *letter != '\0'; letter++)
        if (strchr(allowed, *letter) == NULL)
            *letter = '-';
    const char *stem = size == 0 ? "account" : base;
    (void)snprintf(label_out, SECTION_LABEL_MAXIMUM + 1, "%s", stem);
    for (unsigned i = 2; is_taken(owner, label_out); i++)
        (void)snprintf(label_out, SECTION_LABEL_MAXIMUM + 1, "%s-%u", stem, i);
}
