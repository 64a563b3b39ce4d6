/**
 * What has to be undone when a kernel closes, and when the process ends first. File descriptors and what hangs on them
 * die with the process; attachments that outlive it (tc filters, netlink XDP, cgroup attachments without a link) do not:
 * those are registered with `outlives` and undone on exit, uncaught exceptions, SIGINT, SIGTERM and SIGHUP too.
 */
export class Cleanup implements Disposable {
  private readonly undos = new Map<symbol, { readonly undo: () => void; readonly outlives: boolean }>();
  private hooks: (() => void) | undefined;

  /**
   * Registers `undo`; it runs once, at the latest when the kernel closes (last registered first). Gives the function
   * that runs it now; calling that again does nothing.
   */
  add(undo: () => void, options: { readonly outlives?: boolean } = {}): () => void {
    const key = Symbol();
    this.undos.set(key, { undo, outlives: options.outlives ?? false });
    this.hookProcess();
    return () => {
      if (this.forget(key)) undo();
    };
  }

  /** Everything not undone yet. */
  get size(): number {
    return this.undos.size;
  }

  /** Runs all that is left, last first; one that throws does not stop the others. @throws the first error. */
  [Symbol.dispose](): void {
    const errors: unknown[] = [];
    for (const [key, { undo }] of [...this.undos].reverse()) {
      if (!this.forget(key)) continue;
      try {
        undo();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  private forget(key: symbol): boolean {
    const known = this.undos.delete(key);
    if (known) this.hookProcess();
    return known;
  }

  /** Listens to the process's end only while something would outlive it. */
  private hookProcess(): void {
    const needed = [...this.undos.values()].some(({ outlives }) => outlives);
    if (needed === (this.hooks !== undefined)) return;
    if (!needed) {
      this.hooks?.();
      this.hooks = undefined;
      return;
    }
    const onExit = (): void => this.runOutliving();
    const onSignal = (signal: NodeJS.Signals): void => {
      // A program with a handler of its own decides what the signal means; its exit runs onExit.
      if (process.listenerCount(signal) > 1) return;
      this.runOutliving();
      process.kill(process.pid, signal);
    };
    process.on("exit", onExit);
    for (const signal of ENDING) process.on(signal, onSignal);
    this.hooks = () => {
      process.off("exit", onExit);
      for (const signal of ENDING) process.off(signal, onSignal);
    };
  }

  private runOutliving(): void {
    for (const [key, { undo, outlives }] of [...this.undos].reverse()) {
      if (!outlives || !this.forget(key)) continue;
      try {
        undo();
      } catch {
        // The process is ending: the rest still has to be undone, and nobody is left to be told.
      }
    }
  }
}

const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
