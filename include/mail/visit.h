/*
 * What is said by one who has logged in only to see that it works: a question that reads no mail
 * and changes nothing, and goodbye. The question matters: some servers take a login that opens no
 * mailbox, and say so at the first command that needs one.
 */
#ifndef ECLUSE_MAIL_VISIT_H
#define ECLUSE_MAIL_VISIT_H

#include "base/slice.h"
#include "base/terms.h"

#define VISIT_LINE_MAX   8192u         /* of an answer */
#define VISIT_ANSWER_MAX (64ul * 1024) /* and of all of it */

struct visit {
    const char *question, *goodbye; /* whole lines */
};

enum visit_answer { VISIT_MORE, VISIT_YES, VISIT_NO };

const struct visit *visit_of(enum protocol protocol);
/* Of one line, without its end, that comes after the question. */
enum visit_answer visit_read(enum protocol protocol, struct slice line);

#endif
