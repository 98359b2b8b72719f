/* The symbol coder: contexts and integer rANS. Specified in docs/symbol-coding.md.
 *
 *   symbols ──► context (neighbours, parents, reference) ──► table ──► rANS state ──► 16-bit words
 *
 * No allocation, no globals, no floating point, no dependence on byte order. Every read of the payload is checked.
 * rANS after Duda, "Asymmetric numeral systems" (arXiv 1311.2540), with one 40-bit state in 64-bit arithmetic.
 */
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define ABI_VERSION 1u
#define NEIGHBOURS 6       /* left, above, above-left, above-right, left by two, above by two */
#define CAP 15             /* magnitudes above this count as this in contexts */
#define CONTEXT_LIMIT 1023
#define MAX_WIDTH 2048
#define MAX_TABLES 64
#define FLIP 0x80u
#define LAST_INDEX 254u    /* of the value order 0, 1, -1, 2, -2, ..., 127, -127 */
#define STATE_LOW (UINT64_C(1) << 24)
#define SCALE_BITS 16
#define SLOT_MASK 0xFFFFu
#define HALF 32768u
#define RECIPROCAL_BITS 37
#define STEPS_A_SYMBOL 16  /* a table step and at most 15 escape bits */

enum { OK = 0, RAN_OUT = -1, LEFT_OVER = -2, BAD_STATE = -3, BAD_ESCAPE = -4, BAD_TABLE = -5, NO_ROOM = -6 };

typedef struct {
    uint32_t count;        /* entries, the escape included */
    uint32_t offset;       /* of the first entry in starts[] (which has one more a table) and in steps[] */
    uint8_t first[256];    /* slot >> 8 -> the first entry that reaches into these slots */
} Table;

typedef struct {
    uint64_t reciprocal;   /* floor(2^(RECIPROCAL_BITS + shift) / frequency) */
    uint32_t frequency;
    uint16_t start;
    uint16_t shift;        /* floor(log2(frequency)) - 1, at least 0 */
} Step;

typedef struct {
    uint32_t channels;         /* of the plane */
    uint32_t live;             /* how many of them are coded */
    uint32_t bins;             /* contexts a channel and reference class */
    uint32_t reference_radius; /* reference classes are clip(r, -radius, radius) */
    const uint16_t *channel;           /* live: index of each coded channel, ascending */
    const uint8_t *magnitude_weights;  /* live x NEIGHBOURS */
    const int8_t *sign_weights;        /* live x NEIGHBOURS */
    const uint32_t *parents_begin;     /* live + 1 */
    const uint16_t *parents;           /* index among the coded channels, lower than the own */
    const uint8_t *parent_weights;
    const uint8_t *magnitude_bin;      /* CONTEXT_LIMIT + 1: first context of the bin */
    const uint8_t *sign_class;         /* 2 * CONTEXT_LIMIT + 1 */
    const uint8_t *key_lookup;         /* live x bins: table, with FLIP where the value's sign is swapped */
    const uint8_t *predicted_lookup;   /* live x (2 * radius + 1) x bins, or null */
    const Table *tables;
    const uint16_t *zeros;             /* the first frequency of each table, apart because most symbols need no more */
    const uint16_t *starts;            /* cumulative frequencies; the last, 65536, is stored as 0 */
    const Step *steps;                 /* two for raw bits 0 and 1, then those of the tables */
} Level;

/* ---- contexts ---------------------------------------------------------------------------------------------- */

#define PAD 8                        /* zeros before and after a row: neighbours outside the plane */
#define ROW (PAD + MAX_WIDTH + PAD)

/* The rows of one channel that contexts read: values and magnitudes, capped, of the row at hand and the two above. */
typedef struct {
    int16_t values[3][ROW];
    int16_t magnitudes[3][ROW];
    int16_t magnitude_sums[ROW];     /* of what is known when the row begins; |sum| <= 32760 by the limits on weights */
    int16_t sign_sums[ROW];
} Window;

