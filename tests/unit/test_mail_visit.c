/*
 * The one question after a login, and what its answers say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/visit.h"

static void answers(void **state)
{
    static const struct {
        enum protocol protocol;
        const char *line;
        enum visit_answer answer;
    } rows[] = {
        {PROTOCOL_IMAP, "* LIST (\\Noselect) \"/\" \"\"", VISIT_MORE},
        {PROTOCOL_IMAP, "v1 OK List completed.", VISIT_YES},
        {PROTOCOL_IMAP, "V1 ok", VISIT_YES},
        {PROTOCOL_IMAP, "v1 BAD User is authenticated but not connected.", VISIT_NO},
        {PROTOCOL_IMAP, "v1 NO [UNAVAILABLE] later", VISIT_NO},
        {PROTOCOL_IMAP, "* BYE Session invalidated - AccessTokenExpired", VISIT_NO},
        {PROTOCOL_IMAP, "v2 OK somebody else's", VISIT_NO},
        {PROTOCOL_IMAP, "", VISIT_NO},
        {PROTOCOL_POP3, "+OK", VISIT_YES},
        {PROTOCOL_POP3, "-ERR gone", VISIT_NO},
        {PROTOCOL_POP3, "", VISIT_NO},
        {PROTOCOL_SMTP, "250-more", VISIT_MORE},
        {PROTOCOL_SMTP, "250 2.0.0 OK", VISIT_YES},
        {PROTOCOL_SMTP, "250", VISIT_YES},
        {PROTOCOL_SMTP, "421 4.7.0 go away", VISIT_NO},
        {PROTOCOL_SMTP, "", VISIT_NO},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        assert_int_equal(visit_read(rows[i].protocol, slice_of_string(rows[i].line)),
                         rows[i].answer);
}

/* Nothing that reads mail, or changes anything. */
static void questions(void **state)
{
    (void)state;
    assert_string_equal(visit_of(PROTOCOL_IMAP)->question, "v1 LIST \"\" \"\"\r\n");
    assert_string_equal(visit_of(PROTOCOL_IMAP)->goodbye, "v2 LOGOUT\r\n");
    for (int protocol = PROTOCOL_POP3; protocol <= PROTOCOL_SMTP; protocol++) {
        assert_string_equal(visit_of((enum protocol)protocol)->question, "NOOP\r\n");
        assert_string_equal(visit_of((enum protocol)protocol)->goodbye, "QUIT\r\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
