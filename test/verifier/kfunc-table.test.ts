import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { kfuncRow } from "../../src/abi/index.ts";
import { parseBtf } from "../../src/btf/index.ts";

const BTF = "/sys/kernel/btf/vmlinux";

/** Functions with the tag that no program calls: targets of fmod_ret tests. */
const NOT_CALLED = new Set(["bpf_fentry_test1", "bpf_modify_return_test", "bpf_modify_return_test2"]);

describe.skipIf(!existsSync(BTF))(`the running kernel's functions (${BTF})`, () => {
  test("are in the table, with the flag that its BTF tells", () => {
    const { types } = parseBtf(new Uint8Array(readFileSync(BTF)));
    const missing: string[] = [];
    let tagged = 0;
    for (const tag of types) {
      if (tag.kind !== "decl_tag" || (tag.name !== "bpf_kfunc" && tag.name !== "bpf_fastcall")) continue;
      const { name } = types[tag.type];
      if (NOT_CALLED.has(name)) continue;
      const row = kfuncRow(name);
      tagged++;
      if (row === undefined) missing.push(name);
      else if (tag.name === "bpf_fastcall") expect(row.flags, name).toContain("FASTCALL");
    }
    expect(missing).toEqual([]);
    expect(tagged).toBeGreaterThan(0);
  });
});