typedef struct {
    const uint8_t *lookup;           /* of reference class 0 where there is a reference */
    const uint8_t *magnitude_weights;
    const int8_t *sign_weights;
    const int8_t *reference;         /* the channel's plane, or null */
    size_t at;                       /* of the channel's plane among the symbols */
    uint32_t k;
} Channel;

static inline int32_t clip(int32_t v, int32_t most) { return v > most ? most : v < -most ? -most : v; }
static inline int16_t capped(int32_t v) { return (int16_t)clip(v, CAP); }
static inline int16_t magnitude(int32_t v) { return (int16_t)(v < 0 ? -v : v); }

static Channel channel_of(const Level *level, uint32_t k, const int8_t *reference, size_t plane)
{
    const size_t at = plane * level->channel[k], classes = 2 * (size_t)level->reference_radius + 1;
    return (Channel){
        reference ? level->predicted_lookup + k * classes * level->bins : level->key_lookup + (size_t)k * level->bins,
        level->magnitude_weights + (size_t)k * NEIGHBOURS,
        level->sign_weights + (size_t)k * NEIGHBOURS,
        reference ? reference + at : 0,
        at,
        k,
    };
}

static void clear_window(Window *window, uint32_t width)
{
    for (int i = 0; i < 3; i++) {
        memset(window->values[i], 0, (PAD + width + PAD) * sizeof window->values[i][0]);
        memset(window->magnitudes[i], 0, (PAD + width + PAD) * sizeof window->magnitudes[i][0]);
    }
}

static inline int16_t *values_of(Window *window, uint32_t y) { return window->values[y % 3] + PAD; }
static inline int16_t *magnitudes_of(Window *window, uint32_t y) { return window->magnitudes[y % 3] + PAD; }

static inline size_t whole_vectors(size_t width) { return (width + PAD - 1) / PAD * PAD; } /* into the padding */

static void weigh_above(int16_t *restrict sums, const int16_t *restrict above, const int16_t *restrict above2, size_t width,
                        int16_t straight, int16_t before, int16_t behind, int16_t twice)
{
    const int16_t *left = above - 1, *right = above + 1;
    const size_t whole = whole_vectors(width);
    for (size_t x = 0; x < whole; x++)
        sums[x] = (int16_t)(straight * above[x] + before * left[x] + behind * right[x] + twice * above2[x]);
}

static void weigh_parent(int16_t *restrict sums, const int8_t *restrict parent, size_t width, int16_t weight)
{
    for (size_t x = 0; x < width; x++) sums[x] = (int16_t)(sums[x] + weight * magnitude(capped(parent[x])));
}

static void weigh_left(int16_t *restrict sums, const int16_t *restrict row, size_t width, int16_t once, int16_t twice)
{
    const int16_t *left = row - 1, *left2 = row - 2;
    const size_t whole = whole_vectors(width);
    for (size_t x = 0; x < whole; x++) sums[x] = (int16_t)(sums[x] + once * left[x] + twice * left2[x]);
}

/* Sums up what the rows above and the parents say of row y. */
static void begin_row(Window *window, const Level *level, const Channel *channel, const int8_t *symbols, size_t plane, uint32_t width, uint32_t y)
{
    const uint8_t *mw = channel->magnitude_weights;
    const int8_t *sw = channel->sign_weights;
    weigh_above(window->magnitude_sums, magnitudes_of(window, y + 2), magnitudes_of(window, y + 1), width, mw[1], mw[2], mw[3], mw[5]);
    weigh_above(window->sign_sums, values_of(window, y + 2), values_of(window, y + 1), width, sw[1], sw[2], sw[3], sw[5]);
    for (uint32_t p = level->parents_begin[channel->k]; p < level->parents_begin[channel->k + 1]; p++)
        weigh_parent(window->magnitude_sums, symbols + plane * level->channel[level->parents[p]] + (size_t)y * width, width, level->parent_weights[p]);
}

