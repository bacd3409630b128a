/*
 * The broker with accounts of flow none: a password from a command, which is a real one, or from
 * the vault. The command prints the file "password" and keeps count of its runs.
 */
#include "broker_world.h"

#include "../lib/database_probe.h"

#define LISTENER                                                                                   \
    "[listen imap]\n"                                                                              \
    "address = 127.0.0.1:1143\n"                                                                   \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "[provider elsewhere]\n"                                                                       \
    "imap = tls://imap.elsewhere.test:993\n"
#define STORED                                                                                     \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "flow = none\n"
#define BY_COMMAND STORED "password_command = echo run >>@/runs; "
#define PRINTS     BY_COMMAND "cat @/password\n" LISTENER

#define PAUSE_MAX_SECONDS 300

static int set_up_stored(void **state)
{
    (void)state;
    open_broker(STORED LISTENER);
    return 0;
}

static int set_up_command(void **state)
{
    (void)state;
    open_broker(PRINTS);
    return 0;
}

/* ---- the command ---- */

static void set_password(const char *password)
{
    keep_file("password", password);
}

static void await(struct asker *asker)
{
    bool is_alive = true;
    while (asker->answers == 0) {
        assert_true(is_alive);
        is_alive = uv_run(&test.world.loop.uv, UV_RUN_ONCE) != 0;
    }
}

/* A new asker's answer. */
static struct asker answer_to(uint64_t refused)
{
    struct asker asker = {0};
    ask(&asker, "work", refused);
    await(&asker);
    assert_int_equal(asker.answers, 1);
    return asker;
}

static uint64_t assert_answered(uint64_t refused, const char *password)
{
    struct asker asker = answer_to(refused);
    assert_given(&asker, password);
    assert_true(asker.expires > clock_wall_seconds());
    return asker.generation;
}

static void assert_refused(uint64_t refused, enum why why, const char *part)
{
    struct asker asker = answer_to(refused);
    assert_failed(&asker, why);
    if (strstr(asker.text, part) == NULL)
        fail_msg("%s", asker.text);
}

static void test_command_runs_once_for_all_who_wait(void **state)
{
    struct asker askers[20] = {0};
    (void)state;
    set_password("first");
    for (size_t i = 0; i < LENGTH_OF(askers); i++)
        ask(&askers[i], "work", 0);
    for (size_t i = 0; i < LENGTH_OF(askers); i++) {
        await(&askers[i]);
        assert_given(&askers[i], "first");
        assert_int_equal(askers[i].generation, askers[0].generation);
    }
    assert_int_equal(assert_answered(0, "first"), askers[0].generation);
    assert_int_equal(runs(), 1);
    assert_int_equal(script.started, 0);
    assert_int_equal(state_of("work").requests, 1);
}

static void test_changed_password_is_found_within_the_hour(void **state)
{
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    set_password("second");
    pass_seconds(2999);
    assert_int_equal(assert_answered(0, "first"), generation);
    assert_int_equal(runs(), 1);
    /* In the background, then. */
    pass_seconds(2);
    assert_int_equal(assert_answered(0, "first"), generation);
    settle();
    assert_int_equal(runs(), 2);
    assert_int_equal(assert_answered(0, "second"), generation + 1);
    assert_int_equal(runs(), 2);
}

static void test_same_password_keeps_its_generation(void **state)
{
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    pass_seconds(3600);
    assert_false(state_of("work").has_token);
    assert_int_equal(assert_answered(0, "first"), generation);
    assert_true(state_of("work").has_token);
    assert_int_equal(runs(), 2);
}

static void test_refused_password_that_was_changed(void **state)
{
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    set_password("second");
    assert_int_equal(assert_answered(generation, "second"), generation + 1);
    assert_int_equal(runs(), 2);
    /* A session that was slow hears of it without a run. */
    assert_int_equal(assert_answered(generation, "second"), generation + 1);
    assert_int_equal(runs(), 2);
}

static void test_refused_password_is_not_tried_again(void **state)
{
    struct asker first = {0}, second = {0}, bystander = {0};
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    ask(&first, "work", generation);
    ask(&second, "work", generation);
    turn();
    await(&first);
    await(&second);
    assert_failed(&first, WHY_TOKEN_NEEDS_USER);
    assert_failed(&second, WHY_TOKEN_NEEDS_USER);
    assert_non_null(strstr(first.text, "the provider refused the password of account work"));
    assert_non_null(strstr(first.text, "password_command"));
    assert_int_equal(runs(), 2);
    /* Nobody else does either, and no command runs for it. */
    ask(&bystander, "work", 0);
    await(&bystander);
    assert_failed(&bystander, WHY_TOKEN_NEEDS_USER);
    assert_refused(generation, WHY_TOKEN_NEEDS_USER, "the provider refused the password");
    assert_int_equal(runs(), 2);
    assert_false(state_of("work").has_token);
    assert_true(state_of("work").retry_at > clock_wall_seconds());
}

