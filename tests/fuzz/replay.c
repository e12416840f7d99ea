/*
 * Runs a fuzz target over its corpus without a fuzzer, so that `make test` sees every input that
 * was ever worth keeping:
 *
 *     build/replay/json tests/fuzz/corpus/json
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1024 * 1024 };

static unsigned char input[INPUT_MAX];

static int replay(const char *folder, const char *name)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = len > 0 && (size_t)len < sizeof path ? fopen(path, "rb") : NULL;
    if (file == NULL) {
        perror(name);
        return -1;
    }
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    /* A copy of the exact size, so that a sanitizer sees a read past its end. */
    unsigned char *exact = malloc(size != 0 ? size : 1);
    if (exact == NULL)
        return -1;
    memcpy(exact, input, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    int count = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (folder == NULL) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (replay(argv[1], entry->d_name) != 0)
            return EXIT_FAILURE;
        count++;
    }
    closedir(folder);
    printf("%s: %d inputs\n", argv[1], count);
    /* An empty corpus tests nothing. */
    return count != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
