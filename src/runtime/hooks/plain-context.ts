import type { ProgramTypeName } from "../../abi/index.ts";
import type { ProgramSpec, RunInput, RunOutcome } from "../../object/index.ts";
import { PacketBuffer, type PacketFields } from "../packet-buffer.ts";
import { contextTable } from "./context-table.ts";
import type { ContextTable, Hook, HookEnv, HookRun } from "./hook.ts";
import { badInput, RunMemory } from "./input.ts";

/** Most bytes of packet, message or option value behind such a context. */
const DATA_MAX = 0xffff;

/**
 * Types whose context is plain memory: the bytes given as `ctx` (missing ones are zero) are what the program sees, and
 * come back as they are afterwards. Records of tracepoints, `pt_regs` of kprobes, arguments of raw tracepoints and of
 * fentry/fexit/LSM hooks (8 bytes each), arguments of syscall programs, contexts of cgroup hooks.
 * @see net/bpf/test_run.c `bpf_prog_test_run_raw_tp`, `bpf_prog_test_run_syscall`
 */
export const PLAIN_HOOK: Hook = {
  types: [
    "BPF_PROG_TYPE_KPROBE",
    "BPF_PROG_TYPE_TRACEPOINT",
    "BPF_PROG_TYPE_PERF_EVENT",
    "BPF_PROG_TYPE_RAW_TRACEPOINT",
    "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
    "BPF_PROG_TYPE_TRACING",
    "BPF_PROG_TYPE_LSM",
    "BPF_PROG_TYPE_SYSCALL",
    "BPF_PROG_TYPE_CGROUP_SOCK",
    "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
    "BPF_PROG_TYPE_CGROUP_DEVICE",
    "BPF_PROG_TYPE_CGROUP_SYSCTL",
    "BPF_PROG_TYPE_CGROUP_SOCKOPT",
    "BPF_PROG_TYPE_SOCK_OPS",
    "BPF_PROG_TYPE_SK_MSG",
    "BPF_PROG_TYPE_SK_REUSEPORT",
    "BPF_PROG_TYPE_LIRC_MODE2",
  ],
  context: (program) => contextTable(program),
  begin,
};

/** Where the contexts of some of these types keep the ends of a stretch of data (as 8-byte addresses). */
const DATA_FIELDS: Partial<Record<ProgramTypeName, PacketFields>> = {
  BPF_PROG_TYPE_SK_MSG: { data: 0, dataEnd: 8, dataMeta: -1, length: 68 },
  BPF_PROG_TYPE_SK_REUSEPORT: { data: 0, dataEnd: 8, dataMeta: -1, length: 16 },
  BPF_PROG_TYPE_CGROUP_SOCKOPT: { data: 8, dataEnd: 16, dataMeta: -1, length: -1 },
  BPF_PROG_TYPE_SOCK_OPS: { data: 192, dataEnd: 200, dataMeta: -1, length: 208 },
};

function begin(env: HookEnv, program: ProgramSpec, input: RunInput): HookRun {
  const table = contextTable(program);
  const given = input.ctx ?? new Uint8Array(0);
  if (given.length > table.size) {
    throw badInput(
      "EINVAL",
      `the context has ${given.length} bytes, ${table.name} has at most ${table.size}`,
    );
  }
  const pointer = table.fields.find(
    (field) =>
      field.pointer !== undefined &&
      given.subarray(field.offset, field.offset + field.size).some((byte) => byte !== 0),
  );
  if (pointer !== undefined) {
    throw badInput(
      "EINVAL",
      `'${pointer.name}' of ${table.name} is a pointer`,
      "leave it zero: the runtime sets it",
    );
  }
  const data = input.data ?? new Uint8Array(0);
  const fields = program.type === undefined ? undefined : DATA_FIELDS[program.type];
  if (data.length > 0 && fields === undefined) {
    throw badInput("EINVAL", `${table.name} programs have no packet data`, "give the context only");
  }
  if (data.length > DATA_MAX)
    throw badInput("EINVAL", `${data.length} bytes of data; at most ${DATA_MAX} fit`);

  const blocks = new RunMemory(env.module);
  const { memory } = env.module;
  const address = blocks.alloc(table.size);
  memory.write(address, given);
  const packet = fields === undefined ? undefined : dataBehind(env, blocks, address, fields, data);
  let outcome: RunOutcome | undefined;
  return {
    contextAddress: address,
    packet,
    leave(run, r0) {
      outcome = run.outcome;
      return Number(BigInt.asUintN(32, r0));
    },
    results: () => ({
      ...(packet === undefined ? {} : { data: packet.bytes() }),
      ctx: withoutPointers(
        memory.read(address, input.ctx === undefined ? closedSize(table) : given.length),
        table,
      ),
      ...(outcome ? { outcome } : {}),
    }),
    end: () => blocks.freeAll(),
  };
}

function dataBehind(
  env: HookEnv,
  blocks: RunMemory,
  address: number,
  fields: PacketFields,
  data: Uint8Array,
): PacketBuffer {
  const start = blocks.alloc(Math.max(1, data.length));
  const packet = new PacketBuffer(env.module.memory, start, start + data.length, address, fields);
  packet.dataEnd = start + data.length;
  env.module.memory.write(start, data);
  packet.sync();
  return packet;
}

/** Size of the result's context when none was given: nothing for records without a fixed end. */
function closedSize(table: ContextTable): number {
  return table.fields.length === 1 && table.fields[0].name === "record" ? 0 : table.size;
}

/** Addresses of the run mean nothing to the caller. */
function withoutPointers(ctx: Uint8Array, table: ContextTable): Uint8Array {
  for (const field of table.fields) {
    if (field.pointer !== undefined)
      ctx.fill(0, field.offset, Math.min(ctx.length, field.offset + field.size));
  }
  return ctx;
}
