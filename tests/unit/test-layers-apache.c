// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test-layers-apache.c - mod_slice in a real Apache, on a stand-in for the kernel
 *
 * usage: test-layers-apache MPM      with APACHE and MOD_SLICE in its environment
 *
 * Says what clients say, byte for byte, and reads what Apache answers and what
 * mod_slice asked the kernel for (test-layers-apache-device.c).  A request that
 * is looked for with FIND was still unread: the stand-in refuses a FIND of a
 * connection that is referenced.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sockios.h>

/* Far beyond what anything takes on a busy machine. */
#define TIMEOUT_MS 30000

typedef struct Server {
    char *dir;
    char *log;                  /* the device's */
    unsigned int port;
    GPid pid;
} Server;

static Server server;
static const char *mpm;

static bool is_event(void)
{
    return !strcmp(mpm, "event");
}

static int listen_anywhere(unsigned int *ret_port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t bytes = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, bytes), ==, 0);
    g_assert_cmpint(listen(fd, 16), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&addr, &bytes), ==, 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static int try_connect(void)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)server.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void write_file(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(server.dir, name, NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

static void write_config(unsigned int backend_port)
{
    static const char *const modules[] = {
        "authz_core", "reqtimeout", "reflector", "proxy",
        "proxy_http", "proxy_wstunnel", "http2", NULL,
    };
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(
        text,
        "LoadModule mpm_%s_module /usr/lib/apache2/modules/mod_mpm_%s.so\n"
        "%s",
        mpm, mpm, is_event() ? "AsyncRequestWorkerFactor 3\n" : "");
    for (const char *const *name = modules; *name; name++) {
        g_string_append_printf(
            text, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n",
            *name, *name);
    }
    g_string_append_printf(
        text,
        "LoadModule slice_module %s\n"
        "User nobody\nGroup nogroup\nServerName x\nServerRoot %s\nDocumentRoot %s/www\n"
        "PidFile %s/pid\nErrorLog %s/error.log\nDefaultRuntimeDir %s\n"
        "Listen 127.0.0.1:%u\nAcceptFilter http none\n"
        "ServerLimit 1\nStartServers 1\nThreadsPerChild 4\n"
        "MaxRequestWorkers 4\n"
        "MinSpareThreads 1\nMaxSpareThreads 4\n"
        "Protocols h2c http/1.1\nH2Direct on\n"
        "RequestReadTimeout header=20-40,MinRate=500\n"
        "KeepAliveTimeout 60\nTimeout 60\n"
        "SliceSessionCookie ID OTHER\nSliceFindTimeout 500\n"
        "<Location /reflect>\nSetHandler reflector\n</Location>\n"
        "ProxyPass /ws ws://127.0.0.1:%u/\n",
        g_getenv("MOD_SLICE"), server.dir, server.dir, server.dir, server.dir,
        server.dir, server.port, backend_port);
    write_file("httpd.conf", text->str);
}

static char *read_log(gsize from)
{
    g_autofree char *text = NULL;
    gsize bytes = 0;

    g_file_get_contents(server.log, &text, &bytes, NULL);
    return g_strdup(text && from < bytes ? text + from : "");
}

/* The last thing that mod_slice does when its process begins. */
static bool has_room(void)
{
    g_autofree char *log = read_log(0);

    return g_str_has_prefix(log, "room ") && strchr(log, '\n');
}

static void child_setup(gpointer unused)
{
    setpgid(0, 0);
}

static void start_server(unsigned int backend_port)
{
    const char *argv[] = { g_getenv("APACHE"), "-X", "-f", NULL, NULL };
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_MS * 1000;
    g_autofree char *www = NULL, *conf = NULL;
    g_autoptr(GError) error = NULL;
    int fd = listen_anywhere(&server.port);

    close(fd);
    server.dir = g_dir_make_tmp("slice-apache-XXXXXX", &error);
    g_assert_no_error(error);
    g_assert_cmpint(chmod(server.dir, 0755), ==, 0);
    www = g_build_filename(server.dir, "www", NULL);
    g_assert_cmpint(g_mkdir(www, 0755), ==, 0);
    write_file("www/page", "the page\n");
    write_config(backend_port);
    server.log = g_build_filename(server.dir, "device.log", NULL);
    g_setenv("SLICE_FAKE_LOG", server.log, TRUE);
    conf = g_build_filename(server.dir, "httpd.conf", NULL);
    argv[3] = conf;
    g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
                  child_setup, NULL, &server.pid, &error);
    g_assert_no_error(error);
    while (!has_room()) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_assert_cmpint(waitpid(server.pid, NULL, WNOHANG), ==, 0);
        g_usleep(10000);
    }
}

