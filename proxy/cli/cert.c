/*
 * Happy path: the certificate is made and put where listeners with TLS look for it; what to do with
 * it is printed.
 *
 * Failures: 78 the configuration, or a folder or key that is not safe · 65 a key that is none.
 */
#include <sysexits.h>

#include "base/clock.h"
#include "cli/configuration.h"
#include "cli/print.h"
#include "keeper/exit_code.h"
#include "keeper/own_certificate.h"

static void print_facts(const struct own_certificate *certificate, const char *fingerprint)
{
    char starts[PRINT_TIME_CAPACITY], ends[PRINT_TIME_CAPACITY];
    print_line("certificate  %s", certificate->certificate_file);
    print_line("key          %s, %s", certificate->key_file,
               certificate->has_new_key
                   ? "made anew"
                   : "the same as before, the certificate is renewed (--new-key makes another)");
    print_line("SHA-256      %s", fingerprint);
    print_line("valid        %s to %s, for localhost, 127.0.0.1 and ::1",
               print_time(certificate->facts.not_before, starts),
               print_time(certificate->facts.not_after, ends));
}

static void print_lines(const struct own_certificate *certificate)
{
    print_line("%s", "");
    print_line("%s", "For a [listen NAME] of the configuration, then ecluse reload; the last two "
                     "are the default:");
    print_line("%s", "  tls = on   ; or starttls");
    print_line("  tls_cert = %s", certificate->certificate_file);
    print_line("  tls_key = %s", certificate->key_file);
}

static void print_trust(const char *file, const char *fingerprint)
{
    print_line("%s", "");
    print_line("%s", "How programs come to trust it:");
    print_line("  Debian, all programs   sudo cp %s /usr/local/share/ca-certificates/ecluse.crt && "
               "sudo update-ca-certificates",
               file);
    print_line("%s",
               "  Firefox, Thunderbird   confirm the exception that they offer when SHA-256 is "
               "the same as above");
    print_line("  curl                   --cacert %s", file);
    print_line("  msmtp, mpop            tls_trust_file %s", file);
    print_line("                         or tls_fingerprint %s", fingerprint);
    print_line("  mutt                   set certificate_file = \"%s\"", file);
}

static void print_as_json(const struct own_certificate *certificate, const char *fingerprint)
{
    json_t *json =
        json_pack("{s:s, s:s, s:b, s:s, s:I, s:I}", "certificate", certificate->certificate_file,
                  "key", certificate->key_file, "new_key", certificate->has_new_key, "fingerprint",
                  fingerprint, "not_before", (json_int_t)certificate->facts.not_before, "not_after",
                  (json_int_t)certificate->facts.not_after);
    print_json(json);
    json_decref(json);
}

static void report(const struct arguments *arguments, const struct own_certificate *certificate)
{
    char fingerprint[TLS_FINGERPRINT_TEXT];
    tls_fingerprint_text(certificate->facts.fingerprint, fingerprint);
    if (arguments->json) {
        print_as_json(certificate, fingerprint);
        return;
    }
    print_facts(certificate, fingerprint);
    print_lines(certificate);
    print_trust(certificate->certificate_file, fingerprint);
}

static int run(const struct arguments *arguments)
{
    struct config *config = NULL;
    struct own_certificate certificate;
    struct err err;
    int exit_code = configuration_read(arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    bool wants_new_key = arguments_value(arguments, "--new-key") != NULL;
    int status = own_certificate_make(config->state_dir, wants_new_key, clock_wall_seconds(),
                                      &certificate, &err);
    config_free(config);
    if (status != 0)
        return print_failure(exit_code_of(status), "cert: %s%s", err.text,
                             status == ERR_SYNTAX ? "; --new-key makes another" : "");
    report(arguments, &certificate);
    own_certificate_clear(&certificate);
    return EX_OK;
}

static const struct flag flags[] = {
    {"--new-key", NULL, "make another key, too; whatever trusted the old one must trust it anew"},
};

const struct subcommand subcommand_cert = {
    .name = "cert",
    .operands = "",
    .summary = "make a key and a certificate for localhost, for listeners with TLS",
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .has_json = true,
    .run = run,
};
