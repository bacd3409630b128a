/*
 * The newest session per key, in chains by hash and in one list by last use.
 *
 * Every session that goes in or out is a copy: an object that a connection still uses is marked as
 * not resumable when that connection breaks, and one that two connections use at once is resumed
 * by one of them only.
 * Failures: none; when it is full the one used longest ago goes.
 */
#include "net/tls_sessions.h"

#include <string.h>

#include "base/list.h"

struct entry {
    struct list in_chain;
    struct list in_order; /* used longest ago first */
    uint8_t key[TLS_SESSION_KEY_SIZE];
    SSL_SESSION *session;
};

struct tls_sessions {
    size_t maximum, count;
    size_t chain_count; /* a power of two */
    struct list *chains;
    struct list order;
};

struct tls_sessions *tls_sessions_new(size_t maximum)
{
    ENSURE(maximum > 0);
    struct tls_sessions *sessions = mem_new(sizeof(*sessions));
    sessions->maximum = maximum;
    sessions->chain_count = 1;
    while (sessions->chain_count < maximum)
        sessions->chain_count *= 2;
    sessions->chains = mem_new_array(sessions->chain_count, sizeof(*sessions->chains));
    for (size_t i = 0; i < sessions->chain_count; i++)
        list_init(&sessions->chains[i]);
    list_init(&sessions->order);
    return sessions;
}

static void remove_entry(struct tls_sessions *sessions, struct entry *entry)
{
    list_remove(&entry->in_chain);
    list_remove(&entry->in_order);
    SSL_SESSION_free(entry->session);
    mem_free(entry);
    sessions->count--;
}

static struct entry *oldest(struct tls_sessions *sessions)
{
    return CONTAINER_OF(sessions->order.next, struct entry, in_order);
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    if (sessions == NULL)
        return;
    while (sessions->count > 0)
        remove_entry(sessions, oldest(sessions));
    mem_free(sessions->chains);
    mem_free(sessions);
}

static struct list *chain_of(struct tls_sessions *sessions, const uint8_t *key)
{
    size_t hash; /* of a hash, any part will do */
    memcpy(&hash, key, sizeof(hash));
    return &sessions->chains[hash & (sessions->chain_count - 1)];
}

static struct entry *find(struct tls_sessions *sessions, const uint8_t *key)
{
    struct list *chain = chain_of(sessions, key);
    LIST_FOREACH (node, chain) {
        struct entry *entry = CONTAINER_OF(node, struct entry, in_chain);
        if (memcmp(entry->key, key, TLS_SESSION_KEY_SIZE) == 0)
            return entry;
    }
    return NULL;
}

static SSL_SESSION *copy_of(const SSL_SESSION *session)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    ENSURE(copy != NULL);
    return copy;
}

void tls_sessions_keep(struct tls_sessions *sessions, const uint8_t key[TLS_SESSION_KEY_SIZE],
                       const SSL_SESSION *session)
{
    struct entry *old = find(sessions, key);
    if (old != NULL)
        remove_entry(sessions, old);
    else if (sessions->count == sessions->maximum)
        remove_entry(sessions, oldest(sessions));
    struct entry *entry = mem_new(sizeof(*entry));
    list_init(&entry->in_chain);
    list_init(&entry->in_order);
    memcpy(entry->key, key, TLS_SESSION_KEY_SIZE);
    entry->session = copy_of(session);
    list_append(chain_of(sessions, key), &entry->in_chain);
    list_append(&sessions->order, &entry->in_order);
    sessions->count++;
}

SSL_SESSION *tls_sessions_find(struct tls_sessions *sessions,
                               const uint8_t key[TLS_SESSION_KEY_SIZE])
{
    struct entry *entry = find(sessions, key);
    if (entry == NULL)
        return NULL;
    list_remove(&entry->in_order);
    list_append(&sessions->order, &entry->in_order);
    return copy_of(entry->session);
}

int tls_sessions_on_new(SSL *ssl, SSL_SESSION *session)
{
    struct tls_session_slot *slot = SSL_get_app_data(ssl);
    if (slot->sessions != NULL && SSL_SESSION_is_resumable(session))
        tls_sessions_keep(slot->sessions, slot->key, session);
    return 0; /* OpenSSL keeps its reference: ours is to a copy */
}
