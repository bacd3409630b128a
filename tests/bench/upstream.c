/*
 * The benchmark's mail server: IMAP, POP3 and SMTP over TLS 1.3, as little of each as the load
 * needs. It takes any credential, hands out one message, compares those that it gets with it, and
 * counts.
 *
 *   upstream CERTIFICATE KEY      (PEM); prints the ports of its three listeners, then obeys
 *                                 standard input, line by line, with one line for each:
 *     counts    full and resumed handshakes, credentials by mechanism, since the last `counts`
 *     push      says "* 1 EXISTS" to every session that idles; how many they were
 *   It ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"
#include "message.h"

#define LINE_MAX_SIZE 8192
#define ANSWER_MAX    1024
#define SAID_MAX      (16ul * 1024)

enum protocol { IMAP, POP3, SMTP };

enum mechanism { LOGIN, PLAIN, XOAUTH2, OAUTHBEARER, OTHER, MECHANISMS };
static const char *const mechanism_names[] = {"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER", "OTHER"};

struct upstream {
    struct mill *mill;
    SSL_CTX *context;
    char said[SAID_MAX]; /* to what was read, so far: it goes at once */
    size_t said_size;
    bool is_reading;
    struct peer *peers; /* all, in a ring by `next` and `previous`; NULL: none */
    unsigned long full, resumed, logins[MECHANISMS];
};

struct peer {
    struct upstream *upstream;
    struct link *link;
    enum protocol protocol;
    struct peer *next, *previous;
    char line[LINE_MAX_SIZE / 16]; /* the start of one that has not come whole */
    char *long_line;               /* or of one that is longer than that */
    size_t line_size;
    char tag[24];
    size_t body_left; /* octets of a message that are still to come */
    bool is_authenticating, is_idling, is_leaving;
    bool is_sending; /* the message is on its way */
    size_t sent;     /* octets of it */
};

/* As servers do: the answers to commands that came together go together. */
static void send_said(struct peer *peer)
{
    struct upstream *upstream = peer->upstream;
    if (upstream->said_size > 0)
        link_write(peer->link, upstream->said, upstream->said_size);
    upstream->said_size = 0;
}

static void say(struct peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct peer *peer, const char *format, ...)
{
    struct upstream *upstream = peer->upstream;
    va_list arguments;
    if (SAID_MAX - upstream->said_size < ANSWER_MAX)
        send_said(peer);
    va_start(arguments, format);
    int size = vsnprintf(upstream->said + upstream->said_size, ANSWER_MAX, format, arguments);
    va_end(arguments);
    upstream->said_size += (size_t)size;
    if (!upstream->is_reading)
        send_said(peer);
}

/* ---- the message ---- */

static void send_more(struct peer *peer)
{
    send_said(peer);
    while (peer->is_sending && !link_is_full(peer->link)) {
        size_t left = MESSAGE_SIZE - peer->sent;
        size_t part = left < LINK_CHUNK ? left : LINK_CHUNK;
        link_write(peer->link, message_bytes() + peer->sent, part);
        peer->sent += part;
        if (peer->sent < MESSAGE_SIZE)
            continue;
        peer->is_sending = false;
        if (peer->protocol == POP3)
            say(peer, ".\r\n");
        else
            say(peer, ")\r\n%s OK fetched\r\n", peer->tag);
    }
}

static void send_message(struct peer *peer)
{
    peer->is_sending = true;
    peer->sent = 0;
    send_more(peer);
}

/* ---- logins ---- */

static void count_login(struct peer *peer, const char *mechanism)
{
    int i = 0;
    while (i < OTHER && strcasecmp(mechanism, mechanism_names[i]) != 0)
        i++;
    peer->upstream->logins[i]++;
}

static void welcome(struct peer *peer)
{
    if (peer->protocol == IMAP)
        say(peer, "%s OK logged in\r\n", peer->tag);
    else
        say(peer, peer->protocol == POP3 ? "+OK logged in\r\n" : "235 2.7.0 logged in\r\n");
}

