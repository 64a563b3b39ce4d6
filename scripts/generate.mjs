// npm run generate: rewrites what is written by scripts and committed. `--check`: fails where a file is not current.
import { spawnSync } from "node:child_process";

const checking = process.argv.includes("--check");
const STEPS = [
  ["scripts/generate-abi-availability.mjs"],
  ["scripts/generate-abi-contexts.mjs"],
  ["scripts/generate-abi-uapi.mjs"],
  // docs/helpers.md; the test beside the helper table compares it.
  ...(checking ? [] : [["scripts/run-ts.mjs", "scripts/helper-table.ts"]]),
  // docs/errors and the sources in fixtures/errors; test/errors compares them.
  ...(checking ? [] : [["scripts/run-ts.mjs", "scripts/error-pages.ts"]]),
];
let failed = false;
for (const step of STEPS) {
  const { status } = spawnSync(process.execPath, [...step, ...(checking ? ["--check"] : [])], {
    stdio: "inherit",
  });
  if (status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
