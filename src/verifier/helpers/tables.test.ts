import { describe, expect, it } from "vitest";
import { HELPERS, type HelperName, PROGRAM_TYPES, type ProgramTypeName } from "../../abi/index.ts";
import { Rights } from "../capabilities.ts";
import { RegType, TypeFlag } from "../register-types.ts";
import { type HelperUser, isHelperAvailable } from "./availability.ts";
import { isFormatValid } from "./format-string.ts";
import { mapRefusal } from "./map-rules.ts";
import { helperNames, prototypeFor } from "./prototypes.ts";

const NAMES = Object.keys(HELPERS) as HelperName[];

describe("prototypes", () => {
  it("every helper lowers for every program type, with sizes behind memory", () => {
    for (const type of Object.keys(PROGRAM_TYPES) as ProgramTypeName[]) {
      for (const name of NAMES) {
        const { args, id } = prototypeFor(name, type);
        expect(id).toBe(HELPERS[name].id);
        expect(args.length).toBeLessThanOrEqual(5);
        args.forEach((arg, i) => {
          if (arg.kind === "size") expect(args[i - 1].kind, name).toBe("memory");
          const fixed = (arg.flags & TypeFlag.MEM_FIXED_SIZE) !== 0;
          if (arg.kind === "memory") expect(fixed || args[i + 1]?.kind === "size", name).toBe(true);
          if (arg.kind === "object" && name !== "kptr_xchg") expect(arg.struct, name).toBeDefined();
        });
      }
    }
  });

  it("at most one argument is filled by the helper", () => {
    for (const name of NAMES) {
      const raw = prototypeFor(name, "BPF_PROG_TYPE_SCHED_CLS").args.filter(
        ({ kind, flags }) => kind === "memory" && (flags & TypeFlag.MEM_UNINIT) !== 0,
      );
      expect(raw.length, name).toBeLessThanOrEqual(1);
    }
  });

  it("names every id once", () => {
    const names = helperNames();
    for (const name of NAMES) expect(names[HELPERS[name].id]).toBe(name);
  });

  it.each([
    ["sk_release", 1],
    ["ringbuf_submit", 1],
    ["kptr_xchg", 2],
    ["ringbuf_discard_dynptr", 1],
  ] as const)("%s releases argument %i", (name, number) => {
    const proto = prototypeFor(name, "BPF_PROG_TYPE_SCHED_CLS");
    expect(proto.releases).toBe(number);
    expect(proto.args[number - 1].flags & TypeFlag.OBJ_RELEASE).not.toBe(0);
  });

  it("object results name their structure", () => {
    expect(prototypeFor("skc_to_tcp_sock", "BPF_PROG_TYPE_XDP").retStruct).toBe("tcp_sock");
    expect(RegType.PTR_TO_BTF_ID).toBeGreaterThan(0);
  });
});

const ROOT: HelperUser = {
  type: "BPF_PROG_TYPE_XDP",
  attachType: undefined,
  hook: undefined,
  member: undefined,
  rights: new Rights(),
};

