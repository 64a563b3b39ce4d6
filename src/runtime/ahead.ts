import { BpfError } from "../base/index.ts";
import { compileProgram, type JitOutput } from "../jit/index.ts";
import type { CollectionSpec, LoadOptions, ProgramSpec } from "../object/index.ts";
import type { LoadedCode } from "./code.ts";
import {
  type EmbeddedCollection,
  type EmbeddedKernelOptions,
  openEmbeddedKernel,
} from "./embedded-kernel.ts";
import { Interpreter, type InterpreterOptions } from "./interpreter.ts";
import { jitInput } from "./jit-input.ts";
import { CODE_CONTEXT_TABLE, CODE_ENTRY, CTX_ENTRY_BYTES } from "./layout.ts";
import type { MapExports } from "./maps/map-exports.ts";
import { Memory } from "./memory.ts";
import type { KernelModule } from "./wasm-module.ts";

/** How to load a collection that is not going to run here. */
export interface AheadOptions extends Pick<EmbeddedKernelOptions, "gate" | "uninitStack"> {
  /** Programs count instructions and stop at a budget. Default false. */
  readonly metered?: boolean;
  readonly load?: LoadOptions;
}

/** A loaded collection: its maps lie in the memory that was given, its programs are compiled for it. */
export interface AheadCollection {
  readonly spec: CollectionSpec;
  readonly maps: EmbeddedCollection["maps"];
  readonly programs: readonly AheadProgram[];
}

/** A program compiled for another instance of the memory. */
export interface AheadProgram {
  readonly spec: ProgramSpec;
  readonly output: JitOutput;
  /** Where in the table of tail calls the module's `main` is to stand. */
  readonly tableIndex: number;
  /** Kernel functions that it calls. */
  readonly kfuncs: readonly string[];
}

/**
 * Loads a collection into the memory of a module that has the functions of `assembly/maps`, and compiles its programs.
 * What the memory then holds, with the module's globals, is all that another instance needs to go on from there.
 * @throws BpfError as `EmbeddedKernel.load` does.
 */
export async function loadAhead(
  instance: { readonly memory: WebAssembly.Memory; readonly exports: WebAssembly.Exports },
  spec: CollectionSpec,
  { gate, uninitStack = "error", metered = false, load = {} }: AheadOptions = {},
): Promise<AheadCollection> {
  // Maps and code blocks use no other functions; nothing is run.
  const exports = instance.exports as unknown as MapExports & KernelModule["exports"];
  const work = new WebAssembly.Global({ value: "f64", mutable: true }, Number.POSITIVE_INFINITY);
  const module = { memory: new Memory(instance.memory), exports, functions: instance.exports, work };
  let engine: AheadEngine | undefined;
  const kernel = await openEmbeddedKernel(
    { numCpus: 1, uninitStack, metered, ...(gate && { gate }) },
    async (_name, options) => {
      engine = new AheadEngine(module, options, metered);
      return engine;
    },
  );
  const collection = await kernel.load(spec, load);
  const { compiled } = engine as unknown as AheadEngine; // opening the kernel made it
  const programs = [...collection.programs.values()].map((program): AheadProgram => {
    const { code, output, tableIndex } = compiled.get(program.address)!; // every loaded program was compiled
    return { spec: program.spec, output, tableIndex, kfuncs: code.kfuncs.map(({ name }) => name) };
  });
  return { spec: collection.spec, maps: collection.maps, programs };
}

interface Compiled {
  readonly code: LoadedCode;
  readonly output: JitOutput;
  readonly tableIndex: number;
}

/** Compiles what it is given and runs nothing. */
class AheadEngine extends Interpreter {
  /** By the address of the code block. */
  readonly compiled = new Map<number, Compiled>();
  private readonly metered: boolean;

  constructor(module: KernelModule, options: InterpreterOptions, metered: boolean) {
    super(module, options);
    this.metered = metered;
  }

  override addCode(code: LoadedCode): void {
    super.addCode(code);
    const { memory } = this.module;
    const { address, insns, insnsAddress, context } = code;
    const output = compileProgram(
      jitInput(code, {
        memory,
        mapById: (id) => this.mapById(id),
        metered: this.metered,
        zeroStack: this.uninitOk,
      }),
    );
    const tableIndex = this.compiled.size + 1; // 0: no program
    this.compiled.set(address, { code, output, tableIndex });
    // Of the code block only the entry is read; the rest is the interpreter's and would only make the image larger.
    const table = memory.view.getUint32(address + CODE_CONTEXT_TABLE, true);
    memory.u8.fill(0, table, table + context.size * CTX_ENTRY_BYTES);
    memory.u8.fill(0, insnsAddress, insnsAddress + insns.length);
    memory.u8.fill(0, address, address + CODE_ENTRY);
    memory.view.setUint32(address + CODE_ENTRY, tableIndex, true);
  }

  override run(): never {
    throw new BpfError("runtime/no-engine", "a program compiled ahead of time does not run here");
  }
}
