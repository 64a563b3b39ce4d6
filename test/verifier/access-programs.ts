// Programs that load, store and call helpers, most of them nearly right: for comparing our checks with the kernel's.
import {
  type AttachTypeName,
  type ContextField,
  contextOf,
  HELPERS,
  type HelperName,
  helpersOf,
  type ProgramTypeName,
} from "../../src/abi/index.ts";
import type { Btf } from "../../src/btf/index.ts";
import { encode, type Insn, tableOf } from "../../src/isa/index.ts";
import { type HelperProto, prototypeFor } from "../../src/verifier/helpers/prototypes.ts";
import type { VerifierMap, VerifierProgram } from "../../src/verifier/index.ts";

const TYPES: readonly (readonly [ProgramTypeName, AttachTypeName | undefined])[] = [
  ["BPF_PROG_TYPE_SOCKET_FILTER", undefined],
  ["BPF_PROG_TYPE_SCHED_CLS", undefined],
  ["BPF_PROG_TYPE_XDP", undefined],
  ["BPF_PROG_TYPE_CGROUP_SKB", "BPF_CGROUP_INET_EGRESS"],
  ["BPF_PROG_TYPE_SOCK_OPS", "BPF_CGROUP_SOCK_OPS"],
  ["BPF_PROG_TYPE_TRACEPOINT", undefined],
  ["BPF_PROG_TYPE_RAW_TRACEPOINT", undefined],
  ["BPF_PROG_TYPE_KPROBE", undefined],
  ["BPF_PROG_TYPE_PERF_EVENT", undefined],
  ["BPF_PROG_TYPE_SK_MSG", "BPF_SK_MSG_VERDICT"],
  ["BPF_PROG_TYPE_SK_SKB", "BPF_SK_SKB_STREAM_VERDICT"],
  ["BPF_PROG_TYPE_SK_LOOKUP", "BPF_SK_LOOKUP"],
  ["BPF_PROG_TYPE_CGROUP_SOCK_ADDR", "BPF_CGROUP_INET4_CONNECT"],
  ["BPF_PROG_TYPE_CGROUP_SOCK", "BPF_CGROUP_INET_SOCK_CREATE"],
  ["BPF_PROG_TYPE_CGROUP_SOCKOPT", "BPF_CGROUP_SETSOCKOPT"],
  ["BPF_PROG_TYPE_CGROUP_SYSCTL", "BPF_CGROUP_SYSCTL"],
  ["BPF_PROG_TYPE_LWT_XMIT", undefined],
  ["BPF_PROG_TYPE_FLOW_DISSECTOR", "BPF_FLOW_DISSECTOR"],
  ["BPF_PROG_TYPE_SK_REUSEPORT", "BPF_SK_REUSEPORT_SELECT"],
  ["BPF_PROG_TYPE_SYSCALL", undefined],
  ["BPF_PROG_TYPE_NETFILTER", "BPF_NETFILTER"],
  ["BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE", undefined],
];

const RDONLY_PROG = 128;
const WRONLY_PROG = 256;
const FROZEN_BYTES = Uint8Array.from({ length: 32 }, (_, i) => (i < 24 ? 65 + i : 0));

function map(
  name: string,
  type: VerifierMap["type"],
  sizes: readonly [key: number, value: number, entries: number],
  more: Partial<VerifierMap> = {},
): VerifierMap {
  return { name, type, keySize: sizes[0], valueSize: sizes[1], maxEntries: sizes[2], flags: 0, ...more };
}

const INNER = map("inner", "BPF_MAP_TYPE_ARRAY", [4, 16, 2]);
const FROZEN = map("frozen", "BPF_MAP_TYPE_ARRAY", [4, 32, 1], {
  flags: RDONLY_PROG,
  frozen: true,
  data: FROZEN_BYTES,
});
const READ_ONLY = map("readonly", "BPF_MAP_TYPE_ARRAY", [4, 16, 1], { flags: RDONLY_PROG });
const MAPS: readonly VerifierMap[] = [
  map("array", "BPF_MAP_TYPE_ARRAY", [4, 48, 4]),
  map("hash", "BPF_MAP_TYPE_HASH", [8, 16, 8]),
  map("percpu", "BPF_MAP_TYPE_PERCPU_ARRAY", [4, 8, 2]),
  map("lru", "BPF_MAP_TYPE_LRU_HASH", [4, 32, 4]),
  map("outer", "BPF_MAP_TYPE_ARRAY_OF_MAPS", [4, 4, 2], { inner: INNER }),
  READ_ONLY,
  map("writeonly", "BPF_MAP_TYPE_ARRAY", [4, 16, 1], { flags: WRONLY_PROG }),
  FROZEN,
  map("sockmap", "BPF_MAP_TYPE_SOCKMAP", [4, 4, 2]),
  map("sockhash", "BPF_MAP_TYPE_SOCKHASH", [8, 8, 2]),
  map("devmap", "BPF_MAP_TYPE_DEVMAP", [4, 4, 2]),
  map("xskmap", "BPF_MAP_TYPE_XSKMAP", [4, 4, 2]),
  map("cpumap", "BPF_MAP_TYPE_CPUMAP", [4, 4, 2]),
  map("ringbuf", "BPF_MAP_TYPE_RINGBUF", [0, 0, 4096]),
  map("queue", "BPF_MAP_TYPE_QUEUE", [0, 8, 4]),
  map("stacks", "BPF_MAP_TYPE_STACK_TRACE", [4, 64, 4]),
  map("events", "BPF_MAP_TYPE_PERF_EVENT_ARRAY", [4, 4, 2]),
  map("jumps", "BPF_MAP_TYPE_PROG_ARRAY", [4, 4, 2]),
  map("bloom", "BPF_MAP_TYPE_BLOOM_FILTER", [0, 8, 8]),
  map("cgroups", "BPF_MAP_TYPE_CGROUP_ARRAY", [4, 4, 2]),
];

