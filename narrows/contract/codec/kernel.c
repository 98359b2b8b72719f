/* The symbol coder: contexts and integer rANS. Specified in docs/symbol-coding.md.
 *
 *   symbols ──► context (neighbours, parents, memory) ──► table ──► rANS state ──► 16-bit words
 *
 * No allocation, no globals, no floating point, no dependence on byte order. Every read of the payload is checked.
 */
#include <stdint.h>
#include <string.h>

#include "crc.h"
#include "rans.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define ABI_VERSION 4u
#define NEIGHBOURS 6       /* left, above, above-left, above-right, left by two, above by two */
#define CAP 15             /* magnitudes above this count as this in contexts */
#define CONTEXT_LIMIT 1023
#define TAPS 9             /* of the memory: the position itself and those around it, row by row */
#define MEMORY_SHIFT 3     /* the memory is in eighths of a symbol */
#define MEMORY_CAP (CAP << MEMORY_SHIFT)
#define MAX_WIDTH 2048
#define MAX_TABLES 64
#define FLIP 0x80u
#define NEAR 4             /* entries of a table that are found without a search */
#define LAST_INDEX 254u    /* of the value order 0, 1, -1, 2, -2, ..., 127, -127 */
#define HALF 32768u
#define STEPS_A_SYMBOL 16  /* a table step and at most 15 escape bits */

enum { BAD_ESCAPE = -4 };

typedef struct {
    uint32_t count;        /* entries, the escape included */
    uint32_t offset;       /* of the first entry in starts[] (which has one more a table) and in steps[] */
    uint32_t ends[NEAR];   /* where the slots of the first entries end; 65536 where there are fewer */
    uint8_t first[256];    /* slot >> 8 -> the first entry that reaches into these slots */
} Table;

/* How K, or P, packets find the table of a symbol; weights and look-ups of the coded channels one after the other. */
typedef struct {
    uint32_t bins;                     /* contexts a channel */
    uint32_t weights;                  /* a channel: of the neighbours, and in P packets then of the memory's taps */
    const uint8_t *magnitude_weights;
    const int8_t *sign_weights;
    const uint32_t *parents_begin;     /* live + 1 */
    const uint16_t *parents;           /* index among the coded channels, lower than the own */
    const uint8_t *parent_weights;
    const uint8_t *magnitude_bin;      /* CONTEXT_LIMIT + 1: first context of the bin */
    const uint8_t *sign_class;         /* 2 * (CONTEXT_LIMIT + 1), of sums from -CONTEXT_LIMIT - 1 on */
    const uint32_t *choices;           /* live x bins: a table's first frequency, << 16 the table, with FLIP where the value's sign is swapped */
} Contexts;

typedef struct {
    uint32_t channels;                 /* of the plane */
    uint32_t live;                     /* how many of them are coded */
    const uint16_t *channel;           /* live: index of each coded channel, ascending */
    Contexts key, predicted;           /* the second all zero where only K is coded */
    const Table *tables;
    const uint16_t *starts;            /* cumulative frequencies; the last, 65536, is stored as 0 */
    const Step *steps;                 /* two for raw bits 0 and 1, then those of the tables */
} Level;

/* ---- contexts ---------------------------------------------------------------------------------------------- */

#define LANES 8                      /* of a vector of 16-bit integers, 128 bits: what every 64-bit processor has */
#define BLOCK 8                      /* vectors that are summed at once: their sums fit the registers */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define PAIR(low, high) high, low
#else
#define PAIR(low, high) low, high
#endif
#define SIGN_AT 16                   /* in a packed sum: the weighted values above, the weighted magnitudes below */
#define ZERO_SUM ((CONTEXT_LIMIT + 1u) << SIGN_AT) /* no neighbours; sums of values are stored with this added, so that none is negative */
#define OUTSIDE 0xF800FC00u          /* bits of a packed sum that are set where one of its two is beyond CONTEXT_LIMIT */

typedef int16_t Vector __attribute__((vector_size(16), aligned(2), may_alias));
typedef uint32_t Words __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1), may_alias));

static inline Vector load(const int16_t *at) { return *(const Vector *)at; }
static inline Vector all(int16_t v) { return (Vector){v, v, v, v, v, v, v, v}; }

