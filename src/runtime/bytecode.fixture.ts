import { type AssembleOptions, assemble } from "../isa/index.ts";
import { placeCode } from "./code.ts";
import { type EngineName, openEngine } from "./engine.ts";
import type { ContextTable } from "./hooks/hook.ts";
import { defaultHost } from "./host.ts";
import type { Interpreter } from "./interpreter.ts";
import { PTR_TO_MEM } from "./layout.ts";

/** Runs bytecode in tests: raw (registers start as numbers) or checked like a program of a type. */
export interface Bench {
  readonly interpreter: Interpreter;
  /** As `execBytecode`, on one interpreter for all. */
  raw(insns: Uint8Array, memory?: Uint8Array): { r0: bigint; memory: Uint8Array; insns: number };
  /** Assembles and runs with a context of `context.size` bytes that hold 0, 1, 2 … */
  checked(text: string, options?: CheckedOptions): bigint;
}

export interface CheckedOptions {
  readonly context?: ContextTable;
  readonly budget?: number;
  readonly symbol?: AssembleOptions["symbol"];
}

const NO_CONTEXT: ContextTable = { name: "none", size: 0, fields: [] };

/** The bytes of a text. @throws Error with the first complaint. */
export function assembled(text: string, symbol?: AssembleOptions["symbol"]): Uint8Array {
  const { ok, bytes, diagnostics } = assemble(text, symbol === undefined ? {} : { symbol });
  if (!ok) throw new Error(`${diagnostics[0].message} (${JSON.stringify(diagnostics[0].source)})`);
  return bytes;
}

export async function openBench(
  uninitStack: "error" | "zero" = "error",
  engine: EngineName = "interpreter",
): Promise<Bench> {
  const interpreter = await openEngine(engine, {
    host: defaultHost(),
    uninitStack,
    mapById: () => undefined,
  });
  const { module } = interpreter;
  const place = (insns: Uint8Array, context: ContextTable, raw: boolean) => {
    const code = placeCode(module, {
      id: 1,
      name: "test",
      type: "BPF_PROG_TYPE_SOCKET_FILTER",
      insns,
      funcs: [],
      lines: [{ insn: 0, file: "test.c", line: 1, column: 1, text: "text" }],
      context,
      kfuncs: [],
      raw,
    })!;
    interpreter.addCode(code);
    return code;
  };
  return {
    interpreter,
    raw(insns, memory = new Uint8Array(0)) {
      const code = place(insns, NO_CONTEXT, true);
      const address = module.exports.alloc(Math.max(1, memory.length));
      module.memory.write(address, memory);
      try {
        const pointer = { address, kind: PTR_TO_MEM, base: address, size: memory.length };
        const done = interpreter.run({
          code,
          contextAddress: 0,
          cpu: 0,
          budget: 1_000_000,
          args: [pointer, memory.length],
        });
        return { r0: done.r0, insns: done.insns!, memory: module.memory.read(address, memory.length) };
      } finally {
        interpreter.removeCode(code);
        module.exports.free(address);
      }
    },
    checked(text, options = {}) {
      const context = options.context ?? NO_CONTEXT;
      const code = place(assembled(text, options.symbol), context, false);
      const address = module.exports.alloc(context.size + 8);
      module.memory.write(
        address,
        Uint8Array.from({ length: context.size }, (_, i) => i),
      );
      try {
        return interpreter.run({ code, contextAddress: address, cpu: 0, budget: options.budget ?? 10_000 })
          .r0;
      } finally {
        interpreter.removeCode(code);
        module.exports.free(address);
      }
    },
  };
}