/* `arguments`: a mechanism, and perhaps the initial response. */
static void authenticate(struct peer *peer, char *arguments)
{
    char *rest = arguments;
    const char *mechanism = strsep(&rest, " ");
    count_login(peer, mechanism);
    if (rest != NULL) {
        welcome(peer);
        return;
    }
    peer->is_authenticating = true;
    say(peer, peer->protocol == SMTP ? "334 \r\n" : "+ \r\n");
}

/* ---- commands ---- */

static bool take_word(char **rest, const char *word)
{
    size_t size = strlen(word);
    if (strncasecmp(*rest, word, size) != 0 || ((*rest)[size] != ' ' && (*rest)[size] != '\0'))
        return false;
    *rest += size + ((*rest)[size] == ' ');
    return true;
}

#define IMAP_CAPABILITIES "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER IDLE ID"

static void take_append(struct peer *peer, const char *arguments)
{
    const char *literal = strrchr(arguments, '{');
    if (literal == NULL || strtoul(literal + 1, NULL, 10) != MESSAGE_SIZE)
        die("an APPEND without the message's size: %s", arguments);
    peer->body_left = MESSAGE_SIZE;
    if (strchr(literal, '+') == NULL)
        say(peer, "+ go on\r\n");
}

static void take_imap(struct peer *peer, char *line)
{
    char *rest = line;
    if (peer->is_idling) {
        peer->is_idling = false;
        say(peer, "%s OK idled\r\n", peer->tag);
        return;
    }
    if (*line == '\0') /* behind a literal */
        return;
    snprintf(peer->tag, sizeof(peer->tag), "%s", strsep(&rest, " "));
    if (rest == NULL)
        die("no IMAP command: %s", line);
    if (take_word(&rest, "NOOP")) {
        say(peer, "%s OK done\r\n", peer->tag);
    } else if (take_word(&rest, "FETCH")) {
        say(peer, "* 1 FETCH (BODY[] {%lu}\r\n", MESSAGE_SIZE);
        send_message(peer);
    } else if (take_word(&rest, "APPEND")) {
        take_append(peer, rest);
    } else if (take_word(&rest, "IDLE")) {
        peer->is_idling = true;
        say(peer, "+ idling\r\n");
    } else if (take_word(&rest, "LOGIN")) {
        count_login(peer, "LOGIN");
        welcome(peer);
    } else if (take_word(&rest, "AUTHENTICATE")) {
        authenticate(peer, rest);
    } else if (take_word(&rest, "CAPABILITY")) {
        say(peer, "* CAPABILITY " IMAP_CAPABILITIES "\r\n%s OK done\r\n", peer->tag);
    } else if (take_word(&rest, "ID")) {
        say(peer, "* ID NIL\r\n%s OK done\r\n", peer->tag);
    } else if (take_word(&rest, "LOGOUT")) {
        say(peer, "* BYE\r\n%s OK bye\r\n", peer->tag);
        peer->is_leaving = true;
    } else {
        say(peer, "%s BAD what?\r\n", peer->tag);
    }
}

static void take_pop3(struct peer *peer, char *line)
{
    char *rest = line;
    if (take_word(&rest, "RETR")) {
        say(peer, "+OK\r\n");
        send_message(peer);
    } else if (take_word(&rest, "CAPA")) {
        say(peer, "+OK\r\nUSER\r\nSASL PLAIN XOAUTH2 OAUTHBEARER\r\n.\r\n");
    } else if (take_word(&rest, "AUTH")) {
        authenticate(peer, rest);
    } else if (take_word(&rest, "PASS")) {
        count_login(peer, "LOGIN");
        welcome(peer);
    } else if (take_word(&rest, "QUIT")) {
        say(peer, "+OK bye\r\n");
        peer->is_leaving = true;
    } else {
        say(peer, "+OK\r\n"); /* USER, NOOP */
    }
}

