<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// index.php - for a person with a browser in `run shell`
require 'common.php';
?>
<!DOCTYPE html>
<title>Slice</title>
<h1>Request <?= $counter ?> of this session</h1>
<p>Served by <?= htmlspecialchars(gethostname()) ?>.
<p><a href="/">again</a>
