/*
 * A QR code on the terminal, so that a telephone can take an address from it.
 */
#ifndef ECLUSE_CLI_QR_H
#define ECLUSE_CLI_QR_H

/* On stdout, in half blocks, dark on light; nothing where stdout is no terminal, or its locale not
 * UTF-8, or the text too long. */
void qr_print(const char *text);

#endif
