// One algorithm: a seeded generator of XDP, tc and socket-filter programs that Linux accepts.
//
// A program is a row of blocks. Between blocks this holds: r6 is the context, r0–r5 and r8 are scalars, the stack slots
// fp-8 … fp-64 hold scalars, packet pointers are forgotten. So blocks follow each other in any order, under forward
// branches and in loops. r7 is a block's own pointer, r9 the loop counter, fp-72 … fp-128 the blocks' scratch.
import type { MapTypeName, ProgramTypeName } from "../../src/abi/index.ts";

export interface RandomMap {
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Maps of maps: names of the inner maps by slot; the first is the template. */
  readonly inner?: readonly string[];
  /** What user space puts in first. */
  readonly entries: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[];
}

export interface RandomCase {
  readonly seed: number;
  readonly type: ProgramTypeName;
  /** XDP: loaded with BPF_F_XDP_HAS_FRAGS and given packets of several buffers. */
  readonly frags: boolean;
  readonly maps: readonly RandomMap[];
  /** The first is run, the others are tail-called. Wide loads that name a map hold its index in `imm`. */
  readonly programs: readonly { readonly insns: Uint8Array; readonly functions: readonly number[] }[];
  /** Tail calls: index into `programs` by slot of the map `tails`. */
  readonly slots: readonly number[];
  /** Each run's packet and context in. */
  readonly packets: readonly Uint8Array[];
  readonly contexts: readonly (Uint8Array | undefined)[];
}

/** Mulberry32: the same numbers for the same seed on every machine. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  u32(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  below(n: number): number {
    return this.u32() % n;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  bytes(n: number): Uint8Array {
    return Uint8Array.from({ length: n }, () => this.below(256));
  }
}

const SCALARS = [0, 1, 2, 3, 4, 5, 8] as const;
const CTX = 6;
const PTR = 7;
const PSEUDO_FUNC = 4;
const COUNTER = 9;
const FP = 10;
/** Scalar slots of the stack, offsets from fp. */
const SLOTS = [-8, -16, -24, -32, -40, -48, -56, -64] as const;
const SCRATCH = -128;
const INTERESTING = [
  0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 127, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000,
];
const TAILS = "tails";
/** `__sk_buff.cb`. */
const CB_OFFSET = 48;

type Kind = "xdp" | "tc" | "socket" | "cgroup";
const TYPE_OF: Record<Kind, ProgramTypeName> = {
  xdp: "BPF_PROG_TYPE_XDP",
  tc: "BPF_PROG_TYPE_SCHED_CLS",
  socket: "BPF_PROG_TYPE_SOCKET_FILTER",
  cgroup: "BPF_PROG_TYPE_CGROUP_SKB",
};

/** Instructions of one program. */
class Code {
  readonly words: { op: number; dst: number; src: number; off: number; imm: number }[] = [];

  emit(op: number, dst: number, src: number, off: number, imm: number): number {
    this.words.push({ op, dst, src, off, imm });
    return this.words.length - 1;
  }

  movImm(dst: number, imm: number): void {
    this.emit(0xb7, dst, 0, 0, imm);
  }

  mov(dst: number, src: number): void {
    this.emit(0xbf, dst, src, 0, 0);
  }

  addImm(dst: number, imm: number): void {
    this.emit(0x07, dst, 0, 0, imm);
  }

  load(size: number, dst: number, src: number, off: number): void {
    this.emit(0x61 | SIZE_BITS[size], dst, src, off, 0);
  }

  store(size: number, dst: number, off: number, src: number): void {
    this.emit(0x63 | SIZE_BITS[size], dst, src, off, 0);
  }

  storeImm(size: number, dst: number, off: number, imm: number): void {
    this.emit(0x62 | SIZE_BITS[size], dst, 0, off, imm);
  }

  map(dst: number, index: number): void {
    this.emit(0x18, dst, 1, 0, index);
    this.emit(0, 0, 0, 0, 0);
  }

  constant64(dst: number, low: number, high: number): void {
    this.emit(0x18, dst, 0, 0, low);
    this.emit(0, 0, 0, 0, high);
  }

  call(helper: number): void {
    this.emit(0x85, 0, 0, 0, helper);
  }

  /** Makes the jump at `at` land on the next instruction. */
  landHere(at: number): void {
    this.words[at].off = this.words.length - at - 1;
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(this.words.length * 8);
    const view = new DataView(out.buffer);
    this.words.forEach(({ op, dst, src, off, imm }, i) => {
      out[8 * i] = op;
      out[8 * i + 1] = dst | (src << 4);
      view.setInt16(8 * i + 2, off, true);
      view.setInt32(8 * i + 4, imm | 0, true);
    });
    return out;
  }
}

/** `BPF_SIZE` bits relative to a word's. */
const SIZE_BITS: Record<number, number> = { 1: 0x10, 2: 0x08, 4: 0, 8: 0x18 };
const SIZES = [1, 2, 4, 8] as const;

