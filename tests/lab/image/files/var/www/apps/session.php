<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// session.php?ms=N - counts the requests of the session of the application
// beside which it is served
//
// The counter is in $_SESSION and nowhere else. The answer says what was
// counted, where, and on which connection; `mark` is a word that only the
// session knows, so that it can be looked for where session data must not be.
// With N the session stays open for so long: requests of one session wait for
// each other, so a browser needs a connection for each of them.
$name = str_starts_with($_SERVER['REQUEST_URI'], '/dokuwiki/') ? 'DokuWiki' : 'phpMyAdmin';
session_name($name);
header('Content-Type: application/json');
header('Cache-Control: no-store');
if (!isset($_COOKIE[$name]) || !session_start(['use_cookies' => 1, 'use_only_cookies' => 1])) {
    http_response_code(409);
    exit('{"error": "there is no session of this application"}');
}
$_SESSION['slice-mark'] ??= 'mark-' . bin2hex(random_bytes(12));
$_SESSION['slice-counter'] = ($_SESSION['slice-counter'] ?? 0) + 1;
$answer = [
    'counter' => $_SESSION['slice-counter'],
    'mark' => $_SESSION['slice-mark'],
    'port' => (int)$_SERVER['REMOTE_PORT'],
    'vm' => gethostname(),
];
usleep(1000 * min(1000, max(0, (int)($_GET['ms'] ?? 0))));
session_write_close();
echo json_encode($answer), "\n";
