import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

/** Why programs of our own cannot be compiled here; undefined when they can. */
export function whyNoCompiler(): string | undefined {
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs gcc";
  }
}

/** `fixtures/linux/probed.c`, compiled into a directory of its own. Dispose it to remove it. */
export class ProbedProgram implements Disposable {
  readonly path: string;
  private readonly directory = mkdtempSync(`${tmpdir()}/skep-probed-`);

  constructor(flags: readonly string[] = []) {
    this.path = `${this.directory}/probed`;
    const source = fileURLToPath(new URL("../../fixtures/linux/probed.c", import.meta.url));
    execFileSync("gcc", ["-O1", ...flags, "-o", this.path, source]);
  }

  /** Starts it; it waits for {@link finish} before it does anything. */
  async start(times: number): Promise<ChildProcess & { readonly pid: number }> {
    return startWaiting(this.path, [String(times)]);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** Starts a program that waits for a line on its standard input. */
export async function startWaiting(
  path: string,
  args: readonly string[],
): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn(path, args, { stdio: ["pipe", "pipe", "inherit"] });
  await once(child, "spawn");
  return child as ChildProcess & { readonly pid: number }; // it was spawned
}

/** Lets a waiting program run to its end; what it printed. */
export async function finish(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.on("data", (bytes) => {
    text += String(bytes);
  });
  child.stdin?.end("go\n");
  await once(child, "close");
  return text;
}