/* Enters a whole row of known symbols, and adds what left neighbours say. */
static void enter_row(Window *window, const Channel *channel, const int8_t *here, uint32_t width, uint32_t y)
{
    int16_t *restrict values = values_of(window, y), *restrict magnitudes = magnitudes_of(window, y);
    for (size_t x = 0; x < width; x++) {
        values[x] = capped(here[x]);
        magnitudes[x] = magnitude(values[x]);
    }
    weigh_left(window->magnitude_sums, magnitudes, width, channel->magnitude_weights[0], channel->magnitude_weights[4]);
    weigh_left(window->sign_sums, values, width, channel->sign_weights[0], channel->sign_weights[4]);
}

static inline uint32_t bin_of(const Level *level, int32_t magnitude_sum, int32_t sign_sum)
{
    const int32_t m = magnitude_sum > CONTEXT_LIMIT ? CONTEXT_LIMIT : magnitude_sum;
    return (uint32_t)level->magnitude_bin[m] + level->sign_class[clip(sign_sum, CONTEXT_LIMIT) + CONTEXT_LIMIT];
}

static inline uint32_t entry_of(const Level *level, const Channel *channel, int predicted, size_t at, uint32_t bin)
{
    const int32_t radius = (int32_t)level->reference_radius;
    if (!predicted) return channel->lookup[bin];
    return channel->lookup[(size_t)(clip(channel->reference[at], radius) + radius) * level->bins + bin];
}

/* The context of every coded symbol, `live` planes of bytes: for counting and measuring. */
EXPORT int32_t narrows_contexts(const Level *level, const int8_t *symbols, uint32_t height, uint32_t width, uint8_t *out)
{
    Window window;
    const size_t plane = (size_t)height * width;
    if (width > MAX_WIDTH) return NO_ROOM;
    for (uint32_t k = 0; k < level->live; k++) {
        const Channel channel = channel_of(level, k, 0, plane);
        clear_window(&window, width);
        for (uint32_t y = 0; y < height; y++) {
            begin_row(&window, level, &channel, symbols, plane, width, y);
            enter_row(&window, &channel, symbols + channel.at + (size_t)y * width, width, y);
            for (uint32_t x = 0; x < width; x++) *out++ = (uint8_t)bin_of(level, window.magnitude_sums[x], window.sign_sums[x]);
        }
    }
    return OK;
}

/* ---- tables ------------------------------------------------------------------------------------------------- */

static Step step_of(uint32_t frequency, uint32_t start)
{
    uint16_t shift = 0;
    while (frequency >> (shift + 2)) shift++;
    return (Step){(UINT64_C(1) << (RECIPROCAL_BITS + shift)) / frequency, frequency, (uint16_t)start, shift};
}

/* Checks `tables` lists of frequencies (counts[t] each, in a row) and expands them for both directions.
 * starts[] takes one entry more a table than frequencies[], steps[] two more in all. */
EXPORT int32_t narrows_expand(uint32_t tables, const uint16_t *counts, const uint16_t *frequencies, Table *out, uint16_t *zeros, uint16_t *starts, Step *steps)
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
        zeros[t] = frequencies[offset];
        starts[offset + t + count] = 0;
        offset += count;
    }
    return OK;
}

/* ---- values ------------------------------------------------------------------------------------------------- */

static inline int32_t value_of(uint32_t index) { return index & 1 ? (int32_t)(index + 1) / 2 : -(int32_t)(index / 2); }
static inline uint32_t index_of(int32_t value) { return value > 0 ? 2 * (uint32_t)value - 1 : 2 * (uint32_t)-value; }

/* The longest prefix of an escape: floor(log2(most + 1)) for tails 0..most. */
static inline uint32_t longest_prefix(uint32_t most)
{
    uint32_t k = 0;
    while ((most + 1) >> (k + 1)) k++;
    return k;
}

/* ---- encoder ------------------------------------------------------------------------------------------------ */

