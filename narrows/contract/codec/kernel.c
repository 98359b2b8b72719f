/* The symbol coder: contexts and integer rANS. Specified in docs/symbol-coding.md.
 *
 *   symbols ──► context (neighbours, parents, memory) ──► table ──► rANS state ──► 16-bit words
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

#define ABI_VERSION 2u
#define NEIGHBOURS 6       /* left, above, above-left, above-right, left by two, above by two */
#define CAP 15             /* magnitudes above this count as this in contexts */
#define CONTEXT_LIMIT 1023
#define TAPS 9             /* of the memory: the position itself and those around it, row by row */
#define MEMORY_SHIFT 3     /* the memory is in eighths of a symbol */
#define MEMORY_CAP (CAP << MEMORY_SHIFT)
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
    const uint8_t *sign_class;         /* 2 * CONTEXT_LIMIT + 1 */
    const uint8_t *lookup;             /* live x bins: table, with FLIP where the value's sign is swapped */
} Contexts;

typedef struct {
    uint32_t channels;                 /* of the plane */
    uint32_t live;                     /* how many of them are coded */
    const uint16_t *channel;           /* live: index of each coded channel, ascending */
    Contexts key, predicted;           /* the second all zero where only K is coded */
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
    int16_t memory[3][ROW];          /* capped, of the row at hand and those around it */
    int16_t memory_magnitudes[3][ROW];
    int16_t memory_sums[ROW];        /* |sum| <= 32760 by the limit on the taps' weights */
} Window;

typedef struct {
    const Contexts *contexts;
    const uint8_t *lookup;
    const uint8_t *magnitude_weights;
    const int8_t *sign_weights;
    const int16_t *memory;           /* the channel's plane, or null in a K packet */
    size_t at;                       /* of the channel's plane among the symbols */
    uint32_t k;
    uint32_t height;
} Channel;

static inline int32_t clip(int32_t v, int32_t most) { return v > most ? most : v < -most ? -most : v; }
static inline int16_t capped(int32_t v) { return (int16_t)clip(v, CAP); }
static inline int16_t magnitude(int32_t v) { return (int16_t)(v < 0 ? -v : v); }

static Channel channel_of(const Level *level, uint32_t k, const int16_t *memory, uint32_t height, uint32_t width)
{
    const size_t at = (size_t)height * width * level->channel[k];
    const Contexts *contexts = memory ? &level->predicted : &level->key;
    return (Channel){
        contexts,
        contexts->lookup + (size_t)k * contexts->bins,
        contexts->magnitude_weights + (size_t)k * contexts->weights,
        contexts->sign_weights + (size_t)k * contexts->weights,
        memory ? memory + at : 0,
        at,
        k,
        height,
    };
}

static inline int16_t *values_of(Window *window, uint32_t y) { return window->values[y % 3] + PAD; }
static inline int16_t *magnitudes_of(Window *window, uint32_t y) { return window->magnitudes[y % 3] + PAD; }

/* Enters a row of the memory; a row outside the plane is zeros. */
static void enter_memory(Window *window, const Channel *channel, uint32_t width, uint32_t y)
{
    int16_t *restrict values = window->memory[y % 3] + PAD, *restrict magnitudes = window->memory_magnitudes[y % 3] + PAD;
    if (y >= channel->height) {
        memset(values, 0, width * sizeof values[0]);
        memset(magnitudes, 0, width * sizeof magnitudes[0]);
        return;
    }
    const int16_t *row = channel->memory + (size_t)y * width;
    for (size_t x = 0; x < width; x++) {
        values[x] = (int16_t)clip(row[x], MEMORY_CAP);
        magnitudes[x] = magnitude(values[x]);
    }
}

static void clear_window(Window *window, const Channel *channel, uint32_t width)
{
    const size_t size = (PAD + width + PAD) * sizeof window->values[0][0];
    for (int i = 0; i < 3; i++) {
        memset(window->values[i], 0, size);
        memset(window->magnitudes[i], 0, size);
    }
    if (!channel->memory) return;
    for (int i = 0; i < 3; i++) {
        memset(window->memory[i], 0, size);
        memset(window->memory_magnitudes[i], 0, size);
    }
    enter_memory(window, channel, width, 0);
}

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

/* One row of the memory, with the weights of its left, middle and right tap. */
static void weigh_memory_row(int16_t *restrict sums, const int16_t *restrict row, size_t width, int16_t before, int16_t straight, int16_t behind)
{
    const int16_t *left = row - 1, *right = row + 1;
    const size_t whole = whole_vectors(width);
    for (size_t x = 0; x < whole; x++) sums[x] = (int16_t)(sums[x] + before * left[x] + straight * row[x] + behind * right[x]);
}

/* Adds what the sums over the memory's taps come to in whole symbols, rounded down. */
static void add_memory(int16_t *restrict sums, const int16_t *restrict memory_sums, size_t width)
{
    for (size_t x = 0; x < width; x++) sums[x] = (int16_t)(sums[x] + (memory_sums[x] >> MEMORY_SHIFT));
}

