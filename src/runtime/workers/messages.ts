import type { BpfErrorDetails } from "../../base/index.ts";
import type { Btf } from "../../btf/index.ts";
import type { EventRecord, MapSpec, ProgramSpec } from "../../object/index.ts";
import type { ChunkResult } from "../batch-run.ts";
import type { CodeInput } from "../code.ts";
import type { HostTask } from "../host.ts";

/** What a worker is told; each message is answered once, by its token. */
export type Request = { readonly token: number } & (OpenRequest | LoadRequest | UnloadRequest | RunRequest);

/** Joins the kernel. Answer: addresses of the worker's batch areas. */
export interface OpenRequest {
  readonly kind: "open";
  readonly memory: WebAssembly.Memory;
  readonly cpu: number;
  readonly numCpus: number;
  readonly metered: boolean | undefined;
  readonly uninitStack: "error" | "zero";
  readonly task: HostTask;
}

/** Compiles a program that the kernel has loaded. */
export interface LoadRequest {
  readonly kind: "load";
  readonly program: number;
  readonly spec: ProgramSpec;
  readonly code: Omit<CodeInput, "kfuncs">;
  readonly maps: readonly SharedMap[];
}

/** A map by where it is. */
export interface SharedMap {
  readonly spec: MapSpec;
  readonly id: number;
  readonly address: number;
  readonly btf: Btf | undefined;
}

export interface UnloadRequest {
  readonly kind: "unload";
  readonly program: number;
}

/** Runs the packets that stand in an area. Answer: {@link RunAnswer}. */
export interface RunRequest {
  readonly kind: "run";
  readonly program: number;
  /** Index into what `open` answered. */
  readonly area: number;
  readonly count: number;
  readonly interfaces: boolean;
  readonly queues: boolean;
  readonly ctx: Uint8Array | undefined;
  readonly maxInsns: number | undefined;
  readonly keepPackets: boolean;
}

export interface RunAnswer {
  readonly chunk: ChunkResult;
  readonly elapsedNs: number;
  /** Records by map id, and how many found no room in buffers of the worker's own. */
  readonly events: readonly {
    readonly map: number;
    readonly records: readonly EventRecord[];
    readonly lost: number;
  }[];
  /** Lines of bpf_printk. */
  readonly trace: readonly string[];
}

/** What a worker answers. */
export type Answer = { readonly token: number } & (
  | { readonly value: unknown }
  | { readonly error: RemoteError }
);

/** A BpfError as plain data; `packet`: which one of the area it was raised by. */
export interface RemoteError
  extends Pick<BpfErrorDetails, "insn" | "source" | "hint" | "errno" | "offset" | "subject"> {
  readonly code: `${string}/${string}`;
  readonly message: string;
  readonly packet: number | undefined;
}
