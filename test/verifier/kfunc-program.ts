// Random programs that call kernel functions: iterators, dynptrs, references, locks, lists, regions, rightly and wrongly.
import { BtfBuilder, type BtfIndex } from "../../src/btf/index.ts";
import { assemble } from "../../src/isa/index.ts";
import type { VerifierMap, VerifierProgram } from "../../src/verifier/index.ts";

/** Uniform numbers from a seed (mulberry32). */
export function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Places on the stack. */
const DYNPTRS = [16, 32];
const ITERATOR = 40;
const IRQ_FLAGS = [48, 56];
const TASKS = 80;
const SPILLS = [88, 96];
const BYTES = 112;

/** `struct item { long key; struct bpf_list_node node; }`, globals `lock`, `head` (a list of them), and plain bytes. */
function programTypes(): { readonly map: VerifierMap; readonly item: number } {
  const types = new BtfBuilder();
  const long = types.int("long", 8, { signed: true });
  const u32 = types.int("unsigned int", 4);
  const struct = (
    name: string,
    size: number,
    members: readonly (readonly [string, number, number])[],
  ): number =>
    types.add({
      kind: "struct",
      name,
      size,
      kindFlag: false,
      members: members.map(([field, type, at]) => ({ name: field, type, bitOffset: at * 8, bitSize: 0 })),
    });
  const words = types.add({ kind: "array", name: "", type: long, indexType: u32, length: 3 });
  const node = struct("bpf_list_node", 24, [["__opaque", words, 0]]);
  const pair = types.add({ kind: "array", name: "", type: long, indexType: u32, length: 2 });
  const head = struct("bpf_list_head", 16, [["__opaque", pair, 0]]);
  const lock = struct("bpf_spin_lock", 4, [["val", u32, 0]]);
  const item = struct("item", 32, [
    ["key", long, 0],
    ["node", node, 8],
  ]);
  const variable = (name: string, type: number): number =>
    types.add({ kind: "var", name, type, linkage: "global" });
  const lockVar = variable("lock", lock);
  const headVar = variable("head", head);
  types.add({
    kind: "decl_tag",
    name: "contains:item:node",
    type: headVar,
    componentIndex: -1,
    kindFlag: false,
  });
  const section = types.add({
    kind: "datasec",
    name: ".data.list",
    size: 24,
    vars: [
      { type: lockVar, offset: 0, size: 4 },
      { type: headVar, offset: 8, size: 16 },
    ],
  });
  const proto = types.add({ kind: "func_proto", name: "", type: u32, params: [] });
  types.add({ kind: "func", name: "main", type: proto, linkage: "global" });
  const btf = types.build();
  const map: VerifierMap = {
    name: "data",
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: 24,
    maxEntries: 1,
    flags: 0,
    btf,
    keyType: 0,
    valueType: section,
  };
  return { map, item };
}

type Value = "none" | "maybe" | "task" | "item" | "memory" | "kernel";

/** What a program that makes no mistakes would know; roughly right after branches, which is good enough to go deep. */
class Model {
  numbers = false;
  tasks = false;
  rcu = false;
  preempt = 0;
  irq: number[] = [];
  locked = false;
  readonly dynptrs: ("none" | "plain" | "skb" | "ring")[] = ["none", "none"];
  readonly values: Record<7 | 8, { kind: Value; after: Value; owned: boolean }> = {
    7: { kind: "none", after: "none", owned: false },
    8: { kind: "none", after: "none", owned: false },
  };
}

/** A step: when it makes sense, and what it does. */
interface Step {
  readonly fits: boolean;
  readonly lines: () => readonly string[];
}

/** Makes the programs of one kernel. */
export class KfuncPrograms {
  private readonly ids: (name: string) => string;
  private readonly kernel: BtfIndex;
  private readonly types = programTypes();
  private readonly maps: readonly VerifierMap[];