/** Map types that a helper is mostly given; the others take any. */
const FITTING: readonly (readonly [helper: RegExp, type: RegExp])[] = [
  [/ringbuf/, /RINGBUF/],
  [/perf_event/, /PERF_EVENT/],
  [/get_stackid/, /STACK_TRACE/],
  [/tail_call/, /PROG_ARRAY/],
  [/redirect_map|sock_map/, /DEVMAP|CPUMAP|XSKMAP|SOCKMAP/],
  [/redirect_hash|sock_hash/, /SOCKHASH/],
  [/map_(push|pop|peek)/, /QUEUE|BLOOM/],
  [/under_cgroup/, /CGROUP_ARRAY/],
];

/** Without two that kernels have by configuration only. */
const ALL_HELPERS = (Object.keys(HELPERS) as HelperName[]).filter(
  (name) => name !== "probe_write_user" && name !== "override_return",
);

const LOAD = [0x71, 0x69, 0x61, 0x79] as const;
const LOAD_SIGNED = [0x91, 0x89, 0x81] as const;
const STORE = [0x73, 0x6b, 0x63, 0x7b] as const;
const STORE_IMM = [0x72, 0x6a, 0x62, 0x7a] as const;
const CALL = 0x85;
const JEQ_K = 0x15;
const CTX = 6;
const SCALAR = 9;
const FP = 10;

/** The program of a number; the same program for the same number. */
export function accessProgram(seed: number, kernelBtf: Btf | undefined): VerifierProgram {
  return new Generator(seed).program(kernelBtf);
}

class Generator {
  private readonly seed: number;
  private state: number;
  private readonly out: Insn[] = [];
  private readonly toEnd: number[] = [];
  private readonly maps: VerifierMap[] = [];
  /** Of r7 and r8: those that hold a pointer. */
  private readonly pointers = new Set<number>();

  constructor(seed: number) {
    this.seed = seed;
    this.state = Math.imul(seed, 2654435761) | 1;
    for (let i = 0; i < 5; i++) this.random();
  }

  program(kernelBtf: Btf | undefined): VerifierProgram {
    const [type, attachType] = this.pick(TYPES);
    const context = contextOf(type, attachType);
    const readable = context.fields.filter((field) => context.mayRead(field.offset, field.size));
    const helpers = [...(helpersOf(type) ?? [])];
    this.emit(0xbf, CTX, 1);
    for (const reg of [7, 8, SCALAR]) this.set(reg, this.below(5) * 4);
    for (let slot = 1; slot <= 8; slot++) {
      if (this.chance(0.85)) this.emit(STORE_IMM[3], FP, 0, -8 * slot, this.below(6));
    }
    const steps = 2 + this.below(6);
    for (let i = 0; i < steps; i++) this.step(type, context.fields, readable, helpers);
    for (const at of this.toEnd) this.out[at] = { ...this.out[at], off: this.out.length - at - 1 };
    this.set(0, Math.max(0, context.returns?.[0] ?? 0));
    this.emit(0x95, 0);
    return {
      name: `access${this.seed}`,
      type,
      attachType,
      insns: encode(tableOf(this.out)),
      maps: this.maps,
      btf: undefined,
      funcs: [],
      lines: [],
      license: "GPL",
      flags: { sleepable: type === "BPF_PROG_TYPE_SYSCALL", strictAlignment: this.chance(0.1) },
      kernelBtf,
    };
  }

