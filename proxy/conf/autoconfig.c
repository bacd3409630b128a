/*
 * Each server of the document that has TLS, a sound name and a way to log in that we have is a
 * candidate; the best of each protocol is taken. Of the OAuth element only https URLs are.
 *
 * Failure modes: no such document; none of its servers can be used. A single value that is not
 * sound takes its server, or the URL, away, and nothing else.
 */
#include "conf/autoconfig.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/autoconfig_reader.h"

#define USER_MAXIMUM 320 /* octets, as account.user */

struct choice {
    const char *address;
    struct mail_service *service;
    int scores[PROTOCOL_COUNT]; /* of what was taken; 0: nothing */
};

/* ---- where it is ---- */

static bool is_unreserved(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character != '\0' && strchr("-._~", character) != NULL);
}

static void encode(const char *text, char *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text != '\0'; text++) {
        unsigned octet = (unsigned char)*text;
        if (is_unreserved(*text)) {
            *out++ = *text;
            continue;
        }
        *out++ = '%';
        *out++ = digits[octet >> 4];
        *out++ = digits[octet & 15];
    }
    *out = '\0';
}

char *autoconfig_url(const char *address, enum autoconfig_place place, uint16_t port)
{
    const char *domain = strrchr(address, '@') + 1;
    char port_text[8] = "";

    ENSURE(host_name_is_valid(domain));
    if (port != 0)
        (void)snprintf(port_text, sizeof(port_text), ":%u", (unsigned)port);
    size_t encoded = 3 * strlen(address) + 1, size = 128 + strlen(domain) + encoded;
    char *parameter = mem_new(encoded), *url = mem_new(size);
    encode(address, parameter);
    if (place == AUTOCONFIG_OF_HOST)
        (void)snprintf(url, size, "https://autoconfig.%s%s/mail/config-v1.1.xml?emailaddress=%s",
                       domain, port_text, parameter);
    else
        (void)snprintf(url, size, "https://%s%s/.well-known/autoconfig/mail/config-v1.1.xml",
                       domain, port_text);
    mem_free(parameter);
    return url;
}

/* ---- servers ---- */

/* The user name, with the placeholders of the format replaced. False: it is none. */
static bool fill_in(struct slice text, const char *address, struct buf *out)
{
    const char *at = strrchr(address, '@');
    const struct {
        const char *name;
        struct slice value;
    } placeholders[] = {
        {"%EMAILADDRESS%", slice_of_string(address)},
        {"%EMAILLOCALPART%", slice_of(address, (size_t)(at - address))},
        {"%EMAILDOMAIN%", slice_of_string(at + 1)},
    };

    while (text.size > 0) {
        size_t plain = slice_find(text, '%'), i = 0;
        if (buf_append(out, slice_take(text, plain)) != 0)
            return false;
        text = slice_skip(text, plain);
        if (text.size == 0)
            break;
        while (i < LENGTH_OF(placeholders) && !slice_starts_with(text, placeholders[i].name))
            i++;
        if (i == LENGTH_OF(placeholders) || buf_append(out, placeholders[i].value) != 0)
            return false;
        text = slice_skip(text, strlen(placeholders[i].name));
    }
    return true;
}

/* NULL when it is the address, or nothing is said. False: there is no such user name. */
static bool read_user(struct slice text, const char *address, char **user_out)
{
    struct buf name;

    *user_out = NULL;
    if (text.size == 0)
        return true;
    buf_init(&name, USER_MAXIMUM);
    bool is_sound = fill_in(text, address, &name) && !slice_has_control(buf_bytes(&name)) &&
                    slice_find(buf_bytes(&name), ' ') == buf_size(&name);
    struct slice bytes = buf_bytes(&name);
    if (is_sound && !slice_is(bytes, address))
        *user_out = mem_copy_bytes_as_string(bytes.data, bytes.size);
    buf_fini(&name);
    return is_sound;
}

static struct slice field(const struct autoconfig_element *element, enum autoconfig_field which)
{
    return buf_bytes(&element->fields[which]);
}

static enum tls_mode tls_of(struct slice socket_type)
{
    if (slice_is_ignoring_case(socket_type, "SSL"))
        return TLS_MODE_ON;
    return slice_is_ignoring_case(socket_type, "STARTTLS") ? TLS_MODE_STARTTLS : TLS_MODE_OFF;
}

static void read_authentication(struct slice words, struct mail_server *server)
{
    /* The last two are what older documents call the first two. */
    static const char *const passwords[] = {"password-cleartext", "password-encrypted", "plain",
                                            "secure"};
    struct slice word;

    while (slice_next_word(&words, ' ', &word)) {
        server->takes_token |= slice_is_ignoring_case(word, "OAuth2");
        for (size_t i = 0; i < LENGTH_OF(passwords); i++)
            server->takes_password |= slice_is_ignoring_case(word, passwords[i]);
    }
}

