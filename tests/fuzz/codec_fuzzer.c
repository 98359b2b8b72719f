/* A libFuzzer target over the whole kernel: `make fuzz`. With -DREPLAY it is a program that runs the files it is given.
 *
 * The input's head becomes tables that the parser in narrows/contract/codec/tables.py would accept (and some that it would not:
 * those only reach narrows_expand, which must refuse them); the rest is a payload, or symbols to code.
 * Beyond memory safety, five claims are held: what decodes encodes to the very same bytes, what is encoded decodes to
 * the very same symbols, a payload with a byte cut off or added never decodes to the same symbols, planes that are
 * decoded together, good ones beside bad ones, come to what each comes to alone, and both ways to a CRC come to the same.
 */
#include "../../narrows/contract/codec/crc.c"
#include "../../narrows/contract/codec/kernel.c"

#include <stdlib.h>

#define CHANNELS 3
#define TABLES 4
#define CLAIM(held) do { if (!(held)) abort(); } while (0)

typedef struct { const uint8_t *at, *end; } Input;

static uint8_t next(Input *input) { return input->at < input->end ? *input->at++ : 0; }

static uint16_t sizes[TABLES], frequencies[TABLES * 256], starts[TABLES * 256];
static Table tables[TABLES];
static Step steps[TABLES * 256];
static uint16_t channel[CHANNELS];

typedef struct {
    uint8_t magnitude_weights[CHANNELS * (NEIGHBOURS + TAPS)], parent_weights[CHANNELS * 2];
    int8_t sign_weights[CHANNELS * (NEIGHBOURS + TAPS)];
    uint16_t parents[CHANNELS * 2];
    uint32_t parents_begin[CHANNELS + 1];
    uint8_t magnitude_bin[CONTEXT_LIMIT + 1], sign_class[2 * (CONTEXT_LIMIT + 1)];
    uint32_t choices[CHANNELS * 256];
} Arrays;

static Arrays of_key, of_predicted;

/* Frequencies as they come: the kernel must refuse what does not sum to 65536. */
static void expand_anything(Input input)
{
    uint16_t counts[2] = {(uint16_t)(next(&input) + (next(&input) & 1) * 256u), next(&input)};
    uint16_t *raw = calloc(counts[0] + counts[1] + 1u, sizeof *raw);
    Table *out = calloc(2, sizeof *out);
    uint16_t *sums = calloc(counts[0] + counts[1] + 3u, sizeof *sums);
    Step *expanded = calloc(counts[0] + counts[1] + 3u, sizeof *expanded);
    for (uint32_t i = 0; i < (uint32_t)counts[0] + counts[1]; i++) raw[i] = (uint16_t)(next(&input) | next(&input) << 8);
    narrows_expand(2, counts, raw, out, sums, expanded);
    free(raw), free(out), free(sums), free(expanded);
}

static uint32_t make_tables(Input *input)
{
    static const uint16_t likely[8] = {2, 3, 4, 6, 12, 40, 254, 255};
    const uint32_t count = 1 + next(input) % TABLES;
    uint16_t *frequency = frequencies;
    for (uint32_t t = 0; t < count; t++) {
        sizes[t] = likely[next(input) & 7];
        uint32_t left = 65536u - sizes[t];
        for (uint32_t i = 0; i < sizes[t]; i++) {
            const uint32_t share = i + 1u == sizes[t] ? left : left * next(input) / 256;
            *frequency++ = (uint16_t)(1 + share);
            left -= share;
        }
    }
    CLAIM(narrows_expand(count, sizes, frequencies, tables, starts, steps) == OK);
    return count;
}

