// What a wrapper consists of: bundled into the text of `src/aot/generated/wrapper-js.ts` by scripts/build-wrapper.mjs, and
// written in front of each module's description. It must not need anything of Skep but the codec.
import { type BtfValue, codecFor } from "../../btf/index.ts";
import type { Description, MapDescription, ProgramDescription } from "../description.ts";
import { hostImports } from "./host.ts";

export { readDescription } from "../description.ts";

/** What the host gives; see `Options` in `typescript.ts`. */
export interface WrapperOptions {
  readonly env?: Readonly<Record<string, (...args: bigint[]) => bigint>>;
  readonly trace?: (line: string) => void;
  readonly event?: (map: string, data: Uint8Array) => void;
  readonly maxInsns?: bigint;
}

/** The wasm side, as `build.ts` exports it. */
export interface Machine {
  readonly description: Description;
  readonly exports: Readonly<Record<string, WebAssembly.Global>> &
    Readonly<Record<string, (...args: (number | bigint)[]) => number>>;
  /** A view of the memory as it is now: growing ends the validity of older ones. */
  bytes(): Uint8Array;
  words(): DataView;
}

type Source = BufferSource | WebAssembly.Module | Response | PromiseLike<Response>;

/** Instantiates the module of a description. `file`: where it is, when it is not given. */
export async function instantiateWith(
  description: Description,
  file: URL,
  wasm: Source | undefined,
  options: WrapperOptions = {},
) {
  const module = await moduleOf(wasm ?? (await read(file)));
  let machine: Machine | undefined;
  const imports = hostImports(description, options, () => machine as Machine);
  const instance = await WebAssembly.instantiate(module, { env: imports });
  const memory = instance.exports.memory as WebAssembly.Memory;
  const made: Machine = {
    description,
    exports: instance.exports as unknown as Machine["exports"], // as build.ts writes them
    bytes: () => new Uint8Array(memory.buffer),
    words: () => new DataView(memory.buffer),
  };
  machine = made;
  const named = <T, R extends { readonly name: string }>(rows: readonly R[], make: (row: R) => T) =>
    Object.fromEntries(rows.map((row) => [row.name, make(row)]));
  return {
    programs: named(description.programs, (row) => programOf(made, row, options.maxInsns)),
    maps: named(description.maps, (row) => mapOf(made, row)),
    exports: instance.exports,
  };
}

async function moduleOf(source: Source): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  const awaited = await source;
  const bytes = "arrayBuffer" in awaited ? await (awaited as Response).arrayBuffer() : awaited;
  return WebAssembly.compile(bytes as BufferSource);
}

/** Node reads files that its `fetch` does not. */
async function read(file: URL): Promise<BufferSource> {
  if (file.protocol !== "file:") return (await fetch(file)).arrayBuffer();
  const name = "node:fs/promises"; // not for bundlers
  const fs = (await import(/* @vite-ignore */ name)) as { readFile(file: URL): Promise<BufferSource> };
  return fs.readFile(file);
}

/** `STOP`, by number less one. */
const STOPS = [
  "the instruction budget is used up",
  "an instruction that cannot run",
  "the call stack of 8 frames is too deep",
];
const NO_BUDGET = 1n << 62n;

function programOf(machine: Machine, { name, run, raw }: ProgramDescription, maxInsns = NO_BUDGET) {
  const { exports, description } = machine;
  const guarded = <T>(work: () => T): T => {
    if (description.metered) exports.fuel.value = maxInsns;
    try {
      return work();
    } catch (error) {
      const code = exports.stop_code.value as number;
      if (!(error instanceof WebAssembly.RuntimeError) || code === 0) throw error;
      const insn = exports.stop_insn.value as number;
      throw new Error(`prog '${name}': ${STOPS[code - 1]} at instruction ${insn}`, { cause: error });
    }
  };
  if (run === undefined)
    return {
      run(context: Uint8Array = new Uint8Array(0)) {
        const at = put(machine, context, 8);
        try {
          const retval = guarded(() => exports[raw](at) as unknown as bigint); // raw_… gives an i64
          return { retval, context: machine.bytes().slice(at, at + context.length) };
        } finally {
          exports.free(at);
        }
      },
    };
  const verdict = (packet: Uint8Array): number => {
    const at = exports.packet_buffer(packet.length) >>> 0;
    if (at === 0) throw new Error(`no memory for a packet of ${packet.length} bytes`);
    machine.bytes().set(packet, at);
    return guarded(() => exports[run](at, packet.length)) >>> 0;
  };
  return {
    verdict,
    run(packet: Uint8Array) {
      const retval = verdict(packet);
      return { retval, data: machine.bytes().slice(exports.packet_data() >>> 0, exports.packet_end() >>> 0) };
    },
  };
}

