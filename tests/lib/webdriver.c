// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * webdriver.c - drives a real browser, by the W3C's WebDriver protocol
 *
 * Every command is one HTTP request with a JSON object, and the answer has one
 * member, "value": the result, or {error, message} where the status is not 200.
 */
#include "webdriver.h"

#include <errno.h>
#include <string.h>

#include <curl/curl.h>

/* The protocol's name for "this object stands for an element". */
#define ELEMENT_KEY "element-6066-11e4-a52e-4f735466cecf"

/* Beyond the browser's own deadlines, so that its error is heard first. */
#define ANSWER_SPARE_MS 30000

struct WebDriver {
    CURL *curl;
    struct curl_slist *headers;
    WebDriverPlace place;
    char *session;              /* URL, of the driver itself until there is one */
};

G_DEFINE_QUARK(slice-webdriver-error, webdriver_error)

static size_t take_answer(char *data, size_t size, size_t n, void *opaque)
{
    g_string_append_len(opaque, data, size * n);
    return size * n;
}

static curl_socket_t open_socket(void *opaque, curlsocktype purpose, struct curl_sockaddr *address)
{
    const WebDriver *driver = opaque;
    g_autoptr(GError) error = NULL;
    int fd = driver->place.open_socket(driver->place.opaque, &error);

    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int error_code(const char *name)
{
    static const struct {
        const char *name;
        WebDriverError code;
    } codes[] = {
        { "no such element", WEBDRIVER_ERROR_NO_ELEMENT },
        { "timeout", WEBDRIVER_ERROR_TIMEOUT },
        { "script timeout", WEBDRIVER_ERROR_TIMEOUT },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (!g_strcmp0(name, codes[i].name)) {
            return codes[i].code;
        }
    }
    return WEBDRIVER_ERROR_FAILED;
}

/* The driver's explanation ends with a list of its own addresses: one line is enough. */
static JsonNode *parse_answer(const char *what, const char *text, long status, GError **error)
{
    g_autoptr(JsonNode) node = json_from_string(text, NULL);
    JsonObject *object = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    JsonNode *value = object ? json_object_get_member(object, "value") : NULL;

    if (!value) {
        g_set_error(error, WEBDRIVER_ERROR, WEBDRIVER_ERROR_TRANSPORT,
                    "%s: not a WebDriver's answer: %.200s", what, text);
        return NULL;
    }
    if (status != 200) {
        JsonObject *failure = JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;
        const char *name = failure ? json_object_get_string_member_with_default(failure, "error",
                                                                                "?") : "?";
        const char *message = failure ? json_object_get_string_member_with_default(
                                            failure, "message", "") : "";

        g_set_error(error, WEBDRIVER_ERROR, error_code(name), "%s: %s: %.*s", what, name,
                    (int)strcspn(message, "\n"), message);
        return NULL;
    }
    return json_node_copy(value);
}

/* @body: (nullable): JSON of a POST, which NULL makes a GET or @method. */
static JsonNode *command(WebDriver *driver, const char *method, const char *path,
                         const char *body, GError **error)
{
    g_autoptr(GString) answer = g_string_new("");
    g_autofree char *url = g_strconcat(driver->session, path, NULL);
    g_autofree char *what = g_strdup_printf("WebDriver, %s %s", method, path);
    char message[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode code;

    curl_easy_setopt(driver->curl, CURLOPT_URL, url);
    curl_easy_setopt(driver->curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(driver->curl, CURLOPT_WRITEDATA, answer);
    if (body) {
        curl_easy_setopt(driver->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(driver->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(driver->curl, CURLOPT_POSTFIELDS, body);
    } else {
        curl_easy_setopt(driver->curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(driver->curl, CURLOPT_CUSTOMREQUEST, method);
    code = curl_easy_perform(driver->curl);
    curl_easy_setopt(driver->curl, CURLOPT_ERRORBUFFER, NULL);
    if (code != CURLE_OK) {
        g_set_error(error, WEBDRIVER_ERROR, WEBDRIVER_ERROR_TRANSPORT, "%s: %s", what,
                    *message ? message : curl_easy_strerror(code));
        return NULL;
    }
    curl_easy_getinfo(driver->curl, CURLINFO_RESPONSE_CODE, &status);
    return parse_answer(what, answer->str, status, error);
}

static bool order(WebDriver *driver, const char *method, const char *path, const char *body,
                  GError **error)
{
    g_autoptr(JsonNode) value = command(driver, method, path, body, error);

    return value != NULL;
}

static char *string_of(JsonNode *value, const char *what, GError **error)
{
    if (value && JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_STRING) {
        return json_node_dup_string(value);
    }
    if (value) {
        g_set_error(error, WEBDRIVER_ERROR, WEBDRIVER_ERROR_TRANSPORT, "%s is not a string", what);
    }
    return NULL;
}

/* {"@name": "@text"} */
static char *one_string(const char *name, const char *text)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, name, text);
    json_node_take_object(node, object);
    return json_to_string(node, FALSE);
}

static char *capabilities(const char *program, const char *const *arguments,
                          unsigned int timeout_ms)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "capabilities");
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "alwaysMatch");
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "browserName");
    json_builder_add_string_value(builder, "chrome");
    json_builder_set_member_name(builder, "timeouts");
    json_builder_begin_object(builder);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = { "implicit", "pageLoad", "script" };

        json_builder_set_member_name(builder, names[i]);
        json_builder_add_int_value(builder, timeout_ms);
    }
    json_builder_end_object(builder);
    json_builder_set_member_name(builder, "goog:chromeOptions");
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "binary");
    json_builder_add_string_value(builder, program);
    json_builder_set_member_name(builder, "args");
    json_builder_begin_array(builder);
    for (; *arguments; arguments++) {
        json_builder_add_string_value(builder, *arguments);
    }
    json_builder_end_array(builder);
    for (int i = 0; i < 4; i++) {
        json_builder_end_object(builder);
    }
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

