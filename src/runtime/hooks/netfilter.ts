import type { RunInput, RunOutcome } from "../../object/index.ts";
import { IPV4_BYTES } from "../helpers/packet/index.ts";
import { PacketBuffer } from "../packet-buffer.ts";
import { contextTable } from "./context-table.ts";
import type { Hook, HookEnv, HookRun } from "./hook.ts";
import { badInput, RunMemory } from "./input.ts";

/** `struct bpf_nf_ctx`: two pointers to objects of the kernel's. */
const NF = { state: 0, skb: 8 } as const;
const NF_BYTES = 16;
const OBJECT_BYTES = 64;

/**
 * Netfilter: an IP packet (no Ethernet header) goes in, the verdict comes out. Programs reach the packet through
 * dynptrs; the kernel objects behind the context are opaque.
 * @see net/bpf/test_run.c `bpf_prog_test_run_nf`
 */
export const NETFILTER_HOOK: Hook = {
  types: ["BPF_PROG_TYPE_NETFILTER"],
  context: (program) => contextTable(program),
  begin: (env, _program, input) => begin(env, input),
};

function begin(env: HookEnv, input: RunInput): HookRun {
  const data = input.data ?? new Uint8Array(0);
  if (data.length < IPV4_BYTES) {
    throw badInput("EINVAL", `the packet has ${data.length} bytes, an IP header has ${IPV4_BYTES}`);
  }
  if (data.length > 0xffff) throw badInput("EINVAL", `${data.length} bytes are more than a packet can hold`);
  const blocks = new RunMemory(env.module);
  const address = blocks.alloc(NF_BYTES + 2 * OBJECT_BYTES + data.length);
  const { memory } = env.module;
  const start = address + NF_BYTES + 2 * OBJECT_BYTES;
  const fields = { data: -1, dataEnd: -1, dataMeta: -1, length: -1 };
  const packet = new PacketBuffer(memory, start, start + data.length, address, fields);
  packet.dataEnd = start + data.length;
  memory.write(start, data);
  memory.view.setUint32(address + NF.state, address + NF_BYTES, true);
  memory.view.setUint32(address + NF.skb, address + NF_BYTES + OBJECT_BYTES, true);
  let outcome: RunOutcome | undefined;
  return {
    contextAddress: address,
    packet,
    leave(run, r0) {
      outcome = run.outcome;
      return Number(BigInt.asUintN(32, r0));
    },
    results: () => ({ data: packet.bytes(), ...(outcome ? { outcome } : {}) }),
    end: () => blocks.freeAll(),
  };
}