/* Widens 16 bytes to two vectors. */
static inline void widen(const uint8_t *at, Vector *low, Vector *high)
{
    const Bytes bytes = *(const Bytes *)at, zeros = {0};
    *low = (Vector)__builtin_shufflevector(PAIR(bytes, zeros), 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *high = (Vector)__builtin_shufflevector(PAIR(bytes, zeros), 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

typedef struct {
    const Contexts *contexts;
    const uint32_t *choices;
    const uint8_t *magnitude_weights;
    const int8_t *sign_weights;
    const int16_t *memory;           /* the channel's plane, or null in a K packet */
    size_t at;                       /* of the channel's plane among the symbols */
    uint32_t k;
    uint32_t height, width;
    uint32_t shares[2][NEIGHBOURS];  /* what a positive, or negative, symbol adds a unit of its magnitude to the sums of those whose neighbour it is */
} Channel;

/* What the coder keeps of a plane. Rows are `pitch` apart, at least two more than they are wide: what is left of a row, or right
 * of it by two, is its padding. */
typedef struct {
    uint32_t *sums;                  /* height + 2 rows: what is known of each symbol's context of the channel at hand */
    int16_t *memory;                 /* height + 2 rows: the channel's memory, capped, a row of zeros before and behind it */
    uint8_t *magnitudes;             /* live x height rows: of coded symbols, capped, as parents */
    size_t pitch;
} Scratch;

static inline int32_t clip(int32_t v, int32_t most) { return v > most ? most : v < -most ? -most : v; }

static inline size_t pitch_of(size_t width) { return (width + 2 + 2 * LANES - 1) / (2 * LANES) * (2 * LANES); }
static inline size_t framed_of(size_t height, size_t width) { return (height + 2) * pitch_of(width) + LANES; }

/* How many 32-bit words of scratch a plane takes. */
EXPORT uint64_t narrows_scratch_words(uint32_t live, uint32_t height, uint32_t width)
{
    const size_t framed = framed_of(height, width);
    return framed + (LANES + framed) / 2 + live * (height * pitch_of(width)) / 4;
}

static Scratch scratch_of(const Level *level, uint32_t height, uint32_t width, uint32_t *given)
{
    const size_t framed = framed_of(height, width);
    int16_t *memory = (int16_t *)(given + framed) + LANES;
    memset(given, 0, narrows_scratch_words(level->live, height, width) * sizeof *given);
    return (Scratch){given, memory, (uint8_t *)(memory + framed), pitch_of(width)};
}

static Channel channel_of(const Level *level, uint32_t k, const int16_t *memory, uint32_t height, uint32_t width)
{
    const size_t at = (size_t)height * width * level->channel[k];
    const Contexts *contexts = memory ? &level->predicted : &level->key;
    Channel channel = {
        .contexts = contexts,
        .choices = contexts->choices + (size_t)k * contexts->bins,
        .magnitude_weights = contexts->magnitude_weights + (size_t)k * contexts->weights,
        .sign_weights = contexts->sign_weights + (size_t)k * contexts->weights,
        .memory = memory ? memory + at : 0,
        .at = at, .k = k, .height = height, .width = width,
    };
    for (int i = 0; i < NEIGHBOURS; i++) {
        const uint32_t sign = (uint32_t)(int32_t)channel.sign_weights[i] << SIGN_AT;
        channel.shares[0][i] = channel.magnitude_weights[i] + sign;
        channel.shares[1][i] = channel.magnitude_weights[i] - sign;
    }
    return channel;
}

/* Copies the channel's memory, capped, into its frame of zeros. */
static void enter_memory(const Scratch *scratch, const Channel *channel)
{
    for (uint32_t y = 0; y < channel->height; y++) {
        const int16_t *restrict from = channel->memory + (size_t)y * channel->width;
        int16_t *restrict to = scratch->memory + (y + 1) * scratch->pitch;
        for (uint32_t x = 0; x < channel->width; x++) to[x] = (int16_t)clip(from[x], MEMORY_CAP);
    }
}

/* Adds to two vectors of sums what the memory's taps come to in whole symbols, rounded down. */
static inline __attribute__((always_inline)) void weigh_memory(const Scratch *scratch, const Channel *channel, size_t at, Vector *magnitudes, Vector *values)
{
    const uint8_t *magnitude_weights = channel->magnitude_weights + NEIGHBOURS;
    const int8_t *sign_weights = channel->sign_weights + NEIGHBOURS;
    Vector magnitude_sums[2], sums[2];
    for (int i = 0; i < 2; i++) magnitude_sums[i] = sums[i] = all(0);
    for (int tap = 0; tap < TAPS; tap++) {
        const Vector magnitude_weight = all(magnitude_weights[tap]), sign_weight = all(sign_weights[tap]);
        const int16_t *from = scratch->memory + at + (size_t)(tap / 3) * scratch->pitch + tap % 3 - 1;
        for (int i = 0; i < 2; i++) {
            const Vector value = load(from + LANES * i), negative = value >> 15;
            magnitude_sums[i] += magnitude_weight * ((value ^ negative) - negative);
            sums[i] += sign_weight * value;
        }
    }
    for (int i = 0; i < 2; i++) {
        magnitudes[i] += magnitude_sums[i] >> MEMORY_SHIFT;
        values[i] += sums[i] >> MEMORY_SHIFT;
    }
}

/* `count` vectors of sums from position `at` on: what the parents and the memory say. */
static inline __attribute__((always_inline)) void begin_vectors(const Scratch *scratch, const Channel *channel, size_t at, int count)
{
    const Contexts *contexts = channel->contexts;
    const size_t plane = channel->height * scratch->pitch;
    const uint32_t end = contexts->parents_begin[channel->k + 1];
    Vector magnitudes[BLOCK], values[BLOCK];
    for (int i = 0; i < count; i++) magnitudes[i] = values[i] = all(0);
    for (uint32_t p = contexts->parents_begin[channel->k]; p < end; p++) {
        const uint8_t *parent = scratch->magnitudes + plane * contexts->parents[p] + at;
        const Vector weight = all(contexts->parent_weights[p]);
        for (int i = 0; i < count; i += 2) {
            Vector low, high;
            widen(parent + LANES * i, &low, &high);
            magnitudes[i] += weight * low;
            magnitudes[i + 1] += weight * high;
        }
    }
    if (channel->memory)
        for (int i = 0; i < count; i += 2) weigh_memory(scratch, channel, at + (size_t)(LANES * i), magnitudes + i, values + i);
    for (int i = 0; i < count; i++) {
        const Vector biased = values[i] + (int16_t)(CONTEXT_LIMIT + 1);
        uint32_t *sums = (scratch->sums + at + LANES * i);
        *(Words *)sums = (Words)__builtin_shufflevector(PAIR(magnitudes[i], biased), 0, 8, 1, 9, 2, 10, 3, 11);
        *(Words *)(sums + 4) = (Words)__builtin_shufflevector(PAIR(magnitudes[i], biased), 4, 12, 5, 13, 6, 14, 7, 15);
    }
}

/* The sums of a channel before any of its own symbols are known. */
static void begin_channel(const Scratch *scratch, const Channel *channel)
{
    const size_t size = channel->height * scratch->pitch;
    size_t at = 0;
    if (channel->memory) enter_memory(scratch, channel);
    for (; at + BLOCK * LANES <= size; at += BLOCK * LANES) begin_vectors(scratch, channel, at, BLOCK);
    for (; at < size; at += 2 * LANES) begin_vectors(scratch, channel, at, 2);
}

/* Adds a symbol's shares to the sums of those whose neighbour it is, but for the one right of it. */
static inline void share(const Channel *channel, uint32_t magnitude, uint32_t negative, uint32_t *here, size_t pitch)
{
    const uint32_t *shares = channel->shares[negative];
    here[2] += magnitude * shares[4];
    here[pitch] += magnitude * shares[1];
    here[pitch + 1] += magnitude * shares[2];
    here[pitch - 1] += magnitude * shares[3];
    here[2 * pitch] += magnitude * shares[5];
}

/* Enters a whole channel of known symbols. */
static void enter_channel(const Scratch *scratch, const Channel *channel, const int8_t *symbols)
{
    const int8_t *row = symbols + channel->at;
    uint32_t *here = scratch->sums;
    for (uint32_t y = 0; y < channel->height; y++, row += channel->width, here += scratch->pitch)
        for (uint32_t x = 0; x < channel->width; x++) {
            if (!row[x]) continue;
            const uint32_t magnitude = (uint32_t)clip(row[x] < 0 ? -row[x] : row[x], CAP), negative = row[x] < 0;
            here[x + 1] += magnitude * channel->shares[negative][0];
            share(channel, magnitude, negative, here + x, scratch->pitch);
        }
}

/* Enters the magnitudes of all coded channels. */
static void enter_magnitudes(const Scratch *scratch, const Level *level, const int8_t *symbols, uint32_t height, uint32_t width)
{
    uint8_t *restrict to = scratch->magnitudes;
    for (uint32_t k = 0; k < level->live; k++) {
        const int8_t *restrict from = symbols + (size_t)height * width * level->channel[k];
        for (uint32_t y = 0; y < height; y++, from += width, to += scratch->pitch)
            for (uint32_t x = 0; x < width; x++) to[x] = (uint8_t)clip(from[x] < 0 ? -from[x] : from[x], CAP);
    }
}

static __attribute__((noinline)) uint32_t limited(uint32_t sum)
{
    const int32_t magnitude = sum & 0xFFFF, value = (int16_t)((sum - ZERO_SUM) >> SIGN_AT);
    return (uint32_t)(clip(value, CONTEXT_LIMIT) + CONTEXT_LIMIT + 1) << SIGN_AT | (uint32_t)clip(magnitude, CONTEXT_LIMIT);
}

static inline uint32_t bin_of(const Contexts *contexts, uint32_t sum)
{
    if (__builtin_expect(sum & OUTSIDE, 0)) sum = limited(sum);
    return (uint32_t)contexts->magnitude_bin[sum & 0xFFFF] + contexts->sign_class[sum >> SIGN_AT];
}

/* The memory after a plane of `count` symbols: half of the way to each, rounded away from where it was. */
EXPORT void narrows_remember(const int8_t *restrict symbols, const int16_t *restrict before, uint64_t count, int16_t *restrict after)
{
    for (uint64_t i = 0; i < count; i++) {
        const int16_t way = (int16_t)(symbols[i] * (1 << MEMORY_SHIFT) - before[i]);
        after[i] = (int16_t)(before[i] + ((way + (way > 0)) >> 1));
    }
}

/* The context of every coded symbol, `live` planes of bytes: for counting and measuring. */
EXPORT int32_t narrows_contexts(const Level *level, const int8_t *symbols, const int16_t *memory, uint32_t height, uint32_t width,
                                uint32_t *room, uint8_t *out)
{
    if (width > MAX_WIDTH) return NO_ROOM;
    const Scratch scratch = scratch_of(level, height, width, room);
    enter_magnitudes(&scratch, level, symbols, height, width);
    for (uint32_t k = 0; k < level->live; k++) {
        const Channel channel = channel_of(level, k, memory, height, width);
        begin_channel(&scratch, &channel);
        enter_channel(&scratch, &channel, symbols);
        const uint32_t *sums = scratch.sums;
        for (uint32_t y = 0; y < height; y++, sums += scratch.pitch)
            for (uint32_t x = 0; x < width; x++) *out++ = (uint8_t)bin_of(channel.contexts, sums[x]);
    }
    return OK;
}

/* ---- tables ------------------------------------------------------------------------------------------------- */

/* Checks `tables` lists of frequencies (counts[t] each, in a row) and expands them for both directions.
 * starts[] takes one entry more a table than frequencies[], steps[] two more in all. */
EXPORT int32_t narrows_expand(uint32_t tables, const uint16_t *counts, const uint16_t *frequencies, Table *out, uint16_t *starts, Step *steps)
{
    uint32_t offset = 0;
    if (tables > MAX_TABLES) return BAD_TABLE;
    steps[0] = step_of(HALF, 0);
    steps[1] = step_of(HALF, HALF);
    for (uint32_t t = 0; t < tables; t++) {
        const uint32_t count = counts[t];
        uint32_t sum = 0;
        if (count < 2 || count > LAST_INDEX + 1) return BAD_TABLE;
        out[t].count = count;
        out[t].offset = offset;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t frequency = frequencies[offset + i];
            if (frequency == 0 || sum + frequency > 65536) return BAD_TABLE;
            starts[offset + t + i] = (uint16_t)sum;
            steps[2 + offset + i] = step_of(frequency, sum);
            for (uint32_t page = (sum + 255) >> 8; page <= (sum + frequency - 1) >> 8; page++) out[t].first[page] = (uint8_t)i;
            sum += frequency;
        }
        if (sum != 65536) return BAD_TABLE;
        for (uint32_t i = 0; i < NEAR; i++) out[t].ends[i] = i + 1 < count ? starts[offset + t + i + 1] : 65536u;
        starts[offset + t + count] = 0;
        offset += count;
    }
    return OK;
}

/* ---- values ------------------------------------------------------------------------------------------------- */

static inline int32_t value_of(uint32_t index) { return index & 1 ? (int32_t)(index + 1) / 2 : -(int32_t)(index / 2); }
static inline uint32_t index_of(int32_t value) { return value > 0 ? 2 * (uint32_t)value - 1 : 2 * (uint32_t)-value; }

/* The longest prefix of an escape: floor(log2(most + 1)) for tails 0..most. */
static inline uint32_t longest_prefix(uint32_t most) { return 31 - (uint32_t)__builtin_clz(most + 1); }

/* ---- encoder ------------------------------------------------------------------------------------------------ */

/* The steps of one symbol, in decoding order. */
static inline uint32_t plan(const Level *level, uint32_t entry, int32_t value, uint16_t *steps)
{
    const Table *table = level->tables + (entry & ~FLIP);
    const uint32_t index = index_of(entry & FLIP ? -value : value), escape = table->count - 1;
    uint32_t n = 0;
    if (index < escape) {
        steps[0] = (uint16_t)(2 + table->offset + index);
        return 1;
    }
    const uint32_t tail = index - escape, most = longest_prefix(LAST_INDEX - escape), k = longest_prefix(tail);
    steps[n++] = (uint16_t)(2 + table->offset + escape);
    for (uint32_t i = 0; i < k; i++) steps[n++] = 0;
    if (k < most) steps[n++] = 1;
    for (uint32_t i = k; i-- > 0;) steps[n++] = (tail + 1) >> i & 1;
    return n;
}

/* Codes a plane. The payload ends at out + room; returns its size, or a negative error.
 * planned: height * width * STEPS_A_SYMBOL entries. */
EXPORT int64_t narrows_encode(const Level *level, const int8_t *symbols, const int16_t *memory, uint32_t height, uint32_t width,
                              uint32_t *scratch_room, uint16_t *planned, uint8_t *out, uint64_t room)
{
    Writer writer = {STATE_LOW, out + room, out};
    if (width > MAX_WIDTH) return NO_ROOM;
    const Scratch scratch = scratch_of(level, height, width, scratch_room);
    enter_magnitudes(&scratch, level, symbols, height, width);
    for (uint32_t k = level->live; k-- > 0;) {
        const Channel channel = channel_of(level, k, memory, height, width);
        const int8_t *here = symbols + channel.at;
        const uint32_t *sums = scratch.sums;
        size_t steps = 0;
        begin_channel(&scratch, &channel);
        enter_channel(&scratch, &channel, symbols);
        for (uint32_t y = 0; y < height; y++, here += width, sums += scratch.pitch)
            for (uint32_t x = 0; x < width; x++)
                steps += plan(level, channel.choices[bin_of(channel.contexts, sums[x])] >> 16, here[x], planned + steps);
        while (steps > 0) {
            const int32_t error = put(&writer, level->steps + planned[--steps]);
            if (error) return error;
        }
    }
    const int32_t error = put_state(&writer);
    return error ? error : (int64_t)(out + room - writer.at);
}

/* ---- decoder ------------------------------------------------------------------------------------------------ */

/* `refill` without a branch, for where a refill is likely enough to be foretold badly. */
static inline int32_t refill_evenly(Reader *reader)
{
    if (__builtin_expect(reader->at == reader->end, 0)) return refill(reader);
    const uint64_t word = reader->at[0] | (uint64_t)reader->at[1] << 8, low = (reader->state - STATE_LOW) >> 63;
    reader->state = reader->state << (16 * low) | (word & -low);
    reader->at += 2 * low;
    return OK;
}

static int32_t get_bit(Reader *reader)
{
    const uint64_t x = reader->state;
    const int32_t bit = x >> 15 & 1;
    reader->state = ((x >> 16) << 15) + (x & (HALF - 1));
    const int32_t error = refill(reader);
    return error ? error : bit;
}

/* The index that an escape stands for, or a negative error. */
static int32_t get_escaped(Reader *reader, uint32_t escape)
{
    const uint32_t most = LAST_INDEX - escape, longest = longest_prefix(most);
    uint32_t k = 0, tail = 1;
    int32_t bit;
    while (k < longest) {
        if ((bit = get_bit(reader)) < 0) return bit;
        if (bit) break;
        k++;
    }
    for (uint32_t i = 0; i < k; i++) {
        if ((bit = get_bit(reader)) < 0) return bit;
        tail = tail << 1 | (uint32_t)bit;
    }
    return tail - 1 > most ? BAD_ESCAPE : (int32_t)(escape + tail - 1);
}

/* Whether a slot is not before `end`; in arithmetic, for compilers make a branch of a comparison, and it is foretold badly. */
static inline uint32_t beyond(uint32_t slot, uint32_t end) { return (end - 1 - slot) >> 31; }

/* The index of the entry that the state's slot lies in, which is not the first. The state leaves it, not refilled. */
static inline __attribute__((always_inline)) uint32_t leave_slot(uint64_t *state, const Table *table, const uint16_t *starts)
{
    const uint64_t x = *state;
    const uint32_t slot = x & SLOT_MASK;
    uint32_t index = 1u + beyond(slot, table->ends[1]) + beyond(slot, table->ends[2]) + beyond(slot, table->ends[3]);
    if (__builtin_expect(index == NEAR, 0)) {
        const uint32_t first = table->first[slot >> 8];
        if (first > index) index = first;
        while (index + 1 < table->count && slot >= starts[index + 1]) index++;
    }
    const uint32_t start = starts[index];
    *state = (uint16_t)(starts[index + 1] - start) * (x >> 16) + slot - start;
    return index;
}

/* One plane on its way: its reader, where its row's contexts are summed up, and where the row's symbols go. */
typedef struct {
    Reader reader;
    uint32_t *here;
    uint8_t *magnitudes;
    int8_t *symbols;
    uint32_t left; /* what the left neighbour adds, apart because it is waited for */
} Row;

/* What the rows of a channel have in common. */
typedef struct {
    const Level *level;
    const Channel *channel;
    const uint32_t *choices;
    Contexts contexts;
    size_t pitch;
    uint32_t magnitude_weight, sign_weight;
} Coding;

static inline Coding coding_of(const Level *level, const Channel *channel, size_t pitch)
{
    return (Coding){
        level, channel, channel->choices, *channel->contexts, pitch,
        channel->magnitude_weights[0], (uint32_t)(int32_t)channel->sign_weights[0] << SIGN_AT,
    };
}

/* Decodes the symbol at `x`. Most are zeros, and the branch on them lets the processor run ahead of the state. */
static inline __attribute__((always_inline)) int32_t decode_symbol(Row *row, const Coding *coding, size_t x)
{
    const uint32_t choice = coding->choices[bin_of(&coding->contexts, row->here[x] + row->left)];
    const uint32_t zeros = choice & SLOT_MASK, slot = row->reader.state & SLOT_MASK;
    int32_t error;
    row->left = 0;
    if (__builtin_expect(slot < zeros, 1)) {
        row->reader.state = zeros * (row->reader.state >> SCALE_BITS) + slot;
        return refill(&row->reader);
    }
    const uint32_t t = choice >> 16 & (FLIP - 1);
    const Table *table = coding->level->tables + t;
    uint32_t index = leave_slot(&row->reader.state, table, coding->level->starts + table->offset + t);
    if ((error = refill_evenly(&row->reader))) return error;
    if (__builtin_expect(index + 1 == table->count, 0)) {
        Reader aside = row->reader;
        const int32_t escaped = get_escaped(&aside, index);
        if (escaped < 0) return escaped;
        index = (uint32_t)escaped;
        row->reader = aside;
    }
    const uint32_t magnitude = (index + 1) >> 1, capped = magnitude > CAP ? CAP : magnitude;
    const uint32_t negative = ~(index ^ choice >> 23) & 1;
    row->left = capped * coding->magnitude_weight + ((capped ^ -negative) + negative) * coding->sign_weight;
    row->symbols[x] = (int8_t)((magnitude ^ -negative) + negative);
    row->magnitudes[x] = (uint8_t)capped;
    share(coding->channel, capped, negative, row->here + x, coding->pitch);
    return OK;
}

/* Decodes the rest of a row. */
static inline __attribute__((always_inline)) int32_t decode_row(Row *given, const Coding *coding, size_t x)
{
    Row row = *given;
    int32_t error = OK;
    for (; x < coding->channel->width; x++)
        if ((error = decode_symbol(&row, coding, x))) break;
    given->reader = row.reader;
    return error;
}

/* A plane that is decoded: what it is decoded from, and to. */
typedef struct {
    const uint8_t *payload;
    uint64_t size;
    const int16_t *memory;           /* null for a K packet */
    int8_t *symbols;                 /* channels x height x width, zeroed */
    const Level *level;
    uint32_t height, width;
    int32_t error;                   /* answered: 0, or negative */
    uint32_t digest;                 /* answered where it was asked for: of the symbols, if there was no error */
} Plane;

/* One that is under way. */
typedef struct {
    Plane *plane;
    Reader reader;
    Scratch scratch;
    uint8_t *magnitudes;
    Channel channel;
} Decoding;

static int32_t begin_decoding(Decoding *decoding, Plane *plane, uint32_t *room)
{
    const int32_t error = open_reader(&decoding->reader, plane->payload, plane->size);
    if (error) return error;
    if (plane->width > MAX_WIDTH) return NO_ROOM;
    decoding->plane = plane;
    decoding->scratch = scratch_of(plane->level, plane->height, plane->width, room);
    decoding->magnitudes = decoding->scratch.magnitudes;
    return OK;
}

static void begin_decoding_channel(Decoding *decoding, uint32_t k)
{
    const Plane *plane = decoding->plane;
    decoding->channel = channel_of(plane->level, k, plane->memory, plane->height, plane->width);
    begin_channel(&decoding->scratch, &decoding->channel);
}

static inline Row begin_row(const Decoding *decoding, uint32_t y)
{
    const size_t pitch = decoding->scratch.pitch;
    int8_t *symbols = decoding->plane->symbols + decoding->channel.at + (size_t)y * decoding->plane->width;
    return (Row){decoding->reader, decoding->scratch.sums + y * pitch, decoding->magnitudes, symbols, 0};
}

static inline void end_row(Decoding *decoding, const Row *row)
{
    decoding->reader = row->reader;
    decoding->magnitudes += decoding->scratch.pitch;
}

/* Decodes a channel from row `y` on. */
static __attribute__((noinline)) int32_t decode_rows(Decoding *decoding, uint32_t y)
{
    const Coding coding = coding_of(decoding->plane->level, &decoding->channel, decoding->scratch.pitch);
    for (; y < decoding->plane->height; y++) {
        Row row = begin_row(decoding, y);
        const int32_t error = decode_row(&row, &coding, 0);
        if (error) return error;
        end_row(decoding, &row);
    }
    return OK;
}

/* Decodes the channels behind `k`, and sees whether the payload ended there. */
static int32_t decode_channels_behind(Decoding *decoding, uint32_t k)
{
    while (++k < decoding->plane->level->live) {
        begin_decoding_channel(decoding, k);
        const int32_t error = decode_rows(decoding, 0);
        if (error) return error;
    }
    return close_reader(&decoding->reader);
}

/* Decodes a plane; symbols (channels x height x width) come zeroed. Returns 0 or a negative error. */
EXPORT int32_t narrows_decode(const Level *level, const uint8_t *payload, uint64_t size, const int16_t *memory, uint32_t height,
                              uint32_t width, uint32_t *room, int8_t *symbols)
{
    Plane plane = {payload, size, memory, symbols, level, height, width, OK, 0};
    Decoding decoding;
    const int32_t error = begin_decoding(&decoding, &plane, room);
    return error ? error : decode_channels_behind(&decoding, (uint32_t)-1);
}

/* ---- two planes in one loop --------------------------------------------------------------------------------- */

/* A state is waited for at each symbol: while that of one plane is, the other's is worked on. Where one of two fails, the
 * other goes on alone from the symbol that it was at. */

/* Two rows from their beginning; answers the error of the first that fails, which is then `*failed`, and where the other stands. */
static inline __attribute__((always_inline)) int32_t decode_two_rows(Row *given, const Coding *coding, int *failed, size_t *at)
{
    Row first = given[0], second = given[1];
    const size_t width = coding->channel->width;
    int32_t error = OK;
    size_t x = 0;
    for (; x < width; x++) {
        if ((error = decode_symbol(&first, coding, x))) {
            *failed = 0;
            break;
        }
        if ((error = decode_symbol(&second, coding, x))) {
            *failed = 1;
            x++;
            break;
        }
    }
    *at = x;
    given[0] = first;
    given[1] = second;
    return error;
}

/* A channel of both; of one alone from where the other fails, which is then `*failed`, and its error the answer. */
static __attribute__((noinline)) int32_t decode_rows_of_two(Decoding *two, int *failed, int32_t *other)
{
    const Coding coding = coding_of(two->plane->level, &two->channel, two->scratch.pitch);
    for (uint32_t y = 0; y < two->plane->height; y++) {
        Row rows[2] = {begin_row(two, y), begin_row(two + 1, y)};
        size_t at;
        const int32_t error = decode_two_rows(rows, &coding, failed, &at);
        if (error) {
            const int left = !*failed;
            if (!(*other = decode_row(rows + left, &coding, at))) {
                end_row(two + left, rows + left);
                *other = decode_rows(two + left, y + 1);
            }
            return error;
        }
        end_row(two, rows);
        end_row(two + 1, rows + 1);
    }
    return OK;
}

static void decode_two(Decoding *two)
{
    for (uint32_t k = 0; k < two->plane->level->live; k++) {
        int failed = 0;
        int32_t other = OK;
        begin_decoding_channel(two, k);
        begin_decoding_channel(two + 1, k);
        const int32_t error = decode_rows_of_two(two, &failed, &other);
        if (error) {
            two[failed].plane->error = error;
            two[!failed].plane->error = other ? other : decode_channels_behind(two + !failed, k);
            return;
        }
    }
    for (int i = 0; i < 2; i++) two[i].plane->error = close_reader(&two[i].reader);
}

/* Whether two planes take the same way: the rows of one channel of both have a `Coding` in common. */
static int alike(const Plane *a, const Plane *b)
{
    return a->level == b->level && a->height == b->height && a->width == b->width && !a->memory == !b->memory;
}

/* The symbols lie in the caches still. */
static void digest(Plane *plane)
{
    if (!plane->error) plane->digest = narrows_crc32((const uint8_t *)plane->symbols, (uint64_t)plane->level->channels * plane->height * plane->width, 1);
}

/* Decodes planes, two that are alike and follow one another at a time; each has its own error, and costs the others nothing.
 * `room` is twice what the largest takes, of which each half holds `words`; `fast` is what narrows_crc32_fast answered, and
 * without it there are no digests. */
EXPORT void narrows_decode_planes(Plane *planes, uint32_t count, uint32_t *room, uint64_t words, int32_t fast)
{
    Decoding two[2];
    uint32_t begun = 0;
    for (uint32_t i = 0; i <= count; i++) {
        if (begun && (i == count || !alike(two->plane, planes + i))) {
            two->plane->error = decode_channels_behind(two, (uint32_t)-1);
            if (fast) digest(two->plane);
            begun = 0;
        }
        if (i == count || (planes[i].error = begin_decoding(two + begun, planes + i, room + begun * words))) continue;
        if (begun) {
            decode_two(two);
            for (int each = 0; each < 2 && fast; each++) digest(two[each].plane);
        }
        begun = !begun;
    }
}

EXPORT uint32_t narrows_abi(void) { return ABI_VERSION; }