/* The answer is {"sessionId": ..., "capabilities": ...}. */
static bool start_session(WebDriver *driver, const char *body, GError **error)
{
    g_autoptr(JsonNode) value = command(driver, "POST", "/session", body, error);
    const char *id = NULL;
    char *url;

    if (value && JSON_NODE_HOLDS_OBJECT(value)) {
        id = json_object_get_string_member_with_default(json_node_get_object(value), "sessionId",
                                                        NULL);
    }
    if (!id) {
        if (value) {
            g_set_error(error, WEBDRIVER_ERROR, WEBDRIVER_ERROR_TRANSPORT,
                        "WebDriver: a new session has no name");
        }
        return false;
    }
    url = g_strdup_printf("%s/session/%s", driver->session, id);
    g_free(driver->session);
    driver->session = url;
    return true;
}

static void drop(WebDriver *driver)
{
    curl_easy_cleanup(driver->curl);
    curl_slist_free_all(driver->headers);
    g_free(driver->session);
    g_free(driver);
}

WebDriver *webdriver_new(const WebDriverPlace *place, const char *program,
                         const char *const *arguments, unsigned int timeout_ms,
                         GError **error)
{
    g_autofree char *body = capabilities(program, arguments, timeout_ms);
    WebDriver *driver = g_new0(WebDriver, 1);

    driver->place = *place;
    driver->curl = curl_easy_init();
    driver->headers = curl_slist_append(NULL, "Content-Type: application/json; charset=utf-8");
    driver->session = g_strdup_printf("http://127.0.0.1:%u", place->port);
    curl_easy_setopt(driver->curl, CURLOPT_HTTPHEADER, driver->headers);
    curl_easy_setopt(driver->curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(driver->curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(driver->curl, CURLOPT_OPENSOCKETDATA, driver);
    curl_easy_setopt(driver->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(driver->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(driver->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms + ANSWER_SPARE_MS);
    if (!start_session(driver, body, error)) {
        drop(driver);
        return NULL;
    }
    return driver;
}

void webdriver_free(WebDriver *driver)
{
    if (driver) {
        order(driver, "DELETE", "", NULL, NULL);
        drop(driver);
    }
}

/* ---- pages and elements ---- */

bool webdriver_navigate(WebDriver *driver, const char *url, GError **error)
{
    g_autofree char *body = one_string("url", url);

    return order(driver, "POST", "/url", body, error);
}

char *webdriver_url(WebDriver *driver, GError **error)
{
    g_autoptr(JsonNode) value = command(driver, "GET", "/url", NULL, error);

    return string_of(value, "the page's URL", error);
}

/* Path of an element, below the session's. */
static char *find(WebDriver *driver, const char *css, GError **error)
{
    g_autoptr(JsonNode) query = json_node_new(JSON_NODE_OBJECT);
    g_autoptr(JsonNode) value = NULL;
    g_autofree char *body = NULL;
    JsonObject *object = json_object_new();
    const char *id = NULL;

    json_object_set_string_member(object, "using", "css selector");
    json_object_set_string_member(object, "value", css);
    json_node_take_object(query, object);
    body = json_to_string(query, FALSE);
    value = command(driver, "POST", "/element", body, error);
    if (!value) {
        g_prefix_error(error, "%s: ", css);
        return NULL;
    }
    if (JSON_NODE_HOLDS_OBJECT(value)) {
        id = json_object_get_string_member_with_default(json_node_get_object(value), ELEMENT_KEY,
                                                        NULL);
    }
    if (!id) {
        g_set_error(error, WEBDRIVER_ERROR, WEBDRIVER_ERROR_TRANSPORT,
                    "%s: the driver found what is no element", css);
        return NULL;
    }
    return g_strdup_printf("/element/%s", id);
}

/* One command of an element found by its selector. */
static JsonNode *element_command(WebDriver *driver, const char *css, const char *method,
                                 const char *verb, const char *body, GError **error)
{
    g_autofree char *element = find(driver, css, error);
    g_autofree char *path = element ? g_strconcat(element, verb, NULL) : NULL;
    JsonNode *value = path ? command(driver, method, path, body, error) : NULL;

    if (path && !value) {
        g_prefix_error(error, "%s: ", css);
    }
    return value;
}

bool webdriver_click(WebDriver *driver, const char *css, GError **error)
{
    g_autoptr(JsonNode) value = element_command(driver, css, "POST", "/click", "{}", error);

    return value != NULL;
}

bool webdriver_type(WebDriver *driver, const char *css, const char *text, GError **error)
{
    g_autofree char *body = one_string("text", text);
    g_autoptr(JsonNode) value = element_command(driver, css, "POST", "/value", body, error);

    return value != NULL;
}

bool webdriver_clear(WebDriver *driver, const char *css, GError **error)
{
    g_autoptr(JsonNode) value = element_command(driver, css, "POST", "/clear", "{}", error);

    return value != NULL;
}

char *webdriver_text(WebDriver *driver, const char *css, GError **error)
{
    g_autoptr(JsonNode) value = element_command(driver, css, "GET", "/text", NULL, error);

    return string_of(value, "an element's text", error);
}

JsonNode *webdriver_execute(WebDriver *driver, const char *script, const char *arguments,
                            GError **error)
{
    g_autoptr(JsonNode) query = json_node_new(JSON_NODE_OBJECT);
    g_autoptr(JsonNode) args = json_from_string(arguments ? arguments : "[]", error);
    g_autofree char *body = NULL;
    JsonObject *object;

    if (!args) {
        return NULL;
    }
    object = json_object_new();
    json_object_set_string_member(object, "script", script);
    json_object_set_member(object, "args", g_steal_pointer(&args));
    json_node_take_object(query, object);
    body = json_to_string(query, FALSE);
    return command(driver, "POST", "/execute/sync", body, error);
}

/* ---- cookies, pictures ---- */

GStrv webdriver_cookies(WebDriver *driver, GError **error)
{
    g_autoptr(JsonNode) value = command(driver, "GET", "/cookie", NULL, error);
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    JsonArray *array;

    if (!value) {
        return NULL;
    }
    if (!JSON_NODE_HOLDS_ARRAY(value)) {
        g_set_error(error, WEBDRIVER_ERROR, WEBDRIVER_ERROR_TRANSPORT,
                    "WebDriver: the cookies are no array");
        return NULL;
    }
    array = json_node_get_array(value);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_strv_builder_add(names, json_object_get_string_member_with_default(
                                      json_array_get_object_element(array, i), "name", ""));
    }
    return g_strv_builder_end(names);
}

char *webdriver_cookie(WebDriver *driver, const char *name, GError **error)
{
    g_autofree char *path = g_strdup_printf("/cookie/%s", name);
    g_autoptr(JsonNode) value = command(driver, "GET", path, NULL, error);

    if (!value) {
        return NULL;
    }
    if (!JSON_NODE_HOLDS_OBJECT(value)) {
        g_set_error(error, WEBDRIVER_ERROR, WEBDRIVER_ERROR_TRANSPORT,
                    "WebDriver: the cookie %s is no object", name);
        return NULL;
    }
    return string_of(json_object_get_member(json_node_get_object(value), "value"), name, error);
}

bool webdriver_delete_cookie(WebDriver *driver, const char *name, GError **error)
{
    g_autofree char *path = g_strdup_printf("/cookie/%s", name);

    return order(driver, "DELETE", path, NULL, error);
}

bool webdriver_screenshot(WebDriver *driver, const char *path, GError **error)
{
    g_autoptr(JsonNode) value = command(driver, "GET", "/screenshot", NULL, error);
    g_autofree char *text = string_of(value, "the screenshot", error);
    g_autofree guchar *png = NULL;
    gsize bytes;

    if (!text) {
        return false;
    }
    png = g_base64_decode(text, &bytes);
    return g_file_set_contents(path, (const char *)png, bytes, error);
}