const HELPER = {
  lookup: 1,
  update: 2,
  delete: 3,
  skbStoreBytes: 9,
  l3Csum: 10,
  l4Csum: 11,
  tailCall: 12,
  vlanPush: 18,
  vlanPop: 19,
  redirect: 23,
  skbLoadBytes: 26,
  csumDiff: 28,
  changeType: 32,
  changeTail: 38,
  pullData: 39,
  csumUpdate: 40,
  changeHead: 43,
  adjustHead: 44,
  setHash: 48,
  adjustRoom: 50,
  adjustMeta: 54,
  adjustTail: 65,
  loadRelative: 68,
  push: 87,
  pop: 88,
  peek: 89,
  strtol: 105,
  strtoul: 106,
  ringbufOutput: 130,
  csumLevel: 135,
  strncmp: 182,
  forEach: 164,
  loop: 181,
  buffLen: 188,
  xdpLoadBytes: 189,
  xdpStoreBytes: 190,
} as const;

class ProgramMaker {
  readonly code = new Code();
  private readonly random: Random;
  private readonly kind: Kind;
  private readonly maps: readonly RandomMap[];
  private readonly calls: { at: number; withPointer: boolean }[] = [];
  private readonly callbacks: { at: number; map: RandomMap | undefined }[] = [];
  readonly functions: number[] = [0];
  private inLoop = 0;
  private inBranch = 0;
  /** LD_ABS and LD_IND may end the program, which tail-calling and locked programs may not do in subprograms. */
  private readonly legacyLoads: boolean;

  constructor(random: Random, kind: Kind, maps: readonly RandomMap[], legacyLoads: boolean) {
    this.random = random;
    this.kind = kind;
    this.maps = maps;
    this.legacyLoads = legacyLoads;
  }

  make(blocks: number): Uint8Array {
    const { code } = this;
    code.mov(CTX, 1);
    this.scalarsFromNothing(true);
    for (const slot of SLOTS) this.fillSlot(slot);
    for (let i = 0; i < blocks; i++) this.block();
    this.fold();
    if (this.kind === "cgroup") {
      code.store(4, CTX, CB_OFFSET, 0);
      code.emit(0x57, 0, 0, 0, 1); // the verifier wants 0 or 1
    }
    code.emit(0x95, 0, 0, 0, 0);
    if (this.calls.length > 0) this.subprograms();
    for (const { at, map } of this.callbacks) this.callbackBody(at, map);
    return code.bytes();
  }

  private imm(): number {
    return this.random.chance(50) ? this.random.pick(INTERESTING) : this.random.u32() | 0;
  }

  private scalar(): number {
    return this.random.pick(SCALARS);
  }

  /** Gives r0–r5 (and r8) values again. */
  private scalarsFromNothing(all = false): void {
    const { code, random } = this;
    for (const reg of SCALARS) {
      if (reg === 8 && !all) continue;
      if (random.chance(25)) code.constant64(reg, this.imm(), this.imm());
      else if (random.chance(30) && !all) code.load(8, reg, FP, random.pick(SLOTS));
      else code.movImm(reg, this.imm());
    }
  }

  private fillSlot(slot: number): void {
    if (this.random.chance(50)) this.code.store(8, FP, slot, this.scalar());
    else this.code.storeImm(8, FP, slot, this.imm());
  }

