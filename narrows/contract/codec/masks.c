/* A label map as a mask carries it (docs/wire-format.md): the areas of its classes, and `row-xor-deflate`.
 *
 * One pass over the pixels finds where a row differs from the row above. That is all that there is to write, and all that there is
 * to count: a pixel that differs moves the rest of its column from one class to another. What is equal is passed over 32 bytes at
 * a time. Runs and literals become one deflate block (RFC 1951) with codes of its own. No allocation, no dependence on byte order.
 */
#include <stdint.h>
#include <string.h>

enum { NO_ROOM = -6, NO_CLASS = -9 };

#define LITERALS 256
#define END LITERALS
#define SYMBOLS 286            /* literals, the end, 29 lengths */
#define LONGEST_MATCH 258
#define SHORTEST_MATCH 3
#define CODE_BITS 15
#define LENGTH_CODES 19        /* what lengths of codes are written with */
#define LENGTH_CODE_BITS 7
#define WORD 8
#define WORDS 4
#define BLOCK (WORDS * WORD)

#define WRITTEN 8              /* bytes that are written at once, however few of them count */

typedef struct {
    uint8_t bits[SYMBOLS];
    uint16_t code[SYMBOLS];    /* reversed, as deflate writes codes */
} Code;

/* How a token's symbol is written. */
typedef struct {
    uint16_t code;
    uint8_t bits;
    uint8_t all;               /* the extra bits and the distance of a match counted too */
} Put;

typedef struct {
    uint16_t *at;              /* a symbol, and above EXTRA_AT the extra bits of a match's length; two bytes a token */
    uint32_t counts[SYMBOLS];
    uint32_t run;              /* of `value`, not written yet */
    uint8_t value;
} Tokens;

typedef struct {
    uint8_t *at;
    uint64_t held;
    uint32_t count;
} Bits;

#define EXTRA_AT 9
#define SYMBOL_MASK ((1u << EXTRA_AT) - 1)

/* The token of a match: its length's symbol and extra bits (RFC 1951, section 3.2.5). */
static inline uint32_t match_of(uint32_t length)
{
    const uint32_t beyond = length - SHORTEST_MATCH;
    if (length == LONGEST_MATCH) return SYMBOLS - 1;
    if (beyond < 8) return END + 1 + beyond;
    const uint32_t extra_bits = 29 - (uint32_t)__builtin_clz(beyond);
    return (END + 1 + 4 * extra_bits + (beyond >> extra_bits)) | (beyond & ((1u << extra_bits) - 1)) << EXTRA_AT;
}

/* How many bits follow a symbol: the rest of a match's length, and its distance of one bit. */
static inline uint32_t bits_behind(uint32_t symbol)
{
    if (symbol <= END) return 0;
    return symbol < END + 9 || symbol == SYMBOLS - 1 ? 1 : (symbol - END - 5) / 4 + 1;
}

static inline void add(Tokens *tokens, uint32_t token)
{
    *tokens->at++ = (uint16_t)token;
    tokens->counts[token & SYMBOL_MASK]++;
}

static inline void end_run(Tokens *tokens)
{
    uint32_t left = tokens->run;
    if (!left) return;
    add(tokens, tokens->value);
    for (left--; left >= LONGEST_MATCH; left -= LONGEST_MATCH) add(tokens, SYMBOLS - 1);
    if (left >= SHORTEST_MATCH) {
        add(tokens, match_of(left));
        left = 0;
    }
    for (; left; left--) add(tokens, tokens->value);
    tokens->run = 0;
}

static inline void feed(Tokens *tokens, uint8_t value, uint32_t count)
{
    if (value != tokens->value) {
        end_run(tokens);
        tokens->value = value;
    }
    tokens->run += count;
}

/* Lengths of a Huffman code by counts, none above `most`: counts are halved until none is. Symbols of count 0 have none. */
static void lengths_of(const uint32_t *counts, uint32_t symbols, uint32_t most, uint8_t *bits)
{
    uint32_t order[SYMBOLS], used = 0, weights[2 * SYMBOLS], halved = 0, longest;
    uint16_t parents[2 * SYMBOLS], depths[2 * SYMBOLS];
    memset(bits, 0, symbols);
    for (uint32_t i = 0; i < symbols; i++)
        if (counts[i]) {
            uint32_t place = used++;
            for (; place && counts[order[place - 1]] > counts[i]; place--) order[place] = order[place - 1];
            order[place] = i;
        }
    if (used < 2) {
        if (used) bits[order[0]] = 1;
        return;
    }
    do {
        uint32_t leaf = 0, inner = used, made = used; /* two queues, both in order of weight */
        for (uint32_t i = 0; i < used; i++) weights[i] = (counts[order[i]] >> halved) + (halved > 0);
        while (made < 2 * used - 1) {
            uint32_t sum = 0;
            for (uint32_t child = 0; child < 2; child++) {
                const uint32_t least = leaf < used && (inner >= made || weights[leaf] <= weights[inner]) ? leaf++ : inner++;
                sum += weights[least];
                parents[least] = (uint16_t)made;
            }
            weights[made++] = sum;
        }
        longest = 0;
        depths[made - 1] = 0;
        for (uint32_t i = made - 1; i-- > 0;) {
            depths[i] = (uint16_t)(depths[parents[i]] + 1);
            if (depths[i] > longest) longest = depths[i];
        }
        halved++;
    } while (longest > most);
    for (uint32_t i = 0; i < used; i++) bits[order[i]] = (uint8_t)depths[i];
}

