import type { MapTypeName } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { BatchProgram } from "../batch-run.ts";
import type { EmbeddedKernelOptions } from "../embedded-kernel.ts";
import type { EmbeddedMap } from "../maps/index.ts";
import type { LoadRequest } from "./messages.ts";
import type { WorkerSource } from "./port.ts";

/** Kinds whose contents all threads see, or (perf event arrays) each has for its own CPU. */
const SHARED_KINDS: ReadonlySet<MapTypeName> = new Set<MapTypeName>([
  "BPF_MAP_TYPE_HASH",
  "BPF_MAP_TYPE_ARRAY",
  "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
  "BPF_MAP_TYPE_PERCPU_HASH",
  "BPF_MAP_TYPE_PERCPU_ARRAY",
  "BPF_MAP_TYPE_LRU_HASH",
  "BPF_MAP_TYPE_LRU_PERCPU_HASH",
  "BPF_MAP_TYPE_LPM_TRIE",
  "BPF_MAP_TYPE_QUEUE",
  "BPF_MAP_TYPE_STACK",
  "BPF_MAP_TYPE_RINGBUF",
  "BPF_MAP_TYPE_BLOOM_FILTER",
]);
const LDDW = 0x18;

/** @throws BpfError `runtime/bad-options` for options that worker threads cannot go by. */
export function checkWorkers(workers: WorkerSource, numCpus: number, options: EmbeddedKernelOptions): void {
  const refuse = (message: string, hint: string) => new BpfError("runtime/bad-options", message, { hint });
  const { count } = workers;
  if (!Number.isInteger(count) || count < 1 || count > 256)
    throw refuse(`workers must be 1 to 256, not ${count}`, "one for each processor is a good number");
  if (count > numCpus)
    throw refuse(
      `${count} workers need as many CPUs, the kernel has ${numCpus}`,
      "leave numCpus out, or raise it",
    );
  if (options.engine !== "jit")
    throw refuse("worker threads run compiled programs only", 'open the kernel with engine: "jit"');
  if (options.host?.network !== undefined || options.host?.task?.stack !== undefined)
    throw refuse(
      "worker threads cannot ask this thread's host about its network or stacks",
      "leave host.network and host.task.stack out, or do without workers",
    );
}

/** The program and its maps as worker threads load them. @throws BpfError `runtime/workers-unsupported`. */
export function forWorkers(
  { loaded, spec }: BatchProgram,
  live: ReadonlyMap<number, EmbeddedMap>,
): Omit<LoadRequest, "kind"> {
  const { code } = loaded;
  const refuse = (why: string) =>
    new BpfError("runtime/workers-unsupported", `prog '${code.name}' cannot run in worker threads: ${why}`, {
      subject: code.name,
      hint: "run it without workers",
    });
  if (code.kfuncs.length > 0) throw refuse(`it calls kernel functions (${code.kfuncs[0].name})`);
  const maps = usedMaps(code.insns, live);
  for (const map of maps) {
    if (!SHARED_KINDS.has(map.type))
      throw refuse(`what map '${map.name}' (${map.type}) holds is in the kernel's own thread`);
    const field = map.fields.find(({ kind }) => kind !== "spin-lock");
    if (field !== undefined) throw refuse(`values of map '${map.name}' hold a ${field.kind}`);
  }
  const { id, name, type, insns, funcs, lines, context, poison, btf, kernelBtf } = code;
  return {
    program: id,
    spec,
    code: { id, name, type, insns, funcs, lines, context, poison, btf, kernelBtf },
    maps: maps.map((map) => ({ spec: map.spec, id: map.id, address: map.address, btf: map.btf })),
  };
}

/** Maps whose address, or the address of whose values, is loaded by the instructions. */
function usedMaps(insns: Uint8Array, live: ReadonlyMap<number, EmbeddedMap>): EmbeddedMap[] {
  const view = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
  const addresses = new Set<number>();
  for (let at = 0; at + 16 <= insns.length; at += 8) {
    if (insns[at] !== LDDW) continue;
    addresses.add(view.getUint32(at + 4, true));
    addresses.add(view.getUint32(at + 12, true));
    at += 8;
  }
  return [...live.values()].filter(({ address }) => addresses.has(address));
}