  private block(): void {
    const { random } = this;
    const weights: [number, () => void][] = [
      [30, () => this.alu()],
      [10, () => this.stack()],
      [8, () => this.atomic(FP, random.pick(SLOTS))],
      [10, () => this.context()],
      [8, () => this.mapLookup()],
      [6, () => this.mapUpdate()],
      [2, () => this.mapDelete()],
      [3, () => this.innerLookup()],
      [3, () => this.queue()],
      [3, () => this.pureHelper()],
      [6, () => this.packetHelper()],
    ];
    if (this.kind !== "socket") weights.push([16, () => this.packet()]);
    if ((this.kind === "tc" || this.kind === "socket") && this.legacyLoads)
      weights.push([4, () => this.legacyLoad()]);
    if (this.inBranch < 3) weights.push([12, () => this.branch()]);
    if (this.inLoop === 0 && this.inBranch === 0) {
      weights.push([6, () => this.loop()]);
      weights.push([5, () => this.bpfCall()]);
      weights.push([3, () => this.tailCall()]);
      if (this.callbacks.length === 0) weights.push([3, () => this.callback()]);
    }
    let at = random.below(weights.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, make] of weights) {
      if (at < weight) {
        make();
        return;
      }
      at -= weight;
    }
  }

  private alu(): void {
    const { code, random } = this;
    for (let n = 1 + random.below(4); n > 0; n--) {
      const dst = this.scalar();
      const cls = random.chance(50) ? 0x07 : 0x04;
      const bits = cls === 0x07 ? 64 : 32;
      const choice = random.below(20);
      if (choice === 0) code.emit(0x80 | cls, dst, 0, 0, 0);
      else if (choice === 1) code.emit(random.pick([0xd4, 0xdc]), dst, 0, 0, random.pick([16, 32, 64]));
      else if (choice === 2) code.emit(0xd7, dst, 0, 0, random.pick([16, 32, 64]));
      else if (choice === 3) {
        const width = random.pick(cls === 0x07 ? [8, 16, 32] : [8, 16]);
        code.emit(0xb8 | cls, dst, this.scalar(), width, 0);
      } else {
        const op = random.pick([0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0]);
        const signed = (op === 0x30 || op === 0x90) && random.chance(50) ? 1 : 0;
        if (random.chance(60)) code.emit(op | 0x08 | cls, dst, this.scalar(), signed, 0);
        else if (op === 0x60 || op === 0x70 || op === 0xc0)
          code.emit(op | cls, dst, 0, 0, random.below(bits));
        else code.emit(op | cls, dst, 0, signed, op === 0x30 || op === 0x90 ? this.imm() || 3 : this.imm());
      }
    }
  }

  private stack(): void {
    const { code, random } = this;
    for (let n = 1 + random.below(3); n > 0; n--) {
      const size = random.pick(SIZES);
      const off = random.pick(SLOTS) + size * random.below(8 / size);
      const choice = random.below(4);
      if (choice === 0) code.load(size, this.scalar(), FP, off);
      else if (choice === 1) code.store(size, FP, off, this.scalar());
      else if (choice === 2) code.storeImm(size, FP, off, this.imm());
      else if (size < 8) code.emit(0x81 | SIZE_BITS[size], this.scalar(), FP, off, 0);
    }
  }

  private atomic(base: number, off: number): void {
    const { code, random } = this;
    const size = random.pick([4, 8]);
    const op = random.pick([0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1]);
    code.emit(0xc3 | SIZE_BITS[size], base, this.scalar(), off, op);
  }

  private context(): void {
    const { code, random } = this;
    const dst = this.scalar();
    if (this.kind === "xdp") {
      code.load(4, dst, CTX, random.pick([12, 16]));
      return;
    }
    const tc = this.kind === "tc";
    if (random.chance(60)) {
      // len pkt_type mark queue_mapping protocol vlan_* priority ingress_ifindex ifindex hash cb gso_segs gso_size
      const fields = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 164, 176];
      if (tc) fields.push(72);
      const off = random.pick(fields);
      if (off >= 48 && off <= 64 && random.chance(50)) code.load(random.pick([1, 2]), dst, CTX, off);
      else if (tc && random.chance(10)) code.load(8, dst, CTX, 152);
      else code.load(4, dst, CTX, off);
    } else if (tc) {
      const off = random.pick([8, 12, 32, 44, 48, 52, 56, 60, 64, 72]);
      if (random.chance(15)) code.store(8, CTX, 152, this.scalar());
      else if (random.chance(70)) code.store(4, CTX, off, this.scalar());
      else code.storeImm(4, CTX, off, this.imm());
    } else {
      code.store(random.pick([1, 2, 4]), CTX, random.pick([48, 52, 56, 60, 64]), this.scalar());
    }
  }

  /** Direct packet access behind a bounds check. */
  private packet(): void {
    const { code, random } = this;
    const [data, end] = this.kind === "xdp" ? [0, 4] : [76, 80];
    const span = 1 + random.below(64);
    const skips: number[] = [];
    const index = this.scalar();
    const indexed = random.chance(30) && index > 2;
    if (indexed) code.emit(0x57, index, 0, 0, random.pick([7, 15, 31]));
    code.load(4, PTR, CTX, data);
    code.load(4, 1, CTX, end);
    if (indexed) code.emit(0x0f, PTR, index, 0, 0);
    code.mov(2, PTR);
    code.addImm(2, span);
    skips.push(code.emit(0x2d, 2, 1, 0, 0));
    for (const reg of [1, 2]) code.movImm(reg, this.imm());
    for (let n = 1 + random.below(4); n > 0; n--) {
      const size = random.pick(SIZES.filter((s) => s <= span));
      const off = random.below(span - size + 1);
      const choice = this.kind === "cgroup" ? 0 : random.below(5);
      if (choice <= 1) code.load(size, this.scalar(), PTR, off);
      else if (choice === 2) code.store(size, PTR, off, this.scalar());
      else if (choice === 3) code.storeImm(size, PTR, off, this.imm());
      else if (size < 8) code.emit(0x81 | SIZE_BITS[size], this.scalar(), PTR, off, 0);
    }
    for (const skip of skips) code.landHere(skip);
    for (const reg of [1, 2]) code.movImm(reg, this.imm());
    code.movImm(PTR, 0);
  }

  private dataMaps(): number[] {
    return this.maps.flatMap((map, i) =>
      map.keySize > 0 && map.name !== TAILS && map.inner === undefined ? [i] : [],
    );
  }

  /** A key at fp-128: small numbers, so that hits and misses both happen. */
  private key(map: RandomMap): void {
    const { code, random } = this;
    if (map.type === "BPF_MAP_TYPE_LPM_TRIE") {
      code.storeImm(4, FP, SCRATCH, random.below(33));
      code.storeImm(
        4,
        FP,
        SCRATCH + 4,
        random.pick([0x0100000a, 0x0200000a, 0x0101a8c0, 0]) | (random.below(4) << 24),
      );
      return;
    }
    for (let off = 0; off < map.keySize; off += 4) code.storeImm(4, FP, SCRATCH + off, 0);
    if (random.chance(40)) {
      const reg = this.scalar();
      code.emit(0x57, reg, 0, 0, random.pick([3, 7]));
      code.store(4, FP, SCRATCH, reg);
    } else code.storeImm(4, FP, SCRATCH, random.below(random.chance(90) ? 8 : 64));
  }

  private mapLookup(): void {
    const { code, random } = this;
    const index = random.pick(this.dataMaps());
    const map = this.maps[index];
    this.key(map);
    code.map(1, index);
    code.mov(2, FP);
    code.addImm(2, SCRATCH);
    code.call(HELPER.lookup);
    const skip = code.emit(0x15, 0, 0, 0, 0);
    this.useValue(map);
    code.landHere(skip);
    this.scalarsFromNothing();
    code.movImm(PTR, 0);
  }

  /** Looks up an inner map and a value in it. */
  private innerLookup(): void {
    const { code, random } = this;
    const index = this.maps.findIndex((map) => map.inner !== undefined);
    if (index < 0) {
      this.mapLookup();
      return;
    }
    const inner = this.maps.find((map) => map.name === this.maps[index].inner![0])!;
    const skips: number[] = [];
    code.storeImm(4, FP, SCRATCH, random.below(4));
    code.map(1, index);
    for (let level = 0; level < 2; level++) {
      code.mov(2, FP);
      code.addImm(2, SCRATCH);
      code.call(HELPER.lookup);
      skips.push(code.emit(0x15, 0, 0, 0, 0));
      if (level === 1) break;
      code.mov(1, 0);
      code.storeImm(4, FP, SCRATCH, random.below(6));
    }
    this.useValue(inner);
    for (const skip of skips) code.landHere(skip);
    this.scalarsFromNothing();
    code.movImm(PTR, 0);
  }

  /** Loads, stores and atomics on the value that r0 points to. */
  private useValue(map: RandomMap): void {
    const { code, random } = this;
    code.mov(PTR, 0);
    this.scalarsFromNothing();
    for (let n = 1 + random.below(4); n > 0; n--) {
      const size = random.pick(SIZES);
      const off = size * random.below(map.valueSize / size);
      const choice = random.below(5);
      if (choice === 0) code.load(size, this.scalar(), PTR, off);
      else if (choice === 1) code.store(size, PTR, off, this.scalar());
      else if (choice === 2) code.storeImm(size, PTR, off, this.imm());
      else if (choice === 3) this.atomic(PTR, 8 * random.below(map.valueSize / 8));
      else if (size < 8) code.emit(0x81 | SIZE_BITS[size], this.scalar(), PTR, off, 0);
    }
  }

  /** r0 (a helper's result) into a stack slot, then fresh scalars. */
  private keepResult(): void {
    this.code.store(8, FP, this.random.pick(SLOTS), 0);
    this.scalarsFromNothing();
  }

  /** `bytes` of scalars at fp-112. */
  private value(bytes: number): void {
    for (let off = 0; off < bytes; off += 8) {
      if (this.random.chance(50)) this.code.store(8, FP, SCRATCH + 16 + off, this.scalar());
      else this.code.storeImm(8, FP, SCRATCH + 16 + off, this.imm());
    }
  }

  private mapUpdate(): void {
    const { code, random } = this;
    const index = random.pick(this.dataMaps());
    const map = this.maps[index];
    this.value(map.valueSize);
    this.key(map);
    code.map(1, index);
    code.mov(2, FP);
    code.addImm(2, SCRATCH);
    code.mov(3, FP);
    code.addImm(3, SCRATCH + 16);
    code.movImm(4, random.chance(70) ? 0 : random.pick([1, 2, 3]));
    code.call(HELPER.update);
    this.keepResult();
  }

  private mapDelete(): void {
    const { code, random } = this;
    const index = random.pick(this.dataMaps());
    this.key(this.maps[index]);
    code.map(1, index);
    code.mov(2, FP);
    code.addImm(2, SCRATCH);
    code.call(HELPER.delete);
    this.keepResult();
  }

  private queue(): void {
    const { code, random } = this;
    const index = this.maps.findIndex(
      (map) => map.type === "BPF_MAP_TYPE_QUEUE" || map.type === "BPF_MAP_TYPE_STACK",
    );
    if (index < 0) {
      this.ringbuf();
      return;
    }
    this.value(8);
    code.map(1, index);
    code.mov(2, FP);
    code.addImm(2, SCRATCH + 16);
    if (random.chance(50)) {
      code.movImm(3, random.pick([0, 0, 2]));
      code.call(HELPER.push);
      this.keepResult();
    } else {
      code.call(random.pick([HELPER.pop, HELPER.peek]));
      code.store(8, FP, random.pick(SLOTS), 0);
      code.load(8, 8, FP, SCRATCH + 16);
      this.scalarsFromNothing();
    }
  }

  private ringbuf(): void {
    const { code, random } = this;
    const index = this.maps.findIndex((map) => map.type === "BPF_MAP_TYPE_RINGBUF");
    if (index < 0) {
      this.alu();
      return;
    }
    this.value(32);
    code.map(1, index);
    code.mov(2, FP);
    code.addImm(2, SCRATCH + 16);
    code.movImm(3, 1 + random.below(32));
    code.movImm(4, 0);
    code.call(HELPER.ringbufOutput);
    this.keepResult();
  }

  private pureHelper(): void {
    const { code, random } = this;
    if (random.chance(30)) {
      // A number as text on the stack.
      const text = random
        .pick(["  -12", "0x7f", "077", "99999999", "-1", "abc", "12ab", " 8 "])
        .padEnd(8, "\0");
      const bytes = new TextEncoder().encode(text);
      for (let i = 0; i < 8; i += 4) {
        const word = new DataView(bytes.buffer).getInt32(i, true);
        code.storeImm(4, FP, SCRATCH + 16 + i, word);
      }
      code.storeImm(8, FP, SCRATCH + 24, 0);
      code.mov(1, FP);
      code.addImm(1, SCRATCH + 16);
      code.movImm(2, 8);
      code.movImm(3, random.pick([0, 8, 10, 16]));
      code.mov(4, FP);
      code.addImm(4, SCRATCH + 24);
      code.call(random.pick([HELPER.strtol, HELPER.strtoul]));
      code.load(8, 8, FP, SCRATCH + 24);
      this.keepResult();
      return;
    }
    if (this.kind === "socket" || this.kind === "cgroup") {
      this.alu();
      return;
    }
    this.value(40);
    const from = 4 * random.below(6);
    const to = 4 * random.below(6);
    code.mov(1, FP);
    code.addImm(1, SCRATCH + 16);
    code.movImm(2, from);
    code.mov(3, FP);
    code.addImm(3, SCRATCH + 32);
    code.movImm(4, to);
    code.movImm(5, random.chance(50) ? 0 : random.u32() >>> 16);
    code.call(HELPER.csumDiff);
    this.keepResult();
  }

  private packetHelper(): void {
    const { random } = this;
    if (this.kind === "xdp") {
      random.pick([this.xdpBytes, this.xdpAdjust, this.xdpRedirect]).call(this);
      return;
    }
    if (this.kind === "socket" || this.kind === "cgroup") {
      this.skbLoad();
      return;
    }
    random.pick([this.skbLoad, this.skbStore, this.skbCsum, this.skbChange, this.skbRedirect]).call(this);
  }

  private xdpBytes(): void {
    const { code, random } = this;
    this.value(40);
    code.mov(1, CTX);
    code.movImm(2, random.chance(70) ? random.below(80) : random.below(9000));
    code.mov(3, FP);
    code.addImm(3, SCRATCH + 16);
    code.movImm(4, 1 + random.below(40));
    code.call(random.pick([HELPER.xdpLoadBytes, HELPER.xdpStoreBytes]));
    code.load(8, 8, FP, SCRATCH + 16);
    this.keepResult();
  }

  private xdpAdjust(): void {
    const { code, random } = this;
    code.mov(1, CTX);
    if (random.chance(20)) code.call(HELPER.buffLen);
    else {
      const helper = random.pick([HELPER.adjustHead, HELPER.adjustTail, HELPER.adjustMeta]);
      const delta = random.chance(80) ? random.below(48) - 24 : random.below(10000) - 5000;
      code.movImm(2, helper === HELPER.adjustMeta ? delta & ~3 : delta);
      code.call(helper);
    }
    this.keepResult();
  }

  private xdpRedirect(): void {
    this.code.movImm(1, 1);
    this.code.movImm(2, this.random.pick([0, 0, 1]));
    this.code.call(HELPER.redirect);
    this.keepResult();
  }

  private skbLoad(): void {
    const { code, random } = this;
    this.value(40);
    const relative = random.chance(30);
    code.mov(1, CTX);
    code.movImm(2, random.below(90));
    code.mov(3, FP);
    code.addImm(3, SCRATCH + 16);
    code.movImm(4, 1 + random.below(40));
    if (relative) code.movImm(5, random.below(2));
    code.call(relative ? HELPER.loadRelative : HELPER.skbLoadBytes);
    code.load(8, 8, FP, SCRATCH + 16);
    this.keepResult();
  }

  private skbStore(): void {
    const { code, random } = this;
    this.value(40);
    code.mov(1, CTX);
    code.movImm(2, random.below(80));
    code.mov(3, FP);
    code.addImm(3, SCRATCH + 16);
    code.movImm(4, 1 + random.below(40));
    code.movImm(5, random.pick([0, 0, 1, 2, 3]));
    code.call(HELPER.skbStoreBytes);
    this.keepResult();
  }

  private skbCsum(): void {
    const { code, random } = this;
    const l4 = random.chance(50);
    code.mov(1, CTX);
    code.movImm(2, 2 * random.below(30));
    code.movImm(3, random.u32() >>> 16);
    code.movImm(4, random.u32() >>> 16);
    code.movImm(5, random.pick(l4 ? [0, 2, 4, 0x12, 0x22, 0x20] : [0, 2, 4]));
    code.call(l4 ? HELPER.l4Csum : HELPER.l3Csum);
    this.keepResult();
  }

  private skbChange(): void {
    const { code, random } = this;
    code.mov(1, CTX);
    const helper = random.pick([
      HELPER.pullData,
      HELPER.changeTail,
      HELPER.setHash,
      HELPER.csumLevel,
      HELPER.vlanPush,
      HELPER.vlanPop,
      HELPER.changeType,
      HELPER.changeHead,
      HELPER.adjustRoom,
    ]);
    if (helper === HELPER.pullData) code.movImm(2, random.below(120));
    else if (helper === HELPER.changeTail) {
      code.movImm(2, random.below(200));
      code.movImm(3, 0);
    } else if (helper === HELPER.setHash) code.movImm(2, this.imm());
    else if (helper === HELPER.csumLevel) code.movImm(2, random.below(4));
    else if (helper === HELPER.vlanPush) {
      code.movImm(2, random.pick([0x0081, 0xa888, 0x8100]));
      code.movImm(3, random.u32() >>> 16);
    } else if (helper === HELPER.changeType) code.movImm(2, random.below(5));
    else if (helper === HELPER.changeHead) {
      code.movImm(2, random.below(40));
      code.movImm(3, 0);
    } else if (helper === HELPER.adjustRoom) {
      code.movImm(2, random.below(32) - 16);
      code.movImm(3, random.below(2));
      code.movImm(4, 0);
    }
    code.call(helper);
    this.keepResult();
  }

  private skbRedirect(): void {
    this.code.movImm(1, 1);
    this.code.movImm(2, this.random.pick([0, 1, 2]));
    this.code.call(HELPER.redirect);
    this.keepResult();
  }

  private legacyLoad(): void {
    const { code, random } = this;
    const size = random.pick([1, 2, 4]);
    if (random.chance(60)) code.emit(0x20 | SIZE_BITS[size], 0, 0, 0, random.below(50));
    else {
      const index = this.scalar();
      code.emit(0x57, index, 0, 0, 15);
      code.emit(0x40 | SIZE_BITS[size], 0, index, 0, random.below(20));
    }
    this.keepResult();
  }

  private branch(): void {
    const { code, random } = this;
    const cls = random.chance(50) ? 0x05 : 0x06;
    const op = random.pick([0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0]);
    const at = random.chance(50)
      ? code.emit(op | 0x08 | cls, this.scalar(), this.scalar(), 0, 0)
      : code.emit(op | cls, this.scalar(), 0, 0, this.imm());
    this.inBranch++;
    for (let n = 1 + random.below(2); n > 0; n--) this.block();
    if (random.chance(40)) {
      const over = code.emit(0x05, 0, 0, 0, 0);
      code.landHere(at);
      this.block();
      code.landHere(over);
    } else code.landHere(at);
    this.inBranch--;
  }

  private loop(): void {
    const { code, random } = this;
    code.movImm(COUNTER, 0);
    const top = code.words.length;
    this.inLoop++;
    this.inBranch += 3;
    for (let n = 1 + random.below(2); n > 0; n--) this.block();
    this.inBranch -= 3;
    this.inLoop--;
    code.addImm(COUNTER, 1);
    const back = code.emit(0xa5, COUNTER, 0, 0, 1 + random.below(6));
    code.words[back].off = top - back - 1;
  }

  private bpfCall(): void {
    const { code, random } = this;
    const withPointer = random.chance(50);
    if (withPointer) {
      code.mov(1, FP);
      code.addImm(1, -64);
    }
    const at = code.emit(0x85, 0, 1, 0, 0);
    this.calls.push({ at, withPointer });
    this.keepResult();
  }

  private tailCall(): void {
    const { code, random } = this;
    const index = this.maps.findIndex((map) => map.name === TAILS);
    if (index < 0) {
      this.alu();
      return;
    }
    code.mov(1, CTX);
    code.map(2, index);
    code.movImm(3, random.below(5));
    code.call(HELPER.tailCall);
    this.scalarsFromNothing();
  }

  /** `bpf_loop`, or `bpf_for_each_map_elem` over an array: hash maps have no order to agree on. */
  private callback(): void {
    const { code, random } = this;
    const index = this.maps.findIndex((map) => /^BPF_MAP_TYPE_(PERCPU_)?ARRAY$/.test(map.type));
    const map = random.chance(50) ? this.maps[index] : undefined;
    if (map) code.map(1, index);
    else code.movImm(1, random.below(6));
    const at = code.emit(0x18, 2, PSEUDO_FUNC, 0, 0);
    code.emit(0, 0, 0, 0, 0);
    code.mov(3, FP);
    code.addImm(3, -64);
    code.movImm(4, random.chance(90) ? 0 : 1);
    code.call(map ? HELPER.forEach : HELPER.loop);
    this.callbacks.push({ at, map });
    this.keepResult();
  }

  /** A callback: sums up what it is given in the caller's stack, ends the loop by an odd number there. */
  private callbackBody(at: number, map: RandomMap | undefined): void {
    const { code, random } = this;
    const start = code.words.length;
    this.functions.push(start);
    code.words[at].imm = start - at - 1;
    code.mov(CTX, map ? 4 : 2);
    if (map) {
      code.mov(PTR, 3);
      code.load(4, 8, 2, 0);
    } else code.mov(8, 1);
    for (const reg of [0, 1, 2, 3, 4, 5]) code.movImm(reg, this.imm());
    for (const slot of SLOTS) this.fillSlot(slot);
    for (let n = 1 + random.below(3); n > 0; n--) {
      if (random.chance(50)) this.alu();
      else this.stack();
      const off = 8 * random.below(8);
      if (map) code.load(8, 0, PTR, 8 * random.below(map.valueSize / 8));
      code.load(8, 1, CTX, off);
      code.emit(0x0f, 1, this.random.pick([0, 8]), 0, 0);
      code.store(8, CTX, off, 1);
      if (map) this.atomic(PTR, 8 * random.below(map.valueSize / 8));
    }
    code.load(8, 0, CTX, 8 * random.below(8));
    code.emit(0x57, 0, 0, 0, random.below(2)); // r0 &= 0 or 1
    code.emit(0x95, 0, 0, 0, 0);
  }

  /** Two functions at most, one of each signature; both keep to scalars and the stack. */
  private subprograms(): void {
    const { code, random } = this;
    for (const withPointer of [false, true]) {
      const callers = this.calls.filter((call) => call.withPointer === withPointer);
      if (callers.length === 0) continue;
      const start = code.words.length;
      this.functions.push(start);
      for (const { at } of callers) code.words[at].imm = start - at - 1;
      if (withPointer) {
        code.mov(CTX, 1);
        code.movImm(1, this.imm());
      }
      code.movImm(0, this.imm());
      code.movImm(8, this.imm());
      for (const slot of SLOTS) this.fillSlot(slot);
      for (let n = 2 + random.below(4); n > 0; n--) {
        random.pick([this.alu, this.stack, this.alu]).call(this);
        if (!withPointer) continue;
        if (random.chance(50)) code.load(8, this.scalar(), CTX, 8 * random.below(8));
        else code.store(8, CTX, 8 * random.below(8), this.scalar());
      }
      code.emit(0x95, 0, 0, 0, 0);
    }
  }

  /** Everything computed, folded into the 32 bits of the return value. */
  private fold(): void {
    const { code } = this;
    for (const reg of SCALARS.slice(1)) code.emit(0xaf, 0, reg, 0, 0);
    for (const slot of SLOTS) {
      code.load(8, 1, FP, slot);
      code.emit(0x27, 0, 0, 0, 0x01000193);
      code.emit(0xaf, 0, 1, 0, 0);
    }
    code.mov(1, 0);
    code.emit(0x77, 1, 0, 0, 32);
    code.emit(0xaf, 0, 1, 0, 0);
  }
}

