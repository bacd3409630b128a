/*
 * Runs a fuzz target over every file of the given folders, for builds without libFuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The size is exact, so that a sanitizer sees a read behind the end. */
static int run_file(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) {
        fprintf(stderr, "%s: cannot be read as a file\n", path);
        if (file != NULL)
            fclose(file);
        return -1;
    }
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = mem_new(size);
    size_t got = fread(bytes, 1, size, file);
    fclose(file);
    if (got == size)
        LLVMFuzzerTestOneInput(bytes, size);
    else
        fprintf(stderr, "%s: cannot be read\n", path);
    mem_free(bytes);
    return got == size ? 0 : -1;
}

/* The number of inputs, or -1. */
static int run_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_visible, alphasort), status = 0;
    if (count < 0) {
        perror(folder);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (status == 0)
            status = run_file(path);
        mem_free(entries[i]);
    }
    mem_free(entries);
    if (count == 0)
        fprintf(stderr, "%s: no input in it\n", folder);
    return status == 0 && count > 0 ? count : -1;
}

int main(int count, char **arguments)
{
    int inputs = 0;
    for (int i = 1; i < count; i++) {
        int more = run_folder(arguments[i]);
        if (more < 0)
            return 1;
        inputs += more;
    }
    if (inputs == 0) {
        fputs("usage: replay FOLDER...\n", stderr);
        return 1;
    }
    printf("%s: %d inputs\n", arguments[0], inputs);
    return 0;
}
