/* A libFuzzer target over the coder of label maps: `make fuzz`. With -DREPLAY it is a program that runs the files it is given.
 *
 * The input's head becomes a set of tables that the parser in narrows/contract/codec/label_tables.py would accept (and frequencies that
 * it would not: those only reach narrows_labels_expand, which must refuse them); the rest is a payload, or labels to code.
 * Beyond memory safety, these claims are held: what decodes has labels of its map only and encodes to the very same bytes, what is
 * encoded decodes to the very same labels within the room that label_kernel.py gives, and a payload with a byte cut off or added
 * never decodes to the same labels.
 */
#define MAX_WIDTH 577 /* as wide as any map here: a write beyond a row is seen */
#include "../../narrows/contract/codec/labels.c"

#include <stdlib.h>

#define LEAVES 8
#define TABLES (LEAVES + CONTEXTS - BREAK)
#define CLAIM(held) do { if (!(held)) abort(); } while (0)

typedef struct { const uint8_t *at, *end; } Input;

static uint8_t next(Input *input) { return input->at < input->end ? *input->at++ : 0; }

static uint16_t lookups[LEAVES][4][CONTEXTS], frequencies[TABLES * ENTRIES], prices[TABLES * ENTRIES];
static uint32_t starts[TABLES * ENTRIES];
static Step steps[TABLES * ENTRIES];

/* Frequencies as they come: the kernel must refuse what does not sum to 65536. */
static void expand_anything(Input input)
{
    uint16_t raw[2 * ENTRIES];
    uint32_t sums[2 * ENTRIES];
    Step expanded[2 * ENTRIES];
    for (uint32_t i = 0; i < 2 * ENTRIES; i++) raw[i] = (uint16_t)(next(&input) | next(&input) << 8);
    if (narrows_labels_expand(2, raw, sums, expanded) != OK) return;
    for (uint32_t t = 0; t < 2; t++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < ENTRIES; i++) sum += raw[t * ENTRIES + i];
        CLAIM(sum == 65536);
    }
}

/* Which table each context has; made when it is first wanted, since it is large. */
static const uint16_t *lookup_of(uint32_t leaves, uint32_t mixer)
{
    uint16_t *lookup = lookups[leaves - 1][mixer];
    if (lookup[CONTEXTS - 1]) return lookup;
    for (uint32_t i = 0; i < BREAK; i++) lookup[i] = (uint16_t)((i * (2 * mixer + 1) >> 6) % leaves);
    for (uint32_t i = BREAK; i < CONTEXTS; i++) lookup[i] = (uint16_t)(leaves + i - BREAK);
    return lookup;
}

static Set make_set(Input *input)
{
    const uint8_t shape = next(input);
    const uint32_t leaves = 1 + shape % LEAVES;
    const uint32_t tables = leaves + CONTEXTS - BREAK;
    memset(frequencies, 0, sizeof frequencies);
    for (uint32_t t = 0; t < tables; t++) {
        const uint32_t entries = t <= leaves || t + 1 == tables ? ENTRIES : 2;
        uint32_t left = 65536 - entries;
        for (uint32_t i = entries; i-- > 0;) {
            const uint32_t share = i == 0 ? left : left * next(input) / 256;
            frequencies[t * ENTRIES + i] = (uint16_t)(1 + share);
            left -= share;
        }
    }
    CLAIM(narrows_labels_expand(tables, frequencies, starts, steps) == OK);
    return (Set){lookup_of(leaves, shape / LEAVES % 4), starts, steps, prices};
}

/* Codes labels into memory of exactly the size that label_kernel.py gives. */
static uint8_t *encode(const Set *sets, uint32_t count, const uint8_t *labels, uint32_t height, uint32_t width, uint32_t many, int64_t *size)
{
    const size_t steps_room = (size_t)height * width * 7 + 16, room = 2 * steps_room + 8;
    uint32_t *scratch = malloc(steps_room * sizeof *scratch);
    uint8_t *out = malloc(room), *payload;
    *size = narrows_labels_encode(sets, count, labels, height, width, many, scratch, steps_room, out, room);
    CLAIM(*size >= 4);
    payload = malloc((size_t)*size + 1);
    memcpy(payload, out + room - *size, (size_t)*size);
    free(scratch), free(out);
    return payload;
}

static void decode_claims(const Set *set, uint32_t height, uint32_t width, uint32_t many, const uint8_t *given, size_t size)
{
    const size_t count = (size_t)height * width;
    uint8_t *labels = malloc(count), *payload = malloc(size ? size : 1); /* its own allocation: a read beyond it is seen */
    memcpy(payload, given, size);
    if (narrows_labels_decode(set, 1, payload, size, height, width, many, labels) == OK) {
        int64_t again_size;
        for (size_t i = 0; i < count; i++) CLAIM(labels[i] < many);
        uint8_t *again = encode(set, 1, labels, height, width, many, &again_size);
        CLAIM((size_t)again_size == size && !memcmp(again, payload, size));
        free(again);
    }
    free(labels), free(payload);
}

static void encode_claims(const Set *set, uint32_t height, uint32_t width, uint32_t many, Input input)
{
    const size_t count = (size_t)height * width;
    const Set sets[2] = {*set, *set};
    uint8_t *labels = malloc(count), *decoded = malloc(count), longest = next(&input), last = next(&input);
    int64_t size;
    for (size_t i = 0; i < count;) { /* runs as the input says, and the row above where it says that */
        const uint8_t label = next(&input), n = next(&input);
        for (uint32_t k = 0; k <= n % (longest + 1u) && i < count; k++, i++)
            labels[i] = n & 1 && i >= width ? labels[i - width] : label % many;
    }
    uint8_t *payload = encode(sets, 2, labels, height, width, many, &size);
    CLAIM(narrows_labels_decode(sets, 2, payload, (uint64_t)size, height, width, many, decoded) == OK);
    CLAIM(!memcmp(labels, decoded, count));
    for (int longer = -1; longer <= 1; longer += 2) {
        payload[size] = last;
        CLAIM(narrows_labels_decode(sets, 2, payload, (uint64_t)(size + longer), height, width, many, decoded) || memcmp(labels, decoded, count));
    }
    free(labels), free(decoded), free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, data + size};
    expand_anything(input);
    const uint8_t mode = next(&input), extent = next(&input);
    const uint32_t height = 1 + extent % 8, width = mode & 2 ? 1 + extent / 4 * 9 : 1 + extent / 8;
    const uint32_t many = mode & 4 ? 2 + next(&input) % 254 : 2 + mode / 16;
    const Set set = make_set(&input);
    if (mode & 1) encode_claims(&set, height, width, many, input);
    else decode_claims(&set, height, width, many, input.at, (size_t)(input.end - input.at));
    return 0;
}

#include "replay.h"
