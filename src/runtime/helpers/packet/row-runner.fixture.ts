import { HELPERS } from "../../../abi/index.ts";
import { BpfError, fromHex, toHex } from "../../../base/index.ts";
import type { ProgramSpec } from "../../../object/index.ts";
import type { HelperCall } from "../../helper-call.ts";
import { HOOKS } from "../../hooks/index.ts";
import type { Host } from "../../host.ts";
import type { RunState } from "../../run-state.ts";
import type { KernelModule } from "../../wasm-module.ts";
import { loadAbsolute, PACKET_HELPERS } from "./index.ts";
import { type Arg, type PacketRow, SCRATCH_AT, VALUE_BYTES } from "./kernel-rows.fixture.ts";
import { SK_BUFF } from "./sk-buff.ts";
import { SocketObjects } from "./socket-objects.ts";

/** What a row did: errno of the run, r0 of each step, scratch memory up to its last byte that is not zero. */
export interface RowResult {
  readonly errno?: string;
  /** Each r0 as 64 bits, unsigned, hex. */
  readonly steps?: readonly string[];
  readonly scratch?: string;
  readonly data?: string;
  readonly ctx?: string;
}

/** The map value of a row as both sides report it. */
export function readValue(row: PacketRow, value: Uint8Array): Pick<RowResult, "steps" | "scratch"> {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const steps = row.steps.map((_, i) => view.getBigUint64(8 * i, true).toString(16));
  return { steps, scratch: toHex(value.subarray(SCRATCH_AT)).replace(/(00)+$/, "") };
}

/** Long packets by their start, length and a 32-bit FNV-1a sum. */
export function packetHex(bytes: Uint8Array): string {
  if (bytes.length <= 160) return toHex(bytes);
  let sum = 0x811c_9dc5;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x0100_0193);
  return `${toHex(bytes.subarray(0, 64))}… ${bytes.length} bytes, sum ${(sum >>> 0).toString(16)}`;
}

const HOST: Host = {
  nowNs: () => 0n,
  realtimeNs: () => 0n,
  random32: () => 0,
  numCpus: 1,
  traceLine: () => {},
  task: { pid: 1, tgid: 1, uid: 0, gid: 0, comm: "test", cgroupId: 1n },
  // As on the machine that was recorded: `lo` and nothing else.
  network: { mtu: (ifindex) => (ifindex === 1 ? 65536 : undefined) },
};

/** Runs the row's steps through hook and helpers, without an engine. */
export function runRow(row: PacketRow, module: KernelModule): RowResult {
  const { memory } = module;
  const hook = HOOKS[row.type];
  if ("reason" in hook) throw new Error(hook.reason);
  const spec = { name: row.name, type: row.type, attachType: undefined } as unknown as ProgramSpec;
  const input = { data: fromHex(row.data), ...(row.ctx === undefined ? {} : { ctx: fromHex(row.ctx) }) };
  let run: ReturnType<typeof hook.begin>;
  try {
    run = hook.begin({ module, host: HOST }, spec, input);
  } catch (error) {
    if (error instanceof BpfError && error.errno !== undefined) return { errno: error.errno };
    throw error;
  }
  const value = module.exports.alloc(VALUE_BYTES);
  memory.write(value + SCRATCH_AT, fromHex(row.scratch ?? ""));
  const state = {
    contextAddress: run.contextAddress,
    packet: run.packet,
    cpu: 0,
    outcome: { clones: [] },
    tailCalls: 0,
    held: new Map(),
    scratch: new Map(),
  } as RunState;
  for (const [i, step] of row.steps.entries()) {
    const r0 = doStep();
    if (r0 === undefined) break;
    memory.view.setBigUint64(value + 8 * i, BigInt.asUintN(64, r0), true);
    function doStep(): bigint | undefined {
      const { view } = memory;
      if ("call" in step) {
        const impl = (PACKET_HELPERS as Record<string, unknown>)[step.call];
        if (typeof impl !== "function" || !(step.call in HELPERS)) throw new Error(`no helper ${step.call}`);
        return BigInt(impl(callOf(step.args)));
      }
      if ("load" in step) {
        const at = run.contextAddress + step.load;
        if (step.size === 8) return view.getBigUint64(at, true);
        return BigInt(step.size === 4 ? view.getUint32(at, true) : view.getUint8(at));
      }
      if ("store" in step) {
        view.setUint32(run.contextAddress + step.store, step.value, true);
        return BigInt(step.value);
      }
      if ("absolute" in step) {
        if (run.packet === undefined) throw new Error("no packet");
        const found = loadAbsolute(run.packet, step.absolute, step.size);
        return found === undefined ? undefined : BigInt(found);
      }
      const fields = row.type === "BPF_PROG_TYPE_XDP" ? [0, 4] : [SK_BUFF.data, SK_BUFF.dataEnd];
      const data = view.getUint32(run.contextAddress + fields[0], true);
      const end = view.getUint32(run.contextAddress + fields[1], true);
      return data + step.packet < end ? BigInt(view.getUint8(data + step.packet)) : -1n;
    }
  }
  run.leave?.(state, 1n);
  const results = run.results();
  run.end();
  const filled = memory.read(value, VALUE_BYTES);
  module.exports.free(value);
  return {
    ...readValue(row, filled),
    data: packetHex(results.data ?? new Uint8Array(0)),
    ...(row.ctx === undefined ? {} : { ctx: toHex(results.ctx ?? new Uint8Array(0)) }),
  };

  function callOf(args: readonly Arg[]): HelperCall {
    const values = args.map((arg) => {
      if (arg === "ctx") return BigInt(run.contextAddress);
      if (typeof arg === "bigint") return arg;
      if (typeof arg === "number") return BigInt.asUintN(64, BigInt(arg));
      return BigInt(value + SCRATCH_AT + arg.scratch);
    });
    const call: Partial<HelperCall> = {
      u32: (n) => Number(BigInt.asUintN(32, values[n - 1])),
      s32: (n) => Number(BigInt.asIntN(32, values[n - 1])),
      u64: (n) => values[n - 1],
      bytes: (n, size) => memory.u8.subarray(Number(values[n - 1]), Number(values[n - 1]) + size),
      memory,
      wasm: module.exports,
      run: state,
      host: HOST,
      programType: row.type,
      cpu: 0,
      heap: { alloc: module.exports.alloc, free: () => {} },
      state: { sockets: new SocketObjects() } as HelperCall["state"],
      fail(code, message) {
        throw new BpfError(code, message);
      },
    };
    if (run.packet !== undefined) Object.assign(call, { packet: run.packet });
    return call as HelperCall;
  }
}
