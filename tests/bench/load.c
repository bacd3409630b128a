/*
 * The benchmark's mail clients.
 *
 *   load KIND PROTOCOL PORT COUNT SESSIONS CREDENTIALS [CA]
 *
 * KIND is one of
 *     login      COUNT times: connect, log in, log out; SESSIONS of them at once
 *     download   COUNT messages through SESSIONS sessions
 *     upload     the same the other way
 *     command    COUNT NOOPs through SESSIONS sessions, each waiting for its answer
 *     flood      COUNT times 32 NOOPs at once, of IMAP
 *     idle       SESSIONS sessions that idle (COUNT is 0)
 * COUNT may be COUNT@RATE: no more than RATE are begun in a second, and none when the time that all
 * should have taken is over. CREDENTIALS is a file with a
 * user and a password in each line, used in turn. With CA the clients speak TLS themselves to
 * "localhost", and resume their sessions.
 *
 * It says `ready`, waits for a line on standard input, works, says `done KEY=VALUE…`, waits for
 * another line, logs everybody out and ends. When idle each line makes it wait for one pushed line
 * in every session, and its input's end is the last one. What is not as it must be ends it with a
 * sentence and exit code 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "link.h"
#include "message.h"

#define LINE_MAX_SIZE  512
#define USERS_MAX      1024
#define LOGINS_AT_ONCE 64 /* of sessions that are set up */

enum protocol { IMAP, POP3, SMTP, PROTOCOLS };
static const char *const protocol_names[] = {"imap", "pop3", "smtp"};

enum kind { LOGIN, DOWNLOAD, UPLOAD, COMMAND, FLOOD, IDLE, KINDS };
static const char *const kind_names[] = {"login", "download", "upload", "command", "flood", "idle"};

/* One thing that is said, and the answer that must come. */
struct step {
    const char *command; /* with %u, %p, %b for user, password, both for PLAIN; NULL: the message */
    const char *answer;
    const char *body_behind; /* not NULL: behind such a line comes the message */
};

#define IMAP_SIZE "1048576"

static const struct step login_steps[PROTOCOLS][4] = {
    {{"", "* OK", NULL}, {"a LOGIN %u %p\r\n", "a OK", NULL}},
    {{"", "+OK", NULL}, {"USER %u\r\n", "+OK", NULL}, {"PASS %p\r\n", "+OK", NULL}},
    {{"", "220 ", NULL}, {"EHLO bench\r\n", "250 ", NULL}, {"AUTH PLAIN %b\r\n", "235 ", NULL}}};
static const struct step logout_steps[PROTOCOLS][2] = {
    {{"a LOGOUT\r\n", "a OK", NULL}}, {{"QUIT\r\n", "+OK", NULL}}, {{"QUIT\r\n", "221 ", NULL}}};
#define TIMES_4(x) x, x, x, x
#define NOOPS_8    "a NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\na NOOP\r\n"
#define ANSWER                                                                                     \
    {                                                                                              \
        "", "a OK", NULL                                                                           \
    }
#define ANSWERS_4   TIMES_4(ANSWER)
#define FLOOD_ITEMS 32

static const struct step work_steps[KINDS][PROTOCOLS][FLOOD_ITEMS + 1] = {
    [DOWNLOAD] = {{{"a FETCH 1 BODY[]\r\n", "a OK", "* 1 FETCH"}}, {{"RETR 1\r\n", ".", "+OK"}}},
    [UPLOAD] = {{{"a APPEND INBOX {" IMAP_SIZE "}\r\n", "+", NULL}, {NULL, "a OK", NULL}},
                {{NULL, NULL, NULL}},
                {{"MAIL FROM:<a@bench.test>\r\n", "250 ", NULL},
                 {"RCPT TO:<b@bench.test>\r\n", "250 ", NULL},
                 {"DATA\r\n", "354 ", NULL},
                 {NULL, "250 ", NULL}}},
    [COMMAND] = {{{"a NOOP\r\n", "a OK", NULL}},
                 {{"NOOP\r\n", "+OK", NULL}},
                 {{"NOOP\r\n", "250 ", NULL}}},
    [FLOOD] = {{{NOOPS_8 NOOPS_8 NOOPS_8 NOOPS_8, "a OK", NULL},
                ANSWER,
                ANSWER,
                ANSWER,
                ANSWERS_4,
                ANSWERS_4,
                ANSWERS_4,
                ANSWERS_4,
                ANSWERS_4,
                ANSWERS_4,
                ANSWERS_4}},
    [IDLE] = {{{"a IDLE\r\n", "+", NULL}}}};