  constructor(kernel: BtfIndex) {
    this.kernel = kernel;
    this.ids = (name) => `0x${(kernel.find(name, "func") ?? 0).toString(16)}`;
    const plain = { maxEntries: 1, flags: 0, btf: undefined };
    this.maps = [
      this.types.map,
      { name: "bytes", type: "BPF_MAP_TYPE_ARRAY", keySize: 4, valueSize: 64, ...plain },
      { name: "ring", type: "BPF_MAP_TYPE_RINGBUF", keySize: 0, valueSize: 0, ...plain, maxEntries: 4096 },
    ];
  }

  /** The program of a seed. */
  make(seed: number): VerifierProgram {
    const { btf } = this.types.map;
    const main = btf?.types.findIndex((type) => type.kind === "func") ?? 0;
    return {
      name: "random",
      type: "BPF_PROG_TYPE_SCHED_CLS",
      attachType: undefined,
      insns: assemble(this.text(seed)).bytes,
      maps: this.maps,
      btf,
      funcs: [{ name: "main", insn: 0, btfId: main, linkage: "global" }],
      lines: [],
      license: "GPL",
      flags: {},
      kernelBtf: this.kernel.btf,
    };
  }

  /** Its text. */
  text(seed: number): string {
    const random = randomSource(seed);
    const lines = ["r6 = r1", "r7 = 0x0", "r8 = 0x0"];
    const model = new Model();
    const wild = [2, 4, 12, 40, 1000][random(5)]; // one step of so many ignores the model
    let labels = 0;
    const step = (depth: number): void => {
      const kind = random(12);
      const outside = !model.locked;
      if (kind === 0 && depth < 2 && outside) {
        const label = `skip${labels++}`;
        lines.push("call 0x7", `if r0 s> 0x${random(9).toString(16)} goto ${label}`);
        const before = JSON.stringify(model);
        steps(depth + 1);
        if (random(4) !== 0) this.restore(model, JSON.parse(before), lines);
        lines.push(`${label}:`);
        return;
      }
      const reg = random(2) === 0 ? 7 : 8;
      if (kind <= 3 && depth < 2 && model.values[reg].kind === "maybe") {
        const label = `null${labels++}`;
        lines.push(`if r${reg} == 0x0 goto ${label}`);
        model.values[reg].kind = model.values[reg].after;
        steps(depth + 1);
        const value = model.values[reg];
        if (value.owned && random(6) !== 0) lines.push(...this.drop(model, reg));
        value.kind = "none";
        lines.push(`r${reg} = 0x0`, `${label}:`);
        return;
      }
      if (kind === 4 && depth < 1 && !model.numbers && outside) {
        const label = labels++;
        model.numbers = true;
        lines.push(
          ...this.make3("bpf_iter_num", ITERATOR),
          `loop${label}:`,
          ...this.on("bpf_iter_num_next", ITERATOR),
        );
        lines.push(`if r0 == 0x0 goto done${label}`);
        const before = JSON.stringify(model);
        steps(depth + 1);
        if (random(4) !== 0) this.restore(model, JSON.parse(before), lines);
        lines.push(`goto loop${label}`, `done${label}:`);
        return;
      }
      const all = this.steps(random, model, wild);
      const fitting = all.filter((each) => each.fits);
      const from = random(wild) === 0 || fitting.length === 0 ? all : fitting;
      lines.push(...from[random(from.length)].lines());
    };
    const steps = (depth: number): void => {
      for (let i = random(4); i >= 0; i--) step(depth);
    };
    for (let i = 3 + random(9); i > 0; i--) step(0);
    if (random(10) !== 0) this.restore(model, new Model(), lines);
    lines.push("r0 = 0x0", "exit");
    return lines.join("\n");
  }

