import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

/** STYLE of the tree: what each folder of `src/` may import besides `base`. See ARCHITECTURE.md. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  isa: [],
  abi: [],
  wasm: [],
  elf: [],
  btf: [],
  capture: [],
  object: ["isa", "abi", "elf", "btf"],
  verifier: ["isa", "abi", "btf", "object"],
  jit: ["isa", "wasm"],
  runtime: ["isa", "abi", "btf", "object", "jit"],
  aot: ["isa", "abi", "btf", "object", "wasm", "jit", "runtime"],
  gen: ["abi", "btf", "object"],
  lang: ["isa", "abi", "btf", "object"],
  linux: ["isa", "abi", "elf", "btf", "object"],
  kernel: ["isa", "abi", "btf", "object", "verifier", "runtime", "jit"],
  tools: ["isa", "abi", "wasm", "elf", "btf", "object", "verifier", "runtime", "jit", "lang", "capture"],
  cli: [
    "isa",
    "abi",
    "wasm",
    "elf",
    "btf",
    "object",
    "verifier",
    "runtime",
    "jit",
    "lang",
    "linux",
    "tools",
    "capture",
    "kernel",
    "aot",
    "gen",
  ],
};
/** Folders that run in Node only. */
const NODE_ONLY = new Set(["linux", "cli"]);
/** The one file at the top of `src/` re-exports the public surface. */
const ROOT = "(root)";

const src = resolve(import.meta.dirname, "../src");
const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .map((name) => join(src, name));

function layerOf(file: string): string {
  const parts = relative(src, file).split("/");
  return parts.length === 1 ? ROOT : parts[0];
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replace(/^\s*(\/\/|\*).*$/gm, "");
  const found: string[] = [];
  for (const match of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([\w@#./:-]+)["']/g))
    found.push(match[1]);
  return found;
}

describe("layers", () => {
  it("finds the sources", () => expect(files.length).toBeGreaterThan(10));

  it("knows every folder of src/", () => {
    const unknown = [...new Set(files.map(layerOf))].filter(
      (layer) => layer !== ROOT && !(layer in MAY_IMPORT),
    );
    expect(unknown).toEqual([]);
  });

  it("imports only point to lower layers, and through index.ts", () => {
    const wrong: string[] = [];
    for (const file of files) {
      const from = layerOf(file);
      for (const spec of importsOf(file)) {
        if (!spec.startsWith(".")) continue;
        const target = resolve(dirname(file), spec);
        const to = layerOf(target);
        if (to === from) continue;
        const where = `${relative(src, file)} imports ${spec}`;
        if (from !== ROOT && to !== "base" && !MAY_IMPORT[from].includes(to))
          wrong.push(`${where}: ${from} may not import ${to}`);
        if (!target.endsWith("/index.ts")) wrong.push(`${where}: cross folders through index.ts`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("front-ends under lang/ never import each other", () => {
    const wrong = files.filter((file) => {
      const [layer, frontEnd] = relative(src, file).split("/");
      if (layer !== "lang" || frontEnd === "ir") return false;
      return importsOf(file).some((spec) => {
        const parts = relative(src, resolve(dirname(file), spec)).split("/");
        return spec.startsWith(".") && parts[0] === "lang" && parts[1] !== frontEnd && parts[1] !== "ir";
      });
    });
    expect(wrong).toEqual([]);
  });

  it("only cli/ and linux/ import packages or node:", () => {
    const wrong: string[] = [];
    for (const file of files) {
      if (NODE_ONLY.has(layerOf(file))) continue;
      for (const spec of importsOf(file))
        if (!spec.startsWith(".") && spec !== "#linux") wrong.push(`${relative(src, file)} imports ${spec}`);
    }
    expect(wrong).toEqual([]);
  });
});
