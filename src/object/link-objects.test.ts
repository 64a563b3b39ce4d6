import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import {
  type CollectionSpec,
  linkObjects,
  objectRelocations,
  type ProgramSpec,
  readObject,
} from "./index.ts";

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/object/${name}.bpf.o`, import.meta.url)));
const linked = (): CollectionSpec => linkObjects([fixture("part-one"), fixture("part-two")]);

/** What a kernel would see of a program: code, names, functions; type ids differ between linkers. */
function essence(program: ProgramSpec) {
  return {
    name: program.name,
    section: program.section,
    type: program.type,
    attachType: program.attachType,
    autoload: program.autoload,
    insns: [...program.insns].join(),
    references: program.references,
    funcs: program.funcs.map(({ name, insn, linkage }) => ({ name, insn, linkage })),
    lines: program.lines,
    core: program.coreRelocations.map(({ insn, access, kind }) => ({ insn, access, kind })),
  };
}

describe("linkObjects", () => {
  it("finds externs in the other object and keeps static functions of one name apart", () => {
    const spec = linked();
    const one = spec.programs.find((program) => program.name === "one")!;
    const names = one.funcs.map(({ name }) => name);
    // its own same_name, mix of the other object and that object's same_name, the strong choose
    expect(names.filter((name) => name === "same_name")).toHaveLength(2);
    expect(names).toContain("mix");
    expect(spec.externs).toEqual([]);
    expect(one.references.filter(({ kind }) => kind === "map")).toMatchObject([{ map: "shared_map" }]);
    expect(spec.maps.filter((map) => map.section === ".maps").map((map) => map.name)).toEqual(["shared_map"]);
  });

  it("puts globals of both behind each other", () => {
    const data = linked().maps.find((map) => map.name === ".data")!;
    expect(data.variables.map(({ name }) => name)).toEqual(["seen_by_one", "seen_by_two", "seen_by_one_too"]);
    expect([...new Uint32Array(data.data!.buffer)]).toEqual([11, 22, 5]);
  });

  it("takes the strong definition of a weak function, in every program", () => {
    for (const program of linked().programs) {
      const line = program.lines.find(({ text }) => text.includes("choose(__u32 x)"));
      expect(line?.text).toContain("x + 2");
    }
  });

  it("refuses two strong definitions and what stays undefined", () => {
    const code = (run: () => unknown): string | undefined => {
      try {
        run();
      } catch (error) {
        return error instanceof BpfError ? error.code : String(error);
      }
      return undefined;
    };
    expect(code(() => linkObjects([fixture("part-two"), fixture("part-two")]))).toBe(
      "object/duplicate-symbol",
    );
    expect(code(() => linkObjects([fixture("part-one")]))).toBe("object/unresolved-extern");
    expect(code(() => linkObjects([fixture("programs"), fixture("big-endian")]))).toBe(
      "object/link-mismatch",
    );
    expect(code(() => linkObjects([]))).toBe("object/link-mismatch");
  });

  it("leaves a single object as it is", () => {
    const alone = linkObjects([fixture("programs")]);
    const read = readObject(fixture("programs"));
    expect(alone.programs.map(essence)).toEqual(read.programs.map(essence));
    expect(
      alone.maps.map(({ keyType: _, valueType: __, inner: ___, variables: ____, ...rest }) => rest),
    ).toEqual(read.maps.map(({ keyType: _, valueType: __, inner: ___, variables: ____, ...rest }) => rest));
  });
});

/** Objects that bpftool linked from parts of the kernel's selftests (GPL, not ours to ship), in `$SKEP_ORACLE/obj`. */
const oracle = process.env.SKEP_ORACLE;
const missing =
  oracle === undefined || !existsSync(join(oracle, "obj/linked"))
    ? "SKEP_ORACLE names no oracle work folder"
    : undefined;
const LINKED = {
  test_static_linked: ["test_static_linked1", "test_static_linked2"],
  linked_funcs: ["linked_funcs1", "linked_funcs2"],
  linked_vars: ["linked_vars1", "linked_vars2"],
  test_subskeleton_all: ["test_subskeleton_lib2", "test_subskeleton_lib", "test_subskeleton"],
  test_usdt_all: ["test_usdt", "test_usdt_multispec"],
} as const;
/**
 * bpftool 7.5 gives a variable that replaced a weak one an offset in the BTF that is not its symbol's. Ours are the
 * symbols'. In linked_maps it hits a map, so that libbpf cannot open what bpftool linked.
 */
const MISPLACED = "var5";

describe.skipIf(missing !== undefined)(
  `linkObjects against bpftool${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    it.each(Object.entries(LINKED))("%s", (name, parts) => {
      const objects = parts.map(
        (part) => new Uint8Array(readFileSync(join(oracle!, "obj/st-v3", `${part}.bpf.o`))),
      );
      const ours = linkObjects(objects);
      const file = new Uint8Array(readFileSync(join(oracle!, "obj/linked", `${name}.linked.bpf.o`)));
      const theirs = readObject(file);
      expect(ours.programs.map(essence)).toEqual(theirs.programs.map(essence));
      const plain = (spec: CollectionSpec) =>
        spec.maps.map(({ keyType: _, valueType: __, inner: ___, variables, ...rest }) => ({
          ...rest,
          variables: variables
            .filter(({ name }) => name !== MISPLACED)
            .map(({ name, offset, size }) => ({ name, offset, size })),
        }));
      expect(plain(ours)).toEqual(plain(theirs));
      expect(ours.externs.map(({ name, kind, offset }) => ({ name, kind, offset }))).toEqual(
        theirs.externs.map(({ name, kind, offset }) => ({ name, kind, offset })),
      );
      const strip = (rows: ReturnType<typeof objectRelocations>) =>
        rows.map(({ section, offset, kind }) => ({ section, offset, kind }));
      expect(strip(objectRelocations(objects))).toEqual(strip(objectRelocations(file)));
    });
  },
);

it.skipIf(missing !== undefined)("links linked_maps, where bpftool's result cannot be opened", () => {
  const objects = ["linked_maps1", "linked_maps2"].map(
    (part) => new Uint8Array(readFileSync(join(oracle!, "obj/st-v3", `${part}.bpf.o`))),
  );
  const spec = linkObjects(objects);
  const declared = spec.maps.filter((map) => map.section === ".maps");
  expect(declared.map(({ name, type, maxEntries }) => [name, type, maxEntries])).toEqual([
    ["map1", "BPF_MAP_TYPE_HASH", 16],
    ["map_weak", "BPF_MAP_TYPE_ARRAY", 16],
    ["map2", "BPF_MAP_TYPE_ARRAY", 8],
  ]);
  const used = spec.programs.flatMap((program) =>
    program.references.flatMap((reference) => (reference.kind === "map" ? [reference.map] : [])),
  );
  expect(new Set(used)).toEqual(new Set(["map1", "map2", "map_weak"]));
});
