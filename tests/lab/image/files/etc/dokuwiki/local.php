<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// local.php - DokuWiki in a guest: what an administrator would have chosen
$conf['title'] = 'A wiki in slices';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['disableactions'] = 'register';
// The guests have no way out.
$conf['updatecheck'] = 0;
