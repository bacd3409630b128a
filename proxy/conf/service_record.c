/*
 * The header, the questions passed over, then the records of the answer section. Every length is
 * checked against what is left, and a compressed name may only point to what stands before it.
 *
 * Failure modes, all ERR_SYNTAX: too short, not an answer, a name that is too long, points forward
 * or in a circle, a record that ends behind the message. A target that is no host name is passed
 * over: another record may be sound.
 */
#include "conf/service_record.h"

#include <stdio.h>

#include "conf/address.h"

#define HEADER_SIZE   12
#define NAME_MAXIMUM  255 /* RFC 1035 section 2.3.4 */
#define CLASS_IN      1
#define RECORDS_MAX   64 /* in one answer; what follows is not looked at */
#define QUESTIONS_MAX 4

static const struct {
    const char *name;
    enum protocol protocol;
    enum tls_mode tls;
} kinds[SERVICE_RECORD_KINDS] = {
    [SERVICE_IMAPS] = {"_imaps", PROTOCOL_IMAP, TLS_MODE_ON},
    [SERVICE_IMAP] = {"_imap", PROTOCOL_IMAP, TLS_MODE_STARTTLS},
    [SERVICE_POP3S] = {"_pop3s", PROTOCOL_POP3, TLS_MODE_ON},
    [SERVICE_POP3] = {"_pop3", PROTOCOL_POP3, TLS_MODE_STARTTLS},
    [SERVICE_SUBMISSIONS] = {"_submissions", PROTOCOL_SMTP, TLS_MODE_ON},
    [SERVICE_SUBMISSION] = {"_submission", PROTOCOL_SMTP, TLS_MODE_STARTTLS},
};

struct message {
    struct slice bytes;
    size_t place; /* what is read next; never behind the end */
    bool is_bad;
};

struct record {
    uint16_t type, class;
    uint16_t priority, weight, port;
    char target[NAME_MAXIMUM + 1];
    bool has_target; /* a host name, and not "." */
};

void service_record_name(enum service_record_kind kind, const char *domain,
                         char name_out[SERVICE_NAME_MAX])
{
    ENSURE(host_name_is_valid(domain));
    (void)snprintf(name_out, SERVICE_NAME_MAX, "%s._tcp.%s", kinds[kind].name, domain);
}

/* ---- the message ---- */

static void skip(struct message *message, size_t count)
{
    if (count > message->bytes.size - message->place) {
        message->is_bad = true;
        count = message->bytes.size - message->place;
    }
    message->place += count;
}

static uint16_t read_u16(struct message *message)
{
    size_t place = message->place;

    skip(message, 2);
    if (message->is_bad)
        return 0;
    return (uint16_t)(message->bytes.data[place] << 8 | message->bytes.data[place + 1]);
}

/* Adds a label and a dot. The name is checked as a whole; what would end or divide a text is put
 * there as what no host name has. */
static void add_label(struct message *message, size_t place, size_t size, char *name, size_t *used)
{
    if (size > message->bytes.size - place || *used + size + 1 > NAME_MAXIMUM) {
        message->is_bad = true;
        return;
    }
    for (size_t i = 0; i < size; i++) {
        char octet = (char)message->bytes.data[place + i];
        name[(*used)++] = octet == '\0' || octet == '.' ? '?' : octet;
    }
    name[(*used)++] = '.';
}

/* The name at `place`, without its last dot; the place behind it. */
static size_t read_name_at(struct message *message, size_t place, char name_out[NAME_MAXIMUM + 1])
{
    struct slice bytes = message->bytes;
    size_t used = 0, behind = 0, before = place;

    while (!message->is_bad) {
        uint8_t size = place < bytes.size ? bytes.data[place] : 0x40;
        if (size == 0)
            break;
        if ((size & 0xc0) == 0xc0 && place + 1 < bytes.size) {
            size_t target = (size_t)(size & 0x3f) << 8 | bytes.data[place + 1];
            if (behind == 0)
                behind = place + 2;
            /* Each jump leads before the last: there is no circle. */
            message->is_bad = target >= before;
            place = before = target;
        } else if ((size & 0xc0) == 0) {
            add_label(message, place + 1, size, name_out, &used);
            place += 1u + size;
        } else {
            message->is_bad = true;
        }
    }
    name_out[used == 0 ? 0 : used - 1] = '\0';
    return behind != 0 ? behind : place + 1;
}

