import { BpfError } from "../base/index.ts";
import type { LinuxKernel, LinuxKernelOptions } from "../object/index.ts";

/** Stands for `src/linux` where there is no Node (browsers). @throws BpfError `linux/not-linux`, always. */
export async function openLinuxKernel(_options?: LinuxKernelOptions): Promise<LinuxKernel> {
  throw new BpfError("linux/not-linux", "there is no Linux kernel to open here", {
    hint: 'openKernel("linux") works in Node on Linux; openKernel("embedded") works everywhere',
  });
}