/** The case of a seed. The same seed gives the same case as long as this file does not change. */
export function randomCase(seed: number): RandomCase {
  const random = new Random(seed);
  const kind = random.pick(["xdp", "xdp", "tc", "tc", "socket", "cgroup"] as const);
  const maps = randomMaps(random);
  const tails = maps.some((map) => map.name === TAILS);
  const programs = [];
  for (let i = 0; i < (tails ? 3 : 1); i++) {
    const maker = new ProgramMaker(random, kind, maps, !tails && random.chance(50));
    const insns = maker.make(i === 0 ? 3 + random.below(14) : 1 + random.below(5));
    programs.push({ insns, functions: maker.functions });
  }
  // Slot 3 calls the first program again: the limit of 33 ends it.
  const slots = tails ? [1, 2, 1, 0] : [];
  const frags = kind === "xdp" && random.chance(20);
  const packets = Array.from({ length: 3 }, () =>
    frags ? random.bytes(3000 + random.below(9000)) : randomPacket(random),
  );
  const contexts = packets.map((packet) => randomContext(random, kind, packet.length));
  return { seed, type: TYPE_OF[kind], frags, maps, programs, slots, packets, contexts };
}

/** What BPF_PROG_TEST_RUN lets a caller choose of the context; often nothing at all. */
function randomContext(random: Random, kind: Kind, packetBytes: number): Uint8Array | undefined {
  if (kind !== "cgroup" && random.chance(60)) return undefined;
  const bytes = new Uint8Array(kind === "xdp" ? 24 : 192);
  const view = new DataView(bytes.buffer);
  if (kind === "xdp") {
    // data_meta 0 … data: metadata in front of the packet.
    if (packetBytes >= 40) view.setUint32(0, random.pick([0, 4, 8, 16]), true);
    view.setUint32(4, packetBytes, true);
    view.setUint32(12, random.below(2), true);
    return bytes;
  }
  view.setUint32(8, random.u32(), true); // mark
  view.setUint32(32, random.u32(), true); // priority
  view.setUint32(40, random.below(2), true); // ifindex
  bytes.set(random.bytes(20), CB_OFFSET);
  if (random.chance(50)) view.setBigUint64(152, BigInt(random.u32()), true); // tstamp
  if (random.chance(30)) view.setUint32(160, packetBytes + random.below(100), true); // wire_len
  view.setUint32(164, random.below(4), true); // gso_segs
  view.setUint32(176, random.below(2000), true); // gso_size
  return bytes;
}

