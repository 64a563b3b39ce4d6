import type { Btf } from "../btf/index.ts";
import type { Description, MapDescription } from "./description.ts";

/** Deeper types are `unknown`. */
const MAX_DEPTH = 16;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** The `.d.ts` beside a wrapper: programs and maps by name, keys and values with their members. */
export function declarationsOf(description: Description): string {
  const { name, programs, maps, types } = description;
  const typeOf = (id: number) => (id === 0 ? "Bytes" : typeText({ types, baseCount: 0 }, id, 0));
  const mapType = (map: MapDescription) => {
    if (map.type === "BPF_MAP_TYPE_RINGBUF") return "EventMap";
    if (map.keySize === 0) return `QueueMap<${typeOf(map.valueType)}>`;
    return `KeyedMap<${typeOf(map.keyType)}, ${typeOf(map.valueType)}>`;
  };
  const members = (rows: readonly string[]) => rows.map((row) => `    ${row}`).join("\n");
  return `// The programs and maps of ${name}: written by skep build.
${COMMON}
/** The module's programs and maps. */
export interface Instance {
  readonly programs: {
${members(programs.map((program) => `readonly ${key(program.name)}: ${program.run === undefined ? "ContextProgram" : "PacketProgram"};`))}
  };
  readonly maps: {
${members(maps.map((map) => `readonly ${key(map.name)}: ${mapType(map)};`))}
  };
  /** What the WebAssembly module exports. */
  readonly exports: WebAssembly.Exports;
}

/** Instantiates the module: the one given, or the \`.wasm\` file beside the wrapper. */
export function instantiate(wasm?: Uint8Array | WebAssembly.Module | Response | Promise<Response>, options?: Options): Promise<Instance>;
export const description: object;
`;
}

/** Types that every wrapper has. */
const COMMON = `
/** A key or value without a type: little-endian bytes, which may be given as a number. */
export type Bytes = Uint8Array | number | bigint;
/** What the host gives. Members that are missing have a usual answer, or throw when a program needs them. */
export interface Options {
  /** Imports \`env.bpf_…\` of your own: u64 arguments and answer. Pointers are addresses in \`memory\`. */
  readonly env?: Readonly<Record<string, (...args: bigint[]) => bigint>>;
  /** A line of bpf_trace_printk; default: dropped. */
  readonly trace?: (line: string) => void;
  /** A sample of bpf_perf_event_output; default: dropped. */
  readonly event?: (map: string, data: Uint8Array) => void;
  /** Instructions that one run may take, where the module was built with --metered. */
  readonly maxInsns?: bigint;
}
export interface PacketProgram {
  /** The verdict and the packet as the program left it. */
  run(packet: Uint8Array): { readonly retval: number; readonly data: Uint8Array };
  /** Verdict only: nothing is copied back. */
  verdict(packet: Uint8Array): number;
}
export interface ContextProgram {
  /** r0 and the context as the program left it. */
  run(context?: Uint8Array): { readonly retval: bigint; readonly context: Uint8Array };
}
export interface KeyedMap<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V, flag?: "any" | "noexist" | "exist"): void;
  delete(key: K): boolean;
  entries(): IterableIterator<[K, V]>;
}
export interface QueueMap<V> {
  push(value: V): void;
  pop(): V | undefined;
  peek(): V | undefined;
}
export interface EventMap {
  /** Takes all records out. */
  drain(): Uint8Array[];
}
`;

function key(name: string): string {
  return IDENTIFIER.test(name) ? name : JSON.stringify(name);
}

/** As the codec of `btf/` reads and writes values. */
function typeText(btf: Btf, id: number, depth: number): string {
  const type = btf.types[id];
  if (depth > MAX_DEPTH) return "unknown";
  const inner = (of: number) => typeText(btf, of, depth + 1);
  switch (type.kind) {
    case "int":
      if (type.encoding.bool) return "boolean | number";
      return type.size > 4 ? "bigint" : "number";
    case "ptr":
      return "bigint";
    case "float":
      return type.size === 4 || type.size === 8 ? "number" : "Uint8Array";
    case "enum":
    case "enum64": {
      const names = type.values.map((value) => JSON.stringify(value.name));
      return [...new Set(names), type.size > 4 ? "bigint" : "number"].join(" | ");
    }
    case "array": {
      const element = btf.types[type.type];
      const text = element.kind === "int" && element.size === 1 && element.encoding.signed;
      return text ? "string | readonly number[]" : `readonly (${inner(type.type)})[]`;
    }
    case "struct":
    case "union":
      return `{ ${type.members.flatMap((member) => memberText(btf, member, depth)).join("; ")} }`;
    case "var":
      return inner(type.type);
    case "datasec":
      return `{ ${type.vars.map((row) => `readonly ${key(btf.types[row.type].name)}: ${inner(row.type)}`).join("; ")} }`;
    default:
      return "unknown";
  }
}

/** Members of anonymous members are members of the outer object. */
function memberText(btf: Btf, member: { name: string; type: number }, depth: number): string[] {
  if (member.name !== "") return [`readonly ${key(member.name)}: ${typeText(btf, member.type, depth + 1)}`];
  const type = btf.types[member.type];
  if ((type.kind !== "struct" && type.kind !== "union") || depth > MAX_DEPTH) return [];
  return type.members.flatMap((inner) => memberText(btf, inner, depth + 1));
}