/* At once: it has nothing to save, and on SIGTERM it may wait for a tunnel. */
static void stop_server(void)
{
    const char *argv[] = { "rm", "-r", server.dir, NULL };
    int status = 0;

    kill(server.pid, SIGKILL);
    waitpid(server.pid, &status, 0);
    if (!g_getenv("SLICE_KEEP")) {
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
                     NULL, NULL, NULL, NULL, NULL);
    }
}

/* ---- a client ---- */

typedef struct Client {
    int fd;
    gsize logged;               /* of the device's log, before it began */
    GString *got;
} Client;

static void client_begin(Client *client)
{
    g_autofree char *log = read_log(0);

    client->fd = try_connect();
    g_assert_cmpint(client->fd, >=, 0);
    client->logged = strlen(log);
    client->got = g_string_new(NULL);
}

static void client_end(Client *client)
{
    close(client->fd);
    g_string_free(client->got, TRUE);
}

static void client_say(Client *client, const char *text)
{
    gsize bytes = strlen(text);

    g_assert_cmpint(send(client->fd, text, bytes, MSG_NOSIGNAL), ==, bytes);
}

/* One read; false: the server has ended the connection. */
static bool client_reads(Client *client)
{
    struct pollfd pfd = { .fd = client->fd, .events = POLLIN };
    char buffer[4096];
    ssize_t n;

    if (poll(&pfd, 1, TIMEOUT_MS) != 1) {
        g_error("no answer, so far: '%s'", client->got->str);
    }
    n = recv(client->fd, buffer, sizeof(buffer), 0);
    if (n > 0) {
        g_string_append_len(client->got, buffer, n);
    }
    return n > 0;
}

/* Reads until @text is there, and takes what is up to its end. */
static void client_hears(Client *client, const char *text)
{
    char *found;

    while (!(found = strstr(client->got->str, text))) {
        if (!client_reads(client)) {
            g_error("closed before '%s', so far: '%s'", text,
                    client->got->str);
        }
    }
    g_string_erase(client->got, 0, found + strlen(text) - client->got->str);
}

static void client_sees_end(Client *client, const char *text)
{
    while (client_reads(client)) {
    }
    g_assert_cmpstr(client->got->str, ==, text);
}

static void assert_asked(const Client *client, const char *lines)
{
    g_autofree char *log = read_log(client->logged);

    g_assert_cmpstr(log, ==, lines);
}

#define GET(cookie) "GET /page HTTP/1.1\r\nHost: x\r\nCookie: " cookie "\r\n\r\n"
#define PAGE "HTTP/1.1 200 OK"
#define BODY "the page\n"

/* ---- claims ---- */

