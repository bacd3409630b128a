#include "scratch_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *not_null(void *pointer)
{
    if (pointer == NULL)
        abort();
    return pointer;
}

char *scratch_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = not_null(malloc(size));
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

char *scratch_folder_new(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = scratch_path(parent != NULL ? parent : P_tmpdir, "ecluse-test-XXXXXX");
    char *made = not_null(mkdtemp(path));
    char *resolved = not_null(realpath(made, NULL));
    free(path);
    return resolved;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *position)
{
    (void)stat;
    (void)kind;
    (void)position;
    return remove(path);
}

/* A folder that a test closed must be opened before its content can be removed. */
static int open_up(const char *path, const struct stat *stat, int kind, struct FTW *position)
{
    (void)position;
    if (kind == FTW_D && (stat->st_mode & 0700) != 0700)
        return chmod(path, 0700);
    return 0;
}

void scratch_folder_remove(char *path)
{
    nftw(path, open_up, 16, FTW_PHYS);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}
