<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// slow.php?ms=N - a request that is in flight for N milliseconds (at most 5000)
require 'common.php';

usleep(1000 * min(5000, max(0, (int)($_GET['ms'] ?? 200))));
$body = "slow request $counter of session " . session_id() . "\n";
send_headers($body, $counter);
echo $body;
