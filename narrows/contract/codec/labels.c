/* The coder of label maps: runs, ranks of the neighbours' labels, integer rANS. Specified in docs/label-coding.md.
 *
 *   labels ──► run or pixel ──► context (which neighbours agree) ──► table ──► rANS state ──► 16-bit words
 *
 * No allocation, no globals, no floating point, no dependence on byte order. Every read of the payload is checked.
 * Encoder and decoder are one walk over the map, compiled twice.
 */
#include <string.h>

#include "rans.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))

#define MAX_LABELS 255
#ifndef MAX_WIDTH
#define MAX_WIDTH 8192
#endif
#define PAD 16                           /* beyond the farthest neighbour, and what a run's search may read */
#define LONGEST_RUN 256
#define HINT_FROM 5                      /* the hint is looked for above, from right by so many */
#define HINT_TO 64
#define RANKS 7                          /* labels of neighbours that have a rank; entry 7 is the escape */
#define ENTRIES 8                        /* a table */
#define TESTS 14
#define BREAK (1u << TESTS)              /* contexts beyond those of the tests */
#define CLEAN (BREAK + 1)                /* a run of 2^k to 2^(k+1) - 1 pixels: k is 0 to 8 */
#define UPPER (CLEAN + 9)                /* of what is left of a run, 2^k to 2^(k+1) - 1 pixels: k is 1 to 8 */
#define HINT (UPPER + 8)
#define RECENT (HINT + 1)
#define CONTEXTS (RECENT + 1)
#define UNIFORM 0x80000000u              /* a step of equal chances: how many << 8, which */
#define MAX_SETS 8

enum { BAD_RANK = -7, BAD_LABEL = -8 };

/* One set of tables, expanded. */
typedef struct {
    const uint16_t *lookup;              /* CONTEXTS: the table of each */
    const uint32_t *starts;              /* ENTRIES a table: cumulative frequencies; entries that it lacks start at 65536 */
    const Step *steps;                   /* ENTRIES a table */
    const uint16_t *prices;              /* ENTRIES a table: -log2 of the probability in 1/256 bits */
} Set;

/* ---- what both directions share ------------------------------------------------------------------------------- */

typedef struct {
    Reader reader;
    const Set *set;
    int32_t error;
    uint32_t *steps;                     /* context * ENTRIES + entry, or UNIFORM */
    uint64_t count;                      /* of the steps, also of those that have no room */
    uint64_t room;
    uint32_t labels;
    uint8_t recent[MAX_LABELS];          /* all labels; those that escaped last come first */
} Coder;

/* Codes or decodes an entry of a context's table. */
INLINE uint32_t code(Coder *coder, const int decoding, uint32_t context, uint32_t entry)
{
    if (!decoding) {
        if (coder->count < coder->room) coder->steps[coder->count] = context * ENTRIES + entry;
        coder->count++;
        return entry;
    }
    const uint32_t slot = coder->reader.state & SLOT_MASK;
    const uint32_t at = coder->set->lookup[context] * ENTRIES;
    const uint32_t *starts = coder->set->starts + at;
    entry = 0;
    while (entry + 1 < ENTRIES && slot >= starts[entry + 1]) entry++;
    const Step *step = coder->set->steps + at + entry;
    coder->reader.state = step->frequency * (coder->reader.state >> SCALE_BITS) + slot - step->start;
    const int32_t error = refill(&coder->reader);
    if (error) coder->error = error;
    return entry;
}

/* Codes or decodes one of `many` that are as likely as each other; many is 1 to 255. */
INLINE uint32_t code_uniform(Coder *coder, const int decoding, uint32_t many, uint32_t which)
{
    if (many == 1) return 0;
    if (!decoding) {
        if (coder->count < coder->room) coder->steps[coder->count] = UNIFORM | many << 8 | which;
        coder->count++;
        return which;
    }
    const uint32_t slot = coder->reader.state & SLOT_MASK, frequency = 65536u / many;
    which = slot / frequency;
    if (which >= many) {
        coder->error = BAD_LABEL;
        return 0;
    }
    coder->reader.state = frequency * (coder->reader.state >> SCALE_BITS) + slot - which * frequency;
    const int32_t error = refill(&coder->reader);
    if (error) coder->error = error;
    return which;
}

/* The pixel's rows: its own and the three above, each with PAD labels before and after. */
typedef struct { const uint8_t *row, *above, *above2, *above3; } Rows;