  private step(
    type: ProgramTypeName,
    fields: readonly ContextField[],
    readable: readonly ContextField[],
    helpers: readonly HelperName[],
  ): void {
    switch (this.below(9)) {
      case 0:
        this.contextAccess(fields, readable);
        return;
      case 1:
        this.mapValue(this.pick([7, 8]));
        return;
      case 2:
        this.packet(fields);
        return;
      case 3:
        this.scalar();
        return;
      case 4: {
        const base = this.pointer();
        if (this.chance(0.5)) this.emit(0x07, base, 0, 0, this.below(9) * 4 - 8);
        else this.emit(this.chance(0.8) ? 0x0f : 0x1f, base, SCALAR);
        return;
      }
      case 5:
      case 6:
        this.access(this.chance(0.2) ? FP : this.pointer());
        return;
      default:
        this.helper(
          prototypeFor(
            helpers.length > 0 && this.chance(0.97) ? this.pick(helpers) : this.pick(ALL_HELPERS),
            type,
          ),
        );
    }
  }

  // -- gadgets ------------------------------------------------------------------------------------------------------

  private contextAccess(fields: readonly ContextField[], readable: readonly ContextField[]): void {
    const pool = readable.length > 0 && this.chance(0.9) ? readable : fields;
    const field = pool.length > 0 ? this.pick(pool) : undefined;
    const width = field === undefined || this.chance(0.05) ? this.below(4) : Math.log2(field.size);
    const off = field === undefined ? this.below(90) * 2 : field.offset + (this.chance(0.03) ? 1 : 0);
    if (this.chance(0.08)) {
      this.emit(STORE[width], CTX, SCALAR, off);
      return;
    }
    const dst = this.pick([7, 8, SCALAR, SCALAR]);
    if (field !== undefined && field.kind !== "scalar" && dst !== SCALAR) this.pointers.add(dst);
    else this.pointers.delete(dst);
    this.emit(width < 3 && this.chance(0.08) ? LOAD_SIGNED[width] : LOAD[width], dst, CTX, off);
  }

  private mapValue(dst: number): void {
    const chosen = this.pick(MAPS);
    this.pointers.add(dst);
    if (chosen.maxEntries === 1 && this.chance(0.5)) {
      this.emit(0x18, dst, 2, 0, this.mapIndex(chosen));
      this.emit(0, 0, 0, 0, this.below(4) * 4);
      return;
    }
    this.lookup(() => this.loadMap(1, chosen), dst);
    if (chosen.inner !== undefined && this.chance(0.7)) this.lookup(() => this.emit(0xbf, 1, dst), dst);
  }

  private lookup(loadMap: () => void, dst: number): void {
    loadMap();
    this.emit(0xbf, 2, FP);
    this.emit(0x07, 2, 0, 0, -8 * (2 + this.below(5)) + (this.chance(0.03) ? 3 : 0));
    this.emit(CALL, 0, 0, 0, HELPERS.map_lookup_elem.id);
    if (this.chance(0.85)) this.jumpToEnd(JEQ_K, 0, 0);
    this.emit(0xbf, dst, 0);
  }

  private packet(fields: readonly ContextField[]): void {
    const data = fields.find(({ kind }) => kind === "packet");
    const end = fields.find(({ kind }) => kind === "packet_end");
    if (data === undefined || end === undefined) return;
    this.emit(LOAD[Math.log2(data.size)], 7, CTX, data.offset);
    this.emit(LOAD[Math.log2(end.size)], 8, CTX, end.offset);
    this.pointers.add(7);
    this.pointers.delete(8);
    if (this.chance(0.3)) {
      this.scalar();
      this.emit(0x0f, 7, SCALAR);
    }
    this.emit(0xbf, 2, 7);
    this.emit(0x07, 2, 0, 0, this.below(20) * 2);
    this.jumpToEnd(this.pick([0x2d, 0x2d, 0x3d, 0xad]), 2, 8);
  }

  /** A number in r9: constant, unknown, masked or compared. */
  private scalar(): void {
    const kind = this.below(4);
    if (kind === 0) {
      this.set(SCALAR, this.pick([0, 1, 4, 8, 16, 40, 64, -1]));
      return;
    }
    this.emit(CALL, 0, 0, 0, HELPERS.ktime_get_ns.id);
    this.emit(0xbf, SCALAR, 0);
    if (kind === 1) this.emit(0x57, SCALAR, 0, 0, this.pick([3, 7, 31, 255, -1]));
    if (kind === 2) this.jumpToEnd(this.pick([0x25, 0x35, 0x65]), SCALAR, 0, this.pick([8, 16, 32, 64]));
  }

