<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// logout.php - the session's last request
require 'common.php';

$body = "request $counter was the last\n";
send_headers($body, $counter);
echo $body;
session_destroy();
