/* With -DREPLAY the inputs that are named on the command line, instead of a fuzzer's. Included last: it takes CLAIM from before. */
#ifdef REPLAY
#include <stdio.h>

int main(int count, char **paths)
{
    static uint8_t data[1 << 20];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        CLAIM(file);
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        uint8_t *exact = malloc(size ? size : 1); /* its own allocation: a read beyond it is seen */
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    return 0;
}
#endif