/* The canonical code of lengths (RFC 1951, section 3.2.2). */
static void number(Code *code, uint32_t symbols)
{
    uint32_t counts[CODE_BITS + 1] = {0}, next[CODE_BITS + 1], first = 0;
    for (uint32_t i = 0; i < symbols; i++) counts[code->bits[i]]++;
    counts[0] = 0;
    for (uint32_t length = 1; length <= CODE_BITS; length++) next[length] = first = (first + counts[length - 1]) << 1;
    for (uint32_t i = 0; i < symbols; i++) {
        uint32_t reversed = 0;
        if (!code->bits[i]) continue;
        for (uint32_t bit = 0, value = next[code->bits[i]]++; bit < code->bits[i]; bit++, value >>= 1)
            reversed = reversed << 1 | (value & 1);
        code->code[i] = (uint16_t)reversed;
    }
}

/* Writes at most 32 bits; WRITTEN bytes must have room. */
static inline void put_bits(Bits *bits, uint32_t value, uint32_t count)
{
    bits->held |= (uint64_t)value << bits->count;
    bits->count += count;
    for (uint32_t i = 0; i < WRITTEN; i++) bits->at[i] = (uint8_t)(bits->held >> (8 * i)); /* one store, as compilers see it */
    bits->at += bits->count / 8;
    bits->held >>= bits->count & ~7u;
    bits->count &= 7;
}

/* Lengths of codes as runs: symbols 0-15 as they are, 16 the last one 3-6 times more, 17 and 18 zeros. Extra bits lie above bit 8. */
static uint32_t runs_of(const uint8_t *bits, uint32_t count, uint16_t *runs)
{
    uint32_t made = 0;
    for (uint32_t i = 0; i < count;) {
        uint32_t same = 1;
        while (i + same < count && bits[i + same] == bits[i]) same++;
        i += same;
        if (bits[i - same]) {
            runs[made++] = bits[i - same];
            same--;
        }
        while (same >= 3) {
            const uint32_t zeros = !bits[i - 1], most = zeros ? 138 : 6, take = same < most ? same : most;
            if (!zeros) runs[made++] = (uint16_t)(16 | (take - 3) << 8);
            else runs[made++] = (uint16_t)(take < 11 ? 17 | (take - 3) << 8 : 18 | (take - 11) << 8);
            same -= take;
        }
        for (; same; same--) runs[made++] = bits[i - 1];
    }
    return made;
}