static const struct step end_of_idle[] = {{"DONE\r\n", "a OK", NULL}, {NULL, NULL, NULL}};

enum stage { LOGGING_IN, READY, WORKING, LEAVING, IDLING, ENDING_IDLE };

struct load {
    struct mill *mill;
    enum kind kind;
    enum protocol protocol;
    uint16_t port;
    unsigned long count, sessions;
    unsigned long rate; /* in a second; 0: as many as can be */
    SSL_CTX *context;   /* or NULL */
    SSL_SESSION *ticket;
    char *users[USERS_MAX], *passwords[USERS_MAX];
    size_t user_count, next_user;
    struct session **all;
    unsigned long opened, ready, begun, done, closed;
    unsigned long pushed, pushes_due;
    unsigned long due;        /* for which it is time, when there is a rate */
    struct session **resting; /* those that wait for their time */
    unsigned long resting_count;
    uint32_t *latencies; /* nanoseconds */
    bool is_working, is_leaving;
    int64_t started, started_cpu;
};

struct session {
    struct load *load;
    struct link *link;
    size_t user;
    enum stage stage;
    const struct step *step;
    char line[LINE_MAX_SIZE];
    size_t line_size;
    size_t body_left; /* of a message that comes */
    size_t body_sent;
    bool is_sending;
    int64_t asked; /* nanoseconds */
};

static int64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/* ---- saying ---- */

static void send_more(struct session *session)
{
    while (session->is_sending && !link_is_full(session->link)) {
        size_t left = MESSAGE_SIZE - session->body_sent;
        size_t part = left < LINK_CHUNK ? left : LINK_CHUNK;
        link_write(session->link, message_bytes() + session->body_sent, part);
        session->body_sent += part;
        if (session->body_sent < MESSAGE_SIZE)
            continue;
        session->is_sending = false;
        const char *end = session->load->protocol == SMTP ? ".\r\n" : "\r\n";
        link_write(session->link, end, strlen(end));
    }
}

static size_t plain_response(const struct session *session, char *out)
{
    const char *user = session->load->users[session->user];
    const char *password = session->load->passwords[session->user];
    char message[256];
    int size = snprintf(message, sizeof(message), "%c%s%c%s", 0, user, 0, password);
    return (size_t)EVP_EncodeBlock((unsigned char *)out, (unsigned char *)message, size);
}

static void say(struct session *session)
{
    char text[512];
    size_t size = 0;
    const char *command = session->step->command;
    if (command == NULL) {
        session->is_sending = true;
        session->body_sent = 0;
        send_more(session);
        return;
    }
    for (const char *next = command; *next != '\0'; next++) {
        if (*next != '%') {
            text[size++] = *next;
            continue;
        }
        next++;
        if (*next == 'b')
            size += plain_response(session, text + size);
        else
            size += (size_t)snprintf(text + size, sizeof(text) - size, "%s",
                                     *next == 'u' ? session->load->users[session->user]
                                                  : session->load->passwords[session->user]);
    }
    if (size > 0)
        link_write(session->link, text, size);
}

static void begin(struct session *session, enum stage stage, const struct step *steps)
{
    session->stage = stage;
    session->step = steps;
    say(session);
}

/* ---- the course of things ---- */