/* Which of the tests hold at x, the most telling first; a bit each. */
INLINE uint32_t context_of(const Rows *rows, size_t x)
{
    const uint8_t *r = rows->row + x, *a = rows->above + x, *b = rows->above2 + x, *c = rows->above3 + x;
    const uint32_t w = r[-1];
    return (uint32_t)(a[1] == w) << 13 | (uint32_t)(a[0] == a[-1]) << 12 | (uint32_t)(b[-1] == w) << 11 | (uint32_t)(b[-3] == w) << 10 |
           (uint32_t)(a[0] == b[0]) << 9 | (uint32_t)(a[1] == a[2]) << 8 | (uint32_t)(c[2] == w) << 7 | (uint32_t)(a[1] == b[0]) << 6 |
           (uint32_t)(b[-2] == w) << 5 | (uint32_t)(a[-3] == w) << 4 | (uint32_t)(b[3] == w) << 3 | (uint32_t)(a[4] == w) << 2 |
           (uint32_t)(a[-1] == r[-2]) << 1 | (uint32_t)(c[-1] == w);
}

/* The different labels of the neighbours at x, nearest first; returns how many, at most RANKS. */
INLINE uint32_t rank_labels(const Rows *rows, size_t x, uint8_t *ranked, uint32_t most)
{
    const uint8_t *r = rows->row + x, *a = rows->above + x, *b = rows->above2 + x, *c = rows->above3 + x;
    const uint8_t near[] = {r[-1], a[0], a[1], a[-1], r[-2], b[0], a[2], b[1], b[-1], a[-2], a[3], b[3], a[4], c[2], b[-3]};
    uint32_t count = 0;
    for (uint32_t i = 0; i < sizeof near && count < most; i++) {
        uint32_t k = 0;
        while (k < count && ranked[k] != near[i]) k++;
        if (k == count) ranked[count++] = near[i];
    }
    return count;
}

/* A label that no neighbour with a rank has: the next new one above to the right, or by how long ago it escaped. */
static __attribute__((noinline)) uint8_t code_escaped(Coder *coder, const int decoding, const Rows *rows, size_t x, size_t width,
                                                      const uint8_t *ranked, uint32_t count, uint8_t label)
{
    uint8_t known[256] = {0};
    for (uint32_t i = 0; i < count; i++) known[ranked[i]] = 1;
    const size_t end = x + HINT_TO < width ? x + HINT_TO : width;
    for (size_t at = x + HINT_FROM; at < end; at++) {
        const uint8_t hint = rows->above[at];
        if (known[hint]) continue;
        if (code(coder, decoding, HINT, label != hint) == 0) return hint;
        known[hint] = 1;
        count++;
        break;
    }
    if (count >= coder->labels) {        /* every label is known not to be it */
        coder->error = BAD_LABEL;
        return 0;
    }
    uint32_t age = 0, at = 0;
    if (!decoding)
        for (; at < coder->labels && coder->recent[at] != label; at++) age += !known[coder->recent[at]];
    uint32_t entry = code(coder, decoding, RECENT, age < RANKS ? age : RANKS);
    if (entry == RANKS) {
        const uint32_t many = coder->labels - count;
        if (many <= RANKS) {
            coder->error = BAD_LABEL;
            return 0;
        }
        entry += code_uniform(coder, decoding, many - RANKS, age - RANKS);
    }
    if (decoding) {
        for (at = 0, age = 0; at < coder->labels; at++) {
            if (known[coder->recent[at]]) continue;
            if (age++ == entry) break;
        }
    }
    if (at == coder->labels) {
        coder->error = BAD_LABEL;
        return 0;
    }
    label = coder->recent[at];
    memmove(coder->recent + 1, coder->recent, at);
    coder->recent[0] = label;
    return label;
}

/* Codes or decodes the label at x in a context of the tests, or the one that breaks a run. */
INLINE uint8_t code_label(Coder *coder, const int decoding, const Rows *rows, size_t x, size_t width, uint32_t context, uint8_t label)
{
    const uint8_t west = (rows->row + x)[-1];
    uint8_t ranked[RANKS];
    uint32_t count = 0, entry = 0;
    if (!decoding && label != west) {
        count = rank_labels(rows, x, ranked, RANKS);
        for (entry = 1; entry < count && ranked[entry] != label;) entry++;
        if (entry >= count) entry = RANKS;
    }
    entry = code(coder, decoding, context, entry);
    if (entry == 0) {
        if (decoding && context == BREAK) coder->error = BAD_RANK;
        return west;
    }
    if (decoding) {
        count = rank_labels(rows, x, ranked, entry + 1 < RANKS ? entry + 1 : RANKS);
        if (entry < count) return ranked[entry];
        if (entry < RANKS) {
            coder->error = BAD_RANK;
            return 0;
        }
    } else if (entry < RANKS) {
        return label;
    }
    return code_escaped(coder, decoding, rows, x, width, ranked, count, label);
}

