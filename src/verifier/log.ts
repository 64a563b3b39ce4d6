/** The kernel's verifier log: `struct bpf_verifier_log`. Lines of the instruction at hand are always kept. */
export class VerifierLog {
  /** `BPF_LOG_LEVEL1 | LEVEL2 | STATS`; 0: only the last lines. */
  readonly level: number;
  private readonly limit: number;
  private chunks: string[] = [];
  private length = 0;
  /** What was printed since {@link mark}, for the final error. */
  private recent: string[] = [];

  constructor(level: number, limit: number) {
    this.level = level;
    this.limit = limit;
  }

  /** Level 1 or 2: instructions and states are printed. */
  get traces(): boolean {
    return (this.level & 3) !== 0;
  }

  /** Level 2: also what was not an error path. */
  get tracesAll(): boolean {
    return (this.level & 2) !== 0;
  }

  /** A new instruction begins: what was printed so far belongs to no error. */
  mark(): void {
    if (this.recent.length > 0) this.recent = [];
  }

  /** Appends text as it is (the kernel's `verbose`); callers write the `\n`. Kept for the error, and printed if level ≠ 0. */
  verbose(text: string): void {
    this.recent.push(text);
    if (this.level !== 0) this.append(text);
  }

  /** Appends text that is no part of an error (states, instructions). */
  trace(text: string): void {
    this.append(text);
  }

  /** Length now, to {@link truncate} to. */
  get position(): number {
    return this.length;
  }

  /** Forgets all after a position (`bpf_vlog_reset`): paths that were fine, at level 1. */
  truncate(position: number): void {
    while (this.length > position && this.chunks.length > 0) {
      const last = this.chunks[this.chunks.length - 1];
      if (this.length - last.length >= position) {
        this.chunks.pop();
        this.length -= last.length;
      } else {
        const keep = last.length - (this.length - position);
        this.chunks[this.chunks.length - 1] = last.slice(0, keep);
        this.length = position;
      }
    }
  }

  /** The lines printed since {@link mark}. */
  recentLines(): string[] {
    return this.recent
      .join("")
      .split("\n")
      .filter((line) => line !== "");
  }

  /** The whole log. */
  text(): string {
    return this.chunks.join("");
  }

  private append(text: string): void {
    this.chunks.push(text);
    this.length += text.length;
    // Past the limit the oldest text goes, as with the kernel's rotating log.
    if (this.length > this.limit * 2) {
      const all = this.chunks.join("").slice(-this.limit);
      this.chunks = [all];
      this.length = all.length;
    }
  }
}