/** Probed on Linux 6.18: one call of the helper in an otherwise empty program of the type. */
describe("availability", () => {
  it.each<[HelperName, Partial<HelperUser>, boolean | undefined]>([
    ["redirect_map", {}, true],
    ["skb_load_bytes", {}, false],
    ["get_retval", { type: "BPF_PROG_TYPE_CGROUP_SKB", attachType: "BPF_CGROUP_INET_INGRESS" }, false],
    ["get_retval", { type: "BPF_PROG_TYPE_CGROUP_SOCK" }, true],
    ["get_retval", { type: "BPF_PROG_TYPE_CGROUP_SYSCTL", attachType: "BPF_CGROUP_SYSCTL" }, true],
    ["set_retval", { type: "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", attachType: "BPF_CGROUP_UDP4_RECVMSG" }, false],
    ["set_retval", { type: "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", attachType: "BPF_CGROUP_INET4_BIND" }, true],
    ["bind", { type: "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", attachType: "BPF_CGROUP_INET4_CONNECT" }, true],
    ["bind", { type: "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", attachType: "BPF_CGROUP_INET4_BIND" }, false],
    ["setsockopt", { type: "BPF_PROG_TYPE_CGROUP_SOCKOPT", attachType: "BPF_CGROUP_GETSOCKOPT" }, false],
    ["setsockopt", { type: "BPF_PROG_TYPE_CGROUP_SOCKOPT", attachType: "BPF_CGROUP_SETSOCKOPT" }, true],
    [
      "seq_write",
      { type: "BPF_PROG_TYPE_TRACING", attachType: "BPF_TRACE_ITER", hook: "bpf_iter_task" },
      true,
    ],
    ["seq_write", { type: "BPF_PROG_TYPE_TRACING", attachType: "BPF_TRACE_RAW_TP" }, false],
    [
      "setsockopt",
      { type: "BPF_PROG_TYPE_TRACING", attachType: "BPF_TRACE_ITER", hook: "bpf_iter_tcp" },
      true,
    ],
    [
      "setsockopt",
      { type: "BPF_PROG_TYPE_TRACING", attachType: "BPF_TRACE_ITER", hook: "bpf_iter_udp" },
      false,
    ],
    ["get_func_arg", { type: "BPF_PROG_TYPE_TRACING", attachType: "BPF_TRACE_FENTRY" }, true],
    ["get_func_arg", { type: "BPF_PROG_TYPE_TRACING", attachType: "BPF_TRACE_RAW_TP" }, false],
    ["get_func_ip", { type: "BPF_PROG_TYPE_SYSCALL" }, true],
    ["get_func_ip", { type: "BPF_PROG_TYPE_XDP" }, false],
    [
      "setsockopt",
      { type: "BPF_PROG_TYPE_STRUCT_OPS", hook: "tcp_congestion_ops", member: "release" },
      false,
    ],
    ["setsockopt", { type: "BPF_PROG_TYPE_STRUCT_OPS", hook: "tcp_congestion_ops", member: "init" }, true],
    ["trace_printk", { rights: new Rights("bpf") }, false],
    ["probe_write_user", { type: "BPF_PROG_TYPE_TRACEPOINT", rights: new Rights("tracing") }, false],
    ["loop", { rights: new Rights("unprivileged") }, false],
    ["map_lookup_elem", { rights: new Rights("unprivileged") }, true],
    ["tcp_send_ack", { type: "BPF_PROG_TYPE_STRUCT_OPS", hook: "other_ops" }, undefined],
  ])("%s %o → %s", (name, user, want) => expect(isHelperAvailable(name, { ...ROOT, ...user })).toBe(want));
});

describe("maps and helpers", () => {
  it.each([
    ["map_lookup_elem", "BPF_MAP_TYPE_HASH", "BPF_PROG_TYPE_XDP", undefined],
    ["map_lookup_elem", "BPF_MAP_TYPE_PROG_ARRAY", "BPF_PROG_TYPE_XDP", "no"],
    ["map_update_elem", "BPF_MAP_TYPE_SOCKMAP", "BPF_PROG_TYPE_XDP", undefined],
    ["map_update_elem", "BPF_MAP_TYPE_SOCKMAP", "BPF_PROG_TYPE_SOCK_OPS", "sockmap"],
    ["map_delete_elem", "BPF_MAP_TYPE_SOCKMAP", "BPF_PROG_TYPE_SOCK_OPS", undefined],
    ["map_push_elem", "BPF_MAP_TYPE_SOCKMAP", "BPF_PROG_TYPE_XDP", "no"],
    ["get_local_storage", "BPF_MAP_TYPE_HASH", "BPF_PROG_TYPE_CGROUP_SKB", "no"],
    ["kptr_xchg", "BPF_MAP_TYPE_TASK_STORAGE", "BPF_PROG_TYPE_SCHED_CLS", undefined],
    ["redirect_map", "BPF_MAP_TYPE_CPUMAP", "BPF_PROG_TYPE_XDP", undefined],
    ["map_lookup_elem", "BPF_MAP_TYPE_CPUMAP", "BPF_PROG_TYPE_XDP", "no"],
  ] as const)("%s on %s in %s: %s", (helper, map, type, want) =>
    expect(mapRefusal(helper, map, type, undefined)).toBe(want),
  );
});

describe("format strings", () => {
  it.each([
    ["plain", 0, true],
    ["%d %u %x %i %X", 5, true],
    ["%lu %lld", 2, true],
    ["%d", 0, false],
    ["%%", 0, true],
    ["%s!", 1, true],
    ["%sx", 1, false],
    ["%p %px %ps %pS %pK %pB", 6, true],
    ["%pks %pus", 2, true],
    ["%pi4 %pI6", 2, true],
    ["%pi5", 1, false],
    ["%0+- 12d", 1, true],
    ["%c", 1, true],
    ["%llld", 1, false],
    ["%", 1, false],
    ["\u0001", 0, false],
    ["tab\tline\n", 0, true],
  ])("%j with %i arguments: %s", (format, count, want) =>
    expect(isFormatValid(new TextEncoder().encode(`${format}\0`), count)).toBe(want),
  );
  it("wants an end", () => expect(isFormatValid(new Uint8Array([0x61]), 0)).toBe(false));
});
