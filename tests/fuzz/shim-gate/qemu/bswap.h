/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bswap.h - and the one that only the gate needs
 */
#ifndef SHIM_GATE_BSWAP_H
#define SHIM_GATE_BSWAP_H

#include "../../shim/qemu/bswap.h"

static inline void stw_be_p(void *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
}

#endif
