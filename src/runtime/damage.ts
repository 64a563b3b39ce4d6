import { BpfError } from "../base/index.ts";

/**
 * The error of a host that finds nonsense in linear memory: only a compiled program that should not have been trusted can
 * have put it there.
 */
export function damagedMemory(what: string, cause?: unknown): BpfError {
  return new BpfError("runtime/damaged-memory", `the kernel's memory was damaged: ${what}`, {
    hint: "a program that no verifier accepted wrote over it: open a new kernel, and run that program with the interpreter",
    cause,
  });
}

/** The exports of the wasm module for the host's own calls: a trap is such an error. */
export function guarded<T extends object>(exports: T): T {
  const entries = Object.entries(exports).map(([name, value]) =>
    typeof value === "function" ? [name, guard(value as (...args: unknown[]) => unknown)] : [name, value],
  );
  return Object.fromEntries(entries) as T; // the same members, functions with the same parameters
}

function guard(call: (...args: unknown[]) => unknown) {
  return (...args: unknown[]) => {
    try {
      return call(...args);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) throw damagedMemory(error.message, error);
      throw error;
    }
  };
}