static void test_who_asks_while_the_refused_one_is_read_again(void **state)
{
    struct asker refused = {0}, bystander = {0};
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    pass_seconds(3600); /* it is good for nobody any more */
    ask(&refused, "work", generation);
    ask(&bystander, "work", 0);
    await(&refused);
    await(&bystander);
    assert_failed(&refused, WHY_TOKEN_NEEDS_USER);
    assert_failed(&bystander, WHY_TOKEN_NEEDS_USER);
    assert_int_equal(runs(), 2);
}

/* The provider may have been wrong, so that it gets another chance, but ever more rarely. */
static void test_refused_password_gets_a_chance_after_a_pause(void **state)
{
    int64_t pauses[4];
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    for (size_t i = 0; i < LENGTH_OF(pauses); i++) {
        assert_refused(generation, WHY_TOKEN_NEEDS_USER, "the provider refused the password");
        pauses[i] = state_of("work").retry_at - clock_wall_seconds();
        if (i > 0)
            assert_true(pauses[i] > pauses[i - 1]);
        pass_seconds(pauses[i]);
        assert_int_equal(assert_answered(0, "first"), generation);
    }
    set_password("second");
    assert_int_equal(assert_answered(generation, "second"), generation + 1);
    /* A new one starts from the beginning. */
    assert_refused(generation + 1, WHY_TOKEN_NEEDS_USER, "the provider refused the password");
    assert_true(state_of("work").retry_at - clock_wall_seconds() <= pauses[0]);
}

static void test_changed_password_is_found_after_the_pause(void **state)
{
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    assert_refused(generation, WHY_TOKEN_NEEDS_USER, "the provider refused the password");
    set_password("second");
    pass_seconds(PAUSE_MAX_SECONDS);
    assert_int_equal(assert_answered(0, "second"), generation + 1);
    assert_int_equal(assert_answered(generation, "second"), generation + 1);
}

/* ---- commands that fail ---- */

static void test_command_that_fails(void **state)
{
    (void)state;
    change_config(BY_COMMAND "echo canary; echo canary >&2; exit 3\n" LISTENER);
    for (unsigned i = 0; i < 2; i++) {
        struct asker asker = answer_to(0);
        assert_failed(&asker, WHY_UNREACHABLE);
        assert_non_null(strstr(asker.text, "its password_command ended with status 3"));
        assert_null(strstr(asker.text, "canary"));
    }
    /* The second was told of the first. */
    assert_int_equal(runs(), 1);
    pass_seconds(2);
    assert_refused(0, WHY_UNREACHABLE, "ended with status 3");
    assert_int_equal(runs(), 2);
}

static void test_good_password_outlives_a_command_that_fails(void **state)
{
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    char *path = scratch_path(test.world.folder, "password");
    assert_int_equal(unlink(path), 0);
    free(path);
    pass_seconds(3001);
    assert_int_equal(assert_answered(0, "first"), generation);
    settle();
    assert_int_equal(runs(), 2);
    assert_int_equal(assert_answered(0, "first"), generation);
    /* Refused, and nothing else to be had. */
    pass_seconds(2);
    assert_refused(generation, WHY_UNREACHABLE, "ended with status 1");
    pass_seconds(600);
    assert_refused(0, WHY_UNREACHABLE, "ended with status 1");
}

static void test_command_that_prints_too_much(void **state)
{
    (void)state;
    change_config(BY_COMMAND "echo canary; echo canary\n" LISTENER);
    struct asker asker = answer_to(0);
    assert_failed(&asker, WHY_UNREACHABLE);
    assert_non_null(strstr(asker.text, "printed more than one line"));
    assert_null(strstr(asker.text, "canary"));
}

/* ---- what happens under the command ---- */

static void test_reload_ends_the_old_command(void **state)
{
    struct asker asker = {0};
    (void)state;
    change_config(BY_COMMAND "sleep 1000\n" LISTENER);
    set_password("second");
    ask(&asker, "work", 0);
    turn();
    assert_int_equal(state_of("work").waiting, 1);
    change_config(PRINTS);
    assert_int_equal(asker.answers, 0);
    await(&asker);
    assert_given(&asker, "second");
}

static void test_reload_that_changes_nothing_keeps_the_password(void **state)
{
    (void)state;
    set_password("first");
    uint64_t generation = assert_answered(0, "first");
    change_config(PRINTS);
    assert_int_equal(assert_answered(0, "first"), generation);
    assert_int_equal(runs(), 1);
    change_config(STORED LISTENER);
    assert_refused(0, WHY_TOKEN_NEEDS_USER, "has no password");
}

static void test_cancelled_asker_leaves_the_command_to_others(void **state)
{
    struct asker gone = {0}, stays = {0};
    (void)state;
    /* It does not end before one of the two has left. */
    change_config(BY_COMMAND
                  "until test -s @/password; do sleep 0.01; done; cat @/password\n" LISTENER);
    ask(&gone, "work", 0);
    ask(&stays, "work", 0);
    turn();
    broker_cancel(gone.ticket);
    set_password("first");
    await(&stays);
    assert_given(&stays, "first");
    assert_int_equal(gone.answers, 0);
    assert_int_equal(runs(), 1);
}

