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

  /** As {@link check} for scalars: one without id is linked to nothing, which a fresh id says. `check_scalar_ids` */
  checkScalar(old: number, cur: number): boolean {
    return this.check(old !== 0 ? old : ++this.temporary, cur !== 0 ? cur : ++this.temporary);
  }
}

/** `BPF_ID_MAP_SIZE`: registers and slots of all frames. */
const MAX = (11 + 64) * 8;
