import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { HELPER_TABLE_PATH, renderHelperTable } from "../../../scripts/helper-table.ts";
import { HELPERS, type HelperName, helpersOf, type ProgramTypeName } from "../../abi/index.ts";
import { DIRECT_HELPERS, type DirectHelper } from "../../jit/index.ts";
import { KFUNC_TABLE } from "../kfuncs/index.ts";
import { HELPER_DIFFERENCES } from "./differences.ts";
import { HELPER_TABLE } from "./index.ts";

const names = Object.keys(HELPERS) as HelperName[];
const implemented = (name: HelperName): boolean => typeof HELPER_TABLE[name] === "function";

/** Helpers that a type may use on Linux and that mean nothing without it. */
const WITHOUT_MEANING = ["find_vma", "snprintf_btf"];
const ONLY_SYSCALL = [
  "btf_find_by_name_kind",
  "d_path",
  "skb_output",
  "sock_from_file",
  "sys_bpf",
  "xdp_output",
];

describe("helper table", () => {
  it("knows direct helpers by the numbers of the ABI, with as many arguments", () => {
    const rows = Object.entries<DirectHelper>(DIRECT_HELPERS);
    expect(rows.map(([name, { id, args }]) => [name, id, args.length])).toEqual(
      rows.map(([name]) => [name, HELPERS[name as HelperName].id, HELPERS[name as HelperName].args.length]),
    );
  });

  it("has a row for all 211", () => expect(Object.keys(HELPER_TABLE).length).toBe(211));

  it.each<[ProgramTypeName, string[]]>([
    ["BPF_PROG_TYPE_XDP", []],
    ["BPF_PROG_TYPE_SCHED_CLS", []],
    ["BPF_PROG_TYPE_SCHED_ACT", []],
    ["BPF_PROG_TYPE_SOCKET_FILTER", []],
    ["BPF_PROG_TYPE_CGROUP_SKB", []],
    ["BPF_PROG_TYPE_SK_LOOKUP", []],
    ["BPF_PROG_TYPE_TRACEPOINT", []],
    ["BPF_PROG_TYPE_RAW_TRACEPOINT", []],
    ["BPF_PROG_TYPE_PERF_EVENT", []],
    ["BPF_PROG_TYPE_KPROBE", []],
    ["BPF_PROG_TYPE_SYSCALL", ONLY_SYSCALL],
  ])("%s can use every helper that means something without Linux", (type, without) => {
    const missing = [...helpersOf(type)!].filter((name) => !implemented(name));
    expect(missing.sort()).toEqual([...WITHOUT_MEANING, ...without].sort());
  });

  it("gives a reason, as a sentence part, for each that is absent", () => {
    for (const name of names) {
      const row = HELPER_TABLE[name];
      if (typeof row !== "function") expect(row.reason, name).toMatch(/^[A-Za-z].{30,}[^.]$/);
    }
    for (const [name, row] of Object.entries(KFUNC_TABLE)) {
      if ("reason" in row) expect(row.reason, name).toMatch(/^[A-Za-z].{30,}[^.]$/);
    }
  });

  it("notes differences of implemented helpers only", () => {
    expect((Object.keys(HELPER_DIFFERENCES) as HelperName[]).filter((name) => !implemented(name))).toEqual(
      [],
    );
  });

  it("is what docs/helpers.md prints (node scripts/run-ts.mjs scripts/helper-table.ts)", () => {
    expect(readFileSync(HELPER_TABLE_PATH, "utf8")).toBe(renderHelperTable());
  });
});
