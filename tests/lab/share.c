// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * share.c - the cluster's shared folder: NFSv4.1, served in user space
 *
 *      guest's kernel ── eth1 ── br1 ── nfs-ganesha ── /run/slice-share
 *
 * The VMs have one address in common on their service network; to the server
 * they must be different clients, so they come by their own addresses and
 * with their own names.  The folder is on a tmpfs, whose files have handles (an
 * overlay's have none) that stay the same when the server is started again.
 *
 * The server has no grace period: what a client held when the server ended is
 * forgotten, and nobody waits for it to be claimed again.
 */
#include <signal.h>

#include "internal.h"

#define SHARE_DIR "/run/slice-share"
#define NFS_PORT 2049

static const char configuration[] =
    "NFS_CORE_PARAM {\n"
    "  Protocols = 4;\n"
    "  Bind_addr = " LAB_OWN_ADDRESS ";\n"
    "  NFS_Port = 2049;\n"
    "  Enable_NLM = false;\n"
    "  Enable_RQUOTA = false;\n"
    "  Enable_UDP = false;\n"
    "}\n"
    "NFSv4 {\n"
    "  Graceless = true;\n"
    "  Minor_Versions = 1;\n"
    "  RecoveryBackend = fs;\n"
    "  Only_Numeric_Owners = true;\n"
    "}\n"
    "EXPORT {\n"
    "  Export_Id = 1;\n"
    "  Path = " SHARE_DIR ";\n"
    "  Pseudo = /share;\n"
    "  Access_Type = RW;\n"
    "  Squash = No_Root_Squash;\n"
    "  SecType = sys;\n"
    "  Protocols = 4;\n"
    "  Transports = TCP;\n"
    "  FSAL { Name = VFS; }\n"
    "}\n"
    "LOG { Default_Log_Level = EVENT; }\n";

bool lab_nfs_start(Lab *lab, GError **error)
{
    g_autofree char *conf = g_build_filename(lab->dir, "ganesha.conf", NULL);
    g_autofree char *log = g_build_filename(lab->dir, "ganesha.log", NULL);
    const char *argv[] = { "ganesha.nfsd", "-F", "-f", conf, "-L", log, "-p",
                           "/run/slice-ganesha.pid", NULL };

    g_mkdir_with_parents(SHARE_DIR, 0755);
    g_mkdir_with_parents("/var/lib/nfs/ganesha", 0755);
    if (!g_file_set_contents(conf, configuration, -1, error)) {
        return false;
    }
    lab->nfs = lab_spawn(lab, NULL, argv, "ganesha.out", error);
    if (!lab->nfs || !lab_wait_tcp(LAB_OWN_ADDRESS, NFS_PORT, LAB_TIMEOUT_MS, error)) {
        g_prefix_error(error, "nfs-ganesha (its log is %s): ", log);
        return false;
    }
    return true;
}

void lab_nfs_stop(Lab *lab)
{
    lab_stop(lab, lab->nfs, SIGKILL);
    lab->nfs = 0;
}

const char *lab_nfs_dir(Lab *lab)
{
    return SHARE_DIR;
}

/*
 * Who shares files must agree about the time, which a restored guest does not
 * know.  A session that arrives must see what it has written elsewhere a moment
 * ago, so files' times and lengths are asked for each time.  `-i`: there is no
 * mount.nfs4 in the guest; the kernel can do it alone.
 */
bool lab_vm_share(LabVm *vm, const char *dir, GError **error)
{
    g_autofree char *name = g_path_get_basename(dir);
    g_autofree char *script = g_strdup_printf(
        "set -e\n"
        "date --set=@%" G_GINT64_FORMAT " >/dev/null\n"
        "modprobe nfsv4\n"
        "mkdir -p /run/share\n"
        "mountpoint -q /run/share || mount -i -t nfs4 "
        "-o vers=4.1,hard,acregmin=0,acregmax=0,acdirmin=1,acdirmax=1,addr=" LAB_OWN_ADDRESS ",clientaddr=%s "
        LAB_OWN_ADDRESS ":/share /run/share\n"
        "[ -d /run/share/%s ] || cp -a %s /run/share/%s\n"
        "mount --bind /run/share/%s %s\n",
        g_get_real_time() / G_USEC_PER_SEC, lab_vm_own_address(vm), name, dir, name, name, dir);
    g_autofree char *output = lab_vm_shell(vm, script, error);

    return output != NULL;
}