function randomMaps(random: Random): RandomMap[] {
  const valueSize = random.pick([8, 16, 24, 32]);
  const maps: RandomMap[] = [];
  const add = (
    name: string,
    type: MapTypeName,
    keySize: number,
    maxEntries: number,
    flags = 0,
    value = valueSize,
  ) => {
    maps.push({ name, type, keySize, valueSize: value, maxEntries, flags, entries: [] });
  };
  add("array", "BPF_MAP_TYPE_ARRAY", 4, 1 + random.below(8));
  if (random.chance(60))
    add("hash", "BPF_MAP_TYPE_HASH", random.pick([4, 8, 12]), 1 + random.below(8), random.below(2));
  if (random.chance(30)) add("percpu_array", "BPF_MAP_TYPE_PERCPU_ARRAY", 4, 1 + random.below(8));
  if (random.chance(30)) add("percpu_hash", "BPF_MAP_TYPE_PERCPU_HASH", 4, 1 + random.below(8));
  if (random.chance(30)) add("lru", "BPF_MAP_TYPE_LRU_HASH", 4, 256);
  if (random.chance(20)) add("lru_percpu", "BPF_MAP_TYPE_LRU_PERCPU_HASH", 4, 256);
  if (random.chance(40)) add("trie", "BPF_MAP_TYPE_LPM_TRIE", 8, 1 + random.below(16), 1);
  if (random.chance(30)) {
    const type = random.chance(50) ? "BPF_MAP_TYPE_QUEUE" : "BPF_MAP_TYPE_STACK";
    add("queue", type, 0, 1 + random.below(6), 0, 8);
  } else if (random.chance(50)) add("events", "BPF_MAP_TYPE_RINGBUF", 0, 4096, 0, 0);
  if (random.chance(20)) {
    const type = random.pick(["BPF_MAP_TYPE_HASH", "BPF_MAP_TYPE_ARRAY"] as const);
    const inner = ["inner0", "inner1"];
    for (const name of inner) add(name, type, 4, 4);
    const outer = random.pick(["BPF_MAP_TYPE_ARRAY_OF_MAPS", "BPF_MAP_TYPE_HASH_OF_MAPS"] as const);
    maps.push({
      name: "outer",
      type: outer,
      keySize: 4,
      valueSize: 4,
      maxEntries: 3,
      flags: 0,
      entries: [],
      inner,
    });
  }
  if (random.chance(25)) add(TAILS, "BPF_MAP_TYPE_PROG_ARRAY", 4, 5, 0, 4);
  return maps.map((map) => ({ ...map, entries: randomEntries(random, map) }));
}

