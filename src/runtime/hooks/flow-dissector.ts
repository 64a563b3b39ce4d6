import type { RunInput } from "../../object/index.ts";
import { SK_BUFF, SK_BUFF_BYTES } from "../helpers/packet/index.ts";
import { ETH_HLEN, PacketBuffer } from "../packet-buffer.ts";
import { contextTable, FLOW_KEYS_BYTES } from "./context-table.ts";
import type { Hook, HookEnv, HookRun } from "./hook.ts";
import { badInput, contextInput, RunMemory, requireZero } from "./input.ts";

/** `struct bpf_flow_keys`, include/uapi/linux/bpf.h. */
const KEYS = { nhoff: 0, thoff: 2, nProto: 10, flags: 48 } as const;
const KEYS_AT = SK_BUFF_BYTES;
const PACKET_AT = KEYS_AT + 64;

/**
 * Flow dissector: a packet from its Ethernet header on goes in, the `struct bpf_flow_keys` that the program filled is
 * the result's data. The input context, if any, is a `struct bpf_flow_keys` of which only `flags` may be set.
 * @see net/bpf/test_run.c `bpf_prog_test_run_flow_dissector`, net/core/flow_dissector.c `bpf_flow_dissect`
 */
export const FLOW_DISSECTOR_HOOK: Hook = {
  types: ["BPF_PROG_TYPE_FLOW_DISSECTOR"],
  context: (program) => contextTable(program),
  begin: (env, _program, input) => begin(env, input),
};

function begin(env: HookEnv, input: RunInput): HookRun {
  const data = input.data ?? new Uint8Array(0);
  if (data.length < ETH_HLEN) {
    throw badInput("EINVAL", `the packet has ${data.length} bytes, an Ethernet header has ${ETH_HLEN}`);
  }
  if (data.length > 0xffff) throw badInput("EINVAL", `${data.length} bytes are more than a packet can hold`);
  const given = contextInput(input.ctx, FLOW_KEYS_BYTES);
  requireZero(
    given,
    [
      [0, KEYS.flags],
      [KEYS.flags + 4, FLOW_KEYS_BYTES],
    ],
    "bpf_flow_keys",
  );
  const blocks = new RunMemory(env.module);
  const address = blocks.alloc(PACKET_AT + data.length);
  const { memory } = env.module;
  const start = address + PACKET_AT;
  const keys = address + KEYS_AT;
  const fields = { data: SK_BUFF.data, dataEnd: SK_BUFF.dataEnd, dataMeta: -1, length: -1 };
  const packet = new PacketBuffer(memory, start, start + data.length, address, fields);
  packet.dataEnd = start + data.length;
  memory.write(start, data);
  memory.view.setUint32(address + SK_BUFF.flowKeys, keys, true);
  packet.sync();
  return {
    contextAddress: address,
    packet,
    enter() {
      memory.u8.fill(0, keys, keys + FLOW_KEYS_BYTES);
      memory.view.setUint16(keys + KEYS.nhoff, ETH_HLEN, true);
      memory.view.setUint16(keys + KEYS.thoff, ETH_HLEN, true);
      memory.write(keys + KEYS.nProto, data.subarray(ETH_HLEN - 2, ETH_HLEN));
      memory.write(keys + KEYS.flags, given.subarray(KEYS.flags, KEYS.flags + 4));
    },
    leave(_run, r0) {
      const { view } = memory;
      const nhoff = Math.min(Math.max(view.getUint16(keys + KEYS.nhoff, true), ETH_HLEN), data.length);
      const thoff = Math.min(Math.max(view.getUint16(keys + KEYS.thoff, true), nhoff), data.length);
      view.setUint16(keys + KEYS.nhoff, nhoff, true);
      view.setUint16(keys + KEYS.thoff, thoff, true);
      return Number(BigInt.asUintN(32, r0));
    },
    results: () => ({
      data: memory.read(keys, FLOW_KEYS_BYTES),
      ...(input.ctx === undefined ? {} : { ctx: given }),
    }),
    end: () => blocks.freeAll(),
  };
}