static void open_next(struct load *load);

static void leave(struct session *session)
{
    begin(session, LEAVING, logout_steps[session->load->protocol]);
}

/* Gives the session something to do, if there is anything. */
static void work(struct session *session)
{
    struct load *load = session->load;
    if (load->begun == load->count) {
        session->stage = READY;
        return;
    }
    if (load->rate > 0 && load->begun >= load->due) {
        session->stage = READY;
        load->resting[load->resting_count++] = session;
        return;
    }
    load->begun++;
    session->asked = load->latencies == NULL ? 0 : now(CLOCK_MONOTONIC);
    begin(session, WORKING, work_steps[load->kind][load->protocol]);
}

static int compare_latencies(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void say_done(struct load *load)
{
    printf("done count=%lu wall=%.6f cpu=%.6f", load->count,
           1e-9 * (double)(now(CLOCK_MONOTONIC) - load->started),
           1e-9 * (double)(now(CLOCK_PROCESS_CPUTIME_ID) - load->started_cpu));
    if (load->latencies != NULL) {
        qsort(load->latencies, load->count, sizeof(*load->latencies), compare_latencies);
        printf(" p50=%.1f p99=%.1f", load->latencies[load->count / 2] * 1e-3,
               load->latencies[load->count * 99 / 100] * 1e-3);
    }
    printf("\n");
    load->is_working = false;
}

static void is_ready(struct session *session)
{
    struct load *load = session->load;
    session->stage = READY;
    load->ready++;
    if (load->opened < load->sessions)
        open_next(load);
    if (load->ready == load->sessions)
        printf("ready\n");
}

static void script_is_over(struct session *session)
{
    struct load *load = session->load;
    switch (session->stage) {
    case LOGGING_IN:
        if (load->kind == LOGIN) {
            load->latencies[load->done++] = (uint32_t)(now(CLOCK_MONOTONIC) - session->asked);
            leave(session);
        } else if (load->kind == IDLE) {
            begin(session, IDLING, work_steps[IDLE][load->protocol]);
        } else {
            is_ready(session);
        }
        return;
    case WORKING:
        if (load->latencies != NULL)
            load->latencies[load->done] = (uint32_t)(now(CLOCK_MONOTONIC) - session->asked);
        if (++load->done == load->count)
            say_done(load);
        work(session);
        return;
    case IDLING:
        is_ready(session);
        return;
    case ENDING_IDLE:
        leave(session);
        return;
    case LEAVING: /* its end is waited for */
    case READY:
        session->step = NULL;
        return;
    }
}

/* ---- what comes ---- */

static void take_answer(struct session *session)
{
    session->step++;
    if (session->step->answer == NULL)
        script_is_over(session);
    else
        say(session);
}

static void take_line(struct session *session, const char *line)
{
    struct load *load = session->load;
    const struct step *step = session->step;
    if (load->kind == IDLE && strncmp(line, "* 1 EXISTS", 10) == 0) {
        if (++load->pushed == load->pushes_due)
            say_done(load);
        return;
    }
    if (step == NULL || session->stage == READY)
        die("nobody asked for: %s", line);
    if (step->body_behind != NULL && session->body_left == 0 &&
        strncmp(line, step->body_behind, strlen(step->body_behind)) == 0)
        session->body_left = MESSAGE_SIZE;
    else if (strncmp(line, step->answer, strlen(step->answer)) == 0)
        take_answer(session);
    else if (!(load->protocol == IMAP && (*line == '*' || *line == ')')) &&
             !(load->protocol == SMTP && strncmp(line, "250-", 4) == 0))
        die("%s was answered: %s", step->command, line);
}

static void on_read(void *owner, const uint8_t *bytes, size_t size)
{
    struct session *session = owner;
    while (size > 0) {
        size_t part;
        if (session->body_left > 0) {
            part = size < session->body_left ? size : session->body_left;
            message_compare(bytes, MESSAGE_SIZE - session->body_left, part);
            session->body_left -= part;
        } else {
            const uint8_t *end = memchr(bytes, '\n', size);
            part = end == NULL ? size : (size_t)(end - bytes) + 1;
            if (session->line_size + part >= LINE_MAX_SIZE)
                die("a line is too long");
            memcpy(session->line + session->line_size, bytes, part);
            session->line_size += part;
            session->line[session->line_size] = '\0';
            if (end != NULL) {
                session->line_size = 0;
                take_line(session, session->line);
            }
        }
        bytes += part;
        size -= part;
    }
}

static void on_drained(void *owner)
{
    send_more(owner);
}

static void on_end(void *owner)
{
    struct session *session = owner;
    struct load *load = session->load;
    if (session->stage != LEAVING || session->step != NULL)
        die("%s: a session was cut, in stage %d", kind_names[load->kind], (int)session->stage);
    link_close(session->link);
    free(session);
    load->closed++;
    if (load->kind != LOGIN) {
        if (load->closed == load->sessions)
            mill_stop(load->mill);
        return;
    }
    if (load->opened < load->count && load->rate == 0)
        open_next(load);
    if (load->closed == load->count)
        say_done(load);
}

static void on_open(void *owner)
{
    (void)owner; /* the server speaks first */
}

static const struct link_ops ops = {
    .on_open = on_open, .on_read = on_read, .on_drained = on_drained, .on_end = on_end};

/* ---- connecting ---- */

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct session *owner = SSL_get_app_data(ssl);
    SSL_SESSION_free(owner->load->ticket);
    owner->load->ticket = session;
    return 1;
}

