// Adds the steps of .ci/run and the tests of emulated machines to the test runner's counts and prints the closing line:
// N passed, N failed, N skipped.
import { readFileSync } from "node:fs";

const [, , file, stepsPassed, stepsFailed, testsExit, ...guests] = process.argv;
let passed = Number(stepsPassed);
let failed = Number(stepsFailed);
let skipped = 0;
try {
  const report = JSON.parse(readFileSync(file, "utf8"));
  passed += report.numPassedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  // A suite that does not even load has no tests to count; the exit code tells.
  failed += Math.max(report.numFailedTests, testsExit === "0" ? 0 : 1);
} catch (error) {
  console.error(`the tests left no report: ${error.message}`);
  failed += 1;
}
for (const guest of guests) {
  const counts = /^\{"passed":\d+,"failed":\d+,"skipped":\d+\}$/m.exec(readFileSync(guest, "utf8"))?.[0];
  if (counts === undefined) console.error(`${guest}: the emulated machine broke off`);
  const found = counts === undefined ? { passed: 0, failed: 1, skipped: 0 } : JSON.parse(counts);
  passed += found.passed;
  failed += found.failed;
  skipped += found.skipped;
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
