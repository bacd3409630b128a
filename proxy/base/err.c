#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_code_text(int code)
{
    switch (code) {
    case 0:
        return "ok";
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        ERR_CODES(X)
#undef X
    default:
        return "unknown error";
    }
}

int err_set(struct err *err, int code, const char *format, ...)
{
    if (err == NULL)
        return code;
    va_list arguments;
    va_start(arguments, format);
    err->code = code;
    vsnprintf(err->text, sizeof(err->text), format, arguments);
    va_end(arguments);
    return code;
}

int err_set_errno(struct err *err, const char *format, ...)
{
    int number = errno;
    if (err == NULL)
        return ERR_SYSTEM;
    va_list arguments;
    va_start(arguments, format);
    err->code = ERR_SYSTEM;
    int size = vsnprintf(err->text, sizeof(err->text), format, arguments);
    va_end(arguments);
    if (size >= 0 && (size_t)size < sizeof(err->text))
        snprintf(err->text + size, sizeof(err->text) - (size_t)size, ": %s", strerror(number));
    return ERR_SYSTEM;
}

int err_wrap(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return ERR_SYSTEM;
    char inner[sizeof(err->text)];
    memcpy(inner, err->text, sizeof(inner));
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(err->text, sizeof(err->text), format, arguments);
    va_end(arguments);
    if (size >= 0 && (size_t)size < sizeof(err->text))
        snprintf(err->text + size, sizeof(err->text) - (size_t)size, ": %s", inner);
    return err->code;
}
