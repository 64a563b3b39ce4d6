import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { R_BPF, readElf, readRelocations, SHF, SHT } from "../elf/index.ts";
import {
  type CollectionSpec,
  globalBytes,
  kernelMapName,
  objectRelocations,
  type ProgramSpec,
  type Reference,
  readObject,
  resolveProgram,
  sectionMeaning,
  setGlobals,
  setKconfig,
} from "./index.ts";

const bytesOf = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/object/${name}.bpf.o`, import.meta.url)));
const programs = (): CollectionSpec => readObject(bytesOf("programs"));

function program(spec: CollectionSpec, name: string): ProgramSpec {
  const found = spec.programs.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
}

/** A reference in a few words: `map-value .bss+8`. */
function words(reference: Reference): string {
  switch (reference.kind) {
    case "map":
      return `map ${reference.map}`;
    case "map-value":
      return `map-value ${reference.map}+${reference.offset}`;
    case "func":
      return `func ${reference.target}`;
    default:
      return `${reference.kind} ${reference.name}${reference.weak ? " weak" : ""}`;
  }
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof BpfError) return error.code;
    throw error;
  }
  return undefined;
}

/** The object with every REL section of code turned into RELA, its addends taken out of the instructions. */
function withAddends(bytes: Uint8Array): Uint8Array {
  const elf = readElf(bytes);
  const little = elf.byteOrder === "little";
  const moved = elf.sections.filter(
    (s) => s.type === SHT.REL && (elf.sections[s.info].flags & SHF.EXECINSTR) !== 0,
  );
  expect(moved.length).toBeGreaterThan(2);
  const out = new Uint8Array(bytes.length + moved.reduce((sum, s) => sum + (s.size / 16) * 24, 0));
  out.set(bytes);
  const view = new DataView(out.buffer);
  const table = Number(view.getBigUint64(40, little));
  let end = bytes.length;
  for (const section of moved) {
    const header = table + 64 * section.index;
    const rows = readRelocations(elf, section);
    view.setUint32(header + 4, SHT.RELA, little);
    view.setBigUint64(header + 24, BigInt(end), little);
    view.setBigUint64(header + 32, BigInt(rows.length * 24), little);
    view.setBigUint64(header + 56, 24n, little);
    rows.forEach((row, i) => {
      const imm = elf.sections[section.info].offset + row.offset + 4;
      const value = view.getInt32(imm, little);
      view.setInt32(imm, 0x5a5a, little); // RELA does not look at it
      out.set(section.data.subarray(i * 16, i * 16 + 16), end);
      view.setBigInt64(end + 16, BigInt(row.type === R_BPF.R64_32 ? (value + 1) * 8 : value), little);
      end += 24;
    });
  }
  return out;
}

describe("readObject", () => {
  it("reads type, attach type and flags of each program from its section", () => {
    const rows = programs().programs.map(({ name, type, attachType, attachTo, flags, autoload }) => ({
      name,
      type,
      attachType,
      attachTo,
      autoload,
      sleepable: flags.sleepable,
      frags: flags.xdpFrags,
    }));
    const none = {
      attachType: undefined,
      attachTo: undefined,
      autoload: true,
      sleepable: false,
      frags: false,
    };
    const xdp = { ...none, type: "BPF_PROG_TYPE_XDP" };
    expect(rows).toEqual([
      { ...xdp, name: "tail", attachType: "BPF_XDP_DEVMAP", frags: true },
      { ...xdp, name: "entry", attachType: "BPF_XDP" },
      {
        ...none,
        name: "probe",
        type: "BPF_PROG_TYPE_KPROBE",
        attachTo: "do_unlinkat+0x10",
        autoload: false,
      },
      {
        ...none,
        name: "second_in_line",
        type: "BPF_PROG_TYPE_TRACING",
        attachType: "BPF_TRACE_FENTRY",
        attachTo: "bpf_fentry_test1",
        sleepable: true,
      },
      { ...none, name: "unknown", type: undefined },
    ]);
  });

  it("appends subprograms depth first, in the order in which code needs them", () => {
    const { funcs } = program(programs(), "entry");
    expect(funcs.map(({ name, linkage }) => `${linkage} ${name}`)).toEqual([
      "global entry",
      "global shared",
      "static branch",
      "static leaf",
      "static step",
      "static veiled", // __hidden
    ]);
    expect(funcs.every(({ btfId }) => btfId > 0)).toBe(true);
  });

  it("appends an exception callback that nothing calls", () => {
    expect(program(programs(), "second_in_line").funcs.map(({ name }) => name)).toEqual([
      "second_in_line",
      "on_throw",
    ]);
  });

  it("sets calls to where the subprograms are", () => {
    const { insns, funcs } = program(programs(), "entry");
    const view = new DataView(insns.buffer);
    const starts = new Set(funcs.map(({ insn }) => insn));
    let calls = 0;
    for (let slot = 0; slot * 8 < insns.length; slot++) {
      if (insns[slot * 8] === 0x85 && insns[slot * 8 + 1] === 0x10) {
        expect(starts).toContain(slot + 1 + view.getInt32(slot * 8 + 4, true));
        calls++;
      }
      if (insns[slot * 8] === 0x18) slot++;
    }
    expect(calls).toBe(6);
  });

  it("keeps line info with the code it belongs to", () => {
    const { lines, funcs, insns } = program(programs(), "entry");
    const leaf = funcs.find(({ name }) => name === "leaf")!;
    expect(lines.find(({ insn }) => insn === leaf.insn)?.text).toContain("hidden_state += x");
    expect(
      lines.every(({ insn }, i) => insn * 8 < insns.length && (i === 0 || insn >= lines[i - 1].insn)),
    ).toBe(true);
  });

  it("keeps everything else symbolic", () => {
    const spec = programs();
    expect(program(spec, "entry").references.map(words)).toEqual([
      "map flows",
      "map-value .rodata+0",
      "map-value .data.ports+0",
      "map-value .bss+0",
      `func ${program(spec, "entry").funcs[4].insn}`,
      "map-value .data+0",
      "map-value .bss+0",
    ]);
    expect(program(spec, "probe").references.map(words)).toEqual([
      "kfunc bpf_rcu_read_lock",
      "ksym absent_symbol weak",
      "map outer",
      "map events",
    ]);
  });

  it("reads declared maps", () => {
    const maps = new Map(programs().maps.map((map) => [map.name, map]));
    expect(maps.get("flows")).toMatchObject({
      type: "BPF_MAP_TYPE_HASH",
      keySize: 4,
      valueSize: 24,
      maxEntries: 16,
      flags: 1,
      pinning: "by-name",
      section: ".maps",
    });
    // 5000 bytes are no power of two of pages
    expect(maps.get("events")).toMatchObject({ type: "BPF_MAP_TYPE_RINGBUF", maxEntries: 8192 });
    expect(maps.get("outer")?.inner).toMatchObject({
      name: "outer.inner",
      type: "BPF_MAP_TYPE_ARRAY",
      valueSize: 8,
    });
    expect(maps.get("outer")?.values).toEqual([
      { key: 0, map: "first" },
      { key: 2, map: "second" },
    ]);
    expect(maps.get("jumps")?.values).toEqual([{ key: 1, program: "tail" }]);
  });

  it("makes maps of global variables", () => {
    const rows = programs()
      .maps.filter((map) => map.data !== undefined)
      .map(({ name, valueSize, flags, frozen, variables }) => ({
        name,
        valueSize,
        flags,
        frozen,
        variables: variables.map((variable) => `${variable.name}@${variable.offset}`),
      }));
    const rdonly = 1 << 7;
    const mmapable = 1 << 10;
    expect(rows).toEqual([
      { name: ".rodata", valueSize: 4, flags: rdonly | mmapable, frozen: true, variables: ["limit@0"] },
      { name: ".bss", valueSize: 8, flags: mmapable, frozen: false, variables: ["hits@0"] },
      { name: ".data.ports", valueSize: 8, flags: mmapable, frozen: false, variables: ["ports@0"] },
      { name: ".data", valueSize: 4, flags: 0, frozen: false, variables: ["hidden_state@0"] }, // all static
      {
        name: ".kconfig",
        valueSize: 21,
        flags: rdonly | mmapable,
        frozen: true,
        // by alignment, then size, then name
        variables: ["CONFIG_VETH@0", "LINUX_KERNEL_VERSION@4", "CONFIG_BPF@8", "CONFIG_CC_VERSION_TEXT@9"],
      },
    ]);
  });

  it("reads license, version and byte order", () => {
    expect(programs()).toMatchObject({
      license: "Dual MIT/GPL",
      kernelVersion: 0x60c00,
      byteOrder: "little",
    });
  });

  it("is plain data", () => {
    const spec = programs();
    expect(structuredClone(spec)).toEqual(spec);
  });

  it("reads a big-endian object the same", () => {
    const little = programs();
    const big = readObject(bytesOf("big-endian"));
    expect(big.byteOrder).toBe("big");
    expect(big.externs).toEqual(little.externs);
    expect(big.programs.map(({ insns: _, lines: __, ...rest }) => rest)).toEqual(
      little.programs.map(({ insns: _, lines: __, ...rest }) => rest),
    );
    expect(big.maps.map(({ data: _, ...rest }) => rest)).toEqual(
      little.maps.map(({ data: _, ...rest }) => rest),
    );
    const entry = program(big, "entry");
    const call = entry.insns.findIndex(
      (byte, i) => i % 8 === 0 && byte === 0x85 && entry.insns[i + 1] === 0x01,
    );
    expect(call).toBeGreaterThan(0);
  });

  it("reads legacy maps and takes legacy section prefixes", () => {
    const spec = readObject(bytesOf("legacy"));
    expect(spec.maps.map(({ name, type, maxEntries, flags }) => [name, type, maxEntries, flags])).toEqual([
      ["counts", "BPF_MAP_TYPE_HASH", 128, 1],
      ["slots", "BPF_MAP_TYPE_ARRAY", 2, 0],
    ]);
    expect(spec.programs[0]).toMatchObject({ name: "count", type: "BPF_PROG_TYPE_XDP" });
    expect(spec.programs[0].references.map(words)).toEqual(["map counts", "map slots"]);
    expect(codeOf(() => readObject(bytesOf("legacy"), { strict: true }))).toBe("object/legacy-maps");
  });

  it.each(["programs", "big-endian"])(
    "reads relocations with addends (RELA) as those without: %s",
    (name) => {
      expect(readObject(withAddends(bytesOf(name))).programs).toEqual(readObject(bytesOf(name)).programs);
    },
  );

  it("refuses an object that needs another one", () => {
    expect(codeOf(() => readObject(bytesOf("part-one")))).toBe("object/unresolved-extern");
  });

  it("says what is wrong with a file that is no object", () => {
    expect(codeOf(() => readObject(new Uint8Array(0)))).toBe("elf/truncated");
    expect(codeOf(() => readObject(new TextEncoder().encode("#!/bin/sh\necho hello\n")))).toBe("elf/not-elf");
    expect(codeOf(() => readObject(bytesOf("programs").subarray(0, 5000)))).toMatch(/^elf\//);
    const other = bytesOf("programs");
    other[18] = 62; // x86-64
    expect(codeOf(() => readObject(other))).toBe("object/not-bpf");
  });
});

describe("objectRelocations", () => {
  it("lists each relocation of the file once", () => {
    const kinds: Record<string, number> = {};
    for (const { kind } of objectRelocations(bytesOf("programs"))) kinds[kind] = (kinds[kind] ?? 0) + 1;
    expect(kinds).toEqual({
      map: 4,
      "map-value": 5,
      kconfig: 4,
      kfunc: 1,
      ksym: 1,
      call: 3,
      func: 1,
      "map-slot": 3,
    });
  });
});

describe("resolveProgram", () => {
  it("puts descriptors, addresses and ids in", () => {
    const entry = program(programs(), "entry");
    const out = resolveProgram(entry, (reference) => {
      if (reference.kind === "map") return { kind: "fd", fd: 33 };
      if (reference.kind === "map-value") return { kind: "value", value: 0x1122334455667788n };
      return { kind: "keep" };
    });
    const view = new DataView(out.buffer);
    const [map, value] = entry.references;
    expect([out[map.insn * 8 + 1] >> 4, view.getInt32(map.insn * 8 + 4, true)]).toEqual([1, 33]);
    expect([out[value.insn * 8 + 1] >> 4, view.getUint32(value.insn * 8 + 4, true)]).toEqual([0, 0x55667788]);
    expect(view.getUint32(value.insn * 8 + 12, true)).toBe(0x11223344);
    expect(entry.insns).toEqual(program(programs(), "entry").insns);
  });

  it("poisons what does not exist", () => {
    const probe = program(programs(), "probe");
    const out = resolveProgram(probe, () => ({ kind: "poison", imm: 2001000000 }));
    const view = new DataView(out.buffer);
    for (const { insn, kind } of probe.references) {
      expect([out[insn * 8], view.getInt32(insn * 8 + 4, true)]).toEqual([0x85, 2001000000]);
      if (kind !== "kfunc") expect(out[insn * 8 + 8]).toBe(0x85);
    }
  });

  it("refuses an answer that does not fit", () => {
    const probe = program(programs(), "probe");
    expect(codeOf(() => resolveProgram(probe, () => ({ kind: "fd", fd: 3 })))).toBe("object/bad-reference");
    expect(codeOf(() => resolveProgram(probe, () => ({ kind: "value", value: 1n })))).toBe(
      "object/bad-reference",
    );
  });
});

describe("globals", () => {
  it("sets variables by name and type", () => {
    const spec = setGlobals(programs(), {
      limit: 9,
      hits: 2n ** 40n,
      ports: [1, 2, 3, 4],
      hidden_state: true,
    });
    expect([...globalBytes(spec, "limit")]).toEqual([9, 0, 0, 0]);
    expect([...globalBytes(spec, "hits")]).toEqual([0, 0, 0, 0, 0, 1, 0, 0]);
    expect([...globalBytes(spec, "ports")]).toEqual([1, 0, 2, 0, 3, 0, 4, 0]);
    expect([...globalBytes(spec, "hidden_state")]).toEqual([1, 0, 0, 0]);
    expect([...globalBytes(programs(), "limit")]).toEqual([7, 0, 0, 0]);
  });

  it("writes big-endian objects in their order", () => {
    const spec = setGlobals(readObject(bytesOf("big-endian")), { limit: 9 });
    expect([...globalBytes(spec, "limit")]).toEqual([0, 0, 0, 9]);
  });

  it("names what there is", () => {
    expect(() => setGlobals(programs(), { limti: 1 })).toThrow("no global variable 'limti'");
    expect(codeOf(() => setGlobals(programs(), { ports: "http" }))).toBe("object/bad-global");
    expect(codeOf(() => setGlobals(programs(), { limit: new Uint8Array(3) }))).toBe("object/bad-global");
  });

  it("fills kconfig: numbers, tristate, bool, text cut to its array", () => {
    const spec = setKconfig(programs(), {
      kernelVersion: 0x061200,
      config: { CONFIG_VETH: "m", CONFIG_BPF: true, CONFIG_CC_VERSION_TEXT: "clang version 19" },
    });
    const data = spec.maps.find((map) => map.name === ".kconfig")!.data!;
    expect([...data.subarray(0, 9)]).toEqual([2, 0, 0, 0, 0, 0x12, 6, 0, 1]);
    expect(new TextDecoder().decode(data.subarray(9))).toBe("clang versi\0");
  });

  it("refuses kconfig values that do not fit", () => {
    const facts = (config: Record<string, string | number>) => ({ kernelVersion: 0x60000, config });
    expect(codeOf(() => setKconfig(programs(), facts({ CONFIG_BPF: "m" })))).toBe("object/bad-kconfig");
    expect(codeOf(() => setKconfig(programs(), facts({ CONFIG_BPF: 2 })))).toBe("object/bad-kconfig");
    expect(codeOf(() => setKconfig(programs(), facts({ CONFIG_VETH: "yes" })))).toBe("object/bad-kconfig");
  });
});

describe("names", () => {
  it.each([
    ["kprobe.multi/bpf_*", "BPF_PROG_TYPE_KPROBE", "BPF_TRACE_KPROBE_MULTI", "bpf_*"],
    ["tp/sched/sched_switch", "BPF_PROG_TYPE_TRACEPOINT", undefined, "sched/sched_switch"],
    ["uprobe//bin/bash:readline", "BPF_PROG_TYPE_KPROBE", undefined, "/bin/bash:readline"],
    ["usdt//libc.so.6:libc:memory_sbrk", "BPF_PROG_TYPE_KPROBE", undefined, "/libc.so.6:libc:memory_sbrk"],
    ["ksyscall/unlinkat", "BPF_PROG_TYPE_KPROBE", undefined, "unlinkat"],
    ["lsm_cgroup/socket_bind", "BPF_PROG_TYPE_LSM", "BPF_LSM_CGROUP", "socket_bind"],
    ["iter.s/bpf_map", "BPF_PROG_TYPE_TRACING", "BPF_TRACE_ITER", "bpf_map"],
    ["freplace", "BPF_PROG_TYPE_EXT", undefined, undefined],
    ["cgroup_skb/egress", "BPF_PROG_TYPE_CGROUP_SKB", "BPF_CGROUP_INET_EGRESS", undefined],
    ["tcx/ingress", "BPF_PROG_TYPE_SCHED_CLS", "BPF_TCX_INGRESS", undefined],
    ["netkit/peer", "BPF_PROG_TYPE_SCHED_CLS", "BPF_NETKIT_PEER", undefined],
    ["sk_skb/stream_parser", "BPF_PROG_TYPE_SK_SKB", "BPF_SK_SKB_STREAM_PARSER", undefined],
    ["cgroup/connect_unix", "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", "BPF_CGROUP_UNIX_CONNECT", undefined],
    ["struct_ops/init", "BPF_PROG_TYPE_STRUCT_OPS", undefined, "init"],
    ["xdp_lb", undefined, undefined, undefined],
    ["kprobes/x", undefined, undefined, undefined],
  ])("%s", (name, type, attach, attachTo) => {
    const meaning = sectionMeaning(name);
    expect([meaning.row?.type, meaning.row?.attach, meaning.attachTo]).toEqual([type, attach, attachTo]);
  });

  it("takes libbpf 0.x prefixes when told so", () => {
    expect(sectionMeaning("xdp_devmap/map", { legacy: true }).row?.attach).toBe("BPF_XDP_DEVMAP");
    expect(sectionMeaning("classifier/x", { legacy: true }).row?.type).toBe("BPF_PROG_TYPE_SCHED_CLS");
  });

  it.each([
    [".rodata", ".rodata", "my_objec.rodata"],
    [".bss", ".bss", "my_objec.bss"],
    [".kconfig", ".kconfig", "my_obje.kconfig"],
    [".data.custom", ".data.custom", ".data.custom"],
    [".rodata.abracadabra", ".rodata.abracadabra", ".rodata.abracad"],
    ["a_map_with_a_long_name", ".maps", "a_map_with_a_lo"],
  ])("map %s is %s to the kernel", (name, section, want) => {
    expect(kernelMapName("my_object_name", { name, section })).toBe(want);
  });
});
