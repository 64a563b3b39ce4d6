import { BpfError } from "../base/index.ts";
import { checkStructure, decode } from "../isa/index.ts";
import { placeCode } from "./code.ts";
import { type EngineName, openEngine } from "./engine.ts";
import { defaultHost, type Host } from "./host.ts";
import { DEFAULT_BUDGET } from "./interpreter.ts";
import { PTR_TO_MEM } from "./layout.ts";

/** How to run raw bytecode. */
export interface ExecOptions {
  readonly host?: Partial<Host>;
  readonly maxInsns?: number;
  /** `jit` compiles to WebAssembly and does not check accesses; default: the checked interpreter. */
  readonly engine?: EngineName;
}

/** What raw bytecode left behind. */
export interface ExecResult {
  readonly r0: bigint;
  /** The memory after the run. */
  readonly memory: Uint8Array;
  readonly insns: number;
}

/**
 * Runs bytecode that belongs to no program type, by the convention of uBPF and bpf_conformance: r1 is the address of
 * `memory` (0 without), r2 its length; `callx` and `call` reach helpers by id. Registers and stack start as zero.
 * The interpreter checks accesses all the same. @throws BpfError `isa/…` for malformed code, `runtime/…` for a violation.
 */
export async function execBytecode(
  insns: Uint8Array,
  memory: Uint8Array = new Uint8Array(0),
  options: ExecOptions = {},
): Promise<ExecResult> {
  if (insns.length % 8 !== 0)
    throw new BpfError("isa/truncated", `${insns.length} bytes are no whole number of instructions`, {
      hint: "an instruction has 8 bytes, a wide load 16",
    });
  const [finding] = checkStructure(decode(insns), { callx: true });
  if (finding !== undefined) throw new BpfError(finding.code, finding.message, finding);
  const host: Host = { ...defaultHost(), ...options.host };
  const interpreter = await openEngine(options.engine, {
    host,
    uninitStack: "zero",
    mapById: () => undefined,
  });
  const { module } = interpreter;
  const code = placeCode(module, {
    id: 0,
    name: "exec",
    type: "BPF_PROG_TYPE_SOCKET_FILTER",
    insns,
    funcs: [],
    lines: [],
    context: { name: "none", size: 0, fields: [] },
    kfuncs: [],
    raw: true,
  });
  const address = memory.length === 0 ? 0 : module.exports.alloc(memory.length);
  if (code === undefined || (memory.length !== 0 && address === 0))
    throw new BpfError("runtime/out-of-memory", "no memory left for the program", { errno: "ENOMEM" });
  interpreter.addCode(code);
  if (address !== 0) module.memory.write(address, memory);
  const budget = options.maxInsns ?? DEFAULT_BUDGET;
  const pointer = address === 0 ? 0 : { address, kind: PTR_TO_MEM, base: address, size: memory.length };
  const { r0, insns: count } = interpreter.run({
    code,
    contextAddress: 0,
    cpu: 0,
    budget,
    args: [pointer, memory.length],
  });
  return { r0, memory: module.memory.read(address, memory.length), insns: count ?? 0 };
}