static void test_close_ends_the_command(void **state)
{
    struct asker asker = {0};
    (void)state;
    change_config(BY_COMMAND "sleep 1000\n" LISTENER);
    ask(&asker, "work", 0);
    turn();
    assert_int_equal(state_of("work").waiting, 1);
    broker_close(test.broker);
    test.broker = NULL;
    /* The tear-down waits for the loop's last handle. */
    assert_int_equal(asker.answers, 0);
}

static void test_close_from_within_the_answer(void **state)
{
    struct asker asker = {.then_closes = true};
    (void)state;
    set_password("first");
    ask(&asker, "work", 0);
    await(&asker);
    assert_given(&asker, "first");
    test.broker = NULL;
}

/* ---- the vault ---- */

static void store(const char *issuer, const char *password)
{
    struct secret secret = {0};
    struct err err;
    secret_set(&secret, slice_of_string(password));
    assert_int_equal(vault_token_store(test.world.vault, "work", issuer, &secret, WALL_START, &err),
                     0);
    secret_wipe(&secret);
    broker_signed_in(test.broker, "work");
}

static void test_stored_password(void **state)
{
    (void)state;
    assert_refused(0, WHY_TOKEN_NEEDS_USER, "ecluse login work --password-stdin");
    store("password:local", "p\303\244ss word");
    uint64_t generation = assert_answered(0, "p\303\244ss word");
    pass_seconds(3600);
    assert_int_equal(assert_answered(0, "p\303\244ss word"), generation);
    store("password:local", "second");
    assert_int_equal(assert_answered(0, "second"), generation + 1);
    assert_int_equal(script.started, 0);
}

static void test_stored_password_that_is_refused(void **state)
{
    (void)state;
    store("password:local", "first");
    uint64_t generation = assert_answered(0, "first");
    assert_refused(generation, WHY_TOKEN_NEEDS_USER, "ecluse login work --password-stdin");
    assert_refused(0, WHY_TOKEN_NEEDS_USER, "the provider refused the password of account work");
    /* It is still there, should the provider have been wrong. */
    pass_seconds(PAUSE_MAX_SECONDS);
    assert_int_equal(assert_answered(0, "first"), generation);
    assert_refused(generation, WHY_TOKEN_NEEDS_USER, "ecluse login work --password-stdin");
    store("password:local", "second");
    assert_int_equal(assert_answered(0, "second"), generation + 1);
}

static void test_stored_password_that_is_damaged(void **state)
{
    static const uint8_t nothing[43];
    char *file = scratch_path(test.world.config->state_dir, "vault.db");
    (void)state;
    store("password:local", "first");
    database_poke(file, "UPDATE tokens SET refresh_token = ?", nothing, sizeof(nothing));
    free(file);
    assert_refused(0, WHY_TOKEN_NEEDS_USER,
                   "the password of account work in the vault is damaged, or was not put there by "
                   "ecluse; store it anew: ecluse login work --password-stdin");
    store("password:local", "second");
    (void)assert_answered(0, "second");
}

/* It is given to the provider that it was stored for, and to no other. */
static void test_password_of_another_provider(void **state)
{
    (void)state;
    store("password:elsewhere", "first");
    assert_refused(0, WHY_TOKEN_NEEDS_USER, "account work has no password");
    store(ISSUER_URL, "refresh-token");
    assert_refused(0, WHY_TOKEN_NEEDS_USER, "account work has no password");
    store("password:local", "first");
    assert_answered(0, "first");
    change_config("[account work]\naddress = alice@example.test\nprovider = elsewhere\n"
                  "flow = none\n" LISTENER);
    assert_refused(0, WHY_TOKEN_NEEDS_USER, "account work has no password");
}

#define STORED_CASE(test)  cmocka_unit_test_setup_teardown(test, set_up_stored, tear_down)
#define COMMAND_CASE(test) cmocka_unit_test_setup_teardown(test, set_up_command, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMMAND_CASE(test_command_runs_once_for_all_who_wait),
        COMMAND_CASE(test_changed_password_is_found_within_the_hour),
        COMMAND_CASE(test_same_password_keeps_its_generation),
        COMMAND_CASE(test_refused_password_that_was_changed),
        COMMAND_CASE(test_refused_password_is_not_tried_again),
        COMMAND_CASE(test_who_asks_while_the_refused_one_is_read_again),
        COMMAND_CASE(test_refused_password_gets_a_chance_after_a_pause),
        COMMAND_CASE(test_changed_password_is_found_after_the_pause),
        COMMAND_CASE(test_command_that_fails),
        COMMAND_CASE(test_good_password_outlives_a_command_that_fails),
        COMMAND_CASE(test_command_that_prints_too_much),
        COMMAND_CASE(test_reload_ends_the_old_command),
        COMMAND_CASE(test_reload_that_changes_nothing_keeps_the_password),
        COMMAND_CASE(test_cancelled_asker_leaves_the_command_to_others),
        COMMAND_CASE(test_close_ends_the_command),
        COMMAND_CASE(test_close_from_within_the_answer),
        STORED_CASE(test_stored_password),
        STORED_CASE(test_stored_password_that_is_refused),
        STORED_CASE(test_stored_password_that_is_damaged),
        STORED_CASE(test_password_of_another_provider),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