/* Adds what the memory says of row y. */
static void weigh_memory(Window *window, const Channel *channel, uint32_t width, uint32_t y)
{
    const uint8_t *mw = channel->magnitude_weights + NEIGHBOURS;
    const int8_t *sw = channel->sign_weights + NEIGHBOURS;
    const size_t size = whole_vectors(width) * sizeof window->memory_sums[0];
    memset(window->memory_sums, 0, size);
    for (uint32_t r = 0; r < 3; r++, mw += 3)
        weigh_memory_row(window->memory_sums, window->memory_magnitudes[(y + 2 + r) % 3] + PAD, width, mw[0], mw[1], mw[2]);
    add_memory(window->magnitude_sums, window->memory_sums, width);
    memset(window->memory_sums, 0, size);
    for (uint32_t r = 0; r < 3; r++, sw += 3)
        weigh_memory_row(window->memory_sums, window->memory[(y + 2 + r) % 3] + PAD, width, sw[0], sw[1], sw[2]);
    add_memory(window->sign_sums, window->memory_sums, width);
}

/* Sums up what the rows above, the parents and the memory say of row y. */
static void begin_row(Window *window, const Level *level, const Channel *channel, const int8_t *symbols, size_t plane, uint32_t width, uint32_t y)
{
    const Contexts *contexts = channel->contexts;
    const uint8_t *mw = channel->magnitude_weights;
    const int8_t *sw = channel->sign_weights;
    weigh_above(window->magnitude_sums, magnitudes_of(window, y + 2), magnitudes_of(window, y + 1), width, mw[1], mw[2], mw[3], mw[5]);
    weigh_above(window->sign_sums, values_of(window, y + 2), values_of(window, y + 1), width, sw[1], sw[2], sw[3], sw[5]);
    for (uint32_t p = contexts->parents_begin[channel->k]; p < contexts->parents_begin[channel->k + 1]; p++)
        weigh_parent(window->magnitude_sums, symbols + plane * level->channel[contexts->parents[p]] + (size_t)y * width, width, contexts->parent_weights[p]);
    if (!channel->memory) return;
    enter_memory(window, channel, width, y + 1);
    weigh_memory(window, channel, width, y);
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

static inline uint32_t bin_of(const Contexts *contexts, int32_t magnitude_sum, int32_t sign_sum)
{
    const int32_t m = magnitude_sum > CONTEXT_LIMIT ? CONTEXT_LIMIT : magnitude_sum;
    return (uint32_t)contexts->magnitude_bin[m] + contexts->sign_class[clip(sign_sum, CONTEXT_LIMIT) + CONTEXT_LIMIT];
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
EXPORT int32_t narrows_contexts(const Level *level, const int8_t *symbols, const int16_t *memory, uint32_t height, uint32_t width, uint8_t *out)
{
    Window window;
    const size_t plane = (size_t)height * width;
    if (width > MAX_WIDTH) return NO_ROOM;
    for (uint32_t k = 0; k < level->live; k++) {
        const Channel channel = channel_of(level, k, memory, height, width);
        clear_window(&window, &channel, width);
        for (uint32_t y = 0; y < height; y++) {
            begin_row(&window, level, &channel, symbols, plane, width, y);
            enter_row(&window, &channel, symbols + channel.at + (size_t)y * width, width, y);
            for (uint32_t x = 0; x < width; x++) *out++ = (uint8_t)bin_of(channel.contexts, window.magnitude_sums[x], window.sign_sums[x]);
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
EXPORT int64_t narrows_encode(const Level *level, const int8_t *symbols, const int16_t *memory, uint32_t height, uint32_t width,
                              uint16_t *scratch, uint8_t *out, uint64_t room)
{
    Window window;
    Writer writer = {STATE_LOW, out + room, out};
    const size_t plane = (size_t)height * width;
    if (width > MAX_WIDTH) return NO_ROOM;
    for (uint32_t k = level->live; k-- > 0;) {
        const Channel channel = channel_of(level, k, memory, height, width);
        size_t steps = 0;
        clear_window(&window, &channel, width);
        for (uint32_t y = 0; y < height; y++) {
            const size_t row = (size_t)y * width;
            const int8_t *here = symbols + channel.at + row;
            begin_row(&window, level, &channel, symbols, plane, width, y);
            enter_row(&window, &channel, here, width, y);
            for (uint32_t x = 0; x < width; x++) {
                const uint32_t bin = bin_of(channel.contexts, window.magnitude_sums[x], window.sign_sums[x]);
                steps += plan(level, channel.lookup[bin], here[x], scratch + steps);
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
                                                                size_t width, uint32_t y, int8_t *here)
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
        const uint32_t bin = bin_of(channel->contexts, window->magnitude_sums[x] + near_magnitude, window->sign_sums[x] + near_sign);
        const uint32_t entry = channel->lookup[bin], t = entry & ~FLIP;
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
EXPORT int32_t narrows_decode(const Level *level, const uint8_t *payload, uint64_t size, const int16_t *memory, uint32_t height,
                              uint32_t width, int8_t *symbols)
{
    Window window;
    Reader reader;
    const size_t plane = (size_t)height * width;
    int32_t error = open_reader(&reader, payload, size);
    if (error) return error;
    if (width > MAX_WIDTH) return NO_ROOM;
    for (uint32_t k = 0; k < level->live; k++) {
        const Channel channel = channel_of(level, k, memory, height, width);
        clear_window(&window, &channel, width);
        for (uint32_t y = 0; y < height; y++) {
            begin_row(&window, level, &channel, symbols, plane, width, y);
            int8_t *here = symbols + channel.at + (size_t)y * width;
            error = decode_row(&reader, level, &channel, &window, width, y, here);
            if (error) return error;
        }
    }
    if (reader.state != STATE_LOW) return BAD_STATE;
    return reader.at == reader.end ? OK : LEFT_OVER;
}

EXPORT uint32_t narrows_abi(void) { return ABI_VERSION; }
