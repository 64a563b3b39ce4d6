import { Opcode, PseudoCall, slotsOf } from "../isa/index.ts";
import type { FuncType, ModuleBuilder, ValueType } from "../wasm/index.ts";
import { type DirectHelper, directHelpers } from "./direct-helpers.ts";
import type { DirectCall, Emitter } from "./emitter.ts";
import type { JitInput, JitMap } from "./input.ts";
import { ASK_HOST } from "./surroundings.ts";

/** Imports what the program's helper calls may call directly, and nothing else. */
export function importDirectHelpers(module: ModuleBuilder, input: JitInput): ReadonlyMap<number, DirectCall> {
  const found = new Map<number, DirectCall>();
  if (input.directHelpers !== true) return found;
  const known = directHelpers();
  const functions = new Map<string, number>();
  const { insns } = input;
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    if (insns.opcode[slot] !== Opcode.CALL || insns.src[slot] !== PseudoCall.HELPER) continue;
    const row = known.get(insns.imm[slot]);
    if (row === undefined || (row.context !== undefined && row.context !== input.contextName)) continue;
    if (row.moment === true && input.momentHelpers !== true) continue;
    const func = functions.get(row.name) ?? module.importFunc("maps", row.name, typeOf(row));
    functions.set(row.name, func);
    found.set(row.id, { row, func });
  }
  return found;
}

const RESULT: Readonly<Record<DirectHelper["result"], readonly ValueType[]>> = {
  errno: ["i32"],
  u32: ["i32"],
  i64: ["i64"],
  none: [],
};

function typeOf({ args, cpu, result }: DirectHelper): FuncType {
  return { params: cpu === true ? [...args, "i32"] : args, results: RESULT[result] };
}

/** How to call helper `id` directly, with `map` in r1 as far as that is known; undefined: the host has to. */
export function directCall(e: Emitter, id: number, map: JitMap | undefined): DirectCall | undefined {
  const direct = e.index.direct.get(id);
  const maps = direct?.row.maps;
  if (maps !== undefined && (map === undefined || !maps.includes(map.type))) return undefined;
  return direct;
}

/** Calls it, takes r0; `toHost` writes the call through the host. */
export function lowerDirect(e: Emitter, { row, func }: DirectCall, toHost: () => void): void {
  const { f } = e;
  for (const [i, type] of row.args.entries()) {
    if (type === "i64") e.get(i + 1);
    else e.get32(i + 1);
  }
  if (row.cpu === true) f.globalGet(e.index.globals.cpu);
  f.call(func);
  if (row.asks === true) {
    const answer = e.temp("i32", "answer");
    f.localTee(answer).i32Const(ASK_HOST).op("i32.eq").if();
    toHost();
    f.else()
      .localGet(answer)
      .op(row.result === "u32" ? "i64.extend_i32_u" : "i64.extend_i32_s");
    e.set(0);
    f.end();
    return;
  }
  if (row.result === "none") f.i64Const(0);
  else if (row.result === "errno") f.op("i64.extend_i32_s");
  else if (row.result === "u32") f.op("i64.extend_i32_u");
  e.set(0);
}
