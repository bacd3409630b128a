/*
 * Happy path: the commands are copied, since a reload may end the configuration under them, and run
 * in the order of enum token_input; what the last one prints ends the collection.
 *
 * Failures: a command that fails, hangs, or prints what is no secret ends it at once, and those
 * after it are not run.
 */
#include "keeper/token_inputs.h"

#include <stdio.h>

#include "keeper/secret_command.h"

#define COMMAND_MILLISECONDS (30 * 1000)

struct token_collection {
    struct loop *loop;
    char *commands[TOKEN_INPUT_COUNT];
    struct token_inputs inputs;
    enum token_input current;
    struct secret_command *command;
    void (*on_done)(void *owner, int status, struct token_inputs *inputs, const char *reason);
    void *owner;
};

static const char *const option_names[TOKEN_INPUT_COUNT] = {
    [TOKEN_INPUT_CLIENT_SECRET] = "client_secret_command",
    [TOKEN_INPUT_PASSPHRASE] = "jwt_passphrase_command",
    [TOKEN_INPUT_PASSWORD] = "password_command",
};

static const char *command_of(const struct account_config *account, enum token_input input)
{
    switch (input) {
    case TOKEN_INPUT_CLIENT_SECRET:
        return account->client_secret_command;
    case TOKEN_INPUT_PASSPHRASE:
        return account->jwt_passphrase_command;
    case TOKEN_INPUT_PASSWORD:
        return account->flow == FLOW_PASSWORD ? account->password_command : "";
    case TOKEN_INPUT_COUNT:
        break;
    }
    return "";
}

void token_inputs_wipe(struct token_inputs *inputs)
{
    for (enum token_input input = 0; input < TOKEN_INPUT_COUNT; input++)
        secret_wipe(&inputs->secrets[input]);
}

static void collection_free(struct token_collection *collection)
{
    for (enum token_input input = 0; input < TOKEN_INPUT_COUNT; input++)
        mem_free(collection->commands[input]);
    token_inputs_wipe(&collection->inputs);
    mem_free(collection);
}

static void run(struct token_collection *collection);

static void on_printed(void *owner, int status, struct secret *output, const char *reason)
{
    struct token_collection *collection = owner;
    char text[240];
    collection->command = NULL;
    if (status == 0) {
        secret_move(&collection->inputs.secrets[collection->current++], output);
        run(collection);
        return;
    }
    snprintf(text, sizeof(text), "its %s %s", option_names[collection->current], reason);
    collection->on_done(collection->owner, status, NULL, text);
    collection_free(collection);
}

/* The next command, or the end. */
static void run(struct token_collection *collection)
{
    while (collection->current < TOKEN_INPUT_COUNT &&
           *collection->commands[collection->current] == '\0')
        collection->current++;
    if (collection->current == TOKEN_INPUT_COUNT) {
        collection->on_done(collection->owner, 0, &collection->inputs, "");
        collection_free(collection);
        return;
    }
    collection->command =
        secret_command_start(collection->loop, collection->commands[collection->current],
                             COMMAND_MILLISECONDS, on_printed, collection);
}

static bool has_any(const struct account_config *account)
{
    for (enum token_input input = 0; input < TOKEN_INPUT_COUNT; input++)
        if (*command_of(account, input) != '\0')
            return true;
    return false;
}

struct token_collection *token_inputs_collect(
    struct loop *loop, const struct account_config *account,
    void (*on_done)(void *owner, int status, struct token_inputs *inputs, const char *reason),
    void *owner)
{
    if (!has_any(account))
        return NULL;
    struct token_collection *collection = mem_new(sizeof(*collection));
    collection->loop = loop;
    collection->on_done = on_done;
    collection->owner = owner;
    for (enum token_input input = 0; input < TOKEN_INPUT_COUNT; input++)
        collection->commands[input] = mem_copy_string(command_of(account, input));
    run(collection);
    return collection;
}

/* Between two commands nobody but the loop has the word, so that one is running. */
void token_inputs_cancel(struct token_collection *collection)
{
    secret_command_cancel(collection->command);
    collection_free(collection);
}
