<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// finish.php?ms=N - answers, and works on the session for N milliseconds more
// (at most 5000): what it has done then is in X-After of the next answers
require 'common.php';

$body = "request $counter goes on behind its answer\n";
send_headers($body, $counter);
echo $body;
fastcgi_finish_request();
usleep(1000 * min(5000, max(0, (int)($_GET['ms'] ?? 100))));
$_SESSION['after'] = ($_SESSION['after'] ?? 0) + 1;
