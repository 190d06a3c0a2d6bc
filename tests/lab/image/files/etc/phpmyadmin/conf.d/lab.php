<?php
// SPDX-License-Identifier: GPL-2.0-or-later
//
// lab.php - phpMyAdmin in a guest: the database is the lab's, outside the cluster
$cfg['Servers'][1]['auth_type'] = 'cookie';
$cfg['Servers'][1]['host'] = '10.78.0.1';
$cfg['Servers'][1]['port'] = '3306';
// The guests have no way out.
$cfg['VersionCheck'] = false;
$cfg['SendErrorReports'] = 'never';
$cfg['PmaNoRelation_DisableWarning'] = true;
