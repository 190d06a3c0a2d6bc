<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// upload.php - takes a request's body and says what it was
require 'common.php';

$upload = file_get_contents('php://input');
header('X-Upload-SHA256: ' . hash('sha256', $upload));
$body = "request $counter brought " . strlen($upload) . " bytes\n";
send_headers($body, $counter);
echo $body;
