// Adds the steps of .ci/run to the test runner's counts and prints the closing line: N passed, N failed, N skipped.
import { readFileSync } from "node:fs";

const [, , file, stepsPassed, stepsFailed, testsExit] = process.argv;
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
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
