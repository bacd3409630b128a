/*
 * Where a text ends at its dot: every text of some octets, against a search for the sequence, whole
 * and cut at every place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mail/dot_end.h"

#define SIZE_MAX_TRIED 9u

/* Octets up to the end, or all of them. */
static size_t reference(struct slice text, bool *is_there_out)
{
    uint8_t whole[SIZE_MAX_TRIED + 2] = "\r\n";
    memcpy(whole + 2, text.data, text.size);
    const uint8_t *found = memmem(whole, text.size + 2, "\r\n.\r\n", 5);
    *is_there_out = found != NULL;
    return found == NULL ? text.size : (size_t)(found - whole) + 5 - 2;
}

static void check(struct slice text, size_t cut)
{
    bool is_there;
    size_t expected = reference(text, &is_there);
    struct dot_end end;
    dot_end_start(&end);
    size_t found = dot_end_find(&end, slice_take(text, cut));
    if (!dot_end_is_there(&end)) {
        assert_int_equal(found, cut);
        found += dot_end_find(&end, slice_skip(text, cut));
    }
    assert_int_equal(found, expected);
    assert_int_equal(dot_end_is_there(&end), is_there);
}

static void every_short_text(void **state)
{
    static const uint8_t letters[] = {'\r', '\n', '.', 'x'};
    uint8_t text[SIZE_MAX_TRIED];
    (void)state;
    for (size_t number = 0; number < 1ul << (2 * SIZE_MAX_TRIED); number++) {
        for (size_t i = 0; i < SIZE_MAX_TRIED; i++)
            text[i] = letters[number >> (2 * i) & 3];
        for (size_t cut = 0; cut < SIZE_MAX_TRIED; cut++)
            check(slice_of(text, SIZE_MAX_TRIED), cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_short_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
