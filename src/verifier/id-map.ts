import { ADD_CONST } from "./register-types.ts";

/** Ids of an old state and those that stand for them in the current one: `struct bpf_idmap`. */
export class IdMap {
  private readonly old = new Int32Array(MAX);
  private readonly cur = new Int32Array(MAX);
  private count = 0;
  private temporary = 0;

  /** Forgets all; temporary ids start above `newest`. */
  reset(newest: number): void {
    this.count = 0;
    this.temporary = newest;
  }

  /** Both none, or the pair agrees with all pairs so far. `check_ids` */
  check(old: number, cur: number): boolean {
    if (old === 0 || cur === 0) return old === cur;
    for (let i = 0; i < this.count; i++) {
      if (this.old[i] === old) return this.cur[i] === cur;
      if (this.cur[i] === cur) return false;
    }
    if (this.count === MAX) return false;
    this.old[this.count] = old;
    this.cur[this.count++] = cur;
    return true;
  }

  /**
   * As {@link check} for scalars: an old one without id fits any; a current one without is linked to nothing, which a
   * fresh id says. Where the id carries a distance, the pair without it must agree too. `check_scalar_ids` @ v6.18.y
   */
  checkScalar(old: number, cur: number): boolean {
    if (old === 0) return true;
    const id = cur !== 0 ? cur : ++this.temporary;
    if (!this.check(old, id)) return false;
    return (old & ADD_CONST) === 0 || this.check(old & ~ADD_CONST, id & ~ADD_CONST);
  }
}

/** `BPF_ID_MAP_SIZE`: registers and slots of all frames. */
const MAX = (11 + 64) * 8;
