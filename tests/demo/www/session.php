<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// session.php?do=label&to=TEXT   what operators see of this session
// session.php?do=login           a new id for the same session
// session.php?do=late&ms=N       work that goes on for N milliseconds (at most
//                                5000) after the answer, and is counted then
// session.php?do=upload          the length and digest of what was sent
// session.php                    how often late work was done
require 'common.php';

$do = $_GET['do'] ?? 'show';
$say = match ($do) {
    'label' => slice_label($_GET['to'] ?? '') ? 'labelled' : 'not labelled',
    'login' => session_regenerate_id(true) ? 'new id' : 'old id',
    'upload' => strlen($input = file_get_contents('php://input')) . ' ' . hash('sha256', $input),
    default => $do,
};
$body = "$say\n";
header('X-Late: ' . ($_SESSION['late'] ?? 0));
send_headers($body, $counter);
echo $body;
if ($do === 'late') {
    fastcgi_finish_request();
    usleep(1000 * min(5000, max(0, (int)($_GET['ms'] ?? 200))));
    $_SESSION['late'] = ($_SESSION['late'] ?? 0) + 1;
}
