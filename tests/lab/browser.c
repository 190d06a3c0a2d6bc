// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * browser.c - where a client's browser lives: chromedriver, without privileges
 *
 * chromedriver starts the browser when it is asked to over its own port on the
 * client's loopback, so the browser is in the same network namespace and has the
 * same user.
 *
 * Below: tests/lib/webdriver.h, the protocol.
 */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "webdriver.h"

#define BROWSER_USER "slice-browser"

/* For a page, a script, an element: what a loaded machine may need. */
#define BROWSER_TIMEOUT_MS 60000

struct LabBrowser {
    Lab *lab;
    LabClient *client;
    GPid pid;
    int output;                 /* open for as long as it runs */
    char *home;
    WebDriver *driver;
};

/* Private roots know no users but Debian's; the view of one is writable. */
static bool have_user(Lab *lab, GError **error)
{
    const char *argv[] = { "useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
                           "--shell", "/usr/sbin/nologin", BROWSER_USER, NULL };

    return getpwnam(BROWSER_USER) || lab_command(lab, NULL, argv, NULL, error);
}

/* It says "started successfully on port N." when it listens. */
static bool read_port(LabBrowser *browser, unsigned int *ret_port, GError **error)
{
    static const char sign[] = "started successfully on port ";
    g_autoptr(GString) text = g_string_new("");
    gint64 deadline = lab_deadline(LAB_TIMEOUT_MS);
    const char *at;

    while (!(at = strstr(text->str, sign)) || !strchr(at, '\n')) {
        char data[512];
        ssize_t n;

        if (!lab_poll(browser->output, POLLIN, deadline, "chromedriver", error)) {
            return false;
        }
        n = read(browser->output, data, sizeof(data));
        if (n <= 0) {
            g_set_error(error, LAB_ERROR, LAB_ERROR_FAILED, "chromedriver ended: %s", text->str);
            return false;
        }
        g_string_append_len(text, data, n);
    }
    return sscanf(at + strlen(sign), "%u", ret_port) == 1;
}

static int open_socket(gpointer opaque, GError **error)
{
    return lab_client_socket(opaque, error);
}

/*
 * Nothing but the page itself may cause traffic: no updates, no guesses at names
 * or connections that might be wanted.  The browser's own sandbox would need
 * namespaces, which the lab's user may not make.
 */
static bool start_browser(LabBrowser *browser, unsigned int port, GError **error)
{
    WebDriverPlace place = { port, open_socket, browser->client };
    g_autofree char *profile = g_strdup_printf("--user-data-dir=%s/profile", browser->home);
    const char *arguments[] = {
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-default-apps", "--disable-extensions", "--dns-prefetch-disable",
        "--no-proxy-server", "--window-size=1200,900",
        "--disable-features=OptimizationHints,MediaRouter", profile, NULL
    };

    browser->driver = webdriver_new(&place, "/usr/bin/chromium", arguments, BROWSER_TIMEOUT_MS,
                                    error);
    return browser->driver != NULL;
}

LabBrowser *lab_browser_new(LabClient *client, GError **error)
{
    LabBrowser *browser = g_new0(LabBrowser, 1);
    g_autofree char *home_word = NULL, *log_word = NULL;
    unsigned int port;
    int input;

    browser->client = client;
    browser->lab = lab_client_lab(client);
    browser->output = -1;
    /* A profile is never used twice: it would have cookies. */
    browser->home = g_mkdtemp(g_strdup("/run/slice-browser-XXXXXX"));
    home_word = g_strdup_printf("HOME=%s", browser->home);
    log_word = g_strdup_printf("--log-path=%s/chromedriver.log", browser->home);

    const char *home[] = { "chown", BROWSER_USER, browser->home, NULL };
    const char *argv[] = { "setpriv", "--reuid=" BROWSER_USER, "--regid=" BROWSER_USER,
                           "--clear-groups", "--no-new-privs", "--bounding-set=-all",
                           "--inh-caps=-all", "--pdeathsig=KILL", "env", "-i", home_word,
                           "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
                           "chromedriver", "--port=0", log_word, NULL };

    if (have_user(browser->lab, error) &&
        lab_command(browser->lab, NULL, home, NULL, error)) {
        browser->pid = lab_spawn_pipes(browser->lab, client, argv, &input, &browser->output, error);
    }
    if (!browser->pid) {
        lab_browser_free(browser);
        return NULL;
    }
    close(input);
    if (!read_port(browser, &port, error) || !start_browser(browser, port, error)) {
        lab_browser_free(browser);
        return NULL;
    }
    return browser;
}

void lab_browser_free(LabBrowser *browser)
{
    if (browser) {
        webdriver_free(browser->driver);
        if (browser->pid) {
            lab_stop(browser->lab, browser->pid, SIGTERM);
        }
        if (browser->output >= 0) {
            close(browser->output);
        }
        g_free(browser->home);
        g_free(browser);
    }
}

WebDriver *lab_browser_driver(LabBrowser *browser)
{
    return browser->driver;
}
