import type { SpecialField } from "../access/record.ts";
import type { HelperProto } from "./prototypes.ts";

/** What the checks of a call's arguments learn for its effects: `struct bpf_call_arg_meta`. One per verification, reused. */
export class CallState {
  proto!: HelperProto; // set by `start`, before any use
  insn = 0;
  /** Index into `env.maps`; -1: no map among the arguments. */
  map = -1;
  mapUid = 0;
  /** Memory on the stack that the helper fills: register; 0: none. */
  rawReg = 0;
  rawSize = 0;
  /** The last memory argument is to be filled. */
  rawMode = false;
  /** Constant size for returned memory. */
  memSize = 0;
  /** Greatest value of the last size argument. */
  maxSize = 0;
  refObjId = 0;
  releaseReg = 0;
  subprog = -1;
  /** Key of an array known on every path; -1: unknown. */
  constKey = -1;
  kptr: SpecialField | undefined = undefined;
  retBtf = 0;
  retBtfId = 0;
  dynptrId = 0;

  /** Forgets the call before. */
  start(proto: HelperProto, insn: number): void {
    this.proto = proto;
    this.insn = insn;
    this.map = -1;
    this.mapUid = 0;
    this.rawReg = 0;
    this.rawSize = 0;
    this.rawMode = false;
    this.memSize = 0;
    this.maxSize = 0;
    this.refObjId = 0;
    this.releaseReg = 0;
    this.subprog = -1;
    this.constKey = -1;
    this.kptr = undefined;
    this.retBtf = 0;
    this.retBtfId = 0;
    this.dynptrId = 0;
  }
}
