/*
 * A getaddrinfo in the place of the C library's: it knows no name, and says so at once, or, while
 * it is stuck, not at all.
 */
#ifndef ECLUSE_TESTS_STUCK_RESOLVER_H
#define ECLUSE_TESTS_STUCK_RESOLVER_H

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static pthread_mutex_t resolver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_changed = PTHREAD_COND_INITIALIZER;
static bool resolver_is_stuck;
static int resolver_inside;

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **list_out)
{
    (void)node;
    (void)service;
    (void)hints;
    *list_out = NULL;
    pthread_mutex_lock(&resolver_lock);
    resolver_inside++;
    pthread_cond_broadcast(&resolver_changed);
    while (resolver_is_stuck)
        pthread_cond_wait(&resolver_changed, &resolver_lock);
    resolver_inside--;
    pthread_cond_broadcast(&resolver_changed);
    pthread_mutex_unlock(&resolver_lock);
    return EAI_NONAME;
}

static void resolver_stick(void)
{
    pthread_mutex_lock(&resolver_lock);
    resolver_is_stuck = true;
    pthread_mutex_unlock(&resolver_lock);
}

/* How many wait in it. */
static int resolver_callers(void)
{
    pthread_mutex_lock(&resolver_lock);
    int callers = resolver_inside;
    pthread_mutex_unlock(&resolver_lock);
    return callers;
}

/* Returns when nobody waits any more. */
static void resolver_let_go(void)
{
    pthread_mutex_lock(&resolver_lock);
    resolver_is_stuck = false;
    pthread_cond_broadcast(&resolver_changed);
    while (resolver_inside > 0)
        pthread_cond_wait(&resolver_changed, &resolver_lock);
    pthread_mutex_unlock(&resolver_lock);
}

#endif
