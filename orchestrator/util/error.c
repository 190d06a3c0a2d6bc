/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * error.c - the few kinds of failure, shared by daemon, bus and exit codes
 */
#include "error.h"

static const GDBusErrorEntry entries[] = {
    { SLICE_ERROR_FAILED, "org.slice.Error.Failed" },
    { SLICE_ERROR_INVALID, "org.slice.Error.Invalid" },
    { SLICE_ERROR_NOT_FOUND, "org.slice.Error.NotFound" },
    { SLICE_ERROR_BUSY, "org.slice.Error.Busy" },
    { SLICE_ERROR_REFUSED, "org.slice.Error.Refused" },
    { SLICE_ERROR_UNREACHABLE, "org.slice.Error.Unreachable" },
    { SLICE_ERROR_PARTLY, "org.slice.Error.Partly" },
};

GQuark slice_error_quark(void)
{
    static gsize quark;

    g_dbus_error_register_error_domain("slice-error-quark", &quark, entries,
                                       G_N_ELEMENTS(entries));
    return quark;
}

static gboolean is_about_reaching(const GError *error)
{
    return error->domain == G_IO_ERROR ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_DISCONNECTED) ||
           g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_AUTH_FAILED);
}

int slice_error_exit_code(const GError *error)
{
    if (!error) {
        return 0;
    }
    if (error->domain == SLICE_ERROR) {
        return error->code;
    }
    return is_about_reaching(error) ? SLICE_ERROR_UNREACHABLE
                                    : SLICE_ERROR_FAILED;
}

const char *slice_error_name(int code)
{
    static const char *const names[] = {
        [SLICE_ERROR_FAILED] = "failed",
        [SLICE_ERROR_INVALID] = "invalid",
        [SLICE_ERROR_NOT_FOUND] = "not-found",
        [SLICE_ERROR_BUSY] = "busy",
        [SLICE_ERROR_REFUSED] = "refused",
        [SLICE_ERROR_UNREACHABLE] = "unreachable",
        [SLICE_ERROR_PARTLY] = "partly",
    };

    if (code > 0 && code < (int)G_N_ELEMENTS(names)) {
        return names[code];
    }
    return "failed";
}
