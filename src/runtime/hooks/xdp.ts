import type { ProgramSpec, RunInput, RunOutcome } from "../../object/index.ts";
import { BATCH_XDP } from "../layout.ts";
import { interfaceMtu, LOOPBACK } from "../network.ts";
import {
  ETH_HLEN,
  MAX_FRAGS,
  PacketBuffer,
  SHARED_INFO_BYTES,
  XDP_FRAME_BYTES,
  XDP_HEADROOM,
  XDP_PAGE,
} from "../packet-buffer.ts";
import { contextTable } from "./context-table.ts";
import type { Arrival, BatchHookRun, Hook, HookEnv } from "./hook.ts";
import { badInput, contextInput, RunMemory } from "./input.ts";

/** `struct xdp_md`, include/uapi/linux/bpf.h. */
const MD = { data: 0, dataEnd: 4, dataMeta: 8, ingress: 12, queue: 16, egress: 20 } as const;
const MD_BYTES = 24;
const META_MAX = 255;
/** Memory of one run: context, then the page. */
const PAGE_AT = 64;

/**
 * XDP. The input context says as in bpf(2): `data` = bytes of metadata at the front of the input, `data_end` = end of
 * the linear part (the rest becomes fragments), `ingress_ifindex`, `rx_queue_index`. The result's data starts with the
 * metadata. Programs for devmap entries run too (Linux refuses them): they may be given `egress_ifindex`.
 * @see net/bpf/test_run.c `bpf_prog_test_run_xdp`
 */
export const XDP_HOOK: Hook = {
  types: ["BPF_PROG_TYPE_XDP"],
  context: (program) => contextTable(program),
  begin,
  batch: {
    arrival,
    begin(env, program, ctx) {
      // Metadata in front of packets: what is data is then for each packet to say.
      if (ctx !== undefined && u32At(ctx, MD.data) !== 0) return undefined;
      const data = new Uint8Array(ETH_HLEN);
      return begin(env, program, { data, ctx: arrival(ctx, { length: data.length }) });
    },
  },
};

function u32At(bytes: Uint8Array, offset: number): number {
  if (bytes.length < offset + 4) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
}

function arrival(ctx: Uint8Array | undefined, { length, ifindex, queue }: Arrival): Uint8Array | undefined {
  if (ctx === undefined && ifindex === undefined && queue === undefined) return undefined;
  const own = new Uint8Array(Math.max(MD_BYTES, ctx?.length ?? 0));
  if (ctx !== undefined) own.set(ctx);
  const view = new DataView(own.buffer);
  view.setUint32(MD.dataEnd, length, true);
  if (ifindex !== undefined) view.setUint32(MD.ingress, ifindex, true);
  if (queue !== undefined) view.setUint32(MD.queue, queue, true);
  return own;
}

function begin(env: HookEnv, program: ProgramSpec, input: RunInput): BatchHookRun {
  const data = input.data ?? new Uint8Array(0);
  const ctx = contextInput(input.ctx, MD_BYTES);
  const md = new DataView(ctx.buffer);
  const given = input.ctx !== undefined;
  const metaBytes = md.getUint32(MD.data, true);
  const linearEnd = given ? md.getUint32(MD.dataEnd, true) : data.length;
  if (md.getUint32(MD.dataMeta, true) !== 0) throw badInput("EINVAL", "xdp_md.data_meta must be 0");
  if (linearEnd > data.length || metaBytes > linearEnd) {
    throw badInput(
      "EINVAL",
      `xdp_md.data ${metaBytes}, data_end ${linearEnd} do not fit ${data.length} bytes of input`,
    );
  }
  if ((metaBytes & 3) !== 0 || metaBytes > META_MAX || metaBytes > XDP_HEADROOM - XDP_FRAME_BYTES) {
    throw badInput("EINVAL", `${metaBytes} bytes of metadata`, "use a multiple of 4, at most 216");
  }
  if (data.length - metaBytes < ETH_HLEN) {
    throw badInput(
      "EINVAL",
      `the packet has ${data.length - metaBytes} bytes, an Ethernet header has ${ETH_HLEN}`,
    );
  }
  const ingress = md.getUint32(MD.ingress, true);
  const queue = md.getUint32(MD.queue, true);
  const egress = md.getUint32(MD.egress, true);
  if (egress !== 0 && program.attachType !== "BPF_XDP_DEVMAP") {
    throw badInput("EINVAL", "xdp_md.egress_ifindex is for programs of a devmap", "leave it 0");
  }
  if (ingress !== 0 && interfaceMtu(env.host.network, ingress) === undefined) {
    throw badInput("ENODEV", `there is no interface ${ingress}`);
  }
  if (queue !== 0 && ingress <= LOOPBACK)
    throw badInput("EINVAL", `interface 1 has no receive queue ${queue}`);

  const headroom = XDP_HEADROOM - metaBytes;
  const linear = Math.min(linearEnd, XDP_PAGE - headroom - SHARED_INFO_BYTES);
  if (data.length - linear > MAX_FRAGS * XDP_PAGE) {
    throw badInput("ENOMEM", `${data.length} bytes are more than ${MAX_FRAGS} fragments hold`);
  }
  const blocks = new RunMemory(env.module);
  const address = blocks.alloc(PAGE_AT + XDP_PAGE);
  const { memory } = env.module;
  const start = address + PAGE_AT;
  const fields = { data: MD.data, dataEnd: MD.dataEnd, dataMeta: MD.dataMeta, length: -1 };
  const packet = new PacketBuffer(memory, start, start + XDP_PAGE - SHARED_INFO_BYTES, address, fields);
  packet.dataMeta = start + headroom;
  packet.data = packet.dataMeta + metaBytes;
  packet.dataEnd = packet.dataMeta + linear;
  packet.frags = data.slice(linear);
  memory.write(packet.dataMeta, data.subarray(0, linear));
  memory.view.setUint32(address + MD.ingress, ingress || LOOPBACK, true);
  memory.view.setUint32(address + MD.queue, queue, true);
  memory.view.setUint32(address + MD.egress, egress, true);
  packet.sync();

  let outcome: RunOutcome | undefined;
  return {
    contextAddress: address,
    packet,
    leave(run, r0) {
      outcome = run.outcome;
      return Number(BigInt.asUintN(32, r0));
    },
    results() {
      md.setUint32(MD.data, packet.data - packet.dataMeta, true);
      md.setUint32(MD.dataEnd, packet.dataEnd - packet.dataMeta, true);
      return { data: packet.bytes(packet.dataMeta), ctx, ...(outcome ? { outcome } : {}) };
    },
    end: () => blocks.freeAll(),
    plan: {
      kind: BATCH_XDP,
      contextBytes: MD_BYTES,
      buffer: start,
      packetAt: start + XDP_HEADROOM,
      limit: packet.limit,
      linearMax: XDP_PAGE - XDP_HEADROOM - SHARED_INFO_BYTES,
    },
    // Where the packet is stands in the context: helpers in wasm may have moved it by now.
    renew() {
      packet.frags = new Uint8Array(0);
    },
  };
}