function randomEntries(random: Random, map: RandomMap): RandomMap["entries"] {
  if (map.keySize === 0 || map.name === TAILS || map.inner || map.type.includes("PERCPU")) return [];
  const count = random.below(Math.min(map.maxEntries, 4) + 1);
  const entries = [];
  for (let i = 0; i < count; i++) {
    const key = new Uint8Array(map.keySize);
    if (map.type === "BPF_MAP_TYPE_LPM_TRIE") {
      key[0] = random.pick([0, 8, 24, 25, 31, 32]);
      key.set([10, 0, 0, random.below(4)], 4);
    } else key[0] = i;
    entries.push({ key, value: random.bytes(map.valueSize) });
  }
  return entries;
}

/** Ethernet with IPv4, IPv6 or noise, 14 to about 200 bytes. */
function randomPacket(random: Random): Uint8Array {
  const packet = random.bytes(14 + random.below(random.chance(20) ? 20 : 190));
  const kind = random.below(4);
  if (kind === 0 && packet.length >= 34) {
    packet.set([0x08, 0x00, 0x45, 0x00, 0, packet.length - 14], 12);
    packet.set([64, random.pick([6, 17])], 22);
  } else if (kind === 1 && packet.length >= 54) {
    packet.set([0x86, 0xdd, 0x60, 0, 0, 0, 0, packet.length - 54, random.pick([6, 17]), 64], 12);
  } else if (kind === 2) packet.set([0x81, 0x00], 12);
  return packet;
}