/* How many labels from `at` on, of at most `most`, are `label`; reads whole words beyond. */
INLINE size_t length_of(const uint8_t *at, size_t most, uint8_t label)
{
    const uint64_t wanted = label * UINT64_C(0x0101010101010101);
    size_t n = 0;
    for (uint64_t word; n < most; n += 8) {
        memcpy(&word, at + n, 8);
        if (word != wanted) break;
    }
    while (n < most && at[n] == label) n++;
    return n < most ? n : most;
}

/* How many pixels from x on have neighbours that are all one label, as long as the pixels are that label too. */
INLINE size_t run_at(const Rows *rows, size_t x, size_t width)
{
    const uint8_t *r = rows->row + x, *a = rows->above + x, *b = rows->above2 + x;
    const uint8_t w = r[-1];
    if (r[-2] != w || r[-3] != w || a[3] != w || a[0] != w || b[0] != w || b[1] != w) return 0;
    const size_t most = width - x < LONGEST_RUN ? width - x : LONGEST_RUN;
    const size_t near = length_of(a - 2, most + 5, w);
    if (near < 6) return 0;
    const size_t far = length_of(b - 1, near - 3, w);
    return far < 3 ? 0 : (near - 5 < far - 2 ? near - 5 : far - 2);
}

INLINE uint32_t log2_of(size_t n)
{
    uint32_t k = 0;
    while (n >> (k + 1)) k++;
    return k;
}

/* Codes or decodes how many pixels of a run of n keep its label. `kept` is that number where it is known. */
INLINE size_t code_run(Coder *coder, const int decoding, size_t n, size_t kept)
{
    if (code(coder, decoding, CLEAN + log2_of(n), kept < n) == 0) return n;
    size_t from = 0;
    while (n > 1) {
        const size_t half = (n + 1) / 2;
        if (code(coder, decoding, UPPER + log2_of(n) - 1, kept - from >= half)) {
            from += half;
            n -= half;
        } else {
            n = half;
        }
    }
    return from;
}

/* Codes or decodes a map, row by row. */
INLINE int32_t walk(Coder *coder, const int decoding, const uint8_t *given, uint8_t *out, uint32_t height, uint32_t width)
{
    uint8_t ring[4][PAD + MAX_WIDTH + PAD];
    for (uint32_t i = 0; i < 4; i++) memset(ring[i], 0, PAD + width + PAD);
    for (uint32_t i = 0; i < coder->labels; i++) coder->recent[i] = (uint8_t)i;
    for (uint32_t y = 0; y < height; y++) {
        uint8_t *row = ring[y % 4] + PAD;
        const Rows rows = {row, ring[(y + 3) % 4] + PAD, ring[(y + 2) % 4] + PAD, ring[(y + 1) % 4] + PAD};
        const uint8_t *labels = decoding ? row : given + (size_t)y * width;
        memset(row - PAD, rows.above[0], PAD);
        if (!decoding) memcpy(row, labels, width);
        for (size_t x = 0; x < width;) {
            const size_t run = run_at(&rows, x, width);
            uint32_t context;
            if (run) {
                const uint8_t west = (row + x)[-1];
                const size_t kept = code_run(coder, decoding, run, decoding ? 0 : length_of(row + x, run, west));
                if (decoding) memset(row + x, west, kept);
                x += kept;
                if (kept == run) {
                    if (coder->error) return coder->error;
                    continue;
                }
                context = BREAK;
            } else {
                context = context_of(&rows, x);
            }
            const uint8_t label = code_label(coder, decoding, &rows, x, width, context, row[x]);
            if (coder->error) return coder->error;
            if (decoding) row[x] = label;
            x++;
        }
        memset(row + width, row[width - 1], PAD);
        if (decoding) memcpy(out + (size_t)y * width, row, width);
    }
    return OK;
}

/* ---- tables ---------------------------------------------------------------------------------------------------- */

