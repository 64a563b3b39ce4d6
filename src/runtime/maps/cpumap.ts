import type { RedirectTarget } from "../../object/index.ts";
import type { MapParts } from "./base.ts";
import { BPF_EXIST, BPF_NOEXIST, E2BIG, EEXIST, EINVAL, ENODEV, ENOMEM, EOVERFLOW } from "./constants.ts";
import type { CreateMapOptions, ObjectRegistry } from "./map.ts";
import { indexOf, keyOf, type Slot, SlotMap } from "./slots.ts";

/** `struct bpf_cpumap_val`: queue length, and the program that runs there (0: none). */
interface Cpu {
  readonly queueSize: number;
  readonly program: number;
}

/** Linux: sanity limit on qsize. */
const MAX_QUEUE = 16384;

/** BPF_MAP_TYPE_CPUMAP (4.15): CPUs to redirect to; redirects are recorded. kernel/bpf/cpumap.c @ v6.12. */
export class CpuMap extends SlotMap<Cpu> {
  private readonly registry: ObjectRegistry | undefined;

  constructor(parts: MapParts, options: CreateMapOptions) {
    super(parts);
    this.registry = options.registry;
  }

  override redirectTarget(index: number): RedirectTarget | undefined {
    return this.slots.has(index) ? { kind: "cpumap", index, map: this.name } : undefined;
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -E2BIG;
    if (flags === BPF_NOEXIST) return -EEXIST;
    const cpu = this.itemFor(value);
    if (typeof cpu !== "number" && cpu.queueSize > MAX_QUEUE) return -EOVERFLOW;
    if (index >= this.numCpus) return -ENODEV;
    if (typeof cpu === "number") return cpu;
    if (cpu.queueSize !== 0) return this.put(index, cpu);
    this.drop(index);
    return 0;
  }

  protected override sysDelete(key: Uint8Array): number {
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -EINVAL;
    this.drop(index);
    return 0;
  }

  /** A program that is not there is ENOMEM in Linux, where the entry's allocation fails with it. */
  protected override itemFor(value: Uint8Array): Cpu | number {
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const program = value.length >= 8 ? Math.max(0, view.getInt32(4, true)) : 0;
    if (program !== 0 && this.registry?.programById(program) === undefined) return -ENOMEM;
    return { queueSize: view.getUint32(0, true), program };
  }

  protected override hostValue(slot: Slot<Cpu>): Uint8Array {
    return this.programValue(slot.item).slice(0, this.spec.valueSize);
  }

  protected override programValue(cpu: Cpu): Uint8Array {
    const bytes = new Uint8Array(8);
    bytes.set(keyOf(cpu.queueSize));
    bytes.set(keyOf(cpu.program), 4);
    return bytes;
  }
}
