<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// large.php?kb=N - a response that fills socket buffers (at most 16 MB)
require 'common.php';

$kb = min(16384, max(1, (int)($_GET['kb'] ?? 1024)));
$body = body_of(session_id() . ':' . $counter, $kb * 1024);
send_headers($body, $counter);
echo $body;
