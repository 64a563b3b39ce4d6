import { readFileSync } from "node:fs";
import { BpfError } from "../../src/base/index.ts";
import type { Io } from "../../src/cli/io.ts";
import { main } from "../../src/cli/main.ts";
import { nodeWorkers } from "../../src/cli/node-workers.ts";

/** What a command line printed, wrote and returned. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * Runs a command line over files held in memory; paths that are not among them are read from the repository. `workers`:
 * the script of worker threads.
 */
export async function skep(
  argv: readonly string[],
  inputs: Readonly<Record<string, Uint8Array | string>> = {},
  workers?: URL,
): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const files = new Map<string, Uint8Array>();
  const read = (path: string): Uint8Array => {
    const given = inputs[path];
    if (given !== undefined) return typeof given === "string" ? new TextEncoder().encode(given) : given;
    try {
      return readFileSync(new URL(`../../${path}`, import.meta.url));
    } catch {
      throw new BpfError("cli/no-such-file", `${path}: no such file`);
    }
  };
  const io: Io = {
    readFile: async (path) => read(path),
    async *readChunks(path) {
      const bytes = read(path);
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
    },
    fileSize: async (path) => read(path).length,
    writeFile: async (path, bytes) => void files.set(path, bytes),
    openOutput: async (path) => {
      const parts: Uint8Array[] = [];
      return {
        write: (bytes) => void parts.push(bytes.slice()),
        close: async () => void files.set(path, Buffer.concat(parts)),
      };
    },
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    progress: () => ({ update() {}, stop() {} }),
    untilStopped: () => new Promise(() => {}),
    workers: (count) => nodeWorkers(count, workers),
    colors: false,
    columns: 100,
  };
  const code = await main(argv, io);
  return { code, out: out.join("\n"), err: err.join("\n"), files };
}
