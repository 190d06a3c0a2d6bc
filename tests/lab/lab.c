// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab.c - the lab itself: its directories, its children, its deadlines
 *
 * Children die with the thread that started them (PR_SET_PDEATHSIG), so a lab
 * is used from the thread that made it; what they leave dies with the PID
 * namespace of the host they belong to, or of the lab.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#include "internal.h"

#define LAB_RUN_DIR "/var/lib/slice-lab"
#define LAB_N_LANES 9u

G_DEFINE_QUARK(slice-lab-error, lab_error)

bool lab_poll(int fd, short events, gint64 deadline, const char *what, GError **error)
{
    struct pollfd entry = { fd, events, 0 };
    gint64 left;
    int n;

    do {
        left = deadline - g_get_monotonic_time();
        n = poll(&entry, 1, left > 0 ? left / 1000 + 1 : 0);
    } while ((n < 0 && errno == EINTR) || (n == 0 && left > 0));
    if (n == 0) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_TIMEOUT, "%s: no answer in time", what);
    }
    return n > 0;
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        g_printerr("lab: %s: %s\n", what, g_strerror(errno));
        exit(1);
    }
}

/* The new PID namespace's first process goes on; the old process waits for it. */
void lab_isolate(void)
{
    /* Where what a lab starts writes, beside /run and the lab's directory. */
    static const char *const own[] = { LAB_RUN_DIR, "/etc/slice", "/var/lib/nfs" };
    const char *up[] = { "ip", "link", "set", "lo", "up", NULL };
    int status;
    pid_t pid;

    must(!unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID), "new namespaces");
    pid = fork();
    must(pid >= 0, "the first process of a namespace");
    if (pid) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
            continue;
        }
        if (WIFSIGNALED(status)) {
            g_printerr("lab: the program was killed by signal %d\n", WTERMSIG(status));
        }
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    must(!mount("run", "/run", "tmpfs", 0, "mode=755"), "a /run of its own");
    must(!mount("proc", "/proc", "proc", 0, NULL), "a /proc of its own");
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) {
        must(!g_mkdir_with_parents(own[i], 0755) &&
             !mount("lab", own[i], "tmpfs", 0, "mode=755"), own[i]);
    }
    must(lab_command(NULL, NULL, up, NULL, NULL), "the loopback interface");
}

static int try_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        close(fd);
        return -1;
    }
    return fd;
}

/*
 * A listener appears in three steps: its directory entry, listen(), and for a
 * path that is renamed into place another entry.  The directory is watched for
 * the entries; between bind() and listen() there is nothing to wait on, so
 * refusals are asked again a hundred times a second.
 */
int lab_connect_unix(const char *path, gint64 deadline, GError **error)
{
    g_autofree char *dir = g_path_get_dirname(path);
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int fd;

    inotify_add_watch(watch, dir, IN_CREATE | IN_MOVED_TO);
    while ((fd = try_connect(path)) < 0) {
        struct pollfd entry = { watch, POLLIN, 0 };
        gint64 left = deadline - g_get_monotonic_time();
        char events[4096];

        if (left <= 0) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_TIMEOUT, "nothing listens on %s", path);
            break;
        }
        poll(&entry, 1, errno == ECONNREFUSED ? 10 : MIN(left / 1000 + 1, 1000));
        while (read(watch, events, sizeof(events)) > 0) {
            continue;
        }
    }
    close(watch);
    return fd;
}

bool lab_wait_socket(const char *path, unsigned int timeout_ms, GError **error)
{
    int fd = lab_connect_unix(path, lab_deadline(timeout_ms), error);

    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}

/* As in lab_connect_unix, there is nothing to wait on between bind() and listen(). */
bool lab_wait_tcp(const char *address, uint16_t port, unsigned int timeout_ms, GError **error)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
                              .sin_addr.s_addr = inet_addr(address) };
    gint64 deadline = lab_deadline(timeout_ms);

    while (g_get_monotonic_time() < deadline) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool connected = !connect(fd, (struct sockaddr *)&to, sizeof(to));

        close(fd);
        if (connected) {
            return true;
        }
        poll(NULL, 0, 10);
    }
    g_set_error(error, LAB_ERROR, LAB_ERROR_TIMEOUT, "nothing listens on %s:%u", address, port);
    return false;
}