static void skip_name(struct message *message)
{
    char name[NAME_MAXIMUM + 1];
    size_t behind = read_name_at(message, message->place, name);

    if (!message->is_bad)
        message->place = behind;
}

/* ---- records ---- */

static void read_service(struct message *message, size_t end, struct record *record)
{
    record->priority = read_u16(message);
    record->weight = read_u16(message);
    record->port = read_u16(message);
    size_t behind = read_name_at(message, message->place, record->target);
    message->is_bad |= behind != end;
    record->has_target =
        !message->is_bad && record->port != 0 && host_name_is_valid(record->target);
}

static void read_exchanger(struct message *message, size_t end, struct record *record)
{
    record->priority = read_u16(message);
    size_t behind = read_name_at(message, message->place, record->target);
    message->is_bad |= behind != end;
    record->has_target = !message->is_bad && host_name_is_valid(record->target);
}

/* One of another type or class is passed over. */
static void read_record(struct message *message, uint16_t type, struct record *record)
{
    skip_name(message);
    record->type = read_u16(message);
    record->class = read_u16(message);
    skip(message, 4); /* how long it may be kept */
    size_t size = read_u16(message), start = message->place;
    skip(message, size);
    if (message->is_bad || record->type != type || record->class != CLASS_IN)
        return;
    struct message inside = {.bytes = slice_take(message->bytes, start + size), .place = start};
    if (type == SERVICE_RECORD_TYPE)
        read_service(&inside, start + size, record);
    else
        read_exchanger(&inside, start + size, record);
    message->is_bad = inside.is_bad;
}

static bool is_better(const struct record *one, const struct record *other)
{
    if (!other->has_target)
        return one->has_target;
    if (!one->has_target || one->priority != other->priority)
        return one->has_target && one->priority < other->priority;
    return one->weight > other->weight;
}

/* The counts of the header; false: it is no good answer. */
static bool read_header(struct message *message, unsigned *questions, unsigned *records)
{
    skip(message, 2);
    uint16_t flags = read_u16(message);
    *questions = read_u16(message);
    *records = read_u16(message);
    skip(message, 4);
    /* An answer (QR), to a query (OPCODE), whole (TC), without an error (RCODE). */
    return !message->is_bad && (flags & 0xfa0f) == 0x8000 && *questions <= QUESTIONS_MAX;
}

/* The best record of that type in the answer. */
static int find_best(struct slice answer, uint16_t type, struct record *best)
{
    struct message message = {.bytes = answer};
    unsigned questions, records;

    if (answer.size < HEADER_SIZE || !read_header(&message, &questions, &records))
        return ERR_SYNTAX;
    for (unsigned i = 0; i < questions; i++) {
        skip_name(&message);
        skip(&message, 4);
    }
    for (unsigned i = 0; i < records && i < RECORDS_MAX && !message.is_bad; i++) {
        struct record record = {0};
        read_record(&message, type, &record);
        if (!message.is_bad && is_better(&record, best))
            *best = record;
    }
    return message.is_bad ? ERR_SYNTAX : 0;
}

int service_record_take(struct slice answer, enum service_record_kind kind,
                        struct mail_service *service)
{
    struct mail_server *server = &service->servers[kinds[kind].protocol];
    struct record best = {0};
    char port[8];

    if (find_best(answer, SERVICE_RECORD_TYPE, &best) != 0)
        return ERR_SYNTAX;
    if (server->endpoint.is_set || !best.has_target)
        return 0;
    (void)snprintf(port, sizeof(port), "%u", (unsigned)best.port);
    server->takes_token = server->takes_password = true;
    return mail_server_set(server, kinds[kind].protocol, kinds[kind].tls,
                           slice_of_string(best.target), slice_of_string(port));
}

int mail_exchanger_read(struct slice answer, char name_out[MAIL_EXCHANGER_MAX])
{
    struct record best = {0};

    if (find_best(answer, MAIL_EXCHANGER_TYPE, &best) != 0)
        return ERR_SYNTAX;
    (void)snprintf(name_out, MAIL_EXCHANGER_MAX, "%s", best.has_target ? best.target : "");
    return 0;
}
