import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  ATTACH_TYPES,
  type AttachTypeName,
  errnoName,
  MAP_TYPES,
  type MapTypeName,
  PROGRAM_TYPES,
  type ProgramTypeName,
} from "../../src/abi/index.ts";
import { fromHex, toHex } from "../../src/base/index.ts";
import type { LoaderCapability } from "../../src/verifier/index.ts";

/** A map in the kernel, by the harness's number. */
export type MapId = number & { readonly kind?: "map" };
/** A program in the kernel, by the harness's number. */
export type ProgramId = number & { readonly kind?: "program" };

/** Arguments of BPF_MAP_CREATE. */
export interface LinuxMapSpec {
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
  readonly mapExtra?: bigint;
  readonly inner?: MapId;
  readonly btf?: { readonly id: number; readonly keyType: number; readonly valueType: number };
}

/** Arguments of BPF_PROG_LOAD; wide loads that name a map hold its {@link MapId} in their first `imm`. */
export interface LinuxProgramSpec {
  readonly type: ProgramTypeName;
  readonly attachType?: AttachTypeName;
  readonly flags?: number;
  /** One word; default GPL. */
  readonly license?: string;
  readonly insns: Uint8Array;
  /** BTF and the `bpf_func_info` records. */
  readonly funcInfo?: { readonly btf: number; readonly records: Uint8Array };
}

/** An answer of bpf(2): a name such as `"ENOENT"`, or undefined when it succeeded. */
interface Answer {
  readonly errno: string | undefined;
}

export interface LinuxRunInput {
  readonly data?: Uint8Array;
  readonly ctx?: Uint8Array;
  readonly repeat?: number;
  readonly flags?: number;
  readonly cpu?: number;
}

export interface LinuxRun extends Answer {
  /** Unsigned 32 bits. */
  readonly retval: number;
  readonly data?: Uint8Array;
  readonly ctx?: Uint8Array;
  /** Mean nanoseconds of one run. */
  readonly duration: number;
}

/** @see include/uapi/linux/capability.h */
const CAPABILITY_BITS: Readonly<Record<LoaderCapability, bigint>> = {
  CAP_NET_ADMIN: 12n,
  CAP_SYS_ADMIN: 21n,
  CAP_SYS_BOOT: 22n,
  CAP_PERFMON: 38n,
  CAP_BPF: 39n,
};

type Reply = { errno: number } & Record<string, unknown>;

/** The running kernel, asked through harness.c. */
export class LinuxOracle {
  readonly numCpus: number;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[];

  private constructor(
    child: ChildProcessWithoutNullStreams,
    waiting: LinuxOracle["waiting"],
    numCpus: number,
  ) {
    this.child = child;
    this.waiting = waiting;
    this.numCpus = numCpus;
  }

