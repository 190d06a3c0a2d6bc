<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// slow.php?ms=N - a request that is in flight for N milliseconds (at most 5000)
// slow.php?ms=N&early=1 - the same, with half of the answer sent before
require 'common.php';

$body = "slow request $counter of session " . session_id() . "\n";
$early = isset($_GET['early']) ? intdiv(strlen($body), 2) : 0;
send_headers($body, $counter);
if ($early) {
    echo substr($body, 0, $early);
    flush();
}
usleep(1000 * min(5000, max(0, (int)($_GET['ms'] ?? 200))));
echo substr($body, $early);
