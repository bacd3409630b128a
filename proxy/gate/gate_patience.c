/*
 * How long a gate waits for what. There is nothing to fail.
 */
#include "gate/gate.h"

void gate_set_patience(struct gate_settings *settings)
{
    settings->patience[PATIENCE_CLIENT] = 60000;
    settings->patience[PATIENCE_KEEPER] = 45000;
    settings->patience[PATIENCE_UPSTREAM] = 30000;
    settings->flush = 5000;
    settings->login = 60000;
    settings->idle = 30 * 60000;
    settings->content = 60000;
    settings->taking = 3 * 60000;   /* RFC 5321 section 4.5.3.2.5 */
    settings->verdict = 10 * 60000; /* and .6 */
    settings->gather = 4;           /* the journal may take as long again before it writes */
}
