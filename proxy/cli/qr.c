#include "cli/qr.h"

#include <qrencode.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUIET     2 /* modules of light around it */
#define WIDTH_MAX 61

static bool is_utf8_terminal(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    if (!isatty(STDOUT_FILENO))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

static bool is_dark(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return false;
    return (code->data[y * code->width + x] & 1) != 0;
}

/* Black on white, whatever the terminal's colours are: two rows of modules a line. */
static void print_rows(const QRcode *code)
{
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        fputs("  \033[30;47m", stdout);
        for (int x = -QUIET; x < code->width + QUIET; x++) {
            bool upper = is_dark(code, x, y), lower = is_dark(code, x, y + 1);
            fputs(upper ? lower ? "\u2588" : "\u2580" : lower ? "\u2584" : " ", stdout);
        }
        fputs("\033[0m\n", stdout);
    }
    fputs("\n", stdout);
}

void qr_print(const char *text)
{
    if (!is_utf8_terminal())
        return;
    QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
    if (code == NULL)
        return;
    if (code->width <= WIDTH_MAX)
        print_rows(code);
    QRcode_free(code);
}
