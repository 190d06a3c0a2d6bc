/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types.h - just enough of the kernel for guest-kmod/image-read.c in user space
 */
#ifndef SHIM_LINUX_TYPES_H
#define SHIM_LINUX_TYPES_H

#include <asm/types.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef __u16 __le16;
typedef __u32 __le32;
typedef __u64 __le64;
typedef __u16 __be16;

/* Little-endian machines only, as the guest is. */
#define le16_to_cpu(x) (x)
#define le32_to_cpu(x) (x)
#define le64_to_cpu(x) (x)
#define cpu_to_le16(x) ((__le16)(x))

#define PAGE_SIZE 4096ul
#define ALIGN(x, a) (((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define cond_resched() ((void)0)
#define GFP_KERNEL 0
#define kvcalloc(n, bytes, gfp) calloc(n, bytes)
#define kvfree(at) free((void *)(at))

static inline const void *memchr_inv(const void *start, int c, size_t bytes)
{
    const u8 *at = start;

    for (; bytes; bytes--, at++) {
        if (*at != (u8)c) {
            return at;
        }
    }
    return NULL;
}

#endif /* SHIM_LINUX_TYPES_H */
