#include "keeper/exit_code.h"

#include <sysexits.h>

int exit_code_of(int code)
{
    switch (code) {
    case 0:
        return EX_OK;
    case ERR_SYNTAX:
    case ERR_NOT_FOUND:
        return EX_DATAERR;
    case ERR_UNAVAILABLE:
    case ERR_CLOSED:
        return EX_UNAVAILABLE;
    case ERR_EXISTS:
        return EX_CANTCREAT;
    case ERR_BUSY:
    case ERR_FULL:
    case ERR_TIMEOUT:
        return EX_TEMPFAIL;
    case ERR_DENIED:
    case ERR_CONFIG:
        return EX_CONFIG;
    default:
        return EX_SOFTWARE;
    }
}

int exit_code_of_why(enum why why)
{
    switch (why) {
    case WHY_NONE:
        return EX_OK;
    case WHY_TOKEN_NEEDS_USER:
        return EX_NOPERM;
    case WHY_UNREACHABLE:
        return EX_TEMPFAIL;
    default:
        return EX_SOFTWARE;
    }
}
