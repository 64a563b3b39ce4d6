import { readFileSync } from "node:fs";

/** Bytes of a page of memory: 4096 on x86-64; arm64 kernels have 4096, 16384 or 65536. */
export function pageSize(): number {
  if (process.arch === "x64") return 4096;
  const kib = /KernelPageSize:\s+(\d+) kB/.exec(readFileSync("/proc/self/smaps", "latin1"))?.[1];
  return Number(kib ?? 4) * 1024;
}