/* Checks `tables` lists of ENTRIES frequencies and expands them; zeros stand behind the entries that a table has. */
EXPORT int32_t narrows_labels_expand(uint32_t tables, const uint16_t *frequencies, uint32_t *starts, Step *steps)
{
    for (uint32_t i = 0; i < tables * ENTRIES; i += ENTRIES) {
        uint32_t sum = 0;
        for (uint32_t k = 0; k < ENTRIES; k++) {
            const uint32_t frequency = frequencies[i + k];
            if (frequency == 0 && k < 2) return BAD_TABLE;
            starts[i + k] = sum;
            steps[i + k] = frequency ? step_of(frequency, sum) : (Step){0, 0, 0, 0};
            sum += frequency;
            if (sum > 65536) return BAD_TABLE;
            if (sum == 65536)
                for (uint32_t rest = k + 1; rest < ENTRIES; rest++)
                    if (frequencies[i + rest]) return BAD_TABLE;
        }
        if (sum != 65536) return BAD_TABLE;
    }
    return OK;
}

/* ---- encoder --------------------------------------------------------------------------------------------------- */

/* The steps that code a map, in decoding order, as context * ENTRIES + entry: for counting. Returns how many there are; beyond
 * `room` they are not written. */
EXPORT int64_t narrows_labels_steps(const uint8_t *labels, uint32_t height, uint32_t width, uint32_t many, uint32_t *steps, uint64_t room)
{
    Coder coder = {.steps = steps, .room = room, .labels = many};
    if (width > MAX_WIDTH || many < 2 || many > MAX_LABELS) return NO_ROOM;
    const int32_t error = walk(&coder, 0, labels, 0, height, width);
    return error ? error : (int64_t)coder.count;
}

/* What steps cost with a set of tables, in 1/256 bits; equal chances cost the same with each and are left out. */
static uint64_t price_of(const Set *set, const uint32_t *steps, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        if (!(steps[i] & UNIFORM)) sum += set->prices[set->lookup[steps[i] / ENTRIES] * ENTRIES + steps[i] % ENTRIES];
    return sum;
}

static uint32_t cheapest(const Set *sets, uint32_t count, const uint32_t *steps, uint64_t steps_count)
{
    uint32_t best = 0;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < count && count > 1; i++) {
        const uint64_t price = price_of(sets + i, steps, steps_count);
        if (price >= least) continue;
        least = price;
        best = i;
    }
    return best;
}

/* Codes a map with the cheapest of `count` sets. The payload ends at out + room; returns its size, or a negative error.
 * NO_ROOM: `steps` (steps_room entries) or out is too small; 7 steps a pixel and 16, and 2 bytes a step and 8, always suffice. */
EXPORT int64_t narrows_labels_encode(const Set *sets, uint32_t count, const uint8_t *labels, uint32_t height, uint32_t width, uint32_t many,
                                     uint32_t *steps, uint64_t steps_room, uint8_t *out, uint64_t room)
{
    Writer writer = {STATE_LOW, out + room, out};
    const int64_t found = narrows_labels_steps(labels, height, width, many, steps, steps_room);
    if (found < 0) return found;
    if ((uint64_t)found > steps_room) return NO_ROOM;
    const uint32_t chosen = cheapest(sets, count, steps, (uint64_t)found);
    const Set *set = sets + chosen;
    for (uint64_t i = (uint64_t)found; i-- > 0;) {
        int32_t error;
        if (steps[i] & UNIFORM) {
            const uint32_t frequency = 65536u / (steps[i] >> 8 & 0xFF);
            const Step step = step_of(frequency, frequency * (steps[i] & 0xFF));
            error = put(&writer, &step);
        } else {
            error = put(&writer, set->steps + set->lookup[steps[i] / ENTRIES] * ENTRIES + steps[i] % ENTRIES);
        }
        if (error) return error;
    }
    const Step which = step_of(65536u / MAX_SETS, 65536u / MAX_SETS * chosen);
    int32_t error = put(&writer, &which);
    if (!error) error = put_state(&writer);
    return error ? error : (int64_t)(out + room - writer.at);
}

/* ---- decoder --------------------------------------------------------------------------------------------------- */

/* Decodes a map of labels below `many`. Returns 0 or a negative error. */
EXPORT int32_t narrows_labels_decode(const Set *sets, uint32_t count, const uint8_t *payload, uint64_t size, uint32_t height, uint32_t width,
                                     uint32_t many, uint8_t *labels)
{
    Coder coder = {.labels = many};
    int32_t error = open_reader(&coder.reader, payload, size);
    if (error) return error;
    if (width > MAX_WIDTH || many < 2 || many > MAX_LABELS) return NO_ROOM;
    const uint32_t which = code_uniform(&coder, 1, MAX_SETS, 0);
    if (coder.error) return coder.error;
    if (which >= count) return BAD_TABLE;
    coder.set = sets + which;
    error = walk(&coder, 1, 0, labels, height, width);
    return error ? error : close_reader(&coder.reader);
}
