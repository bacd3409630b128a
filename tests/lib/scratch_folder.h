/*
 * A folder of a test's own, removed with all that is in it.
 */
#ifndef ECLUSE_TESTS_SCRATCH_FOLDER_H
#define ECLUSE_TESTS_SCRATCH_FOLDER_H

/* Its absolute path (0700, below $TMPDIR); freed by scratch_folder_remove. */
char *scratch_folder_new(void);
void scratch_folder_remove(char *path);

/* folder/name; freed by free(). */
char *scratch_path(const char *folder, const char *name);

#endif
