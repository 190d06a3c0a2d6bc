/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fault.h - named points at which a test lets the daemon die, stop or fail
 *
 * SLICED_FAULT='NAME:ACTION[,NAME:ACTION...]' in the environment, for tests only.  NAME is a point
 * ('move.quiesce'; 'sliced --list-faults' prints all), ACTION one of
 *
 *   kill   the process dies at once, as by SIGKILL
 *   stop   it stops, as by SIGSTOP, until somebody continues it
 *   fail   what is about to be done there fails
 *
 * Each fires once, and says so on standard error before: 'fault NAME: ACTION'.  Without the variable a point
 * costs one load.
 */
#ifndef SLICE_UTIL_FAULT_H
#define SLICE_UTIL_FAULT_H

#include <gio/gio.h>

/**
 * slice_fault_arm() - read SLICED_FAULT
 * @points: NULL-terminated: every name that exists
 *
 * Return: FALSE with SLICE_ERROR_INVALID for an unknown point or action.
 */
gboolean slice_fault_arm(const char *const *points, GError **error);

/**
 * slice_fault_at() - the daemon is at a point
 * @error: (nullable)
 *
 * Return: TRUE with SLICE_ERROR_FAILED 'fault NAME' where it is to fail here.
 */
gboolean slice_fault_at(const char *point, GError **error);

#endif
