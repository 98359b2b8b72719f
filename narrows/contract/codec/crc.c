/* CRC-32 of symbols, 16 bytes at a time: their digest, and zlib's, which is what both sides of the wire agree on (RFC 1952).
 *
 * After Gopal and others, "Fast CRC computation for generic polynomials using PCLMULQDQ" (Intel, 2009). A processor without carry-less
 * multiplication has the scalar way, bit by bit, which is right and slow: `narrows_crc32_fast` says which of them it is.
 */
#include "crc.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define POLYNOMIAL 0xEDB88320u /* reflected */
#define LEAST 64               /* bytes that folding begins with */

static uint32_t by_bits(uint32_t crc, const uint8_t *at, uint64_t size)
{
    for (; size; size--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (POLYNOMIAL & -(crc & 1));
    }
    return crc;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define FOLDING __attribute__((target("pclmul,sse4.1")))
#define LOAD(at) _mm_loadu_si128((const __m128i *)(at))
/* Both halves of a register moved on by as many bits as the constants stand for: x to that power, modulo the polynomial. */
#define MOVED(x, by) _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11))

/* Folds blocks of 16 bytes, at least four; goes on from `crc`. */
FOLDING static uint32_t by_folding(uint32_t crc, const uint8_t *at, uint64_t blocks)
{
    const __m128i by_64 = _mm_set_epi64x(0x01C6E41596, 0x0154442BD4), by_16 = _mm_set_epi64x(0x00CCAA009E, 0x01751997D0);
    const __m128i to_64 = _mm_set_epi64x(0, 0x0163CD6124), barrett = _mm_set_epi64x(0x01F7011641, 0x01DB710641);
    const __m128i low = _mm_set_epi32(0, -1, 0, -1);
    __m128i x[4];
    for (int i = 0; i < 4; i++) x[i] = LOAD(at + 16 * i);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)crc));
    for (at += 64, blocks -= 4; blocks >= 4; at += 64, blocks -= 4)
        for (int i = 0; i < 4; i++) x[i] = _mm_xor_si128(MOVED(x[i], by_64), LOAD(at + 16 * i));
    __m128i all = x[0];
    for (int i = 1; i < 4; i++) all = _mm_xor_si128(MOVED(all, by_16), x[i]);
    for (; blocks; at += 16, blocks--) all = _mm_xor_si128(MOVED(all, by_16), LOAD(at));
    all = _mm_xor_si128(_mm_clmulepi64_si128(all, by_16, 0x10), _mm_srli_si128(all, 8));
    all = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(all, low), to_64, 0x00), _mm_srli_si128(all, 4));
    const __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(all, low), barrett, 0x10);
    all = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(quotient, low), barrett, 0x00), all);
    return (uint32_t)_mm_extract_epi32(all, 1);
}

/* Whether this processor folds. */
EXPORT int32_t narrows_crc32_fast(void)
{
    uint32_t eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_PCLMUL) && (ecx & bit_SSE4_1);
}
#else
static uint32_t by_folding(uint32_t crc, const uint8_t *at, uint64_t blocks) { return by_bits(crc, at, 16 * blocks); }
EXPORT int32_t narrows_crc32_fast(void) { return 0; }
#endif

/* The CRC-32 of bytes; `fast` is what narrows_crc32_fast answered, or 0 for the scalar way. */
EXPORT uint32_t narrows_crc32(const uint8_t *at, uint64_t size, int32_t fast)
{
    const uint64_t folded = fast && size >= LEAST ? size / 16 * 16 : 0;
    const uint32_t crc = folded ? by_folding(0xFFFFFFFFu, at, folded / 16) : 0xFFFFFFFFu;
    return ~by_bits(crc, at + folded, size - folded);
}
