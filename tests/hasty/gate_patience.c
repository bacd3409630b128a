/*
 * The patience of a gate that a test of silence can wait for; long enough for a login on a busy
 * machine. In the place of proxy/gate/gate_patience.c.
 */
#include "gate/gate.h"

void gate_set_patience(struct gate_settings *settings)
{
    settings->patience[PATIENCE_CLIENT] = 6000;
    settings->patience[PATIENCE_KEEPER] = 6000;
    settings->patience[PATIENCE_UPSTREAM] = 6000;
    settings->flush = 2000;
    settings->login = 8000;
    settings->idle = 8000;
    settings->content = 5000;
    settings->taking = 5000;
    settings->verdict = 8000;
    settings->gather = 4; /* the journal may take as long again before it writes */
}
