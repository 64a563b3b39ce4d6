// What outlives a process is undone when it ends: on exit, an uncaught exception, SIGINT and SIGTERM. In child processes.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cleanup } from "../../src/linux/index.ts";

/** Registers three clean-ups that tell, and then does what its argument says. */
const CHILD = `
  import { Cleanup } from "./src/linux/sys/cleanup.ts";
  import { writeSync } from "node:fs";
  const cleanup = new Cleanup();
  cleanup.add(() => writeSync(1, "first "), { outlives: true });
  cleanup.add(() => { writeSync(1, "second "); throw new Error("of a clean-up"); }, { outlives: true });
  cleanup.add(() => writeSync(1, "third "), { outlives: true });
  cleanup.add(() => writeSync(1, "dies with the process "));
  const ends = {
    exit: () => process.exit(3),
    throw: () => { throw new Error("nobody catches this"); },
    wait: () => setInterval(() => {}, 1000),
    handler: () => { process.on("SIGTERM", () => { writeSync(1, "handled "); process.exit(0); }); setInterval(() => {}, 1000); },
    close: () => { try { cleanup[Symbol.dispose](); } catch { writeSync(1, "threw "); } },
  };
  ends[process.argv[2]]();
  writeSync(1, "ready ");
`;

let dir: string;
let script: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "skep-cleanup-"));
  script = join(dir, "child.mjs");
  const { outputFiles } = await build({
    stdin: { contents: CHILD, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
  });
  writeFileSync(script, outputFiles[0].text);
});
afterAll(() => rmSync(dir, { recursive: true }));

async function endOf(
  how: string,
  signal?: NodeJS.Signals,
): Promise<{ said: string; code: number | null; signal: NodeJS.Signals | null }> {
  const child: ChildProcess = spawn(process.execPath, [script, how], { stdio: ["ignore", "pipe", "ignore"] });
  let said = "";
  child.stdout?.on("data", (text) => {
    said += text;
    if (signal !== undefined && said.includes("ready")) child.kill(signal);
  });
  return new Promise((resolve) => {
    child.on("close", (code, endedBy) => resolve({ said: said.trim(), code, signal: endedBy }));
  });
}

describe("clean-up at the end of a process", () => {
  it.each([
    ["exit", undefined, { said: "third second first", code: 3, signal: null }],
    ["throw", undefined, { said: "third second first", code: 1, signal: null }],
    ["wait", "SIGINT", { said: "ready third second first", code: null, signal: "SIGINT" }],
    ["wait", "SIGTERM", { said: "ready third second first", code: null, signal: "SIGTERM" }],
    ["wait", "SIGHUP", { said: "ready third second first", code: null, signal: "SIGHUP" }],
    // A handler of the program's own decides; its exit undoes.
    ["handler", "SIGTERM", { said: "ready handled third second first", code: 0, signal: null }],
    [
      "close",
      undefined,
      { said: "dies with the process third second first threw ready", code: 0, signal: null },
    ],
  ] as const)("%s %s", async (how, signal, want) => {
    expect(await endOf(how, signal)).toEqual(want);
  });

  it("runs each once, and listens only while something outlives the process", () => {
    const listeners = () => process.listenerCount("SIGTERM") + process.listenerCount("exit");
    const before = listeners();
    using cleanup = new Cleanup();
    let runs = 0;
    cleanup.add(() => runs++);
    expect(listeners()).toBe(before);
    const undo = cleanup.add(() => runs++, { outlives: true });
    expect(listeners()).toBe(before + 2);
    undo();
    undo();
    expect(runs).toBe(1);
    expect(listeners()).toBe(before);
    expect(cleanup.size).toBe(1);
  });
});