static void open_next(struct load *load)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(load->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct session *session = calloc(1, sizeof(*session));
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (session == NULL || descriptor < 0)
        die("no more sockets: %s", strerror(errno));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0 &&
        errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    session->load = load;
    session->asked = now(CLOCK_MONOTONIC);
    session->user = load->next_user++ % load->user_count;
    session->step = login_steps[load->protocol];
    if (load->kind != LOGIN)
        load->all[load->opened] = session;
    load->opened++;
    SSL_SESSION *ticket = load->ticket == NULL ? NULL : SSL_SESSION_dup(load->ticket);
    session->link = link_open(load->mill, descriptor, load->context, false, ticket, &ops, session);
    SSL_SESSION_free(ticket);
}

static void open_first(struct load *load, unsigned long at_once)
{
    unsigned long wanted = load->kind == LOGIN ? load->count : load->sessions;
    for (unsigned long i = 0; i < at_once && i < wanted; i++)
        open_next(load);
}

/* ---- a rate ---- */

/* It is time for all: what is not begun by now is not done. */
static void stop_beginning(struct load *load)
{
    bool is_login = load->kind == LOGIN;
    unsigned long begun = is_login ? load->opened : load->begun;
    if (begun == 0 || begun == load->count)
        return;
    load->count = begun;
    if ((is_login ? load->closed : load->done) == load->count)
        say_done(load);
}

static void on_tick(void *owner, int descriptor)
{
    struct load *load = owner;
    uint64_t ticks;
    int64_t elapsed = now(CLOCK_MONOTONIC) - load->started;
    if (read(descriptor, &ticks, sizeof(ticks)) < 0 || !load->is_working)
        return;
    load->due = (unsigned long)((double)load->rate * (double)elapsed * 1e-9);
    if (load->due >= load->count)
        stop_beginning(load);
    while (load->kind == LOGIN && load->opened < load->count && load->opened < load->due &&
           load->opened - load->closed < load->sessions)
        open_next(load);
    while (load->resting_count > 0 && (load->begun < load->due || load->begun == load->count))
        work(load->resting[--load->resting_count]);
}

