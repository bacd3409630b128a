/*
 * SASL from both ends. The first octet says which: 'P' PLAIN, 'L' LOGIN, 'C' CRAM-MD5, 'D'
 * DIGEST-MD5, 'S' SCRAM-SHA-256, then what the client says, one message after another, each behind
 * its length in one octet (255: no initial response); 'X' XOAUTH2, 'B' OAUTHBEARER, then host, user
 * and token in the same way, the token up to the end; 'p' PLAIN, 'l' LOGIN, 's' SCRAM-SHA-256, '1'
 * SCRAM-SHA-1, then user, password and what the server says, in which '%' stands for our nonce.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/sasl_client.h"
#include "auth/sasl_server.h"
#include "base/buf.h"

/* Opened once for the life of the program: the library's state is global anyway. */
static struct sasl_acceptor_library *acceptors;
static struct sasl_initiator_library *initiators;

struct record {
    bool matched, later, told;
};

static enum sasl_check check(void *exchange, struct slice user, struct slice password)
{
    struct record *record = exchange;
    ENSURE(credential_user_is_valid(user) && password.size > 0);
    ENSURE(slice_find(password, '\0') == password.size);
    if (slice_is(user, "later")) {
        record->later = true;
        return SASL_CHECK_LATER;
    }
    record->matched = slice_is(user, "alice") && slice_is(password, "secret");
    return record->matched ? SASL_CHECK_MATCH : SASL_CHECK_MISMATCH;
}

static int tell_password(void *exchange, struct slice user, struct secret *password_out)
{
    struct record *record = exchange;
    ENSURE(credential_user_is_valid(user));
    if (!slice_is(user, "alice"))
        return ERR_NOT_FOUND;
    record->told = true;
    secret_set(password_out, SLICE_LITERAL("pencil"));
    return 0;
}

static bool take(struct slice *rest, struct slice *bytes_out)
{
    if (rest->size == 0)
        return false;
    *bytes_out = slice_take(slice_skip(*rest, 1), rest->data[0]);
    *rest = slice_skip(*rest, (size_t)rest->data[0] + 1);
    return true;
}

static void accept_exchange(const char *mechanism, struct slice rest)
{
    struct record record = {0};
    struct sasl_acceptor *acceptor;
    struct slice bytes, challenge;
    bool is_first = true, is_over = false;
    ENSURE(sasl_acceptor_new(acceptors, "imap", mechanism, &record, &acceptor) == 0);
    while (rest.size > 0) {
        bool is_missing = is_first && rest.data[0] == 255;
        is_first = false;
        if (is_missing) {
            rest = slice_skip(rest, 1);
            bytes = SLICE_NONE;
        } else if (!take(&rest, &bytes)) {
            break;
        }
        enum sasl_verdict verdict = sasl_acceptor_step(acceptor, !is_missing, bytes, &challenge);
        ENSURE(!is_over || verdict == SASL_VERDICT_MALFORMED);
        ENSURE(verdict == SASL_VERDICT_CONTINUE || challenge.size == 0);
        ENSURE(verdict != SASL_VERDICT_ACCEPTED || record.matched || record.told);
        ENSURE(verdict != SASL_VERDICT_PENDING || record.later);
        ENSURE((sasl_acceptor_user(acceptor) != NULL) ==
               (verdict == SASL_VERDICT_ACCEPTED || verdict == SASL_VERDICT_PENDING));
        is_over = is_over || verdict != SASL_VERDICT_CONTINUE;
    }
    sasl_acceptor_free(acceptor);
}

static size_t count(struct slice bytes, uint8_t byte)
{
    size_t found = 0;
    for (size_t i = 0; i < bytes.size; i++)
        found += bytes.data[i] == byte;
    return found;
}

static void initiate_token(const char *mechanism, struct slice rest)
{
    struct slice host = SLICE_NONE, user = SLICE_NONE, response;
    struct secret token = {0};
    struct sasl_initiator *initiator;
    bool is_bearer = strcmp(mechanism, "OAUTHBEARER") == 0;
    if (!take(&rest, &host) || !take(&rest, &user))
        return;
    char *host_text = mem_copy_bytes_as_string(host.data, host.size);
    char *user_text = mem_copy_bytes_as_string(user.data, user.size);
    secret_set(&token, rest);
    struct sasl_initiator_identity identity = {"imap", host_text, 993, user_text, &token, false};
    int status = sasl_initiator_new(initiators, mechanism, &identity, &initiator);
    ENSURE(status == 0 || status == ERR_DENIED);
    if (status == 0) {
        ENSURE(sasl_initiator_start(initiator, &response) == 0);
        /* Exactly the separators of the message itself. */
        ENSURE(count(response, '\001') == (is_bearer ? 5 : 3));
        ENSURE(!is_bearer || slice_find(slice_skip(response, 2), ',') ==
                                 slice_find(slice_skip(response, 2), '\001') - 1);
        ENSURE(sasl_initiator_step(initiator, rest, &response) == 0);
        ENSURE(response.size == (is_bearer ? 1 : 0));
        ENSURE(sasl_initiator_step(initiator, rest, &response) == ERR_SYNTAX);
    }
    sasl_initiator_free(initiator);
    secret_wipe(&token);
    mem_free(host_text);
    mem_free(user_text);
}