static Contexts make_contexts(Input *input, Arrays *arrays, uint32_t live, uint32_t weights, uint32_t tables_count)
{
    const uint32_t classes = 1 + 2 * (next(input) % 8), magnitudes = 1 + next(input) % 15, stride = 1u + next(input);
    for (uint32_t m = 0; m <= CONTEXT_LIMIT; m++) {
        const uint32_t bin = m / stride;
        arrays->magnitude_bin[m] = (uint8_t)((bin < magnitudes ? bin : magnitudes - 1) * classes);
    }
    for (uint32_t s = 0; s < sizeof arrays->sign_class; s++) arrays->sign_class[s] = (uint8_t)(s * classes / sizeof arrays->sign_class);
    for (uint32_t i = 0; i < CHANNELS * weights; i++) {
        const uint32_t tap = i % weights >= NEIGHBOURS; /* nine of at most 30 keep within the limit of 273 */
        arrays->magnitude_weights[i] = (uint8_t)(tap ? next(input) % 31 : next(input) % 250);
        arrays->sign_weights[i] = (int8_t)(tap ? next(input) % 61 - 30 : next(input));
    }
    uint32_t filled = 0;
    for (uint32_t k = 0; k < live; k++) {
        arrays->parents_begin[k] = filled;
        for (uint32_t p = 0; p < k && p < 2; p++) {
            arrays->parents[filled] = (uint16_t)(next(input) % k);
            arrays->parent_weights[filled++] = (uint8_t)(next(input) % 200);
        }
        arrays->parents_begin[k + 1] = filled;
    }
    const uint32_t seed = next(input) | 1u;
    for (uint32_t i = 0; i < CHANNELS * 256; i++) {
        const uint32_t mixed = (i * seed * 2654435761u) >> 16, table = mixed % tables_count;
        arrays->choices[i] = tables[table].ends[0] | (table | (mixed >> 8 & FLIP)) << 16;
    }
    return (Contexts){
        .bins = classes * magnitudes, .weights = weights, .magnitude_weights = arrays->magnitude_weights,
        .sign_weights = arrays->sign_weights, .parents_begin = arrays->parents_begin, .parents = arrays->parents,
        .parent_weights = arrays->parent_weights, .magnitude_bin = arrays->magnitude_bin, .sign_class = arrays->sign_class,
        .choices = arrays->choices,
    };
}

static Level make_level(Input *input)
{
    const uint32_t count = make_tables(input), shape = next(input), live = shape % (CHANNELS + 1);
    for (uint32_t k = 0; k < live; k++) channel[k] = (uint16_t)(k + (shape & 0x80 ? CHANNELS - live : 0));
    const Contexts key = make_contexts(input, &of_key, live, NEIGHBOURS, count);
    const Contexts predicted = make_contexts(input, &of_predicted, live, NEIGHBOURS + TAPS, count);
    return (Level){
        .channels = CHANNELS, .live = live, .channel = channel, .key = key, .predicted = predicted,
        .tables = tables, .starts = starts, .steps = steps,
    };
}

/* Scratch of exactly the size that kernel.py gives. */
static uint32_t *scratch_for(const Level *level, uint32_t height, uint32_t width)
{
    return malloc(narrows_scratch_words(level->live, height, width) * sizeof(uint32_t));
}

/* Codes symbols into memory of exactly the size that kernel.py gives. */
static uint8_t *encode(const Level *level, const int8_t *symbols, const int16_t *memory, uint32_t height, uint32_t width, int64_t *size)
{
    const size_t plane = (size_t)height * width, room = level->live * plane * 4 + 8;
    uint16_t *planned = malloc(plane * STEPS_A_SYMBOL * sizeof *planned);
    uint32_t *scratch = scratch_for(level, height, width);
    uint8_t *out = malloc(room), *payload;
    *size = narrows_encode(level, symbols, memory, height, width, scratch, planned, out, room);
    CLAIM(*size >= 4);
    payload = malloc((size_t)*size + 1);
    memcpy(payload, out + room - *size, (size_t)*size);
    free(scratch), free(planned), free(out);
    return payload;
}

enum { TOGETHER = 6 };

/* A payload beside a shortened one, itself, its first bytes, what has another kind of context, and an empty one. */
static void planes_claims(const Level *level, const int16_t *memory, uint32_t height, uint32_t width, const uint8_t *given, size_t size)
{
    const size_t count = (size_t)CHANNELS * height * width, words = narrows_scratch_words(level->live, height, width);
    const size_t sizes[TOGETHER] = {size, size - (size > 0), size, size / 2, size, 0};
    int16_t *zeros = calloc(count, sizeof *zeros);
    int8_t *alone[TOGETHER];
    int32_t errors[TOGETHER];
    Plane planes[TOGETHER];
    uint32_t *room = malloc(2 * words * sizeof *room);
    for (int i = 0; i < TOGETHER; i++) {
        uint8_t *payload = malloc(sizes[i] ? sizes[i] : 1);
        const int16_t *own = i == 4 ? memory ? 0 : zeros : memory;
        memcpy(payload, given, sizes[i]);
        alone[i] = calloc(count, 1);
        errors[i] = narrows_decode(level, payload, sizes[i], own, height, width, room, alone[i]);
        planes[i] = (Plane){payload, sizes[i], own, calloc(count, 1), level, height, width, 1, 0};
    }
    narrows_decode_planes(planes, TOGETHER, room, words, narrows_crc32_fast());
    for (int i = 0; i < TOGETHER; i++) {
        CLAIM(planes[i].error == errors[i] && !memcmp(planes[i].symbols, alone[i], count));
        if (!errors[i] && narrows_crc32_fast()) CLAIM(planes[i].digest == narrows_crc32((uint8_t *)alone[i], count, 0));
        free((void *)planes[i].payload), free(planes[i].symbols), free(alone[i]);
    }
    free(zeros), free(room);
}

