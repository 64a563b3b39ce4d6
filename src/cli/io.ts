import type { WorkerSource } from "../runtime/index.ts";

/** What a command may do to the world. `node-io.ts` is the real one, tests have their own. */
export interface Io {
  /** Whole contents; `"-"` is standard input. @throws BpfError `cli/no-such-file` and its like. */
  readFile(path: string): Promise<Uint8Array>;
  /** Contents as they arrive, uncompressed if they were gzipped; `"-"` is standard input. */
  readChunks(path: string): AsyncIterable<Uint8Array>;
  /** Bytes of the file, undefined where that is unknown (standard input, compressed). */
  fileSize(path: string): Promise<number | undefined>;
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  openOutput(path: string): Promise<OutputFile>;
  /** A line of result on standard output. */
  out(text: string): void;
  /** A line of message on standard error. */
  err(text: string): void;
  /** A progress bar over `total` units; does nothing where standard error is no terminal. */
  progress(total: number, unit: string): Progress;
  /** Worker threads for an embedded kernel. */
  workers(count: number): WorkerSource;
  /** Settles when the user asks to stop (Ctrl-C) or the process is told to end. */
  untilStopped(): Promise<void>;
  readonly colors: boolean;
  /** Width of the terminal, 100 where there is none. */
  readonly columns: number;
}

export interface OutputFile {
  write(bytes: Uint8Array): void;
  close(): Promise<void>;
}

export interface Progress {
  update(done: number): void;
  stop(): void;
}
