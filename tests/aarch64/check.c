/* Codes on this machine what another one coded, and compares byte for byte: `make test-aarch64`.
 *
 * The file that it is given is a row of blobs, each u32 length and bytes (see __main__.py, which writes it): for each
 * level the tables, then planes with their memory, and the payload and memory that the other machine made of them.
 */
#include "../../narrows/contract/codec/kernel.c"

#include <stdio.h>
#include <stdlib.h>

static FILE *file;

static void fail(const char *what)
{
    printf("differs: %s\n", what);
    exit(1);
}

static void *blob(uint32_t *size)
{
    uint32_t length;
    if (fread(&length, sizeof length, 1, file) != 1) fail("the file ends early");
    void *data = malloc(length ? length : 1);
    if (length && fread(data, length, 1, file) != 1) fail("the file ends early");
    if (size) *size = length;
    return data;
}

static uint32_t number(void)
{
    uint32_t *data = blob(0), value = *data;
    free(data);
    return value;
}

static Contexts contexts(void)
{
    const uint32_t bins = number(), weights = number();
    Contexts read = {.bins = bins, .weights = weights};
    read.magnitude_weights = blob(0);
    read.sign_weights = blob(0);
    read.parents_begin = blob(0);
    read.parents = blob(0);
    read.parent_weights = blob(0);
    read.magnitude_bin = blob(0);
    read.sign_class = blob(0);
    read.choices = blob(0);
    return read;
}

static Level level_of(void)
{
    uint32_t bytes;
    Level level = {.channels = number()};
    level.channel = blob(&bytes);
    level.live = bytes / sizeof(uint16_t);
    level.key = contexts();
    level.predicted = contexts();
    const uint16_t *counts = blob(&bytes);
    const uint32_t tables = bytes / sizeof(uint16_t);
    const uint16_t *frequencies = blob(&bytes);
    const uint32_t entries = bytes / sizeof(uint16_t);
    Table *expanded = calloc(tables, sizeof *expanded);
    uint16_t *starts = calloc(entries + tables, sizeof *starts);
    Step *steps = calloc(entries + 2, sizeof *steps);
    if (narrows_expand(tables, counts, frequencies, expanded, starts, steps)) fail("the tables");
    level.tables = expanded, level.starts = starts, level.steps = steps;
    return level;
}

static void check_plane(const Level *level)
{
    uint32_t count, memory_bytes, size, after_bytes;
    const uint32_t height = number(), width = number();
    int8_t *symbols = blob(&count);
    int16_t *given = blob(&memory_bytes), *memory = memory_bytes ? given : 0;
    uint8_t *payload = blob(&size);
    int16_t *after = blob(&after_bytes), *own = malloc(count * sizeof *own);
    const uint64_t room = (uint64_t)count * 4 + 8;
    uint8_t *out = malloc(room);
    uint16_t *planned = malloc((size_t)height * width * STEPS_A_SYMBOL * sizeof *planned);
    uint32_t *scratch = malloc(narrows_scratch_words(level->live, height, width) * sizeof *scratch);
    int8_t *decoded = calloc(count, 1);
    if (narrows_encode(level, symbols, memory, height, width, scratch, planned, out, room) != size) fail("a payload's size");
    if (memcmp(out + room - size, payload, size)) fail("a payload");
    if (narrows_decode(level, payload, size, memory, height, width, scratch, decoded)) fail("a payload is refused");
    if (memcmp(decoded, symbols, count)) fail("the symbols");
    if (memory) narrows_remember(symbols, memory, count, own);
    if (memory && memcmp(own, after, after_bytes)) fail("the memory");
    free(symbols), free(given), free(payload), free(after), free(own), free(out), free(planned), free(scratch), free(decoded);
}

int main(int count, char **arguments)
{
    if (count != 2 || !(file = fopen(arguments[1], "rb"))) fail("no file is named that can be read");
    uint32_t planes = 0;
    const uint32_t levels = number();
    for (uint32_t i = 0; i < levels; i++) {
        const Level level = level_of();
        const uint32_t here = number();
        for (uint32_t p = 0; p < here; p++) check_plane(&level);
        planes += here;
    }
    printf("%u levels, %u planes: the same\n", levels, planes);
    return 0;
}
