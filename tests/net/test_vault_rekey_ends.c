/*
 * A vault that is sealed anew by a process that dies, or before a disk that fails, at every single
 * system call that changes a file.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "vault_world.h"

/* ---- system calls that fail, or are the last ---- */

static enum { ALL_IS_WELL, IT_DIES, IT_FAILS } what_happens;
static unsigned calls_left; /* until it happens; once */

static bool happens_now(void)
{
    if (what_happens == ALL_IS_WELL || calls_left == 0 || --calls_left > 0)
        return false;
    if (what_happens == IT_DIES)
        kill(getpid(), SIGKILL);
    errno = EIO;
    return true;
}

#define EVERYBODYS __attribute__((visibility("default")))
#define STAND_IN_FOR(result, name, parameters, arguments)                                          \
    EVERYBODYS result name parameters;                                                             \
    EVERYBODYS result name parameters                                                              \
    {                                                                                              \
        static result(*real) parameters;                                                           \
        if (real == NULL)                                                                          \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        return happens_now() ? (result)-1 : real arguments;                                        \
    }

STAND_IN_FOR(ssize_t, write, (int file, const void *bytes, size_t size), (file, bytes, size))
STAND_IN_FOR(ssize_t, pwrite, (int file, const void *bytes, size_t size, off_t offset),
             (file, bytes, size, offset))
STAND_IN_FOR(ssize_t, pwrite64, (int file, const void *bytes, size_t size, off64_t offset),
             (file, bytes, size, offset))
STAND_IN_FOR(int, fsync, (int file), (file))
STAND_IN_FOR(int, fdatasync, (int file), (file))
STAND_IN_FOR(int, ftruncate, (int file, off_t size), (file, size))
STAND_IN_FOR(int, ftruncate64, (int file, off64_t size), (file, size))
STAND_IN_FOR(int, unlink, (const char *path), (path))
STAND_IN_FOR(int, unlinkat, (int folder, const char *name, int flags), (folder, name, flags))
STAND_IN_FOR(int, renameat2,
             (int from, const char *old, int to, const char *new, unsigned int flags),
             (from, old, to, new, flags))

/* ---- sealing anew ---- */

enum outcome { DONE, REFUSED, KILLED };

/* In a process of its own, in which the call of that number is the last, or fails. */
static enum outcome rekey_badly(struct place *place, const char *to, int what, unsigned number)
{
    pid_t child = fork();
    if (child == 0) {
        struct err err;
        struct vault_left left;
        what_happens = what;
        calls_left = number;
        int status = rekey(place, NULL, to, &left, &err);
        _exit(calls_left > 0 ? 99 : status == 0 ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return KILLED;
    }
    int code = WEXITSTATUS(status);
    assert_true(code == 0 || code == 3 || code == 99);
    return code == 3 ? REFUSED : DONE;
}

/* Which of the two it is sealed with now. */
static const char *source_now(struct place *place)
{
    struct vault_lock lock;
    struct err err = {0};
    assert_int_equal(vault_read_lock(place->folder, &lock, &err), 0);
    return lock.kind == VAULT_KEY_FILE ? "keyfile" : "credential:key";
}

static void a_death_at_any_call_leaves_a_vault_that_opens(void **state)
{
    struct place *place = *state;
    unsigned number = 0;
    do
        number++;
    while (rekey_badly(place, "keyfile", IT_DIES, number) == KILLED &&
           (assert_opens(place, "keyfile"), true));
    assert_opens(place, "keyfile");
    assert_true(number > 20);
    print_message("%u calls to die at\n", number - 1);
    assert_false(is_there(place, "vault.key.next"));
}

static void a_death_at_any_call_leaves_the_old_source_or_the_new(void **state)
{
    struct place *place = *state;
    unsigned number = 0, seen_new = 0;
    do {
        number++;
        bool is_killed = rekey_badly(place, "credential:key", IT_DIES, number) == KILLED;
        const char *source = source_now(place);
        assert_opens(place, source);
        if (!is_killed)
            break;
        if (strcmp(source, "keyfile") != 0) {
            seen_new++;
            assert_rekeys(place, source, "keyfile");
        }
    } while (true);
    assert_true(number > 20 && seen_new > 0);
    assert_false(is_there(place, "vault.key"));
}

static void a_failure_at_any_call_leaves_a_vault_that_opens(void **state)
{
    struct place *place = *state;
    unsigned number = 0, refused = 0;
    for (number = 1; number < 60; number++) {
        refused += rekey_badly(place, "keyfile", IT_FAILS, number) == REFUSED;
        assert_opens(place, "keyfile");
    }
    assert_true(refused > 20);
}

int main(void)
{
    alarm(240);
    const struct CMUnitTest tests[] = {
        TEST(a_death_at_any_call_leaves_a_vault_that_opens),
        TEST(a_death_at_any_call_leaves_the_old_source_or_the_new),
        TEST(a_failure_at_any_call_leaves_a_vault_that_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