static void test_session_is_linked_once_and_verified(void)
{
    Client client;

    client_begin(&client);
    for (int i = 0; i < 2; i++) {
        client_say(&client, GET("a=b; ID=here1"));
        client_hears(&client, PAGE);
        client_hears(&client, BODY);
    }
    client_say(&client, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    client_hears(&client, BODY);
    client_say(&client, GET("ID=here2; OTHER=here3"));
    client_hears(&client, BODY);
    assert_asked(&client, "link here1 1 0\nlink here1 0 0\n"
                          "link here2 1 0\nlink here3 0 0\n");
    client_end(&client);
}

static void test_unknown_session_is_asked_for_once(void)
{
    Client client;

    client_begin(&client);
    for (int i = 0; i < 2; i++) {
        client_say(&client, GET("ID=none1"));
        client_hears(&client, BODY);
    }
    assert_asked(&client, "link none1 1 2\nfind none1 2 0\n"
                          "link none1 1 2\nlink none1 0 2\n");
    client_end(&client);
}

static void test_out_of_reach_is_503(void)
{
    Client client;

    client_begin(&client);
    client_say(&client, GET("ID=late1"));
    client_hears(&client, "HTTP/1.1 503 ");
    client_hears(&client, "Retry-After: 1\r\n");
    assert_asked(&client, "link late1 1 2\nfind late1 0 110\n");
    client_end(&client);
}

static void test_moved_away_ends_in_silence(void)
{
    Client client;

    client_begin(&client);
    client_say(&client, GET("ID=away1"));
    client_sees_end(&client, "");
    assert_asked(&client, "link away1 1 2\nfind away1 0 116\n");
    client_end(&client);
}

/* What was sent behind a request is unread until it has been answered. */
static void test_second_request_stays_in_the_kernel(void)
{
    Client client;

    client_begin(&client);
    client_say(&client, GET("ID=here1") GET("ID=none2") GET("ID=none3"));
    for (int i = 0; i < 3; i++) {
        client_hears(&client, PAGE);
        client_hears(&client, BODY);
    }
    assert_asked(&client, "link here1 1 0\n"
                          "link none2 1 2\nfind none2 2 0\nlink none2 1 2\n"
                          "link none3 1 2\nfind none3 2 0\nlink none3 1 2\n");
    client_end(&client);
}

static void test_so_it_does_behind_bodies(void)
{
    static const char sized[] = "POST /reflect HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 11\r\n\r\nhello world" GET("ID=none4");
    static const char chunked[] = "POST /reflect HTTP/1.1\r\nHost: x\r\n"
        "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5;x\r\nworld\r\n"
        "0\r\nT: t\r\n\r\n" GET("ID=none5");
    Client client;

    client_begin(&client);
    client_say(&client, sized);
    client_hears(&client, "hello world");
    client_hears(&client, BODY);
    client_say(&client, chunked);
    client_hears(&client, "hello ");
    client_hears(&client, "world");
    client_hears(&client, BODY);
    assert_asked(&client, "link none4 1 2\nfind none4 2 0\nlink none4 1 2\n"
                          "link none5 1 2\nfind none5 2 0\nlink none5 1 2\n");
    client_end(&client);
}

/* A body larger than any buffer, in pieces that fit no boundary. */
static void test_large_chunked_body_is_whole(void)
{
    g_autofree char *piece = g_strnfill(3001, 'x');
    Client client;
    gsize n_x = 0;

    client_begin(&client);
    client_say(&client, "POST /reflect HTTP/1.1\r\nHost: x\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        g_autofree char *chunk = g_strdup_printf("bb9\r\n%s\r\n", piece);

        client_say(&client, chunk);
    }
    client_say(&client, "0\r\n\r\n" GET("ID=none6"));
    client_hears(&client, "\r\n\r\n");
    while (!strstr(client.got->str, BODY)) {
        g_assert_true(client_reads(&client));
    }
    for (const char *c = client.got->str; *c && strncmp(c, PAGE, 15); c++) {
        n_x += *c == 'x';
    }
    g_assert_cmpuint(n_x, ==, 100 * 3001);
    assert_asked(&client, "link none6 1 2\nfind none6 2 0\nlink none6 1 2\n");
    client_end(&client);
}

/* Until what was sent has reached the server's socket. */
static void wait_delivered(const Client *client)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_MS * 1000;
    int unsent = 1;

    while (unsent) {
        g_assert_cmpint(ioctl(client->fd, SIOCOUTQ, &unsent), ==, 0);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

static void test_head_in_pieces(void)
{
    static const char text[] = GET("ID=none7");
    Client client;

    client_begin(&client);
    for (int i = 0; i < 2; i++) {
        for (const char *c = text; *c; c++) {
            g_assert_cmpint(send(client.fd, c, 1, MSG_NOSIGNAL), ==, 1);
            wait_delivered(&client);
        }
        client_hears(&client, BODY);
    }
    assert_asked(&client, "link none7 1 2\nfind none7 2 0\n"
                          "link none7 1 2\nlink none7 0 2\n");
    client_end(&client);
}

static void test_half_a_head_and_a_close(void)
{
    Client client;

    client_begin(&client);
    client_say(&client, "GET /page HTTP/1.1\r\nHost: x\r\nCookie: ID=here1");
    g_assert_cmpint(shutdown(client.fd, SHUT_WR), ==, 0);
    while (client_reads(&client)) {
    }
    assert_asked(&client, "");
    client_end(&client);
}

/* Too long to be looked at before: looked at after Apache has parsed it. */
static void test_long_head_is_checked_late(void)
{
    g_autofree char *padding = g_strnfill(7000, 'p');
    g_autofree char *head = g_strdup_printf(
        "GET /page HTTP/1.1\r\nHost: x\r\nA: %s\r\nB: %s\r\nC: %s\r\n",
        padding, padding, padding);
    Client client;

    client_begin(&client);
    client_say(&client, head);
    client_say(&client, "Cookie: ID=here8\r\n\r\n");
    client_hears(&client, BODY);
    client_say(&client, head);
    client_say(&client, "Cookie: ID=none8\r\n\r\n");
    client_hears(&client, "HTTP/1.1 503 ");
    client_hears(&client, "Retry-After: 1\r\n");
    assert_asked(&client, "link here8 1 0\nlink none8 1 2\n");
    client_end(&client);
}

static void test_bad_request_is_answered(void)
{
    Client client;

    client_begin(&client);
    client_say(&client, "POST /page HTTP/1.1\r\nHost: x\r\n"
                        "Content-Length: 1x\r\n\r\nGET ");
    client_hears(&client, "HTTP/1.1 400 ");
    client_end(&client);
}

static void test_http2_is_pinned(void)
{
    /* The preface and an empty SETTINGS frame. */
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        "\0\0\0\4\0\0\0\0\0";
    Client client;

    client_begin(&client);
    g_assert_cmpint(send(client.fd, preface, sizeof(preface) - 1,
                         MSG_NOSIGNAL), ==, sizeof(preface) - 1);
    g_assert_true(client_reads(&client));
    /* A frame of SETTINGS comes back. */
    g_assert_cmpuint(client.got->len, >=, 9);
    g_assert_cmpint(client.got->str[3], ==, 4);
    assert_asked(&client, "pin  5 0\n");
    client_end(&client);
}

/* Answers one WebSocket request, then says back what it hears. */
static gpointer backend_thread(gpointer opaque)
{
    int listener = GPOINTER_TO_INT(opaque);
    int fd = accept(listener, NULL, NULL);
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    char buffer[4096];
    gsize got = 0;
    ssize_t n;

    while (!memmem(buffer, got, "\r\n\r\n", 4)) {
        n = recv(fd, buffer + got, sizeof(buffer) - got, 0);
        g_assert_cmpint(n, >, 0);
        got += (gsize)n;
    }
    g_assert_cmpint(send(fd, answer, strlen(answer), MSG_NOSIGNAL), >, 0);
    while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
        g_assert_cmpint(send(fd, buffer, (gsize)n, MSG_NOSIGNAL), ==, n);
    }
    close(fd);
    close(listener);
    return NULL;
}

static void test_websocket_is_pinned(void)
{
    Client client;

    client_begin(&client);
    client_say(&client, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    client_hears(&client, "HTTP/1.1 101 ");
    client_hears(&client, "\r\n\r\n");
    client_say(&client, "frame one");
    client_hears(&client, "frame one");
    client_say(&client, "frame two");
    client_hears(&client, "frame two");
    assert_asked(&client, "pin  20 0\n");
    client_end(&client);
}

static void test_room_is_the_mpms(void)
{
    g_autofree char *log = read_log(0);

    /* Four threads, and with event three idle connections more for each. */
    g_assert_true(g_str_has_prefix(log, is_event() ? "room  16 0\n"
                                                   : "room  4 0\n"));
}

static void add_tests(void)
{
    static const struct {
        const char *path;
        void (*test)(void);
    } tests[] = {
        { "session-is-linked-once-and-verified",
          test_session_is_linked_once_and_verified },
        { "unknown-session-is-asked-for-once",
          test_unknown_session_is_asked_for_once },
        { "out-of-reach-is-503", test_out_of_reach_is_503 },
        { "moved-away-ends-in-silence", test_moved_away_ends_in_silence },
        { "second-request-stays-in-the-kernel",
          test_second_request_stays_in_the_kernel },
        { "so-it-does-behind-bodies", test_so_it_does_behind_bodies },
        { "large-chunked-body-is-whole", test_large_chunked_body_is_whole },
        { "head-in-pieces", test_head_in_pieces },
        { "half-a-head-and-a-close", test_half_a_head_and_a_close },
        { "long-head-is-checked-late", test_long_head_is_checked_late },
        { "bad-request-is-answered", test_bad_request_is_answered },
        { "http2-is-pinned", test_http2_is_pinned },
        { "websocket-is-pinned", test_websocket_is_pinned },
        { "room-is-the-mpms", test_room_is_the_mpms },
    };

    for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/layers/apache/%s/%s", mpm,
                                                tests[i].path);

        g_test_add_func(path, tests[i].test);
    }
}

int main(int argc, char **argv)
{
    unsigned int backend_port;
    GThread *backend;
    int listener, result;

    g_test_init(&argc, &argv, NULL);
    if (argc != 2 || !g_getenv("APACHE") || !g_getenv("MOD_SLICE")) {
        g_printerr("usage: APACHE=... MOD_SLICE=... %s MPM\n", argv[0]);
        return 2;
    }
    mpm = argv[1];
    listener = listen_anywhere(&backend_port);
    backend = g_thread_new("backend", backend_thread,
                           GINT_TO_POINTER(listener));
    start_server(backend_port);
    add_tests();
    result = g_test_run();
    stop_server();
    g_thread_unref(backend);
    return result;
}
