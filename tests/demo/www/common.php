<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// common.php - what every page of the demo does
//
// A page counts its session's requests in $_SESSION, and nowhere else, and
// tells the client in headers what it may check: the counter, the VM that
// served it, the session, how much was done behind answers (finish.php), and the
// digest of the body.

session_start();
$_SESSION['counter'] = ($_SESSION['counter'] ?? 0) + 1;
$counter = $_SESSION['counter'];

/**
 * A body that can be computed by whoever knows $seed: lines of 64 characters.
 */
function body_of(string $seed, int $bytes): string
{
    $line = substr(str_repeat(hash('sha256', $seed), 2), 0, 63) . "\n";
    return substr(str_repeat($line, intdiv($bytes, 64) + 1), 0, $bytes);
}

function send_headers(string $body, int $counter): void
{
    header('Content-Type: text/plain');
    header('Content-Length: ' . strlen($body));
    header('X-Counter: ' . $counter);
    header('X-VM: ' . gethostname());
    header('X-Session: ' . session_id());
    header('X-After: ' . ($_SESSION['after'] ?? 0));
    header('X-Body-SHA256: ' . hash('sha256', $body));
}