/** Bytes put into a new block of the memory. */
function put({ exports, bytes }: Machine, data: Uint8Array, least = 1): number {
  const at = exports.alloc(Math.max(least, data.length)) >>> 0;
  if (at === 0) throw new Error(`no memory for ${data.length} bytes`);
  bytes().set(data, at);
  return at;
}

interface Codec {
  decode(bytes: Uint8Array): BtfValue;
  encode(value: BtfValue): Uint8Array;
}

/** A key or value through its type; as bytes where there is none or the map has another size, numbers being let in. */
function codecOf({ types }: Description, type: number, size: number): Codec {
  const typed = type === 0 ? undefined : codecFor({ types, baseCount: 0 }, type);
  const codec = typed?.size === size ? typed : undefined;
  return {
    decode: (bytes) => codec?.decode(bytes) ?? bytes,
    encode(value) {
      const number = typeof value === "number" || typeof value === "bigint";
      if (codec !== undefined && !(value instanceof Uint8Array)) return codec.encode(value);
      const bytes = number ? integer(BigInt(value), size) : (value as Uint8Array);
      if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes where the map holds ${size}`);
      return bytes;
    },
  };
}

function integer(value: bigint, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

const FLAGS = { any: 0n, noexist: 1n, exist: 2n } as const;
const ENOENT = -2;
/** Of map functions that take a CPU: all of them, and there is one. */
const ALL_CPUS = -1;

function mapOf(machine: Machine, map: MapDescription) {
  const { exports } = machine;
  const address = exports[map.global].value as number;
  const keys = codecOf(machine.description, map.keyType, map.keySize);
  const values = codecOf(machine.description, map.valueType, map.valueSize);
  const valueAt = (at: number) => values.decode(machine.bytes().slice(at, at + map.valueSize));
  /** Calls `work` with the addresses of copies. */
  const holding = <T>(blocks: readonly Uint8Array[], work: (...at: number[]) => T): T => {
    const at = blocks.map((block) => put(machine, block));
    try {
      return work(...at);
    } finally {
      for (const block of at) exports.free(block);
    }
  };
  const done = (status: number, what: string): void => {
    if (status !== 0)
      throw Object.assign(new Error(`${what} of map '${map.name}': errno ${-status}`), { errno: -status });
  };
  if (map.type === "BPF_MAP_TYPE_RINGBUF")
    return {
      drain() {
        const records: Uint8Array[] = [];
        for (
          let at = exports.ringbuf_peek(address) >>> 0;
          at !== 0;
          at = exports.ringbuf_peek(address) >>> 0
        ) {
          // The record's header: its length, then 4 bytes that are the ring's own.
          const length = machine.words().getUint32(at, true);
          records.push(machine.bytes().slice(at + 8, at + 8 + length));
          exports.ringbuf_consume(address);
        }
        return records;
      },
    };
  if (map.keySize === 0) {
    const take = (from: string) =>
      holding([new Uint8Array(map.valueSize)], (at) =>
        exports[from](address, at) === 0 ? valueAt(at) : undefined,
      );
    return {
      push: (value: BtfValue) =>
        holding([values.encode(value)], (at) => done(exports.map_push_elem(address, at, 0n), "push")),
      pop: () => take("map_pop_elem"),
      peek: () => take("map_peek_elem"),
    };
  }
  const writable = () => {
    if (map.frozen)
      throw new Error(`map '${map.name}' is read-only: its programs were compiled for what is in it`);
  };
  return {
    get(key: BtfValue) {
      const at = holding([keys.encode(key)], (place) => exports.map_lookup_elem(address, place) >>> 0);
      return at === 0 ? undefined : valueAt(at);
    },
    set(key: BtfValue, value: BtfValue, flag: keyof typeof FLAGS = "any") {
      writable();
      holding([keys.encode(key), values.encode(value)], (k, v) =>
        done(exports.map_update_elem(address, k, v, FLAGS[flag], ALL_CPUS), "update"),
      );
    },
    delete(key: BtfValue) {
      writable();
      const status = holding([keys.encode(key)], (at) => exports.map_delete_elem(address, at));
      if (status !== ENOENT) done(status, "delete");
      return status === 0;
    },
    *entries() {
      let key: Uint8Array | undefined;
      for (;;) {
        const next = holding([key ?? new Uint8Array(map.keySize), new Uint8Array(map.keySize)], (at, to) =>
          exports.map_get_next_key(address, key === undefined ? 0 : at, to) === 0
            ? machine.bytes().slice(to, to + map.keySize)
            : undefined,
        );
        if (next === undefined) return;
        key = next;
        const at = holding([next], (place) => exports.map_lookup_elem(address, place) >>> 0);
        if (at !== 0) yield [keys.decode(next), valueAt(at)] as const;
      }
    },
  };
}
