import { MAP_VALUES } from "../layout.ts";
import type { MapParts } from "./base.ts";
import { E2BIG, EBADF, EINVAL } from "./constants.ts";
import type { CreateMapOptions, ObjectRegistry, ProgramHandle } from "./map.ts";
import { indexOf, keyOf, type Slot, SlotMap } from "./slots.ts";

/**
 * BPF_MAP_TYPE_PROG_ARRAY (4.2): programs to tail-call. The host writes and reads program ids. The address of each
 * program's code lies at MAP_VALUES + 8 × index, for engines.
 */
export class ProgArrayMap extends SlotMap<ProgramHandle> {
  override readonly lookupGives = "none";
  private readonly registry: ObjectRegistry | undefined;
  /** What the first program was; the others must be alike (`bpf_prog_map_compatible`). */
  private owner: string | undefined;

  constructor(parts: MapParts, options: CreateMapOptions) {
    super(parts);
    this.registry = options.registry;
  }

  override programAt(index: number): ProgramHandle | undefined {
    return this.slots.get(index)?.item;
  }

  protected override itemFor(value: Uint8Array, _index: number): ProgramHandle | number {
    const program = this.registry?.programById(indexOf(value));
    if (program === undefined) return -EBADF;
    const kind = program.compatKey ?? program.type;
    if (this.owner !== undefined && this.owner !== kind) return -EINVAL;
    this.owner = kind;
    return program;
  }

  protected override hostValue(slot: Slot<ProgramHandle>): Uint8Array {
    return keyOf(slot.item.id);
  }

  protected override put(index: number, program: ProgramHandle): number {
    if (index >= this.spec.maxEntries) return -E2BIG;
    super.put(index, program);
    this.setCode(index, program.address);
    return 0;
  }

  protected override drop(index: number): boolean {
    this.setCode(index, 0);
    return super.drop(index);
  }

  private setCode(index: number, address: number): void {
    const { view } = this.module.memory;
    view.setUint32(view.getUint32(this.address + MAP_VALUES, true) + 8 * index, address, true);
  }
}
