import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { type ProgramSpec, sectionMeaning } from "../../object/index.ts";
import { targetOfSection } from "./index.ts";

/** A program in the section; the rest of it does not matter here. */
function inSection(name: string): ProgramSpec {
  const { section, row, attachTo } = sectionMeaning(name);
  const spec = { name: "p", section, attachTo, type: row?.type, attachType: row?.attach };
  return spec as unknown as ProgramSpec; // sections are all that is looked at
}

describe("what a section says to attach to, as libbpf reads it", () => {
  it.each([
    ["kprobe/do_unlinkat", { kind: "kprobe", function: "do_unlinkat", offset: 0, retprobe: false }],
    ["kprobe/do_unlinkat+0x10", { kind: "kprobe", function: "do_unlinkat", offset: 16, retprobe: false }],
    ["kretprobe/a.isra.0", { kind: "kprobe", function: "a.isra.0", offset: 0, retprobe: true }],
    ["ksyscall/openat", { kind: "kprobe", function: "openat", syscall: true, retprobe: false }],
    ["kretsyscall/openat", { kind: "kprobe", function: "openat", syscall: true, retprobe: true }],
    ["kprobe.multi/tcp_*", { kind: "kprobe-multi", pattern: "tcp_*", retprobe: false, session: false }],
    ["kretprobe.multi/x?", { kind: "kprobe-multi", pattern: "x?", retprobe: true, session: false }],
    ["kprobe.session/x", { kind: "kprobe-multi", pattern: "x", retprobe: false, session: true }],
    ["uprobe//bin/sh:main", { kind: "uprobe", binary: "/bin/sh", function: "main", retprobe: false }],
    [
      "uprobe/libc.so.6:malloc+0x4",
      { kind: "uprobe", binary: "libc.so.6", function: "malloc", offset: 4, retprobe: false },
    ],
    ["uprobe.s/./a:f+017", { kind: "uprobe", binary: "./a", function: "f", offset: 15, retprobe: false }],
    [
      "uretprobe/libc.so.6:free@@GLIBC_2.2.5",
      { kind: "uprobe", binary: "libc.so.6", function: "free@@GLIBC_2.2.5", retprobe: true },
    ],
    ["uprobe//a:b+c", { kind: "uprobe", binary: "/a", function: "b+c", retprobe: false }],
    ["uprobe//a:N::f(int)", { kind: "uprobe", binary: "/a", function: "N::f(int)", retprobe: false }],
    [
      "uprobe.multi//a:f*",
      { kind: "uprobe-multi", binary: "/a", pattern: "f*", retprobe: false, session: false },
    ],
    [
      "uretprobe.multi.s//a:f",
      { kind: "uprobe-multi", binary: "/a", pattern: "f", retprobe: true, session: false },
    ],
    [
      "uprobe.session//a:f",
      { kind: "uprobe-multi", binary: "/a", pattern: "f", retprobe: false, session: true },
    ],
    ["usdt/libc.so.6:libc:setjmp", { kind: "usdt", binary: "libc.so.6", provider: "libc", name: "setjmp" }],
    ["usdt.s//a:b:c", { kind: "usdt", binary: "/a", provider: "b", name: "c" }],
    ["tp/sched/sched_switch", { kind: "tracepoint", category: "sched", name: "sched_switch" }],
    ["tracepoint/a/b", { kind: "tracepoint", category: "a", name: "b" }],
    ["raw_tp/sys_enter", { kind: "raw-tracepoint", name: "sys_enter" }],
    ["raw_tracepoint.w/x", { kind: "raw-tracepoint", name: "x" }],
    ["fentry/f", { kind: "trace" }],
    ["fexit.s/f", { kind: "trace" }],
    ["fmod_ret/f", { kind: "trace" }],
    ["tp_btf/f", { kind: "trace" }],
    ["lsm/file_open", { kind: "trace" }],
    ["iter/task", { kind: "iter" }],
    ["?iter.s/task", { kind: "iter" }],
  ] as const)("%s", (section, want) => {
    expect(targetOfSection(inSection(section))).toEqual(want);
  });

  it.each([
    ...["kprobe", "kretprobe", "ksyscall", "kprobe.multi", "kprobe.session", "uprobe", "uretprobe.s"],
    ...["uprobe.multi", "usdt", "usdt.s", "tp", "raw_tp", "fentry", "iter", "xdp", "tc", "tcx/ingress"],
    ...["cgroup/connect4", "socket", "perf_event", "sk_lookup", "iter/bpf_map_elem", "syscall", "lwt_in"],
  ])("%s says nothing of where", (section) => {
    expect(targetOfSection(inSection(section))).toBeUndefined();
  });

  it.each([
    ...[
      "kprobe/",
      "kprobe/a b",
      "kretprobe/f+1",
      "uprobe//bin/sh",
      "uretprobe//a:f+1",
      "usdt//a:b",
      "usdt//a:b:c:d",
    ],
    ...["usdt//a::c", "uprobe.multi//a", "tp/x", "tp/a/b/c", "raw_tp/a/b"],
  ])("%s cannot be understood", (section) => {
    expect(() => targetOfSection(inSection(section))).toThrow(BpfError);
  });
});
