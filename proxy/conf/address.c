/*
 * Every form is split at its marks first, then its host is told by inet_pton or as a DNS name.
 *
 * Failures, all ERR_SYNTAX with a text:
 *  - another scheme than the ones that are protected, user info, a fragment, a stray character
 *  - an IPv6 address without brackets, a port that is none
 *  - a name where an address must stand (listeners), a network with bits behind its prefix
 */
#include "conf/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "conf/value.h"

#define HOST_MAXIMUM  253 /* RFC 1035 section 2.3.4, as text without the last dot */
#define LABEL_MAXIMUM 63
#define PATH_MAXIMUM  107 /* sun_path of Linux less its NUL */

enum host_kind { HOST_BAD, HOST_NAME, HOST_IPV4, HOST_IPV6 };

/* "host", "host:port", "[host]" or "[host]:port", taken apart. */
struct host_port {
    char host[HOST_MAXIMUM + 1];
    enum host_kind kind;
    uint16_t port; /* 0 when none was given */
};

void text_to_lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static bool is_label_character(char character)
{
    return is_digit(character) || (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z') || character == '-' || character == '_';
}

static bool label_is_valid(struct slice label)
{
    if (label.size == 0 || label.size > LABEL_MAXIMUM)
        return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_label_character((char)label.data[i]))
            return false;
    return label.data[0] != '-' && label.data[label.size - 1] != '-';
}

bool host_name_is_valid(const char *name)
{
    struct slice rest = slice_of_string(name);
    struct slice label = SLICE_NONE;

    if (rest.size == 0 || rest.size > HOST_MAXIMUM || name[rest.size - 1] == '.')
        return false;
    while (slice_next_word(&rest, '.', &label))
        if (!label_is_valid(label))
            return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_digit((char)label.data[i]))
            return true;
    return false;
}

static int port_parse(struct slice text, uint16_t *port_out, struct err *err)
{
    uint64_t port;

    if (!slice_read_number(text, UINT16_MAX, &port) || port == 0)
        return err_set(err, ERR_SYNTAX, "the port must be a number from 1 to 65535");
    *port_out = (uint16_t)port;
    return 0;
}

static enum host_kind host_kind(const char *host, bool bracketed)
{
    unsigned char octets[16];

    if (bracketed)
        return inet_pton(AF_INET6, host, octets) == 1 ? HOST_IPV6 : HOST_BAD;
    if (inet_pton(AF_INET, host, octets) == 1)
        return HOST_IPV4;
    return host_name_is_valid(host) ? HOST_NAME : HOST_BAD;
}

/* Cuts the host off `text`; *rest is what follows it: empty or ":port". */
static int split_host(struct slice text, struct slice *host, struct slice *rest, bool *bracketed,
                      struct err *err)
{
    *bracketed = text.size > 0 && text.data[0] == '[';
    if (*bracketed) {
        size_t end = slice_find(text, ']');
        if (end == text.size)
            return err_set(err, ERR_SYNTAX, "the ']' behind the address is missing");
        *host = slice_skip(slice_take(text, end), 1);
        *rest = slice_skip(text, end + 1);
        if (rest->size > 0 && rest->data[0] != ':')
            return err_set(err, ERR_SYNTAX, "only :PORT may follow the ']'");
        return 0;
    }
    size_t colon = slice_find(text, ':');
    *host = slice_take(text, colon);
    *rest = slice_skip(text, colon);
    if (rest->size > 0 && slice_find(slice_skip(*rest, 1), ':') < rest->size - 1)
        return err_set(err, ERR_SYNTAX, "an IPv6 address stands in brackets: [::1]:PORT");
    return 0;
}

static int host_port_parse(struct slice text, struct host_port *out, struct err *err)
{
    struct host_port parsed = {0};
    struct slice host = SLICE_NONE, rest = SLICE_NONE;
    bool bracketed;

    if (split_host(text, &host, &rest, &bracketed, err) != 0)
        return ERR_SYNTAX;
    if (host.size == 0)
        return err_set(err, ERR_SYNTAX, "the host is missing");
    if (host.size > HOST_MAXIMUM)
        return err_set(err, ERR_SYNTAX, "the host is longer than a name can be");
    memcpy(parsed.host, host.data, host.size);
    text_to_lower(parsed.host);
    parsed.kind = host_kind(parsed.host, bracketed);
    if (parsed.kind == HOST_BAD)
        return err_set(err, ERR_SYNTAX, "the host is neither a name nor an address");
    if (rest.size > 0 && port_parse(slice_skip(rest, 1), &parsed.port, err) != 0)
        return ERR_SYNTAX;
    *out = parsed;
    return 0;
}