static void take_smtp(struct peer *peer, char *line)
{
    char *rest = line;
    if (*line == '.') {
        say(peer, "250 2.0.0 taken\r\n");
    } else if (take_word(&rest, "EHLO")) {
        say(peer, "250-bench\r\n250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER\r\n250 8BITMIME\r\n");
    } else if (take_word(&rest, "AUTH")) {
        authenticate(peer, rest);
    } else if (take_word(&rest, "DATA")) {
        peer->body_left = MESSAGE_SIZE;
        say(peer, "354 go on\r\n");
    } else if (take_word(&rest, "QUIT")) {
        say(peer, "221 2.0.0 bye\r\n");
        peer->is_leaving = true;
    } else {
        say(peer, "250 2.0.0 fine\r\n"); /* MAIL, RCPT, NOOP, RSET */
    }
}

static void take_line(struct peer *peer, char *line)
{
    static void (*const take[])(struct peer *, char *) = {take_imap, take_pop3, take_smtp};
    if (peer->is_authenticating) {
        peer->is_authenticating = false;
        welcome(peer);
        return;
    }
    take[peer->protocol](peer, line);
}

/* ---- what comes ---- */

/* One octet more is always free, for the NUL. */
static void keep_line(struct peer *peer, const uint8_t *bytes, size_t size)
{
    char *line = peer->long_line != NULL ? peer->long_line : peer->line;
    size_t capacity = peer->long_line != NULL ? LINE_MAX_SIZE : sizeof(peer->line);
    if (peer->line_size + size >= capacity && peer->long_line == NULL) {
        peer->long_line = calloc(1, LINE_MAX_SIZE);
        memcpy(peer->long_line, peer->line, peer->line_size);
        line = peer->long_line;
        capacity = LINE_MAX_SIZE;
    }
    if (peer->line_size + size >= capacity)
        die("a line is too long");
    memcpy(line + peer->line_size, bytes, size);
    peer->line_size += size;
}

static void take_whole_line(struct peer *peer)
{
    char *line = peer->long_line != NULL ? peer->long_line : peer->line, *given = peer->long_line;
    line[peer->line_size] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    peer->long_line = NULL;
    peer->line_size = 0;
    take_line(peer, line);
    free(given);
}

static void free_peer(struct peer *peer);

static void on_read(void *owner, const uint8_t *bytes, size_t size)
{
    struct peer *peer = owner;
    peer->upstream->is_reading = true;
    while (size > 0 && !peer->is_leaving) {
        size_t part;
        if (peer->body_left > 0) {
            part = size < peer->body_left ? size : peer->body_left;
            message_compare(bytes, MESSAGE_SIZE - peer->body_left, part);
            peer->body_left -= part;
            if (peer->body_left == 0 && peer->protocol == IMAP)
                say(peer, "%s OK appended\r\n", peer->tag);
        } else {
            const uint8_t *end = memchr(bytes, '\n', size);
            part = end == NULL ? size : (size_t)(end - bytes) + 1;
            keep_line(peer, bytes, part);
            if (end != NULL)
                take_whole_line(peer);
        }
        bytes += part;
        size -= part;
    }
    peer->upstream->is_reading = false;
    send_said(peer);
    if (peer->is_leaving)
        free_peer(peer);
}

static void on_open(void *owner)
{
    struct peer *peer = owner;
    static const char *const greetings[] = {"* OK [CAPABILITY " IMAP_CAPABILITIES "] ready\r\n",
                                            "+OK ready\r\n", "220 bench ESMTP\r\n"};
    if (SSL_session_reused(link_ssl(peer->link)) == 1)
        peer->upstream->resumed++;
    else
        peer->upstream->full++;
    say(peer, "%s", greetings[peer->protocol]);
}

static void on_drained(void *owner)
{
    struct peer *peer = owner;
    send_more(peer);
}