/* As the server would have to say it, a nonce of ours in the place of each '%'. */
static struct slice fill_nonce(struct buf *out, struct slice challenge, struct slice nonce)
{
    buf_clear(out);
    for (size_t i = 0; i < challenge.size; i++)
        ENSURE(buf_append(out, challenge.data[i] == '%'
                                   ? nonce
                                   : slice_skip(slice_take(challenge, i + 1), i)) == 0);
    return buf_bytes(out);
}

/* A hostile server: whatever it says, it has not proved that it knows the password. */
static void defend(struct sasl_initiator *initiator, const char *mechanism, struct slice rest)
{
    struct slice response, challenge;
    bool is_scram = mechanism[0] == 'S';
    struct buf bytes;
    struct secret nonce = {0};
    ENSURE(sasl_initiator_start(initiator, &response) == 0);
    ENSURE((response.data == NULL) == (mechanism[0] == 'L'));
    for (size_t at = 0; is_scram && !secret_is_set(&nonce); at++)
        if (slice_starts_with(slice_skip(response, at), ",r="))
            secret_set(&nonce, slice_skip(response, at + 3));
    buf_init(&bytes, 64ul * 1024);
    while (take(&rest, &challenge)) {
        bool was_complete = sasl_initiator_is_complete(initiator);
        challenge = fill_nonce(&bytes, challenge, secret_bytes(&nonce));
        int status = sasl_initiator_step(initiator, challenge, &response);
        ENSURE(status == 0 || status == ERR_SYNTAX || status == ERR_DENIED);
        ENSURE((response.data != NULL) == (status == 0));
        ENSURE(!was_complete || status != 0);
        ENSURE(!is_scram || !sasl_initiator_is_complete(initiator));
    }
    buf_fini(&bytes);
    secret_wipe(&nonce);
}

static void initiate_password(const char *mechanism, struct slice rest)
{
    struct slice user = SLICE_NONE, bytes = SLICE_NONE;
    struct secret password = {0};
    struct sasl_initiator *initiator;
    if (!take(&rest, &user) || !take(&rest, &bytes))
        return;
    char *user_text = mem_copy_bytes_as_string(user.data, user.size);
    secret_set(&password, bytes);
    struct sasl_initiator_identity identity = {"imap",    "imap.example.com", 993,
                                               user_text, &password,          true};
    int status = sasl_initiator_new(initiators, mechanism, &identity, &initiator);
    ENSURE(status == 0 || status == ERR_DENIED);
    ENSURE(status != 0 || credential_password_is_valid(bytes));
    if (status == 0)
        defend(initiator, mechanism, rest);
    sasl_initiator_free(initiator);
    secret_wipe(&password);
    mem_free(user_text);
}

static void close_libraries(void)
{
    sasl_initiator_library_close(initiators);
    sasl_acceptor_library_close(acceptors);
}

static void open_libraries(void)
{
    static const struct sasl_users users = {check, tell_password};
    struct err err;
    if (acceptors != NULL)
        return;
    ENSURE(sasl_acceptor_library_open(SASL_PLUGIN_FOLDER,
                                      "PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-256", &users,
                                      &acceptors, &err) == 0);
    ENSURE(sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &initiators, &err) == 0);
    atexit(close_libraries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        char letter;
        const char *mechanism;
        void (*run)(const char *mechanism, struct slice rest);
    } sides[] = {
        {'P', "PLAIN", accept_exchange},         {'L', "LOGIN", accept_exchange},
        {'C', "CRAM-MD5", accept_exchange},      {'D', "DIGEST-MD5", accept_exchange},
        {'S', "SCRAM-SHA-256", accept_exchange}, {'X', "XOAUTH2", initiate_token},
        {'B', "OAUTHBEARER", initiate_token},    {'p', "PLAIN", initiate_password},
        {'l', "LOGIN", initiate_password},       {'s', "SCRAM-SHA-256", initiate_password},
        {'1', "SCRAM-SHA-1", initiate_password},
    };
    open_libraries();
    for (size_t i = 0; size > 0 && i < LENGTH_OF(sides); i++)
        if (data[0] == (uint8_t)sides[i].letter)
            sides[i].run(sides[i].mechanism, slice_of(data + 1, size - 1));
    return 0;
}