/* 0: it cannot be used. */
static int score_of(const struct mail_server *server, enum tls_mode tls)
{
    if (tls == TLS_MODE_OFF || (!server->takes_token && !server->takes_password))
        return 0;
    return 1 + 2 * server->takes_token + (tls == TLS_MODE_ON);
}

static void consider(struct choice *choice, const struct autoconfig_element *element)
{
    enum tls_mode tls = tls_of(field(element, AUTOCONFIG_SOCKET_TYPE));
    struct mail_server server = {0};

    read_authentication(field(element, AUTOCONFIG_AUTHENTICATION), &server);
    int score = score_of(&server, tls);
    if (score <= choice->scores[element->protocol] ||
        !read_user(field(element, AUTOCONFIG_USERNAME), choice->address, &server.user))
        return;
    if (mail_server_set(&server, element->protocol, tls, field(element, AUTOCONFIG_HOSTNAME),
                        field(element, AUTOCONFIG_PORT)) != 0) {
        mem_free(server.user);
        return;
    }
    struct mail_server *taken = &choice->service->servers[element->protocol];
    mem_free(taken->endpoint.host);
    mem_free(taken->user);
    *taken = server;
    choice->scores[element->protocol] = score;
}

/* ---- OAuth ---- */

static void take_url(char **url, struct slice text, bool query_allowed)
{
    if (*url != NULL || text.size == 0 || slice_find(text, '\0') < text.size)
        return;
    char *copy = mem_copy_bytes_as_string(text.data, text.size);
    if (https_url_check(copy, query_allowed, NULL) == 0 && strchr(copy, '{') == NULL)
        *url = copy;
    else
        mem_free(copy);
}

/* A host in the format, although it is called an issuer; a URL in some documents. */
static void take_issuer(char **issuer, struct slice text)
{
    char url[MAIL_SERVER_TEXT];

    if (slice_starts_with(text, "https://")) {
        take_url(issuer, text, false);
        return;
    }
    if (text.size == 0 || text.size > sizeof(url) - sizeof("https://"))
        return;
    (void)snprintf(url, sizeof(url), "https://%.*s", SLICE_PRINT(text));
    take_url(issuer, slice_of_string(url), false);
}

/* Words of printable characters, one blank between them; all of them or none. */
static void take_words(char **words, struct slice text)
{
    char *copy = mem_new(text.size + 1);
    size_t used = 0;

    for (size_t i = 0; i < text.size; i++) {
        char octet = (char)text.data[i];
        if (octet == '\n' || octet == '\t' || octet == '\r')
            octet = ' ';
        if (octet < ' ' || octet > '~' || octet == ';') {
            mem_free(copy);
            return;
        }
        if (octet != ' ' || (used > 0 && copy[used - 1] != ' '))
            copy[used++] = octet;
    }
    if (used == 0)
        mem_free(copy);
    else
        *words = copy;
}

/* All of it or nothing: the two URLs are one authorization server. */
static void take_oauth(struct mail_service *service, const struct autoconfig_element *element)
{
    if (service->issuer != NULL || service->token_endpoint != NULL)
        return;
    take_issuer(&service->issuer, field(element, AUTOCONFIG_ISSUER));
    take_url(&service->authorization_endpoint, field(element, AUTOCONFIG_AUTHORIZATION_URL), true);
    take_url(&service->token_endpoint, field(element, AUTOCONFIG_TOKEN_URL), true);
    if (service->authorization_endpoint == NULL || service->token_endpoint == NULL) {
        mem_free(service->authorization_endpoint);
        mem_free(service->token_endpoint);
        service->authorization_endpoint = service->token_endpoint = NULL;
    }
    if (service->issuer == NULL && service->token_endpoint == NULL)
        return;
    take_words(&service->scope, field(element, AUTOCONFIG_SCOPE));
    take_words(&service->client_id, field(element, AUTOCONFIG_CLIENT_ID));
}

/* ---- all ---- */

static void on_element(void *owner, const struct autoconfig_element *element)
{
    struct choice *choice = owner;

    if (element->is_server)
        consider(choice, element);
    else
        take_oauth(choice->service, element);
}

int autoconfig_read(struct slice document, const char *address, struct mail_service *service_out,
                    struct err *err)
{
    struct choice choice = {.address = address, .service = service_out};

    *service_out = (struct mail_service){0};
    if (document.size > AUTOCONFIG_DOCUMENT_MAX)
        return err_set(err, ERR_SYNTAX, "it is longer than %u octets", AUTOCONFIG_DOCUMENT_MAX);
    int status = autoconfig_reader_run(document, on_element, &choice, err);
    if (status == 0 && !mail_service_has_server(service_out))
        status = err_set(err, ERR_NOT_FOUND,
                         "it names no server with TLS and with OAuth2 or a password");
    if (status != 0)
        mail_service_clear(service_out);
    return status;
}