  private access(base: number): void {
    const width = this.below(4);
    const bytes = 1 << width;
    const room = base === FP ? 64 : 8;
    const near = this.below(room / bytes) * bytes - (base === FP ? 64 : 0);
    const off = this.chance(0.9) ? near : this.below(96) - 72;
    if (this.chance(0.6)) {
      this.emit(LOAD[width], this.pick([0, 2, 3, SCALAR]), base, off);
    } else if (this.chance(0.15)) {
      this.emit(
        this.chance(0.5) ? 0xc3 : 0xdb,
        base,
        SCALAR,
        off,
        this.pick([0, 1, 0x41, 0xe1, 0xf1, 0x110]),
      );
    } else if (this.chance(0.5)) {
      this.emit(STORE_IMM[width], base, 0, off, this.below(100));
    } else {
      this.emit(STORE[width], base, this.pick([SCALAR, SCALAR, 7, CTX, FP]), off);
    }
  }

  private helper({ name, id, args, ret, row }: HelperProto): void {
    for (const [i, { kind }] of args.entries()) this.argument(i + 1, kind, name);
    this.emit(CALL, 0, 0, 0, id);
    if (!ret.includes("PTR")) return;
    if (this.chance(0.9)) this.jumpToEnd(JEQ_K, 0, 0);
    const dst = this.pick([7, 8]);
    this.emit(0xbf, dst, 0);
    this.pointers.add(dst);
    if (row.acquires !== true || name === "map_lookup_elem" || this.chance(0.2)) return;
    if (this.chance(0.8)) this.access(dst);
    this.emit(0xbf, 1, dst);
    this.set(2, 0);
    this.emit(CALL, 0, 0, 0, name.includes("ringbuf") ? HELPERS.ringbuf_submit.id : HELPERS.sk_release.id);
    this.pointers.delete(dst);
  }

  private argument(reg: number, kind: string, helper: HelperName): void {
    if (this.chance(0.015)) {
      this.emit(0xbf, reg, this.pick([CTX, 7, 8, SCALAR, FP]));
      return;
    }
    switch (kind) {
      case "map":
        this.loadMap(reg, this.fittingMap(helper));
        return;
      case "context":
        this.emit(0xbf, reg, CTX);
        return;
      case "size":
      case "alloc-size":
        if (this.chance(0.3)) this.emit(0xbf, reg, SCALAR);
        else
          this.set(
            reg,
            this.pick([1, 4, 8, 8, 16, 24, 64, this.chance(0.3) ? 0 : 8, this.chance(0.3) ? -1 : 8]),
          );
        return;
      case "const-string":
        this.emit(0x18, reg, 2, 0, this.mapIndex(FROZEN));
        this.emit(0, 0, 0, 0, this.below(4) * 8);
        return;
      case "anything":
      case "scalar":
      case "function":
        this.set(reg, this.pick([0, 0, 1, 2, -1]));
        return;
      case "key":
      case "value":
      case "memory":
      case "stack":
      case "dynptr":
        this.memory(reg);
        return;
      default:
        this.emit(0xbf, reg, this.pointer());
    }
  }

  private memory(reg: number): void {
    if (this.chance(0.3)) {
      this.emit(0xbf, reg, this.pointer());
      return;
    }
    if (this.chance(0.05)) {
      this.set(reg, 0);
      return;
    }
    this.emit(0xbf, reg, FP);
    this.emit(0x07, reg, 0, 0, this.chance(0.85) ? -64 : -8 * (1 + this.below(7)));
  }

  private fittingMap(helper: HelperName): VerifierMap {
    const rule = FITTING.find(([name]) => name.test(helper));
    if (rule === undefined || this.chance(0.1)) return this.pick(this.chance(0.8) ? MAPS.slice(0, 4) : MAPS);
    return this.pick(MAPS.filter(({ type }) => rule[1].test(type)));
  }

  // -- instructions and chance ------------------------------------------------------------------------------------------

  private emit(opcode: number, dst: number, src = 0, off = 0, imm = 0): void {
    this.out.push({ opcode, dst, src, off, imm });
  }

  private set(reg: number, value: number): void {
    this.emit(0xb7, reg, 0, 0, value);
  }

  private loadMap(reg: number, chosen: VerifierMap): void {
    this.emit(0x18, reg, 1, 0, this.mapIndex(chosen));
    this.emit(0, 0);
  }

  private mapIndex(chosen: VerifierMap): number {
    const known = this.maps.indexOf(chosen);
    return known >= 0 ? known : this.maps.push(chosen) - 1;
  }

  private jumpToEnd(opcode: number, dst: number, src: number, imm = 0): void {
    this.toEnd.push(this.out.length);
    this.emit(opcode, dst, src, 0, imm);
  }

  private pointer(): number {
    return this.pick(this.pointers.size > 0 ? [...this.pointers] : [7, 8]);
  }

  /** Marsaglia's xorshift: 32 bits. */
  private random(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }

  private below(limit: number): number {
    return this.random() % Math.floor(limit);
  }

  private chance(probability: number): boolean {
    return this.random() / 0x1_0000_0000 < probability;
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
}