static uint16_t default_port(enum protocol protocol, enum tls_mode tls)
{
    static const uint16_t ports[PROTOCOL_COUNT][2] = {
        [PROTOCOL_IMAP] = {993, 143}, [PROTOCOL_POP3] = {995, 110}, [PROTOCOL_SMTP] = {465, 587}};

    return ports[protocol][tls == TLS_MODE_STARTTLS];
}

int endpoint_parse(const char *text, enum protocol protocol, struct endpoint *endpoint_out,
                   struct err *err)
{
    struct slice rest = slice_of_string(text);
    struct host_port parsed = {0};
    enum tls_mode tls;

    if (slice_starts_with(rest, "tls://")) {
        tls = TLS_MODE_ON;
        rest = slice_skip(rest, strlen("tls://"));
    } else if (slice_starts_with(rest, "starttls://")) {
        tls = TLS_MODE_STARTTLS;
        rest = slice_skip(rest, strlen("starttls://"));
    } else {
        return err_set(err, ERR_SYNTAX,
                       "must be tls://HOST:%u or starttls://HOST:%u; never without TLS",
                       (unsigned)default_port(protocol, TLS_MODE_ON),
                       (unsigned)default_port(protocol, TLS_MODE_STARTTLS));
    }
    if (host_port_parse(rest, &parsed, err) != 0)
        return ERR_SYNTAX;
    endpoint_out->is_set = true;
    endpoint_out->tls = tls;
    endpoint_out->host = mem_copy_string(parsed.host);
    endpoint_out->port = parsed.port != 0 ? parsed.port : default_port(protocol, tls);
    return 0;
}

/* What RFC 3986 lets stand in a URL; braces only as "{tenant}". */
static bool url_characters_are_valid(const char *url)
{
    static const char tenant[] = "{tenant}";

    for (; *url != '\0'; url++) {
        if (strncmp(url, tenant, sizeof(tenant) - 1) == 0)
            url += sizeof(tenant) - 2;
        else if (*url <= ' ' || *url > '~' || strchr("\"<>\\^`{|}", *url) != NULL)
            return false;
    }
    return true;
}

int https_url_check(const char *url, bool query_allowed, struct err *err)
{
    struct slice text = slice_of_string(url);
    struct host_port parsed = {0};

    if (slice_starts_with_ignoring_case(text, "http://"))
        return err_set(err, ERR_SYNTAX,
                       "http:// would send tokens in the clear; it must be https://");
    if (!slice_starts_with(text, "https://"))
        return err_set(err, ERR_SYNTAX, "must be an https:// URL");
    if (!url_characters_are_valid(url))
        return err_set(err, ERR_SYNTAX, "holds a character that a URL may not; write it as %%XX");
    if (slice_find(text, '#') < text.size)
        return err_set(err, ERR_SYNTAX, "may have no fragment: take '#' and what follows away");
    if (!query_allowed && slice_find(text, '?') < text.size)
        return err_set(err, ERR_SYNTAX, "may have no query: take '?' and what follows away");
    text = slice_skip(text, strlen("https://"));
    struct slice authority = slice_take(text, strcspn(url + strlen("https://"), "/?"));
    if (slice_find(authority, '@') < authority.size)
        return err_set(err, ERR_SYNTAX, "may have no user or password before the host");
    return host_port_parse(authority, &parsed, err);
}

static int unix_address_parse(const char *text, const char *home,
                              struct listen_address *address_out, struct err *err)
{
    char *path = path_expand(text, home, err);

    if (path == NULL)
        return ERR_SYNTAX;
    if (strlen(path) > PATH_MAXIMUM) {
        mem_free(path);
        return err_set(err, ERR_SYNTAX, "the path of a unix socket has at most %d octets",
                       PATH_MAXIMUM);
    }
    *address_out = (struct listen_address){.path = path};
    return 0;
}

/* The one spelling of an address, so that equal addresses are equal strings. */
static char *canonical_host(const struct host_port *parsed)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char octets[16];
    int family = parsed->kind == HOST_IPV4 ? AF_INET : AF_INET6;
    int status = inet_pton(family, parsed->host, octets);

    ENSURE(status == 1);
    const char *written = inet_ntop(family, octets, text, sizeof(text));
    ENSURE(written != NULL);
    return mem_copy_string(written);
}

