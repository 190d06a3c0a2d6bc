/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * error.h - the few kinds of failure, shared by daemon, bus and exit codes
 */
#ifndef SLICE_UTIL_ERROR_H
#define SLICE_UTIL_ERROR_H

#include <gio/gio.h>

/**
 * SliceError: what kind of failure a caller can act upon
 * @SLICE_ERROR_FAILED: none of the others; the message says what
 * @SLICE_ERROR_INVALID: the request makes no sense, whatever the state
 * @SLICE_ERROR_NOT_FOUND: no such VM, slice, job
 * @SLICE_ERROR_BUSY: not now; the same request can succeed later
 * @SLICE_ERROR_REFUSED: someone who must agree does not
 * @SLICE_ERROR_UNREACHABLE: someone who must answer is not there
 * @SLICE_ERROR_PARTLY: of several, some were done
 *
 * The values are the exit codes of slicectl.
 */
typedef enum {
    SLICE_ERROR_FAILED = 1,
    SLICE_ERROR_INVALID = 2,
    SLICE_ERROR_NOT_FOUND = 3,
    SLICE_ERROR_BUSY = 4,
    SLICE_ERROR_REFUSED = 5,
    SLICE_ERROR_UNREACHABLE = 6,
    SLICE_ERROR_PARTLY = 7,
} SliceError;

#define SLICE_ERROR slice_error_quark()

/* Registers the D-Bus names org.slice.Error.* at its first call. */
GQuark slice_error_quark(void);

/**
 * slice_error_exit_code() - what a program should exit with
 * @error: (nullable): its failure, of any domain
 *
 * Return: 0 without an error; a remote or local SliceError's value; 6 where
 * the daemon is not there; 1 for anything else.
 */
int slice_error_exit_code(const GError *error);

/* "failed", "not-found" ...: for machines. */
const char *slice_error_name(int code);

#endif
