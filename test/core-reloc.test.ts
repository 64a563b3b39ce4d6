import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { elfSections } from "../src/btf/elf-sections.fixture.ts";
import { type Btf, parseBtf, parseBtfExt } from "../src/btf/index.ts";
import { applyCoreRelocations } from "../src/object/core/index.ts";

/**
 * Differential test against libbpf 1.5: the CO-RE objects of the kernel's selftests, each fitted to made-up kernels.
 * `../shared/oracle/core-reloc.jsonl` holds what libbpf patched or refused; the objects (GPL, not ours to ship) are
 * in `$SKEP_ORACLE/obj/st-v3`.
 */
const oracle = process.env.SKEP_ORACLE;
const table = new URL("../../shared/oracle/core-reloc.jsonl", import.meta.url);
const objects = oracle === undefined ? undefined : join(oracle, "obj/st-v3");
const missing =
  objects === undefined || !existsSync(objects)
    ? "SKEP_ORACLE names no oracle work folder"
    : existsSync(table)
      ? undefined
      : "../shared/oracle/core-reloc.jsonl is absent";

interface Row {
  readonly kind: string;
  readonly obj: string;
  readonly sec: string;
  readonly target: string;
  readonly relos: readonly string[];
  readonly msg?: string;
  readonly norm?: string;
}

function section(file: string, name: string): Uint8Array {
  const bytes = elfSections(new Uint8Array(readFileSync(join(objects ?? "", file)))).get(name);
  if (bytes === undefined) throw new Error(`${file} has no ${name}`);
  return bytes;
}

function btfOf(file: string): Btf {
  return parseBtf(section(file, ".BTF"));
}

describe.skipIf(missing !== undefined)(
  `CO-RE relocations as libbpf makes them (${missing ?? "oracle present"})`,
  () => {
    const rows: Row[] =
      missing !== undefined
        ? []
        : readFileSync(table, "utf8")
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line) as Row)
            .filter((row) => row.kind === "prog");

    it("has all 73 pairs", () => expect(rows).toHaveLength(73));

    it.each(rows)("$obj on $target", (row) => {
      const local = btfOf(row.obj);
      const ext = parseBtfExt(section(row.obj, ".BTF.ext"), local);
      const program = {
        insns: section(row.obj, row.sec),
        coreRelocations: ext.coreRelocations.filter((relo) => relo.section === row.sec),
      };
      const result = applyCoreRelocations(program, local, btfOf(`${row.target}.bpf.o`));
      expect(result.relos.flatMap((relo) => relo.text)).toEqual(row.relos);

      if (row.norm === "CO-RE target type absent") {
        // The first line of the message may be cut off at its start.
        const [first, failed] = (row.msg ?? "")
          .split(" / ")
          .map((line) => line.replace(/^\s*(libbpf: )?prog '[^']*': /, ""));
        expect(result.error?.message.endsWith(first)).toBe(true);
        expect(failed).toContain(`failed to relocate: ${result.error?.errno === "E2BIG" ? -7 : -22}`);
      } else {
        expect(result.error).toBeUndefined();
        // Accepted programs may hold poison too, where the verifier sees that it is never reached.
        const poisoned = result.relos.some((relo) => relo.to === undefined);
        if (row.norm === "CO-RE target absent from this kernel") expect(poisoned).toBe(true);
      }
    });
  },
);
