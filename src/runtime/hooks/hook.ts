import type { ProgramTypeName } from "../../abi/index.ts";
import type { ProgramSpec, RunInput, RunOutcome } from "../../object/index.ts";
import type { Host } from "../host.ts";
import type { PacketBuffer } from "../packet-buffer.ts";
import type { RunState } from "../run-state.ts";
import type { KernelModule } from "../wasm-module.ts";

/**
 * One field of a program type's context, in UAPI layout. An access must lie in the field and have an allowed size;
 * everything no field covers is refused ("invalid bpf_context access").
 */
export interface ContextField {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** Sizes (1, 2, 4, 8) a load may have, or'ed together; 0: not readable. Naturally aligned within the context. */
  readonly read: number;
  /** The same for stores. */
  readonly write: number;
  /** The kernel behind the field is narrower: what it keeps of a store (see `abi/`). */
  readonly keeps?: "u16" | "u16-below-max";
  /** A load of the whole field gives this pointer instead of a number. The field holds the address (u32 or u64). */
  readonly pointer?: ContextPointer;
}

/**
 * `packet*` take bounds and generation from the run's {@link PacketBuffer}. The others point at `size` bytes at the
 * address in the field (0: null); `readOnly` refuses stores through the pointer.
 */
export type ContextPointer =
  | { readonly to: "packet" | "packet_meta" | "packet_end" }
  | { readonly to: "socket" | "mem" | "btf_id"; readonly size: number; readonly readOnly?: boolean };

/** The context of a program type as its programs see it. */
export interface ContextTable {
  /** UAPI name, such as `"xdp_md"`. */
  readonly name: string;
  readonly size: number;
  readonly fields: readonly ContextField[];
}

/** What a hook may use of the kernel. */
export interface HookEnv {
  readonly module: KernelModule;
  readonly host: Host;
}

/**
 * A program type's surroundings: context and packet before the run, results after it. Behaves like the type's
 * BPF_PROG_TEST_RUN, where there is one (same input checks, same errno in the BpfError).
 */
export interface Hook {
  readonly types: readonly ProgramTypeName[];
  /** May depend on the attach type (cgroup_sock_addr …). Called once at load. */
  context(program: ProgramSpec): ContextTable;
  /** Called at each `Program.run`: builds context and packet in linear memory. @throws BpfError with errno for bad input. */
  begin(env: HookEnv, program: ProgramSpec, input: RunInput): HookRun;
  /** Types whose packets can be run in batches. */
  readonly batch?: {
    /** The context to give `begin` for a packet that arrives so; `ctx` is the caller's, for all packets. */
    arrival(ctx: Uint8Array | undefined, packet: Arrival): Uint8Array | undefined;
    /**
     * Context and packet buffer that packet after packet of a batch is put into (`assembly/batch.ts`); undefined: what
     * the context asks for needs a run of its own for each packet. @throws BpfError as `begin` does.
     */
    begin(env: HookEnv, program: ProgramSpec, ctx: Uint8Array | undefined): BatchHookRun | undefined;
  };
}

/** What differs from packet to packet of a batch beside the bytes. */
export interface Arrival {
  readonly length: number;
  /** Interface it comes in on; undefined: as the context says. */
  readonly ifindex?: number | undefined;
  /** Receive queue; undefined: as the context says. */
  readonly queue?: number | undefined;
}

/** The run of a batch: its context is the template for every packet's. */
export interface BatchHookRun extends HookRun {
  readonly packet: PacketBuffer;
  readonly plan: {
    /** BATCH_XDP … of `layout.ts`. */
    readonly kind: number;
    /** Bytes of the context, and of what it points to right behind it. */
    readonly contextBytes: number;
    /** Buffer with all its room, where packets are put in it, and the longest that may be. */
    readonly buffer: number;
    readonly packetAt: number;
    readonly limit: number;
    readonly linearMax: number;
    /** Where the template says BATCH_OWN_LENGTH. */
    readonly ownLengthAt?: number;
  };
  /** The packet that wasm has put into the buffer: brings `packet` up to date. */
  renew(length: number): void;
}

/** One `Program.run`: all its repeats work on the same context and packet. */
export interface HookRun {
  /** r1 at entry. */
  readonly contextAddress: number;
  readonly packet: PacketBuffer | undefined;
  /** Before each repeat, the first included, with a fresh `run`. */
  enter?(run: RunState): void;
  /** After each repeat; may map r0 to what the kernel would report. Default: low 32 bits of r0. */
  leave?(run: RunState, r0: bigint): number;
  /** After the last one: packet and context bytes for the result (both optional). */
  results(): { readonly data?: Uint8Array; readonly ctx?: Uint8Array; readonly outcome?: RunOutcome };
  /** Frees what `begin` allocated; always called. */
  end(): void;
}