  /** Ends what `model` holds and `wanted` does not. */
  private restore(model: Model, wanted: Model, lines: string[]): void {
    if (model.locked && !wanted.locked) lines.push("ld_pseudo r1, 0x2, 0x0, 0x0", "call 0x5e");
    while (model.irq.length > wanted.irq.length) {
      lines.push(...this.on("bpf_local_irq_restore", model.irq.pop() as number));
    }
    for (; model.preempt > wanted.preempt; model.preempt--) lines.push(this.call("bpf_preempt_enable"));
    if (model.numbers && !wanted.numbers) lines.push(...this.on("bpf_iter_num_destroy", ITERATOR));
    if (model.tasks && !wanted.tasks) lines.push(...this.on("bpf_iter_task_destroy", TASKS));
    if (model.rcu && !wanted.rcu) lines.push(this.call("bpf_rcu_read_unlock"));
    for (const index of [0, 1]) {
      if (model.dynptrs[index] !== "ring" || wanted.dynptrs[index] === "ring") continue;
      lines.push(...this.at(1, DYNPTRS[index]), "r2 = 0x0", "call 0xc7");
    }
    for (const reg of [7, 8] as const) {
      const value = model.values[reg];
      if (value.owned && value.kind === "maybe")
        lines.push(`if r${reg} == 0x0 goto +0x${value.after === "item" ? 3 : 2}`);
      if (value.owned) lines.push(...this.drop(model, reg));
      lines.push(`r${reg} = 0x0`);
    }
    Object.assign(model, structuredClone({ ...wanted }));
    for (const reg of [7, 8] as const) model.values[reg] = { kind: "none", after: "none", owned: false };
  }

  private drop(model: Model, reg: 7 | 8): readonly string[] {
    const value = model.values[reg];
    const kind = value.kind === "maybe" ? value.after : value.kind;
    Object.assign(value, { kind: "none", owned: false });
    if (kind === "item") return [`r1 = r${reg}`, "r2 = 0x0", this.call("bpf_obj_drop_impl")];
    return [`r1 = r${reg}`, this.call("bpf_task_release")];
  }

  private call(name: string): string {
    return `call ${this.ids(name)} <kfunc>`;
  }

  private at(reg: number, place: number): readonly string[] {
    return [`r${reg} = r10`, `r${reg} += -0x${place.toString(16)}`];
  }

  private on(name: string, place: number): readonly string[] {
    return [...this.at(1, place), this.call(name)];
  }

  private make3(iterator: string, place: number): readonly string[] {
    return [...this.at(1, place), "r2 = 0x0", "r3 = 0x4", this.call(`${iterator}_new`)];
  }