/* The block's head: one distance code of one bit, for every match repeats the byte before it. */
static void put_head(Bits *out, const Code *code, uint32_t symbols)
{
    static const uint8_t ORDER[LENGTH_CODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint32_t counts[LENGTH_CODES] = {0}, written = LENGTH_CODES;
    uint16_t runs[SYMBOLS + 1];
    uint8_t lengths[SYMBOLS + 1];
    Code of_lengths;
    memcpy(lengths, code->bits, symbols);
    lengths[symbols] = 1;
    const uint32_t made = runs_of(lengths, symbols + 1, runs);
    for (uint32_t i = 0; i < made; i++) counts[runs[i] & 0xFF]++;
    lengths_of(counts, LENGTH_CODES, LENGTH_CODE_BITS, of_lengths.bits);
    number(&of_lengths, LENGTH_CODES);
    while (written > 4 && !of_lengths.bits[ORDER[written - 1]]) written--;
    put_bits(out, 1 | 2 << 1, 3); /* the last block, with codes of its own */
    put_bits(out, symbols - 257, 5);
    put_bits(out, 0, 5);
    put_bits(out, written - 4, 4);
    for (uint32_t i = 0; i < written; i++) put_bits(out, of_lengths.bits[ORDER[i]], 3);
    for (uint32_t i = 0; i < made; i++) {
        const uint32_t symbol = runs[i] & 0xFF;
        put_bits(out, of_lengths.code[symbol], of_lengths.bits[symbol]);
        if (symbol >= 16) put_bits(out, runs[i] >> 8, symbol == 16 ? 2 : symbol == 17 ? 3 : 7);
    }
}

static int64_t deflate(Tokens *tokens, const uint16_t *begin, uint8_t *out, uint64_t room)
{
    Code code;
    Put puts[SYMBOLS];
    uint32_t symbols = SYMBOLS;
    uint64_t size_bits = 8 * 400; /* more than any head has */
    tokens->counts[END] = 1;
    lengths_of(tokens->counts, SYMBOLS, CODE_BITS, code.bits);
    number(&code, SYMBOLS);
    while (!code.bits[symbols - 1]) symbols--; /* the end is always there */
    for (uint32_t i = 0; i < symbols; i++) {
        puts[i] = (Put){code.code[i], code.bits[i], (uint8_t)(code.bits[i] + bits_behind(i))};
        size_bits += (uint64_t)tokens->counts[i] * puts[i].all;
    }
    if (size_bits / 8 + WRITTEN > room) return NO_ROOM;
    Bits bits = {out, 0, 0};
    put_head(&bits, &code, symbols);
    *tokens->at = END; /* in the place of a token that the map has no pixel for */
    for (const uint16_t *token = begin; token <= tokens->at; token++) {
        const Put put = puts[*token & SYMBOL_MASK];
        put_bits(&bits, put.code | (uint32_t)*token >> EXTRA_AT << put.bits, put.all); /* distance: a 0 */
    }
    return bits.at + (bits.count > 0) - out;
}

/* Which bytes of two words differ, a bit each, the first byte's the lowest. */
static inline uint32_t differing(const uint8_t *at, const uint8_t *above)
{
    const uint64_t low = UINT64_C(0x7F7F7F7F7F7F7F7F);
    uint64_t a, b;
    memcpy(&a, at, WORD);
    memcpy(&b, above, WORD);
    a ^= b;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    a = __builtin_bswap64(a);
#endif
    a = (((a & low) + low) | a) & ~low; /* the highest bit of each that differs */
    return (uint32_t)(a * UINT64_C(0x0002040810204081) >> 56);
}

static inline int same(const uint8_t *at, const uint8_t *above)
{
    uint64_t differs = 0;
    for (uint32_t i = 0; i < WORDS; i++) {
        uint64_t a, b;
        memcpy(&a, at + WORD * i, WORD);
        memcpy(&b, above + WORD * i, WORD);
        differs |= a ^ b;
    }
    return !differs;
}

/* Which of the next pixels, BLOCK at the most, differ from those above, a bit each. */
static inline uint32_t changes(const uint8_t *at, const uint8_t *end, uint32_t width)
{
    uint32_t found = 0, i = 0;
    if (end - at >= BLOCK)
        for (; i < BLOCK; i += WORD) found |= differing(at + i, at + i - width) << i;
    else
        for (; at + i < end; i++) found |= (uint32_t)(at[i] != *(at + i - width)) << i;
    return found;
}

/* Packs labels (height, width), each below `classes` (at most 256), and counts them into `areas` (classes).
 *
 * `tokens` has room for height * width + 1 of them. Answers the bytes written; NO_CLASS if a label is none, NO_ROOM if `room` is
 * too small, which 2 * height * width + 512 never is.
 */
__attribute__((visibility("default")))
int64_t narrows_mask_pack(const uint8_t *labels, uint32_t height, uint32_t width, uint32_t classes, uint32_t *areas, uint16_t *tokens, uint8_t *out, uint64_t room)
{
    uint32_t counted[256] = {0};
    Tokens made = {.at = tokens};
    const uint8_t *at = labels, *const end = labels + (size_t)height * width;
    size_t row_end = 2 * (size_t)width;
    for (; at < labels + width; at++) {
        feed(&made, *at, 1);
        counted[*at] += height;
    }
    const uint8_t *from = at; /* the rows lie one behind the other, and what is equal goes on from one to the next */
    for (uint32_t below = height - 1; at < end; at += BLOCK) {
        while (end - at >= BLOCK && same(at, at - width)) at += BLOCK;
        for (uint32_t left = changes(at, end, width); left; left &= left - 1) {
            const uint8_t *const changed = at + __builtin_ctz(left);
            for (; (size_t)(changed - labels) >= row_end; row_end += width) below--;
            if (changed > from) feed(&made, 0, (uint32_t)(changed - from));
            feed(&made, *changed ^ *(changed - width), 1);
            counted[*changed] += below;
            counted[*(changed - width)] -= below;
            from = changed + 1;
        }
        if (end - at <= BLOCK) break;
    }
    if (end > from) feed(&made, 0, (uint32_t)(end - from));
    end_run(&made);
    for (uint32_t label = classes; label < 256; label++)
        if (counted[label]) return NO_CLASS;
    memcpy(areas, counted, classes * sizeof *areas);
    return deflate(&made, tokens, out, room);
}
