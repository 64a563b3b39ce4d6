// The part of scripts/test-vm.mjs that runs inside the guest: runs bundled test files one by one with vitest's runner,
// prints what failed and why others were skipped, and leaves counts in the last line.
import { startTests } from "@vitest/runner";
import { FILES } from "test-files";

const TIMEOUT_MS = 120_000;

const runner = {
  config: {
    root: process.cwd(),
    setupFiles: [],
    name: undefined,
    passWithNoTests: false,
    testNamePattern: process.env.SKEP_TEST_NAME ? new RegExp(process.env.SKEP_TEST_NAME) : undefined,
    allowOnly: false,
    sequence: { seed: 0, hooks: "stack", setupFiles: "list" },
    chaiConfig: undefined,
    maxConcurrency: 1,
    testTimeout: TIMEOUT_MS,
    hookTimeout: TIMEOUT_MS,
    retry: 0,
    includeTaskLocation: false,
    tags: [],
    tagsFilter: undefined,
    strictTags: false,
  },
  importFile: (path) => FILES[path](),
};

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const path of Object.keys(FILES)) {
  const before = { ...counts };
  const start = Date.now();
  for (const file of await startTests([path], runner)) count(file, path);
  const { passed, failed, skipped } = counts;
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  console.log(
    `${path}: ${passed - before.passed} passed, ${failed - before.failed} failed, ${skipped - before.skipped} skipped, ${seconds} s`,
  );
}
console.log(JSON.stringify(counts));
// Whatever a failed test left running must not keep the guest; scripts/test-vm.mjs reads the counts.
process.stdout.write("", () => process.kill(process.pid, "SIGKILL"));

function count(task, name) {
  const state = task.result?.state;
  const own = task.result?.errors ?? [];
  if (task.type !== "test") {
    // A suite fails with its tests; what it has errors of its own for is not counted anywhere else.
    if (own.length > 0) report(name, own);
    for (const child of task.tasks) count(child, `${name} > ${child.name}`);
    return;
  }
  if (state === "pass") counts.passed++;
  else if (state === "fail") report(name, own);
  else {
    counts.skipped++;
    const note = task.result?.note;
    if (note) console.log(`  skipped: ${name}: ${note}`);
  }
}

function report(name, errors) {
  counts.failed++;
  console.log(`  FAILED: ${name}`);
  for (const error of errors) {
    console.log(indent(error.stack ?? `${error.name}: ${error.message}`));
    if (error.diff) console.log(indent(error.diff));
    for (const fact of ["code", "errno", "hint", "log"])
      if (error[fact]) console.log(indent(`${fact}: ${error[fact]}`));
  }
}

function indent(text) {
  return String(text).replace(/^/gm, "    ");
}
