import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A filesystem of the test's own at a temporary place; disposing it unmounts it, which ends what is pinned in it. */
export class TestMount implements Disposable {
  readonly path: string;

  /** `options` as for mount(8): `"size=4k"`. */
  constructor(type: "bpf" | "tmpfs", options = "rw") {
    this.path = mkdtempSync(join(tmpdir(), "skep-mount-"));
    execFileSync("mount", ["-t", type, "-o", options, type, this.path]);
  }

  [Symbol.dispose](): void {
    execFileSync("umount", [this.path]);
    rmSync(this.path, { recursive: true });
  }
}
