import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "../..");

/** A program of its own process: TypeScript that imports `./src/…`, bundled. Disposing removes it. */
export class ChildScript implements Disposable {
  readonly path: string;
  private readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.path = join(dir, "child.mjs");
  }

  static async bundle(contents: string): Promise<ChildScript> {
    const cache = join(ROOT, "node_modules/.cache");
    mkdirSync(cache, { recursive: true });
    const script = new ChildScript(mkdtempSync(join(cache, "skep-child-")));
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: ROOT, loader: "ts" },
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "node20",
      packages: "external",
      alias: { "#linux": "./src/linux/index.ts" },
      absWorkingDir: ROOT,
    });
    writeFileSync(script.path, outputFiles[0].contents);
    return script;
  }

  /** Runs it to its end; what it printed. `through`: a command in front, such as setpriv. */
  run(args: readonly string[] = [], through: readonly string[] = []): string {
    const [command, ...rest] = [...through, process.execPath, this.path, ...args];
    const { stdout, stderr, status } = spawnSync(command, rest, { encoding: "utf8", cwd: ROOT });
    if (status !== 0) throw new Error(`child ended with ${status}: ${stderr}`);
    return stdout;
  }

  /** Starts it and waits for its first line, which is given too. `through`: a command in front that becomes it. */
  async start(
    args: readonly string[] = [],
    through: readonly string[] = [],
  ): Promise<{ readonly child: ChildProcess; readonly line: string }> {
    const [command, ...rest] = [...through, process.execPath, this.path, ...args];
    const child = spawn(command, rest, { cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] });
    const line = await new Promise<string>((resolve, reject) => {
      let [out, err] = ["", ""];
      child.stderr.on("data", (chunk) => {
        err += chunk;
      });
      child.stdout.on("data", (chunk) => {
        out += chunk;
        if (out.includes("\n")) resolve(out.split("\n", 1)[0]);
      });
      child.on("exit", (code) => reject(new Error(`child ended with ${code}: ${err}`)));
    });
    return { child, line };
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
  }
}

/** Ends when the process has; how. */
export async function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode !== null) return child.exitCode;
  if (child.signalCode !== null) return child.signalCode;
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
}
