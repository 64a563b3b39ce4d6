import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { elfSections } from "../src/btf/elf-sections.fixture.ts";
import {
  type Btf,
  BtfStringTable,
  type BtfTypeOf,
  formatBtfC,
  formatBtfRaw,
  parseBtf,
  parseBtfExt,
  resolveType,
  writeBtf,
  writeBtfExt,
} from "../src/btf/index.ts";

/**
 * BTF of real objects and of the running kernel against bpftool and clang. The objects (GPL, not ours to ship) and
 * bpftool 7.5 are in `$SKEP_ORACLE/obj`. `SKEP_BTF_EVERY=n` takes each n-th object only (default 10).
 */
const oracle = process.env.SKEP_ORACLE;
const bpftool = oracle === undefined ? "" : join(oracle, "obj/bpftool/bpftool");
const missing = existsSync(bpftool) ? undefined : "SKEP_ORACLE names no oracle work folder";
const every = Number(process.env.SKEP_BTF_EVERY ?? 10);
const VMLINUX = "/sys/kernel/btf/vmlinux";
const clang = ["clang-19", "clang"].find((name) => spawnSync(name, ["--version"]).status === 0);

function objectsIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".o"))
    .map((file) => join(folder, file));
}

function btfBytes(file: string): Uint8Array | undefined {
  const bytes = new Uint8Array(readFileSync(file));
  return file === VMLINUX ? bytes : elfSections(bytes).get(".BTF");
}

function dump(file: string, ...args: string[]): string {
  const run = spawnSync(bpftool, ["btf", "dump", "file", file, "format", ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (run.status !== 0) throw new Error(`bpftool: ${run.stderr}`);
  return run.stdout;
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "skep-btf-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(missing !== undefined)(`BTF of real objects (${missing ?? "oracle present"})`, () => {
  const files =
    missing === undefined
      ? ["st-v3", "linked", "carved"]
          .flatMap((name) => objectsIn(join(oracle ?? "", "obj", name)))
          .filter((_, i) => i % every === 0)
      : [];
  if (missing === undefined && existsSync(VMLINUX)) files.push(VMLINUX);

  it.each(files)(
    "%s",
    (file) => {
      const bytes = btfBytes(file);
      if (bytes === undefined) return;
      const btf = parseBtf(bytes);
      const raw = dump(file, "raw");
      expect(formatBtfRaw(btf) === raw).toBe(true);
      expect(attributesAsTags(btf, formatBtfC(btf, { order: "id" })) === dump(file, "c", "unsorted")).toBe(
        true,
      );
      // Sorted, bpftool leaves out the first type unless another needs it; ours has it last.
      const ours = declarations(attributesAsTags(btf, formatBtfC(btf)));
      const theirs = declarations(dump(file, "c"));
      const extra = ours.filter((text) => !theirs.includes(text));
      expect(extra.length).toBeLessThanOrEqual(1);
      expect(ours.filter((text) => !extra.includes(text))).toEqual(theirs);

      const strings = new BtfStringTable();
      const extBytes =
        file === VMLINUX ? undefined : elfSections(new Uint8Array(readFileSync(file))).get(".BTF.ext");
      const ext = extBytes && parseBtfExt(extBytes, btf);
      const newExt = ext && writeBtfExt(ext, strings);
      const again = writeBtf(btf, { strings });
      const reparsed = parseBtf(again);
      expect(reparsed).toEqual(btf);
      if (newExt) expect(parseBtfExt(newExt, reparsed)).toEqual(ext);
      const copy = join(folder, "copy.btf");
      writeFileSync(copy, again);
      expect(dump(copy, "raw") === raw).toBe(true);
    },
    60_000,
  );
});

/** bpftool 7.5 does not know that a type tag with kind_flag is a plain attribute (Linux 6.15). */
function attributesAsTags(btf: Btf, text: string): string {
  let out = text;
  for (const type of btf.types) {
    if (type.kind !== "type_tag" || !type.kindFlag) continue;
    out = out.replaceAll(`__attribute__((${type.name}))`, `__attribute__((btf_type_tag("${type.name}")))`);
  }
  return out;
}

function declarations(text: string): string[] {
  return text.split(";\n\n");
}

describe.skipIf(clang === undefined || !existsSync(VMLINUX))(
  `the printed header compiles to the same layout (${clang ?? "no clang"}, ${existsSync(VMLINUX) ? "vmlinux" : "no vmlinux BTF"})`,
  () => {
    it("every size and offset of this kernel's types", () => {
      const btf = parseBtf(new Uint8Array(readFileSync(VMLINUX)));
      const asserts = layoutAsserts(btf);
      expect(asserts.length).toBeGreaterThan(10_000);
      const file = join(folder, "vmlinux-layout.c");
      writeFileSync(file, `#define BPF_NO_KFUNC_PROTOTYPES\n${formatBtfC(btf)}\n${asserts.join("\n")}\n`);
      const run = spawnSync(clang ?? "", [...CLANG_FLAGS, file], { encoding: "utf8", maxBuffer: 1 << 28 });
      expect(run.stderr).toBe("");
      expect(run.status).toBe(0);
    }, 120_000);
  },
);

// For this machine, not BPF: `va_list` is the compiler's own and differs.
const CLANG_FLAGS = ["-fsyntax-only", "-DBPF_NO_PRESERVE_ACCESS_INDEX", "-w", "-ferror-limit=20", "-x", "c"];

/** `_Static_assert`s for every struct and union whose tag is unique (others are printed under another name). */
function layoutAsserts(btf: Btf): string[] {
  const times = new Map<string, number>();
  for (const { kind, name } of btf.types) {
    if (["struct", "union", "enum", "enum64", "int"].includes(kind))
      times.set(name, (times.get(name) ?? 0) + 1);
  }
  const asserts: string[] = [];
  for (const type of btf.types) {
    if ((type.kind !== "struct" && type.kind !== "union") || type.name === "" || times.get(type.name) !== 1)
      continue;
    const tag = `${type.kind} ${type.name}`;
    asserts.push(`_Static_assert(sizeof(${tag}) == ${type.size}, "${tag}");`);
    memberAsserts(btf, tag, type, 0, asserts);
  }
  return asserts;
}

function memberAsserts(
  btf: Btf,
  tag: string,
  type: BtfTypeOf<"struct" | "union">,
  base: number,
  asserts: string[],
): void {
  for (const { name, type: id, bitOffset, bitSize } of type.members) {
    const inner = btf.types[resolveType(btf, id)];
    if (name === "" && (inner.kind === "struct" || inner.kind === "union")) {
      memberAsserts(btf, tag, inner, base + bitOffset, asserts);
    } else if (name !== "" && bitSize === 0) {
      const bytes = (base + bitOffset) / 8;
      asserts.push(`_Static_assert(__builtin_offsetof(${tag}, ${name}) == ${bytes}, "${tag}.${name}");`);
    }
  }
}
