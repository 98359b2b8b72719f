/* CRC-32 of bytes: see crc.c. */
#ifndef NARROWS_CRC_H
#define NARROWS_CRC_H

#include <stdint.h>

int32_t narrows_crc32_fast(void);
uint32_t narrows_crc32(const uint8_t *at, uint64_t size, int32_t fast);

#endif