/* In the child, between fork and exec: only what is async-signal-safe. */
typedef struct ChildSetup {
    int netns;                  /* -1: stay */
} ChildSetup;

static void setup_child(gpointer opaque)
{
    const ChildSetup *setup = opaque;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setup->netns >= 0 && setns(setup->netns, CLONE_NEWNET)) {
        _exit(126);
    }
}

bool lab_command(Lab *lab, LabClient *client, const char *const *argv,
                 char **ret_output, GError **error)
{
    ChildSetup setup = { client ? lab_client_netns(client) : -1 };
    g_autofree char *output = NULL, *errors = NULL;
    g_autoptr(GError) cause = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, setup_child, &setup,
                      &output, &errors, &status, error)) {
        return false;
    }
    if (!g_spawn_check_wait_status(status, &cause)) {
        g_autofree char *line = g_strjoinv(" ", (char **)argv);

        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s: %s: %s%s", line,
                    cause->message, g_strstrip(errors), g_strstrip(output));
        return false;
    }
    if (ret_output) {
        *ret_output = g_steal_pointer(&output);
    }
    return true;
}

GPid lab_spawn(Lab *lab, LabClient *client, const char *const *argv,
               const char *log, GError **error)
{
    ChildSetup setup = { client ? lab_client_netns(client) : -1 };
    g_autofree char *path = g_build_filename(lab->dir, log, NULL);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    GPid pid = 0;

    if (g_spawn_async_with_fds(NULL, (char **)argv, NULL,
                               G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                               setup_child, &setup, &pid, null, out, out, error)) {
        g_hash_table_add(lab->children, GINT_TO_POINTER(pid));
    }
    close(null);
    close(out);
    return pid;
}

GPid lab_spawn_pipes(Lab *lab, LabClient *client, const char *const *argv,
                     int *ret_input, int *ret_output, GError **error)
{
    ChildSetup setup = { client ? lab_client_netns(client) : -1 };
    GPid pid = 0;

    if (g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                 G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, setup_child,
                                 &setup, &pid, ret_input, ret_output, NULL, error)) {
        g_hash_table_add(lab->children, GINT_TO_POINTER(pid));
    }
    return pid;
}

int lab_stop(Lab *lab, GPid pid, int signal_number)
{
    int status = 0;

    kill(pid, signal_number);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        continue;
    }
    g_hash_table_remove(lab->children, GINT_TO_POINTER(pid));
    return status;
}

static bool find_built(Lab *lab, GError **error)
{
    g_autofree char *releases = g_build_filename(lab->image, "releases", NULL);
    g_autofree char *text = NULL, *objects = NULL;
    const char *help[] = { lab->emulator, "-object", "help", NULL };

    if (!g_file_get_contents(releases, &text, NULL, NULL)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_MISSING,
                    "there is no guest image in %s: ./run build makes it", lab->image);
        return false;
    }
    lab->kernels = g_strsplit(g_strstrip(text), "\n", -1);
    if (!lab_command(lab, NULL, help, &objects, error)) {
        return false;
    }
    lab->has_slices = strstr(objects, "slice-store") && strstr(objects, "filter-slice");
    return true;
}

/* A new product image must not change under a VM that is saved and restored. */
static bool keep_images(Lab *lab, GError **error)
{
    static const char *const names[] = { "debian.erofs", "product.erofs" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *from = g_build_filename(lab->image, names[i], NULL);
        g_autofree char *real = realpath(from, NULL);
        g_autofree char *to = g_build_filename(lab->dir, names[i], NULL);

        if (!real || link(real, to)) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "linking %s to %s: %s", from, to,
                        g_strerror(errno));
            return false;
        }
    }
    return true;
}

static const char *env_or(const char *name, const char *otherwise)
{
    const char *value = g_getenv(name);

    return value && *value ? value : otherwise;
}

/*
 * A lab's directory is its own while its program runs; of programs that run at
 * the same time the second gets NAME-2, and so on.  The lock goes with the
 * program: what it starts does not inherit it.
 */
