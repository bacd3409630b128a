/*
 * For the tests of the gates: a folder with unix sockets and a bundle of certificates, and gates
 * that are this program (see scripted_gate.h).
 */
#ifndef ECLUSE_TESTS_NET_GATES_WORLD_H
#define ECLUSE_TESTS_NET_GATES_WORLD_H

#include "config_file.h"

#include <errno.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../lib/certificate.h"
#include "keeper/gates.h"
#include "scripted_gate.h"

#define NOTES_MAX 64
#define GONE_MAX  64

static struct {
    char *folder;
    struct config *config;
    struct loop loop;
    struct log log;
    struct gates *gates;
    struct gates_settings settings;
    struct message_offer offers[4]; /* one a listener */
    unsigned ready, stopped;
    unsigned gone[GONE_MAX];
    size_t gone_count;
    struct {
        unsigned gate;
        char detail[200];
        uint64_t number;
    } notes[NOTES_MAX];
    size_t note_count;
    int on_message_status;
} test;

static inline int on_message(void *owner, unsigned gate, struct slice bytes)
{
    struct message message;
    struct message_record record;
    assert_ptr_equal(owner, &test);
    assert_true(test.note_count < NOTES_MAX);
    if (message_read(bytes, &message) != 0 || message.kind != MESSAGE_RECORDS)
        return ERR_SYNTAX;
    assert_int_equal(message_read_record(&message.fields, &record), 0);
    assert_int_equal(message.fields.size, 0);
    test.notes[test.note_count].gate = gate;
    test.notes[test.note_count].number = record_find(&record.record, FIELD_CLIENT_BYTES)->number;
    slice_escape(record_find(&record.record, FIELD_REASON)->text,
                 test.notes[test.note_count].detail, sizeof(test.notes[0].detail));
    test.note_count++;
    return test.on_message_status;
}

static inline void on_gate_gone(void *owner, unsigned gate)
{
    assert_ptr_equal(owner, &test);
    assert_true(test.gone_count < GONE_MAX);
    test.gone[test.gone_count++] = gate;
}

static inline void on_ready(void *owner)
{
    assert_ptr_equal(owner, &test);
    test.ready++;
}

static inline void on_stopped(void *owner)
{
    assert_ptr_equal(owner, &test);
    test.stopped++;
}

static const struct gates_ops gates_ops = {on_message, on_gate_gone, on_ready, on_stopped};

/* The loop turns until it holds; a test that waits for what never comes is ended from outside. */
#define WAIT_UNTIL(condition)                                                                      \
    while (!(condition))                                                                           \
    assert_true(uv_run(&test.loop.uv, UV_RUN_ONCE) != 0 || (condition))

/* ---- set up ---- */

static inline void write_file(const char *name, const char *text)
{
    char *path = scratch_path(test.folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static inline void write_bundle(const char *name)
{
    const struct certificate_wish wish = {.common_name = "Test root", .is_authority = true};
    struct certificate *root = certificate_new(&wish, NULL);
    char *text = certificate_text(root);
    write_file(name, text);
    mem_free(text);
    certificate_free(root);
}

/* One listener on the unix socket "socket"; "kind" is its name. */
#define ACCOUNT                                                                                    \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "authorization_endpoint = https://id.example.test/auth\n"                                      \
    "token_endpoint = https://id.example.test/token\n"
#define LISTENER(kind, address)                                                                    \
    "ca_file = @/ca.pem\n"                                                                         \
    "[listen " kind "]\n"                                                                          \
    "address = " address "\n" ACCOUNT
#define OBEDIENT LISTENER("obedient", "unix:@/socket")

static inline void set_config(const char *text)
{
    config_free(test.config);
    test.config = config_from_text(test.folder, text);
}

static inline int try_open(struct err *err)
{
    return gates_open(&test.loop, test.config, test.offers, &test.settings, &test.log, &gates_ops,
                      &test, &test.gates, err);
}

/* Up to READY. */
static inline void open_gates(const char *text)
{
    struct err err;
    set_config(text);
    if (try_open(&err) != 0)
        fail_msg("%s", err.text);
    WAIT_UNTIL(test.ready == 1);
}

static inline void set_offer(size_t listener, const char *mechanisms, const char *capabilities)
{
    message_offer_clear(&test.offers[listener]);
    test.offers[listener] = (struct message_offer){
        .listener = (uint16_t)listener,
        .mechanisms = mem_copy_string(mechanisms),
        .capabilities = mem_copy_string(capabilities),
    };
}

static inline int set_up(void **state)
{
    struct err err;
    (void)state;
    memset(&test, 0, sizeof(test));
    for (size_t i = 0; i < LENGTH_OF(test.offers); i++)
        set_offer(i, "PLAIN LOGIN", "");
    test.folder = scratch_folder_new();
    assert_int_equal(loop_init(&test.loop, &err), 0);
    log_init(&test.log, LOG_LEVEL_DEBUG, "test");
    test.log.descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
    write_bundle("ca.pem");
    return 0;
}

/* The test program, or one of its gates. What a shell left open is for neither. */
static inline int tests_or_gate(int count, char **arguments, int (*all_tests)(void))
{
    if (count > 1 && strcmp(arguments[1], "gate") == 0)
        scripted_gate();
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    return all_tests();
}

/* Every process is dead and reaped, every handle closed. */
static inline int tear_down(void **state)
{
    (void)state;
    if (test.gates != NULL)
        gates_close(test.gates);
    loop_run(&test.loop);
    loop_fini(&test.loop);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    for (size_t i = 0; i < LENGTH_OF(test.offers); i++)
        message_offer_clear(&test.offers[i]);
    config_free(test.config);
    close(test.log.descriptor);
    scratch_folder_remove(test.folder);
    return 0;
}

/* ---- what tests do ---- */

static inline void tell(unsigned gate, const char *word)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_bytes(&message, MESSAGE_CHALLENGE, 1, slice_of_string(word)), 0);
    assert_int_equal(gates_send(test.gates, gate, buf_bytes(&message)), 0);
    buf_fini(&message);
}

static inline bool exists(const char *name)
{
    char *path = scratch_path(test.folder, name);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

/* A connection to the unix socket, or -1. */
static inline int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *path = scratch_path(test.folder, name);
    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    free(path);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof(address)) == 0)
        return client;
    close(client);
    return -1;
}

/* What a gate says to its client, which is closed. */
static inline void assert_served_by(int client, unsigned gate)
{
    char text[32] = "", expected[32];
    snprintf(expected, sizeof(expected), "gate %u\n", gate);
    assert_true(read(client, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, expected);
    close(client);
}

#endif
