import { BpfError } from "../base/index.ts";
import type { FuncBody } from "./func-body.ts";
import type { ModuleBuilder } from "./module-builder.ts";
import type { ReadImport, ReadModule } from "./read-module.ts";
import { calledBy, rewriteCode } from "./rewrite-code.ts";
import type { FuncType } from "./types.ts";

/** A function of the linked module. */
export type Target =
  | { readonly kind: "export"; readonly from: Part; readonly name: string }
  | { readonly kind: "own"; readonly from: Part; readonly index: number }
  | { readonly kind: "import"; readonly module: string; readonly name: string; readonly type: FuncType }
  | { readonly kind: "glue"; readonly glue: Glue };

/** A function that is written while linking. */
export interface Glue {
  readonly name: string;
  readonly type: FuncType;
  /** Everything that `write` asks the index of. */
  readonly uses: readonly Target[];
  write(body: FuncBody, indexOf: (target: Target) => number): void;
}

/** A module to be linked, and what its imports become. */
export interface Part {
  readonly module: ReadModule;
  func(imported: ReadImport): Target;
  /** Index in the linked module of an imported global. */
  global(imported: ReadImport): number;
  /** Index in the linked module of the module's own global. */
  ownGlobal(index: number): number;
  /** For the name section, in front of the names of functions that have none: `PREFIX#INDEX`. */
  readonly prefix: string;
}

/**
 * Puts functions of several modules into one: those that the roots reach, and no others. All modules share one memory
 * and one table; data and globals are the caller's.
 */
export class Linker {
  private readonly order: { readonly key: string; readonly target: Target }[] = [];
  private readonly indices = new Map<string, number>();
  private readonly parts: Part[] = [];
  private readonly glues: Glue[] = [];

  /** Takes a function in, with all that it calls. Everything must be in before `write`. */
  add(root: Target): void {
    const open = [root];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const target = this.settle(next);
      const key = this.keyOf(target);
      if (this.order.some((known) => known.key === key)) continue;
      this.order.push({ key, target });
      if (target.kind === "glue") open.push(...target.glue.uses);
      if (target.kind === "own") {
        const { module } = target.from;
        const { code } = module.funcs[target.index - importedFuncs(module).length];
        for (const index of calledBy(code)) open.push({ kind: "own", from: target.from, index });
      }
    }
  }

  /** Functions that the linked module imports. */
  get imports(): readonly Extract<Target, { kind: "import" }>[] {
    return this.order.flatMap(({ target }) => (target.kind === "import" ? [target] : []));
  }

  /** Declares the imports, then writes all functions. Globals must be declared before. */
  write(builder: ModuleBuilder): void {
    for (const { key, target } of this.order)
      if (target.kind === "import")
        this.indices.set(key, builder.importFunc(target.module, target.name, target.type));
    const bodies: (() => void)[] = [];
    for (const { key, target } of this.order) {
      if (target.kind === "import") continue;
      if (target.kind === "glue") {
        const { index, body } = builder.func(target.glue.type, target.glue.name);
        this.indices.set(key, index);
        bodies.push(() => target.glue.write(body, (used) => this.indexOf(used)));
      } else if (target.kind === "own") this.indices.set(key, this.declare(builder, target, bodies));
    }
    for (const write of bodies) write();
  }

  /** Index of a function that was added. */
  indexOf(target: Target): number {
    const index = this.indices.get(this.keyOf(this.settle(target)));
    if (index === undefined) throw new BpfError("wasm/link", `function not added: ${describe(target)}`);
    return index;
  }

  private declare(
    builder: ModuleBuilder,
    { from, index }: Extract<Target, { kind: "own" }>,
    bodies: (() => void)[],
  ): number {
    const { module } = from;
    const func = module.funcs[index - importedFuncs(module).length];
    const imported = module.imports.filter(({ kind }) => kind === "global");
    let code = func.code;
    bodies.push(() => {
      code = rewriteCode(func.code, {
        func: (at) => this.indexOf({ kind: "own", from, index: at }),
        global: (at) => (at < imported.length ? from.global(imported[at]) : from.ownGlobal(at)),
        type: (at) => builder.type(module.types[at].params, module.types[at].results),
      });
    });
    return builder.funcOf(
      func.type,
      { encode: (to) => to.leb32u(code.length).bytes(code), localNames: func.localNames },
      func.name ?? `${from.prefix}#${index}`,
    );
  }

  /** Exports and imports lead to what they stand for. */
  private settle(target: Target): Target {
    let now = target;
    for (;;) {
      if (now.kind === "export") {
        const { from, name } = now;
        const found = from.module.exports.find((row) => row.kind === "func" && row.name === name);
        if (found === undefined) throw new BpfError("wasm/link", `no function is exported as '${name}'`);
        now = { kind: "own", from, index: found.index };
      }
      if (now.kind !== "own") return now;
      const imported = importedFuncs(now.from.module);
      if (now.index >= imported.length) return now;
      now = now.from.func(imported[now.index]);
    }
  }

  private keyOf(target: Target): string {
    const number = <T>(list: T[], item: T) =>
      list.includes(item) ? list.indexOf(item) : list.push(item) - 1;
    if (target.kind === "import") return `import ${target.module} ${target.name}`;
    if (target.kind === "glue") return `glue ${number(this.glues, target.glue)}`;
    return `part ${number(this.parts, target.from)} ${target.kind === "own" ? target.index : target.name}`;
  }
}

function importedFuncs(module: ReadModule): readonly ReadImport[] {
  return module.imports.filter(({ kind }) => kind === "func");
}

function describe(target: Target): string {
  if (target.kind === "glue") return target.glue.name;
  return target.kind === "own" ? `${target.from.prefix}#${target.index}` : target.name;
}
