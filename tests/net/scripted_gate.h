/*
 * A gate that does what it is told: the test program starts itself as one. It says READY, and then
 * obeys the words that come as CHALLENGE; an OFFER it tells again in a record, and to DRAIN it
 * answers with one and ends. The name of its first listener decides what kind it is:
 *
 *   obedient   as above
 *   dies       ends with status 3 before it says anything
 *   stubborn   does not end at DRAIN, and ignores SIGTERM
 *
 * Blocking: it is a process of its own.
 */
#ifndef ECLUSE_TESTS_NET_SCRIPTED_GATE_H
#define ECLUSE_TESTS_NET_SCRIPTED_GATE_H

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/message.h"
#include "net/channel.h"

#define SCRIPTED_CHANNEL  3
#define SCRIPTED_LISTENER 4

extern char **environ;

/* Ends the process when the keeper is gone. */
static inline void scripted_read(void *out, size_t size)
{
    uint8_t *place = out;
    while (size > 0) {
        struct pollfd event = {.fd = SCRIPTED_CHANNEL, .events = POLLIN};
        poll(&event, 1, -1);
        ssize_t count = read(SCRIPTED_CHANNEL, place, size);
        if (count == 0)
            _exit(0);
        if (count > 0) {
            place += count;
            size -= (size_t)count;
        }
    }
}

/* For mem_free. */
static inline uint8_t *scripted_read_frame(size_t *size_out)
{
    uint8_t head[4];
    scripted_read(head, sizeof(head));
    *size_out = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    ENSURE(*size_out <= MESSAGE_SIZE_MAX);
    uint8_t *bytes = mem_new(*size_out + 1);
    scripted_read(bytes, *size_out);
    return bytes;
}

static inline void scripted_write(struct slice bytes)
{
    ENSURE(write(SCRIPTED_CHANNEL, bytes.data, bytes.size) == (ssize_t)bytes.size);
}

static inline void scripted_write_frame(struct buf *message)
{
    size_t size = buf_size(message);
    uint8_t head[4] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                       (uint8_t)size};
    scripted_write(slice_of(head, sizeof(head)));
    scripted_write(buf_bytes(message));
    buf_fini(message);
}

static inline void scripted_say_ready(void)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    ENSURE(message_write_plain(&message, MESSAGE_READY, 0) == 0);
    scripted_write_frame(&message);
}

static inline void scripted_say(const char *detail, uint64_t number)
{
    struct message_record record = {.session = 1};
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    record_init(&record.record, ACTION_SESSION_OPEN, WHY_NONE, 0);
    record_add_string(&record.record, FIELD_REASON, detail);
    record_add_number(&record.record, FIELD_CLIENT_BYTES, number);
    ENSURE(message_write_record(&message, &record) == 0);
    scripted_write_frame(&message);
}

static inline unsigned scripted_count_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

/* What the process was given. */
static inline void scripted_report(const struct message_configure *configure)
{
    char text[200], device[64] = "";
    unsigned variables = 0;
    while (environ[variables] != NULL)
        variables++;
    ENSURE(readlink("/proc/self/fd/0", device, sizeof(device) - 1) > 0);
    snprintf(text, sizeof(text),
             "gate %u listeners %u mechanisms %s capabilities %s authorities %u descriptors %u "
             "variables %u leader %d input %s",
             configure->gate, (unsigned)configure->listener_count,
             configure->listeners[0].mechanisms, configure->listeners[0].capabilities,
             (unsigned)configure->authority_count, scripted_count_descriptors(), variables,
             getsid(0) == getpid(), device);
    scripted_say(text, 0);
}

/* Those that it may connect to. */
static inline void scripted_report_ports(const struct message_configure *configure)
{
    char text[200] = "ports";
    size_t size = strlen(text);
    for (size_t i = 0; i < configure->port_count && size < sizeof(text); i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, " %u", configure->ports[i]);
    scripted_say(text, 0);
}

/* Serves one client: tells it which gate this is. */
static inline void scripted_accept(unsigned gate)
{
    struct pollfd event = {.fd = SCRIPTED_LISTENER, .events = POLLIN};
    char text[32];
    poll(&event, 1, -1);
    int client = accept(SCRIPTED_LISTENER, NULL, NULL);
    ENSURE(client >= 0);
    int size = snprintf(text, sizeof(text), "gate %u\n", gate);
    ENSURE(write(client, text, (size_t)size) == size);
    close(client);
}

static inline void scripted_obey(struct slice word, const struct message_configure *configure)
{
    const struct slice garbage = SLICE_LITERAL("\xff\xff\xff\xff garbage");
    if (slice_is(word, "report"))
        scripted_report(configure);
    else if (slice_is(word, "ports"))
        scripted_report_ports(configure);
    else if (slice_is(word, "accept"))
        scripted_accept(configure->gate);
    else if (slice_is(word, "end"))
        _exit(1);
    else if (slice_is(word, "say and end")) {
        scripted_say("last words", 0);
        _exit(1);
    } else if (slice_is(word, "garbage"))
        scripted_write(garbage);
    else if (slice_is(word, "ready again"))
        scripted_say_ready();
    else if (slice_is(word, "close")) {
        close(SCRIPTED_CHANNEL);
        pause();
    } else
        scripted_say("echo", 0);
}

static inline bool scripted_is(const struct message_configure *configure, const char *kind)
{
    return strcmp(configure->listeners[0].name, kind) == 0;
}

static inline void scripted_tell_offer(const struct message *message)
{
    struct message_offer offer;
    char text[200];
    ENSURE(message_read_offer(message, &offer) == 0);
    snprintf(text, sizeof(text), "offer %u %s, %s", offer.listener, offer.mechanisms,
             offer.capabilities);
    scripted_say(text, 0);
    message_offer_clear(&offer);
}

static inline void scripted_take(struct slice frame, const struct message_configure *configure)
{
    struct message message;
    struct slice word;
    uint64_t number;
    ENSURE(message_read(frame, &message) == 0);
    if (message.kind == MESSAGE_CHALLENGE) {
        ENSURE(message_read_bytes(&message, &word) == 0);
        scripted_obey(word, configure);
    } else if (message.kind == MESSAGE_OFFER) {
        scripted_tell_offer(&message);
    } else if (message.kind == MESSAGE_DRAIN && !scripted_is(configure, "stubborn")) {
        ENSURE(message_read_number(&message, &number) == 0);
        scripted_say("draining", number);
        _exit(0);
    }
}

/* Never returns. */
static inline NO_RETURN void scripted_gate(void)
{
    struct message message;
    struct message_configure configure;
    size_t size;
    uint8_t *frame = scripted_read_frame(&size);
    ENSURE(message_read(slice_of(frame, size), &message) == 0);
    ENSURE(message_read_configure(&message, &configure) == 0);
    if (scripted_is(&configure, "dies"))
        _exit(3);
    if (scripted_is(&configure, "stubborn"))
        signal(SIGTERM, SIG_IGN);
    scripted_say_ready();
    for (;;) {
        mem_free(frame);
        frame = scripted_read_frame(&size);
        scripted_take(slice_of(frame, size), &configure);
    }
}

#endif
