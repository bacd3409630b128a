#include "mail/policy.h"

#include "mail/wire.h"

enum policy_verdict policy_judge_imap(struct slice verb, struct slice second)
{
    static const char *const harmless[] = {
        "CAPABILITY", "NOOP",        "LOGOUT",   "ID",      "ENABLE",   "NAMESPACE",
        "LIST",       "LSUB",        "STATUS",   "CLOSE",   "UNSELECT", "EXAMINE",
        "CHECK",      "IDLE",        "SEARCH",   "ESEARCH", "FETCH",    "SORT",
        "THREAD",     "NOTIFY",      "GETQUOTA", "GETACL",  "MYRIGHTS", "GETMETADATA",
        "LISTRIGHTS", "GETQUOTAROOT"};
    static const char *const by_uid[] = {"FETCH", "SEARCH", "SORT", "THREAD"};
    if (slice_is_ignoring_case(verb, "SELECT"))
        return POLICY_EXAMINE;
    if (slice_is_ignoring_case(verb, "UID")) {
        for (size_t i = 0; i < LENGTH_OF(by_uid); i++)
            if (slice_is_ignoring_case(second, by_uid[i]))
                return POLICY_PASS;
        return POLICY_DENY;
    }
    for (size_t i = 0; i < LENGTH_OF(harmless); i++)
        if (slice_is_ignoring_case(verb, harmless[i]))
            return POLICY_PASS;
    return POLICY_DENY;
}

static bool is_same_address(struct slice a, struct slice b)
{
    size_t at = slice_find(a, '@');
    return a.size == b.size && slice_equal(slice_take(a, at), slice_take(b, at)) &&
           slice_equal_ignoring_case(slice_skip(a, at), slice_skip(b, at));
}

bool policy_allows_sender(const char *senders, struct slice arguments)
{
    static const char prefix[] = "FROM:<";
    struct slice rest = slice_of_string(senders), sender;
    if (!slice_starts_with_ignoring_case(arguments, prefix))
        return false;
    struct slice path = slice_skip(arguments, sizeof(prefix) - 1);
    size_t end = slice_find(path, '>');
    struct slice behind = slice_skip(path, end + 1);
    if (end == path.size || (behind.size > 0 && behind.data[0] != ' '))
        return false;
    while (slice_next_word(&rest, ' ', &sender))
        if (sender.size > 0 && is_same_address(slice_take(path, end), sender))
            return true;
    return false;
}
