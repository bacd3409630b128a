/*
 * Which server is whose: that of the operator who runs the account's token endpoint, else of its
 * domain. What is known to be another operator's is nobody else's.
 *
 * Failures are problems of the draft: an account that none of them is for.
 */
#include <string.h>

#include "conf/emailproxy_mapping.h"
#include "conf/problem.h"

/* Domains of one operator. Others are told apart by their last two labels. */
static const struct {
    const char *domain, *operator_name;
} operators[] = {
    {"gmail.com", "google"},
    {"googlemail.com", "google"},
    {"google.com", "google"},
    {"googleapis.com", "google"},
    {"office365.com", "microsoft"},
    {"outlook.com", "microsoft"},
    {"hotmail.com", "microsoft"},
    {"live.com", "microsoft"},
    {"office.com", "microsoft"},
    {"microsoftonline.com", "microsoft"},
    {"office365.us", "microsoft-us"},
    {"microsoftonline.us", "microsoft-us"},
    {"partner.outlook.cn", "microsoft-cn"},
    {"chinacloudapi.cn", "microsoft-cn"},
    {"microsoftonline.cn", "microsoft-cn"},
    {"yahoo.com", "yahoo"},
    {"yahoodns.net", "yahoo"},
    {"aol.com", "aol"},
};

static bool is_within(struct slice host, const char *domain)
{
    size_t size = strlen(domain);

    if (host.size < size || !slice_is_ignoring_case(slice_skip(host, host.size - size), domain))
        return false;
    return host.size == size || host.data[host.size - size - 1] == '.';
}

static const char *known_operator(struct slice host)
{
    for (size_t i = 0; i < LENGTH_OF(operators); i++)
        if (is_within(host, operators[i].domain))
            return operators[i].operator_name;
    return NULL;
}

static struct slice last_two_labels(struct slice host)
{
    size_t start = host.size, dots = 0;

    while (start > 0 && (host.data[start - 1] != '.' || ++dots < 2))
        start--;
    return slice_skip(host, start);
}

static struct slice host_of_url(const char *url)
{
    struct slice rest = slice_of_string(url);
    const char *scheme = strstr(url, "://");

    if (scheme != NULL)
        rest = slice_of_string(scheme + 3);
    rest = slice_take(rest, slice_find(rest, '/'));
    return slice_take(rest, slice_find(rest, ':'));
}

enum affinity { AFFINITY_FOREIGN, AFFINITY_UNKNOWN, AFFINITY_SAME };

static enum affinity affinity(struct slice server, struct slice other)
{
    const char *server_operator = known_operator(server), *operator_name = known_operator(other);

    if (server_operator != NULL && operator_name != NULL)
        return strcmp(server_operator, operator_name) == 0 ? AFFINITY_SAME : AFFINITY_FOREIGN;
    return slice_equal_ignoring_case(last_two_labels(server), last_two_labels(other))
               ? AFFINITY_SAME
               : AFFINITY_UNKNOWN;
}

bool mapping_is_same_place(const struct mapping_server *a, const struct mapping_server *b)
{
    return a->server_port == b->server_port && a->starttls == b->starttls &&
           strcmp(a->address->value, b->address->value) == 0;
}

/* The domain decides only between servers that the token endpoint leaves equal. */
static int score_of(const struct mapping_server *server, const char *token_url, const char *account)
{
    struct slice host = slice_of_string(server->address->value);
    enum affinity token = affinity(host, host_of_url(token_url));
    enum affinity domain = affinity(host, slice_of_string(strrchr(account, '@') + 1));

    return token == AFFINITY_FOREIGN ? -1 : 2 * (int)token + (domain == AFFINITY_SAME);
}

/* Of the token endpoint's operator; what is below may be chosen when all servers are known. */
#define SCORE_CERTAIN (2 * AFFINITY_SAME)

/* NULL when there is none, or none that stands out. */
static const struct mapping_server *choose_server(const struct mapping *mapping,
                                                  enum protocol protocol,
                                                  const struct emailproxy_section *section,
                                                  const char *token_url, bool *has_several_out)
{
    const struct mapping_server *best = NULL;
    int best_score = mapping->lacks_servers[protocol] ? SCORE_CERTAIN - 1 : -1;
    bool is_unique = true;

    for (size_t i = 0; i < mapping->server_count; i++) {
        const struct mapping_server *server = &mapping->servers[i];
        int score = server->protocol == protocol ? score_of(server, token_url, section->name) : -1;
        if (score > best_score) {
            best = server;
            best_score = score;
            is_unique = true;
        } else if (best != NULL && score == best_score && !mapping_is_same_place(server, best)) {
            is_unique = false;
        }
    }
    *has_several_out = !is_unique;
    return is_unique ? best : NULL;
}

bool mapping_choose_servers(struct mapping *mapping, const struct emailproxy_section *section,
                            struct mapping_upstream *upstream)
{
    bool has_several[PROTOCOL_COUNT] = {false}, has_any = false;

    for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
        upstream->servers[protocol] =
            choose_server(mapping, protocol, section, upstream->token_url, &has_several[protocol]);
        has_any = has_any || upstream->servers[protocol] != NULL;
    }
    if (!has_any)
        problems_add(mapping->draft->problems, section->line,
                     "no server of the file is known to be this account's; add its [IMAP-PORT] or "
                     "[SMTP-PORT], or name it in a configuration of our own");
    for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT && has_any; protocol++)
        if (has_several[protocol])
            problems_warn(mapping->draft->problems, section->line,
                          "there are several servers for %s, and nothing tells which of them is "
                          "this account's; it gets none: name it in a configuration of our own",
                          protocol_name(protocol));
    return has_any;
}
