import type { AttachTypeName, ProgramTypeName } from "../abi/index.ts";
import { type Btf, BtfIndex } from "../btf/index.ts";
import { assemble, decode } from "../isa/index.ts";
import type { FuncInfo } from "../object/index.ts";
import type { Capabilities } from "./capabilities.ts";
import { newDomain } from "./domain.fixture.ts";
import { VerifierEnv } from "./env.ts";
import { Rejection, Unsupported } from "./errors.ts";
import type { VerifierMap, VerifierProgram, VerifierProgramFlags } from "./input.ts";
import { VerifierLog } from "./log.ts";
import { fieldFindings, PreChecks } from "./prechecks.ts";
import { type InsnAux, State } from "./state.ts";

/** What a test says of a program; the rest is a socket filter's. */
export interface TestProgram {
  readonly text?: string;
  readonly insns?: Uint8Array;
  readonly type?: ProgramTypeName;
  readonly attachType?: AttachTypeName;
  readonly maps?: readonly VerifierMap[];
  readonly btf?: Btf;
  readonly kernelBtf?: Btf;
  readonly funcs?: readonly FuncInfo[];
  readonly lines?: VerifierProgram["lines"];
  readonly flags?: VerifierProgramFlags;
  readonly attachBtfId?: number;
  readonly structOpsMember?: number;
  readonly errorInjection?: ReadonlySet<string>;
  readonly capabilities?: Capabilities;
  readonly gpl?: boolean;
  readonly logLevel?: number;
}

/** An environment for the passes around the walk. */
export function testEnv(test: TestProgram): VerifierEnv {
  const code = test.insns ?? assemble(test.text ?? "").bytes;
  const insns = decode(code);
  const program: VerifierProgram = {
    name: "test",
    type: test.type ?? "BPF_PROG_TYPE_SOCKET_FILTER",
    attachType: test.attachType,
    insns: code,
    maps: test.maps ?? [],
    btf: test.btf,
    funcs: test.funcs ?? [],
    lines: test.lines ?? [],
    license: "GPL",
    flags: test.flags ?? {},
    kernelBtf: test.kernelBtf,
    attachBtfId: test.attachBtfId ?? 0,
    errorInjection: test.errorInjection,
    ...(test.structOpsMember !== undefined && { structOpsMember: test.structOpsMember }),
  };
  const absent = new Proxy(
    {},
    {
      get: (_, name) => {
        throw new TypeError(`the passes around the walk do not use ${String(name)}`);
      },
    },
  );
  const btfs = [test.kernelBtf, test.btf];
  return new VerifierEnv({
    program,
    options: { capabilities: test.capabilities ?? "root" },
    insns,
    btfs,
    btfIndexes: btfs.map((btf) => btf && new BtfIndex(btf)),
    log: new VerifierLog(test.logLevel ?? 0, 1 << 20),
    mem: newDomain(),
    access: absent as VerifierEnv["access"], // a port that must not be called
    kfuncs: absent as VerifierEnv["kfuncs"],
    pre: new PreChecks(),
    aux: emptyAux(insns.length),
    cur: new State(),
    findings: fieldFindings(insns),
    gplCompatible: test.gpl ?? true,
  });
}

function emptyAux(length: number): InsnAux {
  return {
    prunePoint: new Uint8Array(length),
    forceCheckpoint: new Uint8Array(length),
    jumpPoint: new Uint8Array(length),
    callsCallback: new Uint8Array(length),
    scc: new Int32Array(length),
    liveRegs: new Uint16Array(length),
    seen: new Uint8Array(length),
    pointerType: new Int32Array(length),
    mapIndex: new Int32Array(length).fill(-1),
    mapOffset: new Int32Array(length),
    loadType: new Int32Array(length),
    loadTypeArg: new Int32Array(length),
    loadTypeBtf: new Uint8Array(length),
    marks: new Uint8Array(length),
  };
}

/** What became of `run`: the last line before a rejection, `"unsupported: …"`, or `"fine"`. */
export function outcome(run: () => void): string {
  try {
    run();
    return "fine";
  } catch (reason) {
    if (reason instanceof Rejection) return reason.message;
    if (reason instanceof Unsupported) return `unsupported: ${reason.feature}`;
    throw reason;
  }
}

/** Slots whose column is set. */
export function slotsWhere(column: Uint8Array): number[] {
  return [...column.keys()].filter((slot) => column[slot] !== 0);
}
