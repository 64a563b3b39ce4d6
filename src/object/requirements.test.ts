import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fromHex } from "../base/index.ts";
import { decode } from "../isa/index.ts";
import { helpersCalled, isaVersion, readObject, requirementsOf } from "./index.ts";

const fixture = (name: string) =>
  readObject(new Uint8Array(readFileSync(new URL(`../../fixtures/object/${name}.bpf.o`, import.meta.url))));

describe("requirementsOf", () => {
  it("takes the newest of what is needed", () => {
    const needs = requirementsOf(fixture("programs"), { programs: ["entry"] });
    // bpf_loop
    expect(needs.kernel).toBe("5.17");
    expect(needs.reasons[0]).toEqual({ since: "5.17", what: "helper loop", by: ["entry"] });
    expect(needs.reasons.map(({ what }) => what)).toContain("map type BPF_MAP_TYPE_RINGBUF");
    expect(needs.helpers).toEqual(["map_lookup_elem", "loop"]);
    expect(needs.capabilities).toEqual(["CAP_BPF", "CAP_NET_ADMIN"]);
    expect(needs.needsKernelBtf).toBe(false);
  });

  it("needs less for an old object", () => {
    const needs = requirementsOf(fixture("legacy"));
    expect(needs.kernel).toBe("4.8");
    expect(needs.reasons[0]).toEqual({ since: "4.8", what: "program type BPF_PROG_TYPE_XDP", by: ["count"] });
    expect(needs.isa).toBe(1);
  });

  it("counts programs with autoload, or those named; weak symbols may be absent", () => {
    expect(requirementsOf(fixture("programs")).symbols).toEqual([]);
    const probe = requirementsOf(fixture("programs"), { programs: ["probe"] });
    expect(probe.symbols).toEqual(["bpf_rcu_read_lock"]);
    expect(probe.capabilities).toContain("CAP_PERFMON");
    expect(probe.needsKernelBtf).toBe(true);
  });
});

describe("isaVersion", () => {
  it.each([
    { name: "r0 = 1", bytes: "b700000001000000", want: 1 },
    { name: "w0 = 1", bytes: "b400000001000000", want: 1 },
    { name: "if r0 < 1 goto +1", bytes: "a500010001000000", want: 2 },
    { name: "if w0 == 1 goto +1", bytes: "1600010001000000", want: 3 },
    { name: "r0 = atomic_fetch_add", bytes: "db01000001000000", want: 3 },
    { name: "lock += ", bytes: "db01000000000000", want: 1 },
    { name: "gotol +1", bytes: "0600000001000000", want: 4 },
    { name: "r0 = *(s8 *)(r1 + 0)", bytes: "9110000000000000", want: 4 },
    { name: "r0 = (s8)r1", bytes: "bf10080000000000", want: 4 },
    { name: "addr_space_cast", bytes: "bf10010001000000", want: 1 },
    { name: "bswap64", bytes: "d700000040000000", want: 4 },
    { name: "r0 s/= 3", bytes: "3700010003000000", want: 4 },
  ])("$name: v$want", ({ bytes, want }) => expect(isaVersion(decode(fromHex(bytes)))).toBe(want));
});

/** `isa` and `helpers` that `../shared/oracle` counted, on the instructions its kernel was given (`SKEP_ORACLE_DUMP`). */
const dumps = process.env.SKEP_ORACLE_DUMP;
const table = new URL("../../../shared/oracle/selftests-v3.jsonl", import.meta.url);
const missing =
  dumps === undefined
    ? "SKEP_ORACLE_DUMP names no folder"
    : existsSync(table)
      ? undefined
      : "../shared/oracle is absent";

it.skipIf(missing !== undefined)(
  `counts helpers and instructions as the oracle${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    let compared = 0;
    const wrong: string[] = [];
    for (const line of readFileSync(table, "utf8").trim().split("\n")) {
      const row = JSON.parse(line) as {
        kind: string;
        obj: string;
        prog: string;
        isa?: number;
        helpers?: string[];
      };
      const file = join(dumps!, "selftests-v3", `${row.obj}.${row.prog}.json`);
      if (row.isa === undefined || !existsSync(file)) continue;
      const { insns } = JSON.parse(readFileSync(file, "utf8")) as { insns: string };
      const program = decode(fromHex(insns));
      compared++;
      const { helpers, unknown } = helpersCalled(program);
      const got = [...helpers, ...unknown.map((id) => `#${id}`)].sort().join();
      const known = (row.helpers ?? []).filter((name) => !name.startsWith("#"));
      const want = [...known, ...unknown.map((id) => `#${id}`)].sort().join();
      if (got !== want || isaVersion(program) !== row.isa) {
        wrong.push(`${row.obj} ${row.prog}: v${isaVersion(program)} ${got}; wanted v${row.isa} ${want}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(3000);
  },
);
