import { BpfError } from "../../src/base/index.ts";
import { type LinuxContext, RunningKernel, Sys } from "../../src/linux/index.ts";
import type { LinuxKernelOptions } from "../../src/object/index.ts";

/** Why tests of the Linux kernel cannot run here; undefined when they can. For `describe.skipIf`. */
export function whyNoLinux(): string | undefined {
  if (process.platform !== "linux") return "needs Linux";
  if (process.arch !== "x64" && process.arch !== "arm64") return `needs x86-64 or arm64, not ${process.arch}`;
  return process.getuid?.() === 0 ? undefined : "needs root";
}

/** The running kernel with its inner parts. Dispose it at the end of the test: that closes what the test left. */
export async function openRunningKernel(
  options: LinuxKernelOptions = {},
): Promise<RunningKernel & { readonly context: LinuxContext }> {
  return new RunningKernel(await Sys.open(), options);
}

/** The stable code and errno of the error that `action` throws; undefined when it throws none. */
export function codeOf(action: () => unknown): { code: string; errno: string | undefined } | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof BpfError) return { code: error.code, errno: error.errno };
    throw error;
  }
  return undefined;
}