int listen_address_parse(const char *text, const char *home, struct listen_address *address_out,
                         struct err *err)
{
    struct host_port parsed = {0};

    if (strncmp(text, "unix:", strlen("unix:")) == 0)
        return unix_address_parse(text + strlen("unix:"), home, address_out, err);
    if (strchr(text, ':') == NULL)
        return err_set(err, ERR_SYNTAX, "must be 127.0.0.1:PORT, [::1]:PORT or unix:/PATH");
    if (host_port_parse(slice_of_string(text), &parsed, err) != 0)
        return ERR_SYNTAX;
    if (parsed.kind == HOST_NAME)
        return err_set(err, ERR_SYNTAX,
                       "a listener takes an address, no name: 127.0.0.1:PORT or [::1]:PORT");
    if (parsed.port == 0)
        return err_set(err, ERR_SYNTAX, "the port is missing: [::1]:PORT");
    char *host = canonical_host(&parsed);
    if (strncmp(host, "::ffff:", strlen("::ffff:")) == 0 && strchr(host, '.') != NULL) {
        mem_free(host);
        return err_set(err, ERR_SYNTAX, "write an IPv4 address as such, without [::ffff:]");
    }
    *address_out = (struct listen_address){.host = host, .port = parsed.port};
    return 0;
}

void listen_address_fini(struct listen_address *address)
{
    mem_free(address->path);
    mem_free(address->host);
    *address = (struct listen_address){0};
}

bool listen_address_is_local(const struct listen_address *address)
{
    return address->path != NULL || strncmp(address->host, "127.", 4) == 0 ||
           strcmp(address->host, "::1") == 0;
}

static bool is_ipv6(const char *host)
{
    return strchr(host, ':') != NULL;
}

static bool is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

bool listen_address_collides(const struct listen_address *a, const struct listen_address *b)
{
    if (a->path != NULL || b->path != NULL)
        return a->path != NULL && b->path != NULL && strcmp(a->path, b->path) == 0;
    if (a->port != b->port || is_ipv6(a->host) != is_ipv6(b->host))
        return false;
    return is_any(a->host) || is_any(b->host) || strcmp(a->host, b->host) == 0;
}

/* The octets of a numeric address, IPv4 as ::ffff:a.b.c.d; false when it is none. */
static bool octets_of(const char *text, uint8_t octets_out[16], bool *is_ipv4_out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    *is_ipv4_out = inet_pton(AF_INET, text, octets_out + 12) == 1;
    if (*is_ipv4_out) {
        memcpy(octets_out, mapped, sizeof(mapped));
        return true;
    }
    return inet_pton(AF_INET6, text, octets_out) == 1;
}

static bool bit_behind_prefix(const uint8_t octets[16], unsigned prefix_length)
{
    for (unsigned bit = prefix_length; bit < 128; bit++)
        if (octets[bit / 8] & (0x80u >> bit % 8))
            return true;
    return false;
}

static int prefix_parse(struct slice digits, unsigned maximum, unsigned *length_out,
                        struct err *err)
{
    uint64_t length;

    if (!slice_read_number(digits, maximum, &length))
        return err_set(err, ERR_SYNTAX, "behind '/' stands a number from 0 to %u", maximum);
    *length_out = (unsigned)length;
    return 0;
}

int network_parse(const char *text, struct network *network_out, struct err *err)
{
    struct slice whole = slice_of_string(text);
    size_t slash = slice_find(whole, '/');
    struct network network = {.prefix_length = 128};
    char address[INET6_ADDRSTRLEN] = "";
    bool is_ipv4 = false;

    if (slash < sizeof(address))
        memcpy(address, text, slash);
    if (!octets_of(address, network.address, &is_ipv4))
        return err_set(err, ERR_SYNTAX,
                       "must be an address or a network: 192.168.1.20, 172.17.0.0/16, fd00::/8");
    if (slash < whole.size) {
        unsigned length = 0;
        if (prefix_parse(slice_skip(whole, slash + 1), is_ipv4 ? 32 : 128, &length, err) != 0)
            return ERR_SYNTAX;
        network.prefix_length = is_ipv4 ? length + 96 : length;
    }
    if (bit_behind_prefix(network.address, network.prefix_length))
        return err_set(
            err, ERR_SYNTAX,
            "has bits behind its prefix; write one address without '/', or the network's "
            "own address");
    *network_out = network;
    return 0;
}
