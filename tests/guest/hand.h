/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hand.h - how the lab runs programs in a guest
 *
 * Over a virtio-serial port.  Both sides send frames: this header, then @bytes
 * bytes.  The host begins with HELLO and discards what comes before the answer
 * to it, so a guest that was saved in the middle of something does no harm.
 * Little-endian; both sides belong to one tree and are built together.
 *
 *   host                          guest
 *   HELLO id ───────────────────►
 *         ◄─────────────────────  HELLO id, name of the guest
 *   RUN id, argv, zeros between ►
 *   INPUT id, bytes (0: end) ───►
 *         ◄─────────────────────  OUTPUT id, bytes;  ERRORS id, bytes
 *         ◄─────────────────────  EXIT id, wait status (4 bytes)
 *   KILL id, signal (4 bytes) ──►
 *
 * Several programs may run at once.  When the host hangs up, what still runs is
 * killed.
 */
#ifndef SLICE_TESTS_HAND_H
#define SLICE_TESTS_HAND_H

#include <stdint.h>

#define HAND_PORT "slice.lab.hand"      /* name of the virtio-serial port */
#define HAND_MAGIC 0x646e6148u          /* "Hand" */
#define HAND_BYTES_MAX 65536

enum HandType {
    HAND_HELLO = 1,
    HAND_RUN,
    HAND_INPUT,
    HAND_KILL,
    HAND_OUTPUT,
    HAND_ERRORS,
    HAND_EXIT,
};

struct HandFrame {
    uint32_t magic;
    uint32_t type;      /* enum HandType */
    uint32_t id;        /* chosen by the host */
    uint32_t bytes;     /* that follow, at most HAND_BYTES_MAX */
};

#endif /* SLICE_TESTS_HAND_H */
