import type { ActiveRun } from "./helper-engine.ts";
import type { PacketsRequest } from "./interpreter.ts";
import { BATCH_ASKED, BATCH_HOST_BYTES, BATCH_NEXT, BATCH_SPANS } from "./layout.ts";
import type { Memory } from "./memory.ts";

/** bpf_perf_event_output, bpf_skb_output, bpf_xdp_output: records that wait with the host. */
const RECORDING_HELPERS = new Set([25, 111, 121]);

/**
 * The runs that compiled code makes over a batch, as helpers see them. Most packets run without the host; one that calls
 * out gets its state then (`next`), and what it leaves is taken when the next one does.
 */
export class PacketRuns {
  current: ActiveRun;
  private readonly memory: Memory;
  private readonly machine: number;
  private readonly request: PacketsRequest;
  /** BATCH_NEXT while the packet of `current` runs; 0: no packet has called out. */
  private place = 0;

  constructor(memory: Memory, machine: number, request: PacketsRequest) {
    this.memory = memory;
    this.machine = machine;
    this.request = request;
    this.current = this.fresh();
  }

  /** True when another packet runs than at the last call: `current` is then new. */
  next(): boolean {
    const { view } = this.memory;
    const { header, hook } = this.request;
    const place = view.getUint32(header + BATCH_NEXT, true);
    if (place === this.place) return false;
    this.end();
    this.place = place;
    hook.renew(view.getUint32(view.getUint32(header + BATCH_SPANS, true) + 8 * (place - 1) + 4, true));
    this.current = this.fresh();
    return true;
  }

  /** Asks wasm to come back after this packet when it left something with the host. */
  afterHelper(id: number, timers: boolean): void {
    const { view } = this.memory;
    const { header, hook } = this.request;
    const fragments = hook.packet.frags.length > 0;
    if (fragments) view.setUint32(header + BATCH_HOST_BYTES, 1, true);
    if (fragments || timers || RECORDING_HELPERS.has(id)) view.setUint32(header + BATCH_ASKED, 1, true);
  }

  /** Hands over what the packet that called out last asked for. */
  end(): void {
    if (this.place > 0) this.request.outcome(this.place - 1, this.current.state.outcome);
  }

  private fresh(): ActiveRun {
    const { code, cpu, hook } = this.request;
    return {
      machine: this.machine,
      state: {
        contextAddress: hook.contextAddress,
        packet: hook.packet,
        cpu,
        outcome: { clones: [] },
        tailCalls: 0,
        held: new Map(),
        scratch: new Map(),
      },
      code,
      references: new Map(),
      nextReference: 1,
    };
  }
}
