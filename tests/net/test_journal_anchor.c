/*
 * The second place of checkpoints: a socket as the system's log has it, which comes and goes, and a
 * file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/scratch_folder.h"
#include "keeper/journal_anchor.h"

#define LINE SLICE_LITERAL("{\"event\":1}\n")

struct place {
    char *folder, *socket, *file;
    struct err err;
};

static int set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    place->folder = scratch_folder_new();
    place->socket = scratch_path(place->folder, "log");
    place->file = scratch_path(place->folder, "anchor");
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    scratch_folder_remove(place->folder);
    free(place->socket);
    free(place->file);
    mem_free(place);
    return 0;
}

static int listen_as_log(const struct place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int log = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(log >= 0);
    memcpy(address.sun_path, place->socket, strlen(place->socket) + 1);
    assert_int_equal(bind(log, (struct sockaddr *)&address, sizeof(address)), 0);
    return log;
}

static void stop_listening(const struct place *place, int log)
{
    close(log);
    assert_int_equal(unlink(place->socket), 0);
}

/* As rsyslog and journald want it, and without the line's end. */
static void assert_heard(int log)
{
    char text[400];
    ssize_t size = recv(log, text, sizeof(text) - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    assert_memory_equal(text, "<86>", 4);
    char *message = strstr(text, " ecluse-audit[");
    assert_non_null(message);
    assert_non_null(strstr(message, "]: {\"event\":1}"));
    assert_int_equal(text[size - 1], '}');
}

static void the_log_is_found_again(void **state)
{
    struct place *place = *state;
    struct journal_anchor *anchor = journal_anchor_new("syslog", place->socket);
    assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), ERR_SYSTEM);
    assert_non_null(strstr(place->err.text, "audit_anchor: "));
    int log = listen_as_log(place);
    assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), 0);
    assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), 0);
    assert_heard(log);
    assert_heard(log);
    stop_listening(place, log);
    assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), ERR_SYSTEM);
    log = listen_as_log(place);
    assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), 0);
    assert_heard(log);
    stop_listening(place, log);
    journal_anchor_free(anchor);
}

static void a_log_that_does_not_read_holds_nobody_up(void **state)
{
    struct place *place = *state;
    struct journal_anchor *anchor = journal_anchor_new("auto", place->socket);
    int log = listen_as_log(place), status = 0;
    for (int i = 0; i < 100000 && status == 0; i++)
        status = journal_anchor_write(anchor, LINE, &place->err);
    assert_int_equal(status, ERR_SYSTEM);
    stop_listening(place, log);
    journal_anchor_free(anchor);
}

static void without_a_log_auto_is_none(void **state)
{
    struct place *place = *state;
    static const char *const where[] = {"auto", "none"};
    for (size_t i = 0; i < LENGTH_OF(where); i++) {
        struct journal_anchor *anchor = journal_anchor_new(where[i], place->socket);
        assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), 0);
        journal_anchor_free(anchor);
    }
}

static void a_file_is_appended_to(void **state)
{
    struct place *place = *state;
    struct stat about;
    for (int i = 1; i <= 2; i++) {
        struct journal_anchor *anchor = journal_anchor_new(place->file, place->socket);
        assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), 0);
        journal_anchor_free(anchor);
        assert_int_equal(stat(place->file, &about), 0);
        assert_int_equal(about.st_size, (off_t)LINE.size * i);
        assert_int_equal(about.st_mode & 07777, 0600);
    }
}

static void a_link_is_not_followed(void **state)
{
    struct place *place = *state;
    struct journal_anchor *anchor = journal_anchor_new(place->file, place->socket);
    assert_int_equal(symlink("elsewhere", place->file), 0);
    assert_int_equal(journal_anchor_write(anchor, LINE, &place->err), ERR_SYSTEM);
    journal_anchor_free(anchor);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_log_is_found_again),     TEST(a_log_that_does_not_read_holds_nobody_up),
        TEST(without_a_log_auto_is_none), TEST(a_file_is_appended_to),
        TEST(a_link_is_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