static void free_peer(struct peer *peer)
{
    struct upstream *upstream = peer->upstream;
    peer->previous->next = peer->next;
    peer->next->previous = peer->previous;
    if (upstream->peers == peer)
        upstream->peers = peer->next == peer ? NULL : peer->next;
    link_close(peer->link);
    free(peer->long_line);
    free(peer);
}

static void on_end(void *owner)
{
    free_peer(owner);
}

static const struct link_ops ops = {
    .on_open = on_open, .on_read = on_read, .on_drained = on_drained, .on_end = on_end};

/* ---- listeners ---- */

struct listener {
    struct upstream *upstream;
    enum protocol protocol;
};

static void on_connections(void *owner, int descriptor)
{
    struct listener *listener = owner;
    int accepted, on = 1;
    while ((accepted = accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct upstream *upstream = listener->upstream;
        struct peer *peer = calloc(1, sizeof(*peer));
        if (peer == NULL)
            die("out of memory");
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        peer->upstream = upstream;
        peer->protocol = listener->protocol;
        peer->next = peer->previous = peer;
        if (upstream->peers != NULL) {
            peer->next = upstream->peers;
            peer->previous = upstream->peers->previous;
            peer->previous->next = peer->next->previous = peer;
        }
        upstream->peers = peer;
        peer->link = link_open(upstream->mill, accepted, upstream->context, true, NULL, &ops, peer);
    }
    if (errno != EAGAIN)
        die("accept: %s", strerror(errno));
}

static unsigned listen_for(struct upstream *upstream, enum protocol protocol)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    struct listener *listener = calloc(1, sizeof(*listener));
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener == NULL || bind(descriptor, (struct sockaddr *)&address, size) != 0 ||
        listen(descriptor, 4096) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &size) != 0)
        die("cannot listen: %s", strerror(errno));
    listener->upstream = upstream;
    listener->protocol = protocol;
    mill_watch(upstream->mill, descriptor, on_connections, listener);
    return ntohs(address.sin_port);
}

/* ---- standard input ---- */

static void tell_counts(struct upstream *upstream)
{
    printf("full=%lu resumed=%lu", upstream->full, upstream->resumed);
    for (int i = 0; i < MECHANISMS; i++)
        printf(" %s=%lu", mechanism_names[i], upstream->logins[i]);
    printf("\n");
    upstream->full = upstream->resumed = 0;
    memset(upstream->logins, 0, sizeof(upstream->logins));
}

static void push(struct upstream *upstream)
{
    struct peer *first = upstream->peers, *peer = first;
    unsigned long count = 0;
    if (peer == NULL)
        die("nobody to push to");
    do {
        if (peer->is_idling) {
            say(peer, "* 1 EXISTS\r\n");
            count++;
        }
        peer = peer->next;
    } while (peer != first);
    printf("pushed=%lu\n", count);
}

static void on_order(void *owner, int descriptor)
{
    struct upstream *upstream = owner;
    char line[80];
    ssize_t size = read(descriptor, line, sizeof(line) - 1);
    if (size <= 0) {
        mill_stop(upstream->mill);
        return;
    }
    line[size] = '\0';
    if (strcmp(line, "counts\n") == 0)
        tell_counts(upstream);
    else if (strcmp(line, "push\n") == 0)
        push(upstream);
    else
        die("what is %s", line);
}

static SSL_CTX *make_context(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        die("no certificate");
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"bench", 5);
    return context;
}

int main(int count, char **arguments)
{
    struct upstream upstream = {0};
    struct rlimit limit;
    if (count != 3)
        die("usage: upstream CERTIFICATE KEY");
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    upstream.mill = mill_new();
    upstream.context = make_context(arguments[1], arguments[2]);
    message_bytes();
    printf("imap=%u", listen_for(&upstream, IMAP));
    printf(" pop3=%u", listen_for(&upstream, POP3));
    printf(" smtp=%u\n", listen_for(&upstream, SMTP));
    mill_watch(upstream.mill, STDIN_FILENO, on_order, &upstream);
    mill_run(upstream.mill);
    return 0;
}