static void decode_claims(const Level *level, const int16_t *memory, uint32_t height, uint32_t width, const uint8_t *given, size_t size)
{
    const size_t symbols_count = (size_t)CHANNELS * height * width;
    int8_t *symbols = calloc(symbols_count, 1);
    uint32_t *scratch = scratch_for(level, height, width);
    uint8_t *payload = malloc(size ? size : 1); /* its own allocation: a read beyond it is seen */
    memcpy(payload, given, size);
    if (narrows_decode(level, payload, size, memory, height, width, scratch, symbols) == OK) {
        int64_t again_size;
        uint8_t *again = encode(level, symbols, memory, height, width, &again_size);
        CLAIM((size_t)again_size == size && !memcmp(again, payload, size));
        free(again);
    }
    planes_claims(level, memory, height, width, given, size);
    free(symbols), free(payload), free(scratch);
}

static void encode_claims(const Level *level, const int16_t *memory, uint32_t height, uint32_t width, Input input)
{
    const size_t plane = (size_t)height * width, count = CHANNELS * plane;
    int8_t *symbols = calloc(count, 1), *decoded = calloc(count, 1);
    uint32_t *scratch = scratch_for(level, height, width);
    const uint8_t most = next(&input);
    int64_t size;
    for (uint32_t k = 0; k < level->live; k++)
        for (size_t i = 0; i < plane; i++) {
            const int8_t value = (int8_t)next(&input);
            symbols[channel[k] * plane + i] = (int8_t)clip(value, most & 1 ? 127 : 1 + most / 8);
        }
    uint8_t *payload = encode(level, symbols, memory, height, width, &size);
    CLAIM(narrows_decode(level, payload, (uint64_t)size, memory, height, width, scratch, decoded) == OK);
    CLAIM(!memcmp(symbols, decoded, count));
    planes_claims(level, memory, height, width, payload, (size_t)size);
    for (int longer = -1; longer <= 1; longer += 2) {
        memset(decoded, 0, count);
        payload[size] = most;
        CLAIM(narrows_decode(level, payload, (uint64_t)(size + longer), memory, height, width, scratch, decoded) || memcmp(symbols, decoded, count));
    }
    free(symbols), free(decoded), free(payload), free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, data + size};
    expand_anything(input);
    const uint8_t mode = next(&input), extent = next(&input);
    const uint32_t height = 1 + extent % 9, width = 1 + extent / 9;
    const Level level = make_level(&input);
    int16_t *memory = 0;
    if (mode & 1) {
        const uint32_t count = CHANNELS * height * width;
        int8_t *symbols = malloc(count);
        int16_t *before = calloc(count, sizeof *before);
        memory = malloc(count * sizeof *memory);
        for (uint32_t i = 0; i < count; i++) {
            symbols[i] = (int8_t)(mode * (i >> 2));
            before[i] = (int16_t)(-8 * symbols[i] + (int16_t)(i % 5));
        }
        narrows_remember(symbols, before, count, memory);
        for (uint32_t i = 0; i < count; i++) CLAIM(memory[i] >= -1024 && memory[i] <= 1024);
        free(symbols), free(before);
    }
    if (mode & 2) encode_claims(&level, memory, height, width, input);
    else decode_claims(&level, memory, height, width, input.at, (size_t)(input.end - input.at));
    if (mode & 4) {
        const size_t plane = (size_t)height * width;
        int8_t *symbols = calloc(CHANNELS * plane, 1);
        uint8_t *bins = malloc(level.live * plane + 1);
        uint32_t *scratch = scratch_for(&level, height, width);
        for (uint32_t i = 0; i < CHANNELS * plane; i++) symbols[i] = (int8_t)next(&input);
        CLAIM(narrows_contexts(&level, symbols, memory, height, width, scratch, bins) == OK);
        for (size_t i = 0; i < level.live * plane; i++) CLAIM(bins[i] < (memory ? level.predicted.bins : level.key.bins));
        free(symbols), free(bins), free(scratch);
    }
    free(memory);
    return 0;
}

#include "replay.h"