static bool take_dir(Lab *lab, const char *name, GError **error)
{
    g_autofree char *labs = g_build_filename(lab->cache, "lab", NULL);

    g_mkdir_with_parents(labs, 0755);
    for (unsigned int i = 1; i <= LAB_N_LANES; i++) {
        g_autofree char *lane = i > 1 ? g_strdup_printf("%s-%u", name, i) : g_strdup(name);
        g_autofree char *lock = g_strdup_printf("%s/.%s.lock", labs, lane);
        int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

        if (fd < 0) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s: %s", lock, g_strerror(errno));
            return false;
        }
        if (!flock(fd, LOCK_EX | LOCK_NB)) {
            lab->lock = fd;
            lab->dir = g_build_filename(labs, lane, NULL);
            return true;
        }
        close(fd);
    }
    g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%u labs \"%s\" run already", LAB_N_LANES,
                name);
    return false;
}

/*
 * A path that is the same in every lane, so that one lane's saved VMs can be
 * restored in another.
 */
static bool link_place(Lab *lab, GError **error)
{
    unlink(lab->place);
    if (symlink(lab->dir, lab->place)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "%s: %s", lab->place, g_strerror(errno));
        return false;
    }
    return true;
}

Lab *lab_new(const char *name, GError **error)
{
    g_autoptr(Lab) lab = g_new0(Lab, 1);

    lab->cache = g_strdup(env_or("SLICE_CACHE", "/var/cache/slice"));
    lab->build = g_strdup(env_or("SLICE_BUILD", LAB_BUILD_DIR));
    lab->lock = -1;
    lab->run_dir = g_strdup(LAB_RUN_DIR);
    lab->place = g_build_filename(lab->run_dir, "files", NULL);
    lab->image = g_getenv("SLICE_IMAGE") ? g_strdup(g_getenv("SLICE_IMAGE"))
                                         : g_build_filename(lab->cache, "image", NULL);
    lab->emulator = g_strdup(env_or("SLICE_EMULATOR", LAB_QEMU_PREFIX "/bin/qemu-system-x86_64"));
    lab->children = g_hash_table_new(NULL, NULL);
    lab->hosts = g_ptr_array_new_with_free_func((GDestroyNotify)lab_host_free);
    lab->clients = g_ptr_array_new_with_free_func((GDestroyNotify)lab_client_free);
    lab->links = g_ptr_array_new_with_free_func((GDestroyNotify)lab_link_free);

    if (!take_dir(lab, name, error)) {
        return NULL;
    }
    {
        const char *empty[] = { "rm", "-rf", "--one-file-system", "--", lab->dir, NULL };

        if (!lab_command(lab, NULL, empty, NULL, error)) {
            return NULL;
        }
    }
    if (g_mkdir_with_parents(lab->dir, 0755) || g_mkdir_with_parents(lab->run_dir, 0755)) {
        g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "making %s and %s: %s", lab->dir,
                    lab->run_dir, g_strerror(errno));
        return NULL;
    }
    if (!link_place(lab, error) || !find_built(lab, error) || !keep_images(lab, error) || !lab_switch_start(lab, error)) {
        return NULL;
    }
    lab->kvm = lab_kvm_probe(lab);
    return g_steal_pointer(&lab);
}

void lab_free(Lab *lab)
{
    GHashTableIter iter;
    gpointer pid;

    if (!lab) {
        return;
    }
    g_ptr_array_unref(lab->hosts);
    g_ptr_array_unref(lab->links);
    g_ptr_array_unref(lab->clients);
    g_hash_table_iter_init(&iter, lab->children);
    while (g_hash_table_iter_next(&iter, &pid, NULL)) {
        kill(GPOINTER_TO_INT(pid), SIGKILL);
        waitpid(GPOINTER_TO_INT(pid), NULL, 0);
    }
    g_hash_table_unref(lab->children);
    g_strfreev(lab->kernels);
    g_free(lab->dir);
    g_free(lab->run_dir);
    g_free(lab->place);
    g_free(lab->cache);
    g_free(lab->build);
    g_free(lab->image);
    g_free(lab->emulator);
    if (lab->lock >= 0) {
        close(lab->lock);
    }
    g_free(lab);
}

const char *lab_dir(Lab *lab)
{
    return lab->dir;
}

const char *lab_run_dir(Lab *lab)
{
    return lab->run_dir;
}

const char *lab_build_dir(Lab *lab)
{
    return lab->build;
}

const char *lab_acceleration(Lab *lab)
{
    return lab->kvm ? "kvm" : "tcg";
}

bool lab_has_slices(Lab *lab)
{
    return lab->has_slices;
}

const char *lab_kernel(Lab *lab, unsigned int index)
{
    return index < g_strv_length(lab->kernels) ? lab->kernels[index] : NULL;
}
