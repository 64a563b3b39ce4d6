import { Interpreter, type InterpreterOptions } from "./interpreter.ts";
import { JitEngine, type JitEngineOptions } from "./jit-engine.ts";

/**
 * How programs are executed: `interpreter` checks every step while it runs; `jit` compiles to WebAssembly and trusts the
 * program, as Linux does after its verifier. What such a program does wrong stays inside the kernel's linear memory.
 */
export type EngineName = (typeof ENGINES)[number];
/** All engines, the default first. */
export const ENGINES = ["interpreter", "jit"] as const;

/** Opens the engine of that name; default: the interpreter. */
export function openEngine(
  name: EngineName | undefined,
  options: InterpreterOptions & JitEngineOptions,
): Promise<Interpreter> {
  return name === "jit" ? JitEngine.open(options) : Interpreter.open(options);
}