typedef struct {
    uint64_t state;
    uint8_t *at;           /* words are written downwards */
    uint8_t *floor;
} Writer;

static inline int32_t put(Writer *writer, const Step *step)
{
    uint64_t x = writer->state;
    const uint64_t frequency = step->frequency;
    if (x >= frequency << 24) {
        if (writer->at - writer->floor < 2) return NO_ROOM;
        writer->at -= 2;
        writer->at[0] = (uint8_t)x;
        writer->at[1] = (uint8_t)(x >> 8);
        x >>= 16;
    }
    /* x < 2^24 * frequency: the product fits 64 bits, and the estimate falls short by one at most */
    uint64_t quotient = ((x >> step->shift) * step->reciprocal) >> RECIPROCAL_BITS;
    uint64_t rest = x - quotient * frequency;
    const uint64_t short_by = rest >= frequency;
    quotient += short_by;
    rest -= short_by ? frequency : 0;
    writer->state = (quotient << SCALE_BITS) + rest + step->start;
    return OK;
}

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
 * scratch: height * width * STEPS_A_SYMBOL entries. */
EXPORT int64_t narrows_encode(const Level *level, const int8_t *symbols, const int8_t *reference, uint32_t height, uint32_t width,
                              uint16_t *scratch, uint8_t *out, uint64_t room)
{
    Window window;
    Writer writer = {STATE_LOW, out + room, out};
    const size_t plane = (size_t)height * width;
    if (width > MAX_WIDTH) return NO_ROOM;
    for (uint32_t k = level->live; k-- > 0;) {
        const Channel channel = channel_of(level, k, reference, plane);
        size_t steps = 0;
        clear_window(&window, width);
        for (uint32_t y = 0; y < height; y++) {
            const size_t row = (size_t)y * width;
            const int8_t *here = symbols + channel.at + row;
            begin_row(&window, level, &channel, symbols, plane, width, y);
            enter_row(&window, &channel, here, width, y);
            for (uint32_t x = 0; x < width; x++) {
                const uint32_t bin = bin_of(level, window.magnitude_sums[x], window.sign_sums[x]);
                steps += plan(level, entry_of(level, &channel, reference != 0, row + x, bin), here[x], scratch + steps);
            }
        }
        while (steps > 0) {
            const int32_t error = put(&writer, level->steps + scratch[--steps]);
            if (error) return error;
        }
    }
    const uint32_t size = writer.state >> 32 ? 5 : 4;
    if (writer.at - writer.floor < (int64_t)size) return NO_ROOM;
    writer.at -= size;
    for (uint32_t i = 0; i < size; i++) writer.at[i] = (uint8_t)(writer.state >> (8 * i));
    return (int64_t)(out + room - writer.at);
}

/* ---- decoder ------------------------------------------------------------------------------------------------ */

typedef struct {
    uint64_t state;
    const uint8_t *at;
    const uint8_t *end;
} Reader;

static int32_t open_reader(Reader *reader, const uint8_t *payload, uint64_t size)
{
    const uint32_t head = size & 1 ? 5 : 4;
    if (size < head) return RAN_OUT;
    uint64_t x = 0;
    for (uint32_t i = 0; i < head; i++) x |= (uint64_t)payload[i] << (8 * i);
    if (head == 4 ? x < STATE_LOW : !(x >> 32)) return BAD_STATE;
    *reader = (Reader){x, payload + head, payload + size};
    return OK;
}

