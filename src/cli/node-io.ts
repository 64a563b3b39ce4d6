import { closeSync, createReadStream, openSync, writeSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import cliProgress from "cli-progress";
import pc from "picocolors";
import { BpfError } from "../base/index.ts";
import type { Io, Progress } from "./io.ts";
import { nodeWorkers } from "./node-workers.ts";

const CHUNK_BYTES = 1 << 20;
const GZIP_MAGIC = [0x1f, 0x8b];

/** Files, terminal and standard streams of this process. */
export const nodeIo: Io = {
  async readFile(path) {
    if (path !== "-") return attempt(path, () => readFile(path));
    const chunks: Uint8Array[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array); // no encoding set: buffers
    return Buffer.concat(chunks);
  },
  async *readChunks(path) {
    const source = path === "-" ? process.stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES });
    try {
      const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>; // no encoding set: buffers
      const first = await chunks.next();
      if (first.done) return;
      const all = (async function* () {
        yield first.value;
        for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
      })();
      if (GZIP_MAGIC.every((byte, i) => first.value[i] === byte)) yield* gunzip(all);
      else yield* all;
    } catch (error) {
      throw fileError(path, error);
    } finally {
      source.destroy();
    }
  },
  async fileSize(path) {
    if (path === "-" || path.endsWith(".gz")) return undefined;
    return attempt(path, async () => (await stat(path)).size);
  },
  async writeFile(path, bytes) {
    await attempt(path, () => writeFile(path, bytes));
  },
  async openOutput(path) {
    const fd = await attempt(path, async () => openSync(path, "w"));
    return {
      write: (bytes) => {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      },
      close: async () => closeSync(fd),
    };
  },
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  progress: (total, unit) => (process.stderr.isTTY ? progressBar(total, unit) : { update() {}, stop() {} }),
  workers: nodeWorkers,
  async untilStopped() {
    const [signals, idle] = [["SIGINT", "SIGTERM", "SIGHUP"] as const, setInterval(() => {}, 1 << 30)];
    let stop = () => {};
    await new Promise<void>((resolve) => {
      stop = resolve;
      for (const signal of signals) process.once(signal, stop);
    });
    for (const signal of signals) process.off(signal, stop);
    clearInterval(idle);
  },
  colors: pc.isColorSupported && process.stdout.isTTY === true,
  columns: process.stdout.columns ?? 100,
};

async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const unzip = createGunzip();
  const feed = (async () => {
    for await (const chunk of chunks) {
      if (!unzip.write(chunk)) await new Promise((resolve) => unzip.once("drain", resolve));
    }
    unzip.end();
  })();
  feed.catch((error: Error) => unzip.destroy(error));
  yield* unzip as AsyncIterable<Uint8Array>; // a stream without encoding gives buffers
  await feed;
}

function progressBar(total: number, unit: string): Progress {
  const bar = new cliProgress.SingleBar({
    format: `{bar} {percentage}% · {value}/{total} ${unit} · {eta_formatted} left`,
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 50,
  });
  bar.start(total, 0);
  return { update: (done) => bar.update(done), stop: () => bar.stop() };
}

async function attempt<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw fileError(path, error);
  }
}

const FILE_ERRORS: Record<string, { code: `cli/${string}`; what: string; hint?: string }> = {
  ENOENT: {
    code: "cli/no-such-file",
    what: "no such file",
    hint: "check the path; '-' reads standard input",
  },
  EISDIR: { code: "cli/is-directory", what: "is a directory, not a file" },
  EACCES: { code: "cli/no-permission", what: "permission denied" },
  ENOSPC: { code: "cli/disk-full", what: "no space left on the device" },
};

function fileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof BpfError) return error;
  const errno = "code" in error ? String(error.code) : "";
  const row = FILE_ERRORS[errno] ?? { code: "cli/io" as const, what: error.message };
  return new BpfError(row.code, `${path}: ${row.what}`, {
    subject: path,
    hint: row.hint,
    errno,
    cause: error,
  });
}
