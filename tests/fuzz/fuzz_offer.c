/*
 * What an upstream says that it can do, and what a client says by APOP. The first octet says which:
 * 'L' two sets of lines with a NUL between them, 'A' the message that a gate passes on.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/apop.h"
#include "auth/capability_lines.h"

static void assert_common(const char *lines, const char *others, const char *expected)
{
    char *common = capability_lines_common(lines, others);
    ENSURE(strcmp(common, expected) == 0);
    mem_free(common);
}

/* Of two that are valid it is, too; it has nothing that either one lacks, and all that both have.
 */
static void intersect(struct slice bytes)
{
    size_t end = slice_find(bytes, '\0');
    struct slice first = slice_take(bytes, end), second = slice_skip(bytes, end + 1);
    second = slice_take(second, slice_find(second, '\0'));
    char *lines = mem_copy_bytes_as_string(first.data, first.size);
    char *others = mem_copy_bytes_as_string(second.data, second.size);
    char *common = capability_lines_common(lines, others);
    if (capability_lines_are_valid(first) && capability_lines_are_valid(second)) {
        ENSURE(capability_lines_are_valid(slice_of_string(common)));
        assert_common(common, others, common);
        assert_common(lines, lines, lines);
        assert_common(lines, "", "");
        assert_common("", lines, "");
    }
    mem_free(common);
    mem_free(others);
    mem_free(lines);
}

static void check(struct slice bytes)
{
    struct apop apop;
    struct secret password = {0};
    if (apop_read(bytes, &apop) != 0)
        return;
    ENSURE(apop.timestamp.size + apop.user.size + 2 * APOP_DIGEST_SIZE + 2 == bytes.size);
    secret_set(&password, SLICE_LITERAL("tanstaaf"));
    bool matches = apop_matches(&apop, &password);
    apop.digest[0] ^= 1;
    ENSURE(!matches || !apop_matches(&apop, &password));
    secret_wipe(&password);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_of(data, size);
    if (size > 0 && data[0] == 'L')
        intersect(slice_skip(bytes, 1));
    else if (size > 0 && data[0] == 'A')
        check(slice_skip(bytes, 1));
    return 0;
}
