<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// count.php - the ordinary click: a small page at once
require 'common.php';

$body = "request $counter of session " . session_id() . "\n";
send_headers($body, $counter);
echo $body;