  /** Builds and starts the harness; the reason, as text, where cc, root or bpf(2) are missing. */
  static async open(): Promise<LinuxOracle | string> {
    if (process.platform !== "linux") return "the kernel as oracle needs Linux";
    if (process.getuid?.() !== 0) return "the kernel as oracle needs root";
    const dir = mkdtempSync(join(tmpdir(), "skep-harness-"));
    const binary = join(dir, "harness");
    try {
      execFileSync("cc", ["-O1", "-o", binary, "test/differential/harness.c"], { stdio: "pipe" });
    } catch (error) {
      rmSync(dir, { recursive: true });
      return `harness.c does not build: ${String(error).split("\n")[0]}`;
    }
    const child = spawn(binary, { stdio: ["pipe", "pipe", "pipe"] });
    const waiting: LinuxOracle["waiting"] = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      waiting.shift()?.resolve(JSON.parse(line) as Reply);
    });
    let complaint = "";
    child.stderr.on("data", (text) => {
      complaint += text;
    });
    child.on("close", () => {
      rmSync(dir, { recursive: true, force: true });
      for (const { reject } of waiting.splice(0)) reject(new Error(`harness ended: ${complaint}`));
    });
    const hello = await new Promise<Reply>((resolve, reject) => waiting.push({ resolve, reject }));
    const oracle = new LinuxOracle(child, waiting, hello.cpus as number);
    const probe = await oracle.createMap({
      type: "BPF_MAP_TYPE_ARRAY",
      keySize: 4,
      valueSize: 8,
      maxEntries: 1,
    });
    if (typeof probe === "string") {
      oracle.close();
      return `bpf(2) is not permitted here: ${probe}`;
    }
    return oracle;
  }

  /** The process that holds the maps and programs. */
  get pid(): number {
    return this.child.pid!; // it was started
  }

  /** The map, or the errno's name. */
  async createMap(spec: LinuxMapSpec): Promise<MapId | string> {
    const words = ["map", MAP_TYPES[spec.type].id, spec.keySize, spec.valueSize, spec.maxEntries];
    words.push(spec.flags ?? 0, String(spec.mapExtra ?? 0n), spec.inner ?? "-");
    if (spec.btf) words.push(spec.btf.id, spec.btf.keyType, spec.btf.valueType);
    return idOrErrno(await this.ask(words));
  }

  /** The number of the loaded BTF, or the errno's name. */
  async loadBtf(bytes: Uint8Array): Promise<number | string> {
    return idOrErrno(await this.ask(["btf", toHex(bytes)]));
  }

  /** The program, or errno and the end of the verifier's log. */
  async loadProgram(spec: LinuxProgramSpec): Promise<ProgramId | { errno: string; log: string }> {
    const attach = spec.attachType === undefined ? 0 : ATTACH_TYPES[spec.attachType];
    const words = ["prog", PROGRAM_TYPES[spec.type].id, attach, spec.flags ?? 0, spec.license ?? "GPL"];
    words.push(toHex(spec.insns));
    if (spec.funcInfo) words.push(spec.funcInfo.btf, toHex(spec.funcInfo.records));
    const reply = await this.ask(words);
    if (reply.errno === 0) return reply.id as number;
    return { errno: nameOf(reply.errno), log: String(reply.log ?? "") };
  }

  /** What the verifier prints about a program without maps at `log_level` 1 or 2, at most 1 MiB, and its errno's name. */
  async verifierLog(
    type: ProgramTypeName,
    insns: Uint8Array,
    level: 1 | 2,
    flags = 0,
  ): Promise<{ errno: string | undefined; log: string }> {
    const reply = await this.ask(["log", PROGRAM_TYPES[type].id, level, toHex(insns), flags]);
    return { errno: errnoOf(reply), log: String(reply.log) };
  }

  /** The verifier's whole log at a level (1, 2; 4: final message and figures) of any program; it is not kept loaded. */
  async verify(
    spec: LinuxProgramSpec & { readonly attachBtfId?: number; readonly structOpsMember?: number },
    level: number,
  ): Promise<{ errno: string | undefined; log: string }> {
    const attach = spec.attachType === undefined ? 0 : ATTACH_TYPES[spec.attachType];
    const words = ["verify", PROGRAM_TYPES[spec.type].id, spec.structOpsMember ?? attach, spec.flags ?? 0];
    words.push(spec.attachBtfId ?? 0, level, hexWord(new TextEncoder().encode(spec.license ?? "GPL")));
    words.push(hexWord(spec.insns), spec.funcInfo?.btf ?? "-", hexWord(spec.funcInfo?.records));
    const reply = await this.ask(words);
    return { errno: errnoOf(reply), log: String(reply.log) };
  }

  async run(program: ProgramId, input: LinuxRunInput = {}): Promise<LinuxRun> {
    const words = ["run", program, input.repeat ?? 1, input.flags ?? 0, input.cpu ?? 0];
    const reply = await this.ask([...words, hexWord(input.data), hexWord(input.ctx)]);
    return {
      errno: reply.errno === 0 ? undefined : nameOf(reply.errno),
      retval: reply.retval as number,
      duration: reply.duration as number,
      data: typeof reply.data === "string" ? fromHex(reply.data) : undefined,
      ctx: typeof reply.ctx === "string" ? fromHex(reply.ctx) : undefined,
    };
  }

  /** BPF_MAP_UPDATE_ELEM; the errno's name when refused. */
  async update(
    map: MapId,
    key: Uint8Array,
    value: Uint8Array | { program: ProgramId } | { map: MapId },
    flags = 0,
  ): Promise<string | undefined> {
    let word = "";
    if (value instanceof Uint8Array) word = hexWord(value);
    else word = "program" in value ? `p${value.program}` : `m${value.map}`;
    return errnoOf(await this.ask(["update", map, hexWord(key), word, flags]));
  }

  async delete(map: MapId, key: Uint8Array): Promise<string | undefined> {
    return errnoOf(await this.ask(["delete", map, hexWord(key)]));
  }

  /** The value, or the errno's name. For a bloom filter `key` is the value asked about. */
  async lookup(map: MapId, key: Uint8Array, flags = 0): Promise<Uint8Array | string> {
    return bytesOr(await this.ask(["lookup", map, hexWord(key), flags]), "value");
  }

  async lookupAndDelete(map: MapId, key: Uint8Array): Promise<Uint8Array | string> {
    return bytesOr(await this.ask(["pop", map, hexWord(key), 0]), "value");
  }

  async nextKey(map: MapId, key?: Uint8Array): Promise<Uint8Array | string> {
    return bytesOr(await this.ask(["next", map, hexWord(key)]), "key");
  }

  async freeze(map: MapId): Promise<string | undefined> {
    return errnoOf(await this.ask(["freeze", map]));
  }

  /** All elements in the kernel's order; per-CPU values of all possible CPUs. */
  async dump(map: MapId): Promise<{ key: Uint8Array; value: Uint8Array }[]> {
    const reply = await this.ask(["dump", map]);
    const entries = reply.entries as { key: string; value: string }[];
    return entries.map(({ key, value }) => ({ key: fromHex(key), value: fromHex(value) }));
  }

  /** Takes the committed records out of a ring buffer. */
  async drain(map: MapId): Promise<Uint8Array[]> {
    const reply = await this.ask(["drain", map]);
    return (reply.records as { data: string }[]).map(({ data }) => fromHex(data));
  }

  /** Whose rights {@link verify} has the kernel judge by: capabilities by name; undefined: all that this process has. */
  async setLoader(capabilities: readonly LoaderCapability[] | undefined): Promise<void> {
    const bits = capabilities?.reduce((mask, name) => mask | (1n << CAPABILITY_BITS[name]), 0n);
    await this.ask(["caps", bits === undefined ? "-" : String(bits)]);
  }

  /** Closes all maps and programs; numbers start over. */
  async reset(): Promise<void> {
    await this.ask(["reset"]);
  }

  close(): void {
    this.child.stdin.end();
  }

  private ask(words: readonly (string | number)[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.child.stdin.write(`${words.join(" ")}\n`);
    });
  }
}

function hexWord(bytes: Uint8Array | undefined): string {
  return bytes === undefined || bytes.length === 0 ? "-" : toHex(bytes);
}

function nameOf(errno: number): string {
  return errnoName(errno) ?? `errno ${errno}`;
}

function errnoOf(reply: Reply): string | undefined {
  return reply.errno === 0 ? undefined : nameOf(reply.errno);
}

function idOrErrno(reply: Reply): number | string {
  return reply.errno === 0 ? (reply.id as number) : nameOf(reply.errno);
}

function bytesOr(reply: Reply, field: string): Uint8Array | string {
  return reply.errno === 0 ? fromHex(reply[field] as string) : nameOf(reply.errno);
}
