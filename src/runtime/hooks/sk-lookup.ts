import type { RunInput, RunOutcome } from "../../object/index.ts";
import { SELECTED_SOCKET } from "../helpers/packet/index.ts";
import type { Socket } from "../network.ts";
import type { RunState } from "../run-state.ts";
import { contextTable } from "./context-table.ts";
import type { Hook, HookEnv, HookRun } from "./hook.ts";
import { badInput, contextInput, RunMemory, requireZero } from "./input.ts";

/** `struct bpf_sk_lookup`, include/uapi/linux/bpf.h. */
const SK = { cookie: 0, family: 8, localPort: 60, ingress: 64 } as const;
const SK_BYTES = 72;
const AF_INET = 2;
const AF_INET6 = 10;
const SK_PASS = 1;

/**
 * Socket lookup: a `struct bpf_sk_lookup` goes in; out comes the same with the cookie of the selected socket.
 * @see net/bpf/test_run.c `bpf_prog_test_run_sk_lookup`
 */
export const SK_LOOKUP_HOOK: Hook = {
  types: ["BPF_PROG_TYPE_SK_LOOKUP"],
  context: (program) =>
    contextTable(program, [{ name: "sk", offset: 0, size: 8, kind: "sock", nullable: true }]),
  begin: (env, _program, input) => begin(env, input),
};

function begin(env: HookEnv, input: RunInput): HookRun {
  if (input.data !== undefined && input.data.length > 0) {
    throw badInput("EINVAL", "a socket lookup has no packet data", "give the addresses in the context");
  }
  if (input.ctx === undefined) {
    throw badInput("EINVAL", "a socket lookup needs a context", "give a struct bpf_sk_lookup of 72 bytes");
  }
  const ctx = contextInput(input.ctx, SK_BYTES);
  const view = new DataView(ctx.buffer);
  requireZero(
    ctx,
    [
      [SK.cookie, 8],
      [SK.ingress, SK_BYTES],
    ],
    "bpf_sk_lookup",
  );
  if (view.getUint32(SK.localPort, true) > 0xffff) {
    throw badInput("ERANGE", `local_port ${view.getUint32(SK.localPort, true)} is above 65535`);
  }
  const family = view.getUint32(SK.family, true) & 0xffff;
  if (family !== AF_INET && family !== AF_INET6) {
    throw badInput("EAFNOSUPPORT", `family ${family} is neither AF_INET (2) nor AF_INET6 (10)`);
  }
  const blocks = new RunMemory(env.module);
  const address = blocks.alloc(SK_BYTES);
  const { memory } = env.module;
  memory.write(address, ctx);
  let selected: Socket | undefined;
  let outcome: RunOutcome | undefined;
  return {
    contextAddress: address,
    packet: undefined,
    enter() {
      memory.view.setBigUint64(address + SK.cookie, 0n, true);
    },
    leave(run: RunState, r0: bigint) {
      const pass = BigInt.asUintN(32, r0) === BigInt(SK_PASS);
      selected = pass ? (run.scratch.get(SELECTED_SOCKET) as Socket | undefined) : undefined;
      outcome = run.outcome;
      return pass ? SK_PASS : 0;
    },
    results() {
      view.setBigUint64(SK.cookie, selected?.cookie ?? 0n, true);
      return { ctx, ...(outcome ? { outcome } : {}) };
    },
    end: () => blocks.freeAll(),
  };
}
