/** A fact of the kernel that an object may depend on beside program type, helpers and map types. */
export interface KernelFeatureRow {
  /** First kernel that has it. */
  readonly since: string;
  readonly text: string;
}

/** Kernel features by our own names, with the first version that has them. */
export const KERNEL_FEATURES = {
  "alu-basic": { since: "3.18", text: "instruction set v1" },
  "jump-less": { since: "4.14", text: "jumps on less than (JLT JLE JSLT JSLE), instruction set v2" },
  "bpf-to-bpf-call": { since: "4.16", text: "calls between BPF functions" },
  btf: { since: "4.18", text: "BPF type format" },
  "spin-lock": { since: "5.1", text: "bpf_spin_lock in map values" },
  jmp32: { since: "5.1", text: "32-bit jumps, instruction set v3" },
  "global-data": { since: "5.2", text: "global variables (.data .rodata .bss)" },
  "large-program": { since: "5.2", text: "more than 4096 instructions" },
  "bounded-loop": { since: "5.3", text: "loops with a bound" },
  "mmapable-array": { since: "5.5", text: "BPF_F_MMAPABLE array maps" },
  "global-function": { since: "5.6", text: "functions verified on their own (global linkage)" },
  sleepable: { since: "5.10", text: "sleepable programs" },
  "ksym-typed": { since: "5.10", text: "typed kernel variables (extern … __ksym)" },
  "atomic-fetch": {
    since: "5.12",
    text: "atomic and, or, xor, exchange, compare-and-exchange and fetching adds",
  },
  "function-pointer": { since: "5.13", text: "callbacks: pointers to BPF functions" },
  "kfunc-call": { since: "5.13", text: "calls of kernel functions" },
  timer: { since: "5.15", text: "bpf_timer in map values" },
  "xdp-frags": { since: "5.18", text: "XDP on packets in several buffers" },
  kptr: { since: "5.19", text: "kernel pointers in map values" },
  enum64: { since: "6.0", text: "BTF kind ENUM64" },
  "struct-ops-link": { since: "6.4", text: "struct_ops attached through a link" },
  iterator: { since: "6.4", text: "open-coded iterators" },
  "isa-v4": { since: "6.6", text: "instruction set v4 (movsx, ldsx, bswap, sdiv, smod, gotol)" },
  exception: { since: "6.7", text: "bpf_throw" },
  arena: { since: "6.9", text: "arena maps and addr_space_cast" },
  "may-goto": { since: "6.9", text: "may_goto" },
  "load-acquire": { since: "6.15", text: "load-acquire and store-release" },
} as const satisfies Record<string, KernelFeatureRow>;
export type KernelFeature = keyof typeof KERNEL_FEATURES;

/** Order of two kernel versions such as `"5.10"` and `"5.9"`: negative, zero or positive. */
export function compareKernelVersions(a: string, b: string): number {
  const [aMajor, aMinor] = a.split(".").map(Number);
  const [bMajor, bMinor] = b.split(".").map(Number);
  return aMajor - bMajor || aMinor - bMinor;
}
