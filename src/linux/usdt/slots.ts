import { BpfError } from "../../base/index.ts";

/** Which slots of a collection's `__bpf_usdt_specs` are taken, by all attachments of its programs. */
export class UsdtSlots {
  private readonly free: number[] = [];
  private next = 0;
  private readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  /** @throws BpfError `linux/no-space` when all are taken. */
  take(): number {
    const slot = this.free.pop() ?? this.next++;
    if (slot < this.size) return slot;
    this.next = this.size;
    throw new BpfError("linux/no-space", `all ${this.size} slots of __bpf_usdt_specs are taken`, {
      errno: "E2BIG",
      subject: "__bpf_usdt_specs",
      hint: "raise BPF_USDT_MAX_SPEC_CNT in the program, or maxEntries of this map when it is loaded",
    });
  }

  /** Gives slots back. */
  release(slots: Iterable<number>): void {
    this.free.push(...slots);
  }
}
