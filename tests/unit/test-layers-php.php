<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// test-layers-php.php - the save handler on a stand-in for the kernel
//
// Run by PHP's command line; prints TAP.

$n = 0;

function claim(string $what, bool $holds): void
{
    global $n;
    $n++;
    fwrite(STDOUT, ($holds ? 'ok' : 'not ok') . " $n /layers/php/$what\n");
}

// A request: what the function does to the session, then the end of it.
function request(?string $id, callable $do)
{
    session_id($id ?? '');
    if ($id === null) {
        session_id(session_create_id());
    }
    if (!session_start()) {
        return null;
    }
    $result = $do();
    session_write_close();
    $_SESSION = [];
    return $result;
}

function new_session(): string
{
    return request(null, function () {
        $_SESSION['n'] = 1;
        return session_id();
    });
}

// Sessions refuse to start after output.
ob_start();
$id = new_session();
claim('counter-is-kept', request($id, fn () => ++$_SESSION['n']) === 2 &&
    request($id, fn () => ++$_SESSION['n']) === 3);

$other = new_session();
claim('sessions-are-apart', $other !== $id &&
    request($other, fn () => $_SESSION['n']) === 1 &&
    request($id, fn () => $_SESSION['n']) === 3);

claim('unknown-id-is-not-adopted', request('unknownunknownunknownunknown',
    fn () => session_id()) !== 'unknownunknownunknownunknown');

$big = str_repeat('x', 300000);
claim('large-session-grows', request($id, function () use ($big) {
    $_SESSION['big'] = $big;
    return true;
}) && request($id, fn () => $_SESSION['big'] === $big && $_SESSION['n'] === 3));

claim('grown-session-shrinks', request($id, function () {
    unset($_SESSION['big']);
    return true;
}) && request($id, fn () => !isset($_SESSION['big']) && $_SESSION['n'] === 3));

claim('abort-keeps-the-old', request($id, function () {
    $_SESSION['n'] = 99;
    session_abort();
    return true;
}) && request($id, fn () => $_SESSION['n']) === 3);

claim('read-and-close-changes-nothing', (function () use ($id) {
    session_id($id);
    session_start(['read_and_close' => true]);
    return $_SESSION['n'] === 3;
})());

$new = request($id, function () {
    session_regenerate_id(true);
    return session_id();
});
claim('new-id-has-the-contents', $new !== $id &&
    request($new, fn () => $_SESSION['n']) === 3);
claim('old-id-is-gone', request($id, fn () => session_id()) !== $id);

request($new, function () {
    session_destroy();
});
claim('destroyed-id-is-gone', request($new, fn () => session_id()) !== $new);

claim('unchanged-session-is-touched', request($other, fn () => true) &&
    request($other, fn () => $_SESSION['n']) === 1);

$old = new_session();
ini_set('session.gc_maxlifetime', '-5');
$collected = request(null, fn () => session_gc());
ini_set('session.gc_maxlifetime', '1440');
claim('unused-sessions-are-collected', $collected >= 2 &&
    request($old, fn () => session_id()) !== $old);

$kept = new_session();
$new = request($kept, function () {
    $_SESSION['n'] = 7;
    session_regenerate_id(false);
    $_SESSION['n'] = 8;
    return session_id();
});
claim('kept-old-id-has-the-old-contents', $new !== $kept &&
    request($new, fn () => $_SESSION['n']) === 8 &&
    request($kept, fn () => $_SESSION['n']) === 7);

// Of two names in one application neither sees the other's session.
session_name('OTHER');
$second = new_session();
request($second, fn () => $_SESSION['n'] = 20);
session_name('PHPSESSID');
claim('second-name-is-a-second-session', $second !== $new &&
    request($second, fn () => $_SESSION['n']) === 20 &&
    request($new, fn () => $_SESSION['n']) === 8);

claim('login-after-logout-is-a-new-session', request($second, function () {
    $old = session_id();
    session_destroy();
    session_id(session_create_id());
    session_start();
    return session_id() !== $old && $_SESSION === [];
}));

claim('label-needs-a-session', slice_label('nobody') === false);
claim('session-has-a-label', request($new, fn () => slice_label('alice')));
claim('label-is-cut-between-characters', request($new,
    fn () => slice_label(str_repeat("\u{20ac}", 20))));
function refuses(string $label): bool
{
    try {
        slice_label($label);
    } catch (ValueError) {
        return true;
    }
    return false;
}
claim('label-is-for-people', request($new, fn () => refuses("a\nb") &&
    refuses("\x80") && refuses("\xe2\x82") && refuses("\xff")));

// What has left is never answered with a new session that is empty.
function start_of(string $id): array
{
    session_id($id);
    try {
        $started = @session_start();
    } catch (Error $error) {
        return [http_response_code(), session_id(), $error->getMessage()];
    }
    return [http_response_code(), session_id(), $started];
}
$left = 'awayawayawayawayawayawayaw';
claim('session-elsewhere-is-503', start_of($left) ===
    [503, '', 'the session has left this server']);
http_response_code(200);
session_abort();

// Nobody collects here: PHP's own collection is off, as Debian has it.
ini_set('session.gc_probability', '0');
$old = new_session();
ini_set('session.gc_maxlifetime', '-5');
// At most one sweep a second, of a clock that may be a tick behind ours.
for ($now = time(); time() < $now + 2;) {
    usleep(1000);
}
new_session();
ini_set('session.gc_maxlifetime', '1440');
claim('unused-sessions-are-swept', request($old, fn () => session_id()) !== $old);

for ($i = 0, $ok = true; $i < 300; $i++) {
    $s = new_session();
    $ok = $ok && request($s, function () {
        session_destroy();
        return true;
    });
}
claim('ended-sessions-give-their-room-back', $ok);

fwrite(STDOUT, "1..$n\n");
