/* Integer rANS, as docs/symbol-coding.md and docs/label-coding.md specify it: one 40-bit state in 64-bit arithmetic, 16-bit words.
 *
 * After Duda, "Asymmetric numeral systems" (arXiv 1311.2540). No allocation, no dependence on byte order; every read of the
 * payload is checked.
 */
#ifndef NARROWS_RANS_H
#define NARROWS_RANS_H

#include <stdint.h>

#define STATE_LOW (UINT64_C(1) << 24)
#define SCALE_BITS 16
#define SLOT_MASK 0xFFFFu
#define RECIPROCAL_BITS 37

enum { OK = 0, RAN_OUT = -1, LEFT_OVER = -2, BAD_STATE = -3, BAD_TABLE = -5, NO_ROOM = -6 };

typedef struct {
    uint64_t reciprocal;   /* floor(2^(RECIPROCAL_BITS + shift) / frequency) */
    uint32_t frequency;
    uint16_t start;
    uint16_t shift;        /* floor(log2(frequency)) - 1, at least 0 */
} Step;

static inline Step step_of(uint32_t frequency, uint32_t start)
{
    uint16_t shift = 0;
    while (frequency >> (shift + 2)) shift++;
    return (Step){(UINT64_C(1) << (RECIPROCAL_BITS + shift)) / frequency, frequency, (uint16_t)start, shift};
}

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

/* Writes the last state before the words. */
static inline int32_t put_state(Writer *writer)
{
    const uint32_t size = writer->state >> 32 ? 5 : 4;
    if (writer->at - writer->floor < (int64_t)size) return NO_ROOM;
    writer->at -= size;
    for (uint32_t i = 0; i < size; i++) writer->at[i] = (uint8_t)(writer->state >> (8 * i));
    return OK;
}

typedef struct {
    uint64_t state;
    const uint8_t *at;
    const uint8_t *end;
} Reader;

static inline int32_t open_reader(Reader *reader, const uint8_t *payload, uint64_t size)
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

/* Whether the payload ended as one does. */
static inline int32_t close_reader(const Reader *reader)
{
    if (reader->state != STATE_LOW) return BAD_STATE;
    return reader->at == reader->end ? OK : LEFT_OVER;
}

#endif