static void keep_time(struct load *load)
{
    const struct itimerspec every = {.it_interval.tv_nsec = 1000000, .it_value.tv_nsec = 1000000};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (timer < 0 || timerfd_settime(timer, 0, &every, NULL) != 0)
        die("no timer: %s", strerror(errno));
    load->resting = calloc(load->sessions, sizeof(struct session *));
    mill_watch(load->mill, timer, on_tick, load);
}

/* ---- standard input ---- */

static void start(struct load *load)
{
    load->is_working = true;
    load->started = now(CLOCK_MONOTONIC);
    load->started_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    if (load->rate > 0)
        keep_time(load);
    if (load->kind == LOGIN) {
        open_first(load, load->rate > 0 ? 0 : load->sessions);
    } else if (load->kind == IDLE) {
        load->pushes_due += load->sessions;
        if (load->pushed == load->pushes_due)
            say_done(load);
    } else {
        for (unsigned long i = 0; i < load->sessions; i++)
            work(load->all[i]);
    }
}

static void on_order(void *owner, int descriptor)
{
    struct load *load = owner;
    char line[80];
    ssize_t size = read(descriptor, line, sizeof(line));
    bool is_first = load->started == 0;
    if (load->is_working || load->is_leaving)
        die("an order at the wrong time");
    if (size > 0 && (is_first || load->kind == IDLE)) {
        start(load);
        return;
    }
    load->is_leaving = true;
    close(descriptor); /* its end would be told for ever */
    if (load->kind == LOGIN)
        mill_stop(load->mill);
    for (unsigned long i = 0; load->kind != LOGIN && i < load->sessions; i++) {
        if (load->kind == IDLE)
            begin(load->all[i], ENDING_IDLE, end_of_idle);
        else
            leave(load->all[i]);
    }
}

/* ---- the beginning ---- */

static int find_name(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    die("what is %s", name);
}

static void read_credentials(struct load *load, const char *path)
{
    char user[128], password[128];
    FILE *file = fopen(path, "r");
    while (file != NULL && load->user_count < USERS_MAX &&
           fscanf(file, "%127s %127s", user, password) == 2) {
        load->users[load->user_count] = strdup(user);
        load->passwords[load->user_count++] = strdup(password);
    }
    if (load->user_count == 0)
        die("no credentials in %s", path);
    fclose(file);
}

static void make_context(struct load *load, const char *authorities)
{
    load->context = SSL_CTX_new(TLS_client_method());
    if (load->context == NULL ||
        SSL_CTX_load_verify_locations(load->context, authorities, NULL) != 1)
        die("no authority in %s", authorities);
    SSL_CTX_set_verify(load->context, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(load->context), "localhost", 0);
    SSL_CTX_set_mode(load->context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(load->context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(load->context, on_ticket);
}

int main(int count, char **arguments)
{
    struct load load = {0};
    struct rlimit limit;
    if (count != 7 && count != 8)
        die("usage: load KIND PROTOCOL PORT COUNT SESSIONS CREDENTIALS [CA]");
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    load.mill = mill_new();
    load.kind = (enum kind)find_name(arguments[1], kind_names, KINDS);
    load.protocol = (enum protocol)find_name(arguments[2], protocol_names, PROTOCOLS);
    load.port = (uint16_t)atoi(arguments[3]);
    char *end;
    load.count = strtoul(arguments[4], &end, 10);
    load.rate = *end == '@' ? strtoul(end + 1, NULL, 10) : 0;
    load.sessions = strtoul(arguments[5], NULL, 10);
    read_credentials(&load, arguments[6]);
    if (count == 8)
        make_context(&load, arguments[7]);
    load.all = calloc(load.sessions, sizeof(struct session *));
    if (load.kind == COMMAND || load.kind == LOGIN)
        load.latencies = calloc(load.count, sizeof(*load.latencies));
    message_bytes();
    mill_watch(load.mill, STDIN_FILENO, on_order, &load);
    if (load.kind == LOGIN)
        printf("ready\n");
    else
        open_first(&load, LOGINS_AT_ONCE);
    mill_run(load.mill);
    return 0;
}
