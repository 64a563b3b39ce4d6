import type { GraphRoot } from "../objects/graph.ts";
import type { IteratorPlace } from "../objects/iterator.ts";
import { KF, type Kfunc } from "./kfunc.ts";

/** What checking the arguments of one call found out: `struct bpf_kfunc_call_arg_meta`. */
export class CallMeta {
  readonly kfunc: Kfunc;
  /** Reference that an argument carries; 0: none. */
  refObjId = 0;
  /** Register whose reference the call ends; 0: none. */
  releaseReg = 0;
  /** Value of the only constant argument. */
  constant: bigint | undefined;
  /** Bytes behind a returned pointer, told by an argument. */
  returnSize: number | undefined;
  returnReadOnly = false;
  /** Subprogram of the callback. */
  subprog = -1;
  /** Map argument: index into `env.maps` and `map_uid`. */
  map: number | undefined;
  mapUid = 0;
  /** Structure (BTF number, id) of an object argument. */
  objectBtf = 0;
  objectType = 0;
  /** `bpf_refcount_acquire` of an object that the program owns. */
  owning = false;
  root: GraphRoot | undefined;
  iterator: IteratorPlace | undefined;
  /** Initialised dynptr argument. */
  dynptrId = 0;
  dynptrType = 0;
  dynptrRefId = 0;
  /** `bpf_cast_to_kern_ctx`: the kernel's structure. */
  kernelContext = 0;

  constructor(kfunc: Kfunc) {
    this.kfunc = kfunc;
  }

  /** The function was registered with the flag (a bit of {@link KF}). */
  has(flag: number): boolean {
    return (this.kfunc.flags & flag) !== 0;
  }

  get isRelease(): boolean {
    return this.has(KF.RELEASE);
  }

  /** `is_kfunc_trusted_args` @ v6.18 */
  get wantsTrusted(): boolean {
    return this.has(KF.TRUSTED_ARGS | KF.RELEASE);
  }

  get wantsRcu(): boolean {
    return this.has(KF.RCU);
  }
}
