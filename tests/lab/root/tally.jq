# SPDX-License-Identifier: GPL-2.0-or-later
#
# tally.jq - count the test cases in meson's testlog.json
#
# Input: one object a test program. A program that speaks TAP counts as many
# tests as it reported, and one failure more if it broke off (died, timed out,
# or reported fewer than it had planned). One that does not speak TAP is one
# test, judged by its exit status. A plan of 0 is one skipped test.
#
# Output: lines "count PASSED FAILED SKIPPED", "skip NAME: REASON", "fail NAME",
# and "log LINE" for the last that a program with a failure has printed.

def lines: (.stdout // "") | split("\n") | map(ltrimstr("\r") | rtrimstr("\r"));
def short: .name | sub("^[^/]* / "; "");
def is_skip: test("#\\s*skip"; "i");
def reason: capture("#\\s*skip\\S*\\s*(?<why>.*)"; "i").why;

def tally:
  lines as $lines
  | [$lines[] | select(test("^(not )?ok\\b"))] as $cases
  | ([$lines[] | capture("^1\\.\\.(?<n>[0-9]+)") | .n | tonumber] | first) as $plan
  | [$cases[] | select(test("^ok\\b") and is_skip)] as $skipped
  | [$cases[] | select(test("^ok\\b") and (is_skip | not))] as $passed
  | [$cases[] | select(test("^not ok\\b") and (test("#\\s*todo"; "i") | not))] as $failed
  | (.result | IN("OK", "EXPECTEDFAIL", "SKIP")) as $fine
  | if ($cases | length) == 0 then
      if $plan == 0 or .result == "SKIP" then
        { passed: 0, failed: [], skipped: [short + ": " + (([$lines[] | select(is_skip) | reason] | first) // "exit status 77, no reason given")] }
      elif $plan == null and $fine then
        { passed: 1, failed: [], skipped: [] }
      else
        { passed: 0, failed: [short + " (" + .result + ", no test case reported)"], skipped: [] }
      end
    else
      { passed: ($passed | length),
        failed: ([short as $name | $failed[] | $name + " " + sub("^not ok\\s*[0-9]*\\s*-?\\s*"; "")]
          + (if ($plan // ($cases | length)) > ($cases | length) then
               [short + " (" + .result + " after \($cases | length) of \($plan) test cases)"]
             elif ($fine | not) and ($failed | length) == 0 then
               [short + " (" + .result + ")"]
             else [] end)),
        skipped: [short as $name | $skipped[] | $name + " " + (sub("^ok\\s*[0-9]*\\s*-?\\s*"; "") | sub("\\s*#.*"; "")) + ": " + reason] }
    end;

# tail - the last lines of both outputs
def tail: (lines | .[-40:][]), ((.stderr // "") | split("\n") | .[-40:][]) | select(. != "");

[inputs | . + tally]
| "count \(map(.passed) | add // 0) \(map(.failed | length) | add // 0) \(map(.skipped | length) | add // 0)",
  (.[].skipped[] | "skip " + .),
  (.[] | select(.failed != []) | "log \(short):", (tail | "log   " + .)),
  (.[].failed[] | "fail " + .)