static inline int32_t refill(Reader *reader)
{
    if (reader->state >= STATE_LOW) return OK;
    if (reader->at == reader->end) return RAN_OUT;
    reader->state = reader->state << 16 | reader->at[0] | (uint64_t)reader->at[1] << 8;
    reader->at += 2;
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

/* The index of the entry that the state's slot lies in, which is not the first. The state leaves it, not refilled. */
static inline uint32_t leave_slot(uint64_t *state, const Table *table, const uint16_t *starts)
{
    const uint64_t x = *state;
    const uint32_t slot = x & SLOT_MASK;
    uint32_t index = table->first[slot >> 8];
    while (index + 1 < table->count && slot >= starts[index + 1]) index++;
    *state = (uint16_t)(starts[index + 1] - starts[index]) * (x >> 16) + slot - starts[index];
    return index;
}

/* Decodes row y. Zeros are most of it, and the branch on them lets the processor run ahead of the state. */
static inline __attribute__((always_inline)) int32_t decode_row(Reader *given, const Level *level, const Channel *channel, Window *window,
                                                                int predicted, size_t width, uint32_t y, int8_t *here)
{
    Reader reader = *given;
    int16_t *values = values_of(window, y), *magnitudes = magnitudes_of(window, y);
    const uint8_t *mw = channel->magnitude_weights;
    const int8_t *sw = channel->sign_weights;
    int32_t near_magnitude = 0, near_sign = 0;   /* what the left neighbours add here */
    int32_t later_magnitude = 0, later_sign = 0; /* and the nearer of them to the next */
    int32_t error;
    memset(values, 0, width * sizeof values[0]);
    memset(magnitudes, 0, width * sizeof magnitudes[0]);
    for (size_t x = 0; x < width; x++) {
        const uint32_t bin = bin_of(level, window->magnitude_sums[x] + near_magnitude, window->sign_sums[x] + near_sign);
        const uint32_t entry = entry_of(level, channel, predicted, y * width + x, bin), t = entry & ~FLIP;
        const uint32_t zeros = level->zeros[t], slot = reader.state & SLOT_MASK;
        near_magnitude = later_magnitude;
        near_sign = later_sign;
        later_magnitude = later_sign = 0;
        if (slot < zeros) {
            reader.state = zeros * (reader.state >> SCALE_BITS) + slot;
            if ((error = refill(&reader))) return error;
            continue;
        }
        const Table *table = level->tables + t;
        uint32_t index = leave_slot(&reader.state, table, level->starts + table->offset + t);
        if ((error = refill(&reader))) return error;
        if (index + 1 == table->count) {
            Reader aside = reader;
            const int32_t escaped = get_escaped(&aside, index);
            if (escaped < 0) return escaped;
            index = (uint32_t)escaped;
            reader = aside;
        }
        const int32_t value = entry & FLIP ? -value_of(index) : value_of(index), small = capped(value);
        here[x] = (int8_t)value;
        values[x] = (int16_t)small;
        magnitudes[x] = magnitude(small);
        near_magnitude += mw[0] * magnitudes[x];
        near_sign += sw[0] * small;
        later_magnitude = mw[4] * magnitudes[x];
        later_sign = sw[4] * small;
    }
    *given = reader;
    return OK;
}

/* Decodes a plane; symbols (channels x height x width) come zeroed. Returns 0 or a negative error. */
EXPORT int32_t narrows_decode(const Level *level, const uint8_t *payload, uint64_t size, const int8_t *reference, uint32_t height,
                              uint32_t width, int8_t *symbols)
{
    Window window;
    Reader reader;
    const size_t plane = (size_t)height * width;
    int32_t error = open_reader(&reader, payload, size);
    if (error) return error;
    if (width > MAX_WIDTH) return NO_ROOM;
    for (uint32_t k = 0; k < level->live; k++) {
        const Channel channel = channel_of(level, k, reference, plane);
        clear_window(&window, width);
        for (uint32_t y = 0; y < height; y++) {
            begin_row(&window, level, &channel, symbols, plane, width, y);
            int8_t *here = symbols + channel.at + (size_t)y * width;
            error = reference ? decode_row(&reader, level, &channel, &window, 1, width, y, here)
                              : decode_row(&reader, level, &channel, &window, 0, width, y, here);
            if (error) return error;
        }
    }
    if (reader.state != STATE_LOW) return BAD_STATE;
    return reader.at == reader.end ? OK : LEFT_OVER;
}

EXPORT uint32_t narrows_abi(void) { return ABI_VERSION; }
