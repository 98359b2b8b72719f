/* A libFuzzer target over the packing of masks: `make fuzz`. With -DREPLAY it is a program that runs the files it is given.
 *
 * The input becomes a label map. Beyond memory safety, in memory of exactly the sizes that masks.py gives, these claims are held:
 * what is packed inflates to the very same labels, areas are those of the labels, a label beyond the classes is refused, and what
 * has too little room says so.
 */
#include "../../narrows/contract/codec/masks.c"

#include <stdlib.h>

#define CLAIM(held) do { if (!(held)) abort(); } while (0)

typedef struct { const uint8_t *at, *end; uint32_t held, count; } Inflate;

static uint32_t take(Inflate *in, uint32_t count)
{
    for (; in->count < count; in->count += 8) {
        CLAIM(in->at < in->end);
        in->held |= (uint32_t)*in->at++ << in->count;
    }
    const uint32_t value = in->held & ((1u << count) - 1);
    in->held >>= count;
    in->count -= count;
    return value;
}

/* The next symbol of a canonical code, bit by bit (RFC 1951, section 3.2.2). */
static uint32_t symbol_in(Inflate *in, const uint8_t *bits, uint32_t symbols)
{
    int64_t code = 0, first = 0;
    for (uint32_t length = 1; length <= CODE_BITS; length++) {
        uint32_t count = 0;
        code |= take(in, 1);
        for (uint32_t i = 0; i < symbols; i++) count += bits[i] == length;
        if (code - first < (int64_t)count) {
            for (uint32_t i = 0, place = 0; i < symbols; i++)
                if (bits[i] == length && (int64_t)place++ == code - first) return i;
        }
        first = (first + count) << 1;
        code <<= 1;
    }
    abort();
}

static void inflate(Inflate in, uint8_t *out, size_t size)
{
    static const uint8_t ORDER[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    static const uint16_t BASE[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t EXTRA[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    uint8_t head[LENGTH_CODES] = {0}, bits[SYMBOLS + 1] = {0};
    size_t made = 0;
    CLAIM(take(&in, 3) == 5);
    const uint32_t symbols = 257 + take(&in, 5), distances = 1 + take(&in, 5), heads = 4 + take(&in, 4);
    CLAIM(symbols <= SYMBOLS && distances == 1);
    for (uint32_t i = 0; i < heads; i++) head[ORDER[i]] = (uint8_t)take(&in, 3);
    for (uint32_t i = 0; i < symbols + 1;) {
        const uint32_t symbol = symbol_in(&in, head, LENGTH_CODES);
        const uint8_t value = symbol < 16 ? (uint8_t)symbol : symbol == 16 ? bits[i - 1] : 0;
        uint32_t times = symbol < 16 ? 1 : symbol == 16 ? 3 + take(&in, 2) : symbol == 17 ? 3 + take(&in, 3) : 11 + take(&in, 7);
        CLAIM(i + times <= symbols + 1);
        for (; times; times--) bits[i++] = value;
    }
    CLAIM(bits[symbols] == 1);
    for (;;) {
        const uint32_t symbol = symbol_in(&in, bits, symbols);
        if (symbol == END) break;
        if (symbol < LITERALS) {
            CLAIM(made < size);
            out[made++] = (uint8_t)symbol;
            continue;
        }
        uint32_t length = BASE[symbol - END - 1] + take(&in, EXTRA[symbol - END - 1]);
        CLAIM(take(&in, 1) == 0 && made && made + length <= size);
        for (; length; length--, made++) out[made] = out[made - 1];
    }
    CLAIM(made == size && in.at == in.end && in.held == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5) return 0;
    const uint32_t height = 1 + data[0] % 40, width = 1 + data[1] + (data[3] & 3) * 256, classes = 1 + data[2], shape = data[3];
    const size_t count = (size_t)height * width, room = 2 * count + 512;
    uint8_t *labels = malloc(count), *out = malloc(room), *again = malloc(count);
    uint16_t *tokens = malloc(2 * (count + 1));
    uint32_t *areas = malloc(classes * sizeof *areas), counted[256] = {0}, most = 0;
    for (size_t i = 0, at = 4; i < count;) { /* runs as the input says, and the row above where it says that */
        const uint8_t label = data[at % size], n = data[(at + 1) % size];
        for (uint32_t k = 0; k <= (shape & 4 ? 0u : n) && i < count; k++, i++)
            labels[i] = n & 1 && i >= width ? labels[i - width] : shape & 8 ? label : (uint8_t)(label % classes);
        at += 2;
    }
    for (size_t i = 0; i < count; i++) {
        counted[labels[i]]++;
        if (labels[i] > most) most = labels[i];
    }
    const int64_t written = narrows_mask_pack(labels, height, width, classes, areas, tokens, out, room);
    CLAIM(most < classes ? written > 0 : written == NO_CLASS);
    if (written > 0) {
        CLAIM(!memcmp(areas, counted, classes * sizeof *areas));
        inflate((Inflate){out, out + written, 0, 0}, again, count);
        for (size_t i = width; i < count; i++) again[i] ^= again[i - width];
        CLAIM(!memcmp(labels, again, count));
        uint8_t *small = malloc((size_t)written);
        const int64_t squeezed = narrows_mask_pack(labels, height, width, classes, areas, tokens, small, (uint64_t)written - 1);
        CLAIM(squeezed == NO_ROOM);
        free(small);
    }
    free(labels), free(out), free(again), free(tokens), free(areas);
    return 0;
}

#include "replay.h"
