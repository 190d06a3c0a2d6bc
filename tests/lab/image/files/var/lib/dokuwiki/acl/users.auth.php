# users.auth.php
# <?php exit()?>
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The lab's one user: demo, with the password demo.
demo:$1$slicelab$CA8j5LdTtsQRhQNKcUStC1:Demo User:demo@web.example:user