  private steps(random: (below: number) => number, model: Model, wild: number): readonly Step[] {
    const pick = <T>(list: readonly T[]): T => list[random(list.length)];
    const out: Step[] = [];
    const add = (fits: boolean, lines: () => readonly string[]): void => {
      out.push({ fits, lines });
    };
    const free = !model.locked;
    const reg = random(2) === 0 ? 7 : 8;
    const value = model.values[reg];
    const other = reg === 7 ? 8 : 7;
    const set = (kind: Value, after: Value = "none", owned = false): void => {
      Object.assign(value, { kind, after, owned });
    };
    const dyn = random(2);
    const place = DYNPTRS[dyn];
    const state = model.dynptrs[dyn];
    const GLOBAL = "ld_pseudo r1, 0x2, 0x0";
    const run = (change: () => void, ...lines: readonly string[]): (() => readonly string[]) => {
      return () => {
        change();
        return lines;
      };
    };
    const keep = (): void => {};
    const room = !value.owned;
    add(
      !model.numbers,
      run(() => (model.numbers = true), ...this.make3("bpf_iter_num", ITERATOR)),
    );
    add(
      model.numbers && room,
      run(() => set("maybe", "memory"), ...this.on("bpf_iter_num_next", ITERATOR), `r${reg} = r0`),
    );
    add(
      model.numbers,
      run(() => (model.numbers = false), ...this.on("bpf_iter_num_destroy", ITERATOR)),
    );
    add(
      free && !model.tasks,
      run(() => (model.tasks = true), ...this.make3("bpf_iter_task", TASKS)),
    );
    add(
      free && model.tasks && room,
      run(() => set("maybe", "task"), ...this.on("bpf_iter_task_next", TASKS), `r${reg} = r0`),
    );
    add(
      free && model.tasks,
      run(() => (model.tasks = false), ...this.on("bpf_iter_task_destroy", TASKS)),
    );
    add(
      free && !model.rcu,
      run(() => (model.rcu = true), this.call("bpf_rcu_read_lock")),
    );
    add(
      free && model.rcu,
      run(() => (model.rcu = false), this.call("bpf_rcu_read_unlock")),
    );
    add(
      free,
      run(() => model.preempt++, this.call("bpf_preempt_disable")),
    );
    add(
      free && model.preempt > 0,
      run(() => model.preempt--, this.call("bpf_preempt_enable")),
    );
    const saved = IRQ_FLAGS.find((flag) => !model.irq.includes(flag)) ?? IRQ_FLAGS[0];
    add(
      free && model.irq.length < 2,
      run(() => model.irq.push(saved), ...this.on("bpf_local_irq_save", saved)),
    );
    const last = model.irq.at(-1) ?? pick(IRQ_FLAGS);
    add(
      free && model.irq.length > 0,
      run(() => model.irq.pop(), ...this.on("bpf_local_irq_restore", last)),
    );
    const make = (kind: Model["dynptrs"][number]) => (): void => {
      model.dynptrs[dyn] = kind;
    };
    const fresh = free && state !== "ring";
    add(
      fresh,
      run(make("skb"), "r1 = r6", "r2 = 0x0", ...this.at(3, place), this.call("bpf_dynptr_from_skb")),
    );
    add(
      fresh,
      run(
        make("plain"),
        "ld_pseudo r1, 0x2, 0x1",
        "r2 = 0x40",
        "r3 = 0x0",
        ...this.at(4, place),
        "call 0xc5",
      ),
    );
    add(
      fresh,
      run(make("ring"), "ld_pseudo r1, 0x1, 0x2", "r2 = 0x8", "r3 = 0x0", ...this.at(4, place), "call 0xc6"),
    );
    const end = pick(["call 0xc7", "call 0xc8"]);
    add(free && state === "ring", run(make("none"), ...this.at(1, place), "r2 = 0x0", end));
    const target = DYNPTRS[1 - dyn];
    const cloned = (): void => {
      if (model.dynptrs[1 - dyn] !== "ring") model.dynptrs[1 - dyn] = state === "ring" ? "none" : state;
    };
    const clones = free && state !== "none" && model.dynptrs[1 - dyn] !== "ring";
    add(clones, run(cloned, ...this.at(1, place), ...this.at(2, target), this.call("bpf_dynptr_clone")));
    for (const kind of ["bpf_dynptr_slice", "bpf_dynptr_slice_rdwr"]) {
      const buffer = random(2) === 0 ? ["r3 = 0x0"] : this.at(3, BYTES);
      const lines = [
        ...this.at(1, place),
        "r2 = 0x0",
        ...buffer,
        "r4 = 0x8",
        this.call(kind),
        `r${reg} = r0`,
      ];
      add(
        free && state !== "none" && room,
        run(() => set("maybe", "memory"), ...lines),
      );
    }
    add(free && state !== "none", run(keep, ...this.at(1, place), this.call("bpf_dynptr_size")));
    const write = [
      ...this.at(1, place),
      "r2 = 0x0",
      ...this.at(3, BYTES),
      "r4 = 0x4",
      "r5 = 0x0",
      "call 0xca",
    ];
    add(free && state !== "none", run(keep, ...write));
    const data = [...this.at(1, place), "r2 = 0x0", "r3 = 0x8", "call 0xcb", `r${reg} = r0`];
    add(
      free && state !== "none" && room,
      run(() => set("maybe", "memory"), ...data),
    );
    add(free, run(keep, "r1 = r6", "r2 = 0x8", "call 0x27"));
    add(
      free && room,
      run(() => set("maybe", "task", true), "r1 = 0x1", this.call("bpf_task_from_pid"), `r${reg} = r0`),
    );
    const from = model.values[other];
    const acquire = [`r1 = r${other}`, this.call("bpf_task_acquire"), `r${reg} = r0`];
    add(
      free && room && from.kind === "task",
      run(() => set("maybe", "task", true), ...acquire),
    );
    add(
      free && value.kind === "task" && value.owned,
      run(() => set("none"), `r1 = r${reg}`, this.call("bpf_task_release")),
    );
    const item = [
      `r1 = 0x${this.types.item.toString(16)}`,
      "r2 = 0x0",
      this.call("bpf_obj_new_impl"),
      `r${reg} = r0`,
    ];
    add(
      free && room,
      run(() => set("maybe", "item", true), ...item),
    );
    const dropped = [`r1 = r${reg}`, "r2 = 0x0", this.call("bpf_obj_drop_impl")];
    add(
      free && value.kind === "item" && value.owned,
      run(() => set("none"), ...dropped),
    );
    add(
      free,
      run(() => (model.locked = true), `${GLOBAL}, 0x0`, "call 0x5d"),
    );
    add(
      model.locked,
      run(() => (model.locked = false), `${GLOBAL}, 0x0`, "call 0x5e"),
    );
    const push = [
      `${GLOBAL}, 0x8`,
      `r2 = r${reg}`,
      "r2 += 0x8",
      "r3 = 0x0",
      "r4 = 0x0",
      this.call(pick(["bpf_list_push_front_impl", "bpf_list_push_back_impl"])),
    ];
    const pushed = (): void => {
      value.owned = false;
    };
    add(model.locked && value.kind === "item" && value.owned, run(pushed, ...push));
    const pop = [`${GLOBAL}, 0x8`, this.call(pick(["bpf_list_pop_front", "bpf_list_pop_back"]))];
    const back = `r${reg} -= 0x8`; // from the node to its item, null included: only when it is not
    const test = ["r1 = r0", `r${reg} = 0x0`, "if r1 == 0x0 goto +0x2", `r${reg} = r1`, back];
    add(
      model.locked && room,
      run(() => set("maybe", "item", true), ...pop, ...test),
    );
    const front = [`${GLOBAL}, 0x8`, this.call("bpf_list_front"), `r${reg} = r0`];
    add(
      model.locked && room,
      run(() => set("maybe", "none"), ...front),
    );
    const readable = value.kind !== "none" && value.kind !== "maybe";
    const load = `r0 = *(u${pick([8, 32, 64])} *)(r${reg} + 0x${pick([0, 0, 4]).toString(16)})`;
    add(readable, run(keep, load));
    add(value.kind === "item", run(keep, `*(u64 *)(r${reg} + 0x0) = 0x1`));
    add(random(wild) === 0, run(keep, `*(u64 *)(r${reg} + 0x0) = 0x1`));
    const spill = pick(SPILLS).toString(16);
    add(true, run(keep, `*(u64 *)(r10 - 0x${spill}) = r${reg}`));
    add(false, run(keep, `r${reg} = *(u64 *)(r10 - 0x${spill})`));
    add(false, run(keep, `r${reg} = r${other}`));
    add(
      room,
      run(() => set("none"), `r${reg} = 0x0`),
    );
    add(false, run(keep, `*(u64 *)(r10 - 0x${(8 + 8 * random(14)).toString(16)}) = 0x0`));
    add(false, run(keep, `*(u8 *)(r10 - 0x${(1 + random(112)).toString(16)}) = 0x7`));
    add(true, run(keep, `*(u64 *)(r10 - 0x${BYTES.toString(16)}) = 0x0`));
    add(false, run(keep, back));
    add(
      free && room,
      run(() => set("kernel"), "r1 = r6", this.call("bpf_cast_to_kern_ctx"), `r${reg} = r0`),
    );
    add(
      free && room,
      run(() => set("kernel"), "r1 = r6", "r2 = 0x0", this.call("bpf_rdonly_cast"), `r${reg} = r0`),
    );
    return out;
  }
}
