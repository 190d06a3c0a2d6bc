/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * webdriver.h - drives a real browser, by the W3C's WebDriver protocol
 *
 * Speaks JSON over HTTP with a driver (chromedriver) that runs beside the
 * browser.  A call returns when the driver has done what it asks for: the page
 * is loaded, the key has been pressed.  Elements are named by CSS selectors; the
 * driver waits for one that is not there yet.
 *
 * One thread at a time.  After an error the browser is as the failed command
 * left it, and goes on.
 *
 * Below: libcurl, json-glib.  Above: apps.h, tests/vm, tests/demo.
 * Source: W3C WebDriver, sections 8 to 17.
 */
#ifndef SLICE_TESTS_WEBDRIVER_H
#define SLICE_TESTS_WEBDRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <json-glib/json-glib.h>

#define WEBDRIVER_ERROR (webdriver_error_quark())
GQuark webdriver_error_quark(void);

typedef enum WebDriverError {
    WEBDRIVER_ERROR_FAILED,     /* whatever has no name below */
    WEBDRIVER_ERROR_TRANSPORT,  /* the driver cannot be reached, or is not one */
    WEBDRIVER_ERROR_NO_ELEMENT, /* nothing fits the selector, nor in time */
    WEBDRIVER_ERROR_TIMEOUT,    /* a page or a script has not ended in time */
} WebDriverError;

typedef struct WebDriver WebDriver;

/**
 * struct WebDriverPlace - where the driver is
 * @port: of 127.0.0.1
 * @open_socket: makes a TCP socket in the network namespace of the driver, or
 *	returns -1 with *error set
 * @opaque: for @open_socket
 */
typedef struct WebDriverPlace {
    uint16_t port;
    int (*open_socket)(gpointer opaque, GError **error);
    gpointer opaque;
} WebDriverPlace;

/**
 * webdriver_new: start a browser
 * @program: its path
 * @arguments: of its command line
 * @timeout_ms: for a page, a script, an element
 */
WebDriver *webdriver_new(const WebDriverPlace *place, const char *program,
                         const char *const *arguments, unsigned int timeout_ms,
                         GError **error);
/** webdriver_free: end the browser; accepts NULL. */
void webdriver_free(WebDriver *driver);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WebDriver, webdriver_free)

/** webdriver_navigate: open a page; returns when it is loaded. */
bool webdriver_navigate(WebDriver *driver, const char *url, GError **error);
/** webdriver_url: of the page that is shown. */
char *webdriver_url(WebDriver *driver, GError **error);

/** webdriver_click: scroll an element into view and click its middle. */
bool webdriver_click(WebDriver *driver, const char *css, GError **error);
/** webdriver_type: focus an element and type; what it holds stays before it. */
bool webdriver_type(WebDriver *driver, const char *css, const char *text, GError **error);
/** The Enter key, for webdriver_type: on a button it is a click, also where
 *  something floats above it. */
#define WEBDRIVER_ENTER "\xee\x80\x87"
/** webdriver_clear: empty an input element. */
bool webdriver_clear(WebDriver *driver, const char *css, GError **error);
/** webdriver_text: what a reader sees of an element. */
char *webdriver_text(WebDriver *driver, const char *css, GError **error);

/**
 * webdriver_execute: run a script in the page
 * @script: body of a function; a promise that it returns is waited for
 * @arguments: (nullable): a JSON array, the function's arguments
 *
 * Returns what it returned.
 */
JsonNode *webdriver_execute(WebDriver *driver, const char *script, const char *arguments,
                            GError **error);

/** webdriver_cookies: names of the cookies that the shown page's server gets. */
GStrv webdriver_cookies(WebDriver *driver, GError **error);
/** webdriver_cookie: the value of one. */
char *webdriver_cookie(WebDriver *driver, const char *name, GError **error);
bool webdriver_delete_cookie(WebDriver *driver, const char *name, GError **error);

/** webdriver_screenshot: what the window shows, to a PNG file. */
bool webdriver_screenshot(WebDriver *driver, const char *path, GError **error);

#endif /* SLICE_TESTS_WEBDRIVER_H */
