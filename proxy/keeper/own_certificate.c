/*
 * Happy path: the key is read, or made and put in its place; then the certificate.
 *
 * Failures:
 *   the folder or the key can be reached by others    ERR_DENIED
 *   what is there as key is none                      ERR_SYNTAX; nothing is overwritten
 *   the end comes between a new key and its           the pair does not fit, listeners refuse it,
 *   certificate                                       and the next call makes what is missing
 */
#include "keeper/own_certificate.h"

#include "auth/message.h"
#include "keeper/listener_tls.h"
#include "keeper/state_folder.h"
#include "keeper/whole_file.h"

static int read_key(const struct state_folder *folder, const char *path, struct secret *key_out,
                    struct err *err)
{
    struct buf text;
    int status = state_folder_check_file(folder, LISTENER_KEY_NAME, err);
    if (status != 0)
        return status;
    buf_init(&text, MESSAGE_PEM_MAX);
    status = whole_file_read(path, true, &text, err);
    if (status == 0)
        secret_set(key_out, buf_bytes(&text));
    buf_fini(&text);
    return status;
}

static int find_key(const struct state_folder *folder, bool wants_new_key,
                    struct own_certificate *certificate, struct secret *key_out, struct err *err)
{
    int status =
        wants_new_key ? ERR_NOT_FOUND : read_key(folder, certificate->key_file, key_out, err);
    if (status != ERR_NOT_FOUND)
        return status;
    tls_key_make(key_out);
    certificate->has_new_key = true;
    return state_folder_replace_whole(folder, LISTENER_KEY_NAME, secret_bytes(key_out), err);
}

static int make(const struct state_folder *folder, bool wants_new_key, int64_t now,
                struct own_certificate *certificate, struct err *err)
{
    struct secret key = {0};
    char *text = NULL;
    int status = find_key(folder, wants_new_key, certificate, &key, err);
    if (status == 0 && (status = tls_certificate_make(secret_bytes(&key), now, &text, err)) != 0)
        err_wrap(err, "%s", certificate->key_file);
    if (status == 0)
        status = tls_certificate_read(slice_of_string(text), &certificate->facts, err);
    if (status == 0)
        status = state_folder_replace_whole(folder, LISTENER_CERTIFICATE_NAME,
                                            slice_of_string(text), err);
    mem_free(text);
    secret_wipe(&key);
    return status;
}

int own_certificate_make(const char *state_dir, bool wants_new_key, int64_t now,
                         struct own_certificate *certificate_out, struct err *err)
{
    struct state_folder *folder;
    *certificate_out = (struct own_certificate){0};
    int status = state_folder_open_unlocked(state_dir, &folder, err);
    if (status != 0)
        return status;
    certificate_out->certificate_file =
        listener_tls_file(state_folder_path(folder), LISTENER_CERTIFICATE_NAME);
    certificate_out->key_file = listener_tls_file(state_folder_path(folder), LISTENER_KEY_NAME);
    status = make(folder, wants_new_key, now, certificate_out, err);
    if (status != 0)
        own_certificate_clear(certificate_out);
    state_folder_close(folder);
    return status;
}

void own_certificate_clear(struct own_certificate *certificate)
{
    mem_free(certificate->certificate_file);
    mem_free(certificate->key_file);
    *certificate = (struct own_certificate){0};
}
