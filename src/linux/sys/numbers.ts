// One table: numbers of the system calls used here, and ioctl requests.

/** Processors whose system calls are known here. */
export type Arch = "x64" | "arm64";

type Row = readonly [x64: number, arm64: number];

/** System call numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. */
export const SYSCALLS = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  mmap: [9, 222],
  munmap: [11, 215],
  ioctl: [16, 29],
  madvise: [28, 233],
  getpid: [39, 172],
  sendto: [44, 206],
  recvfrom: [45, 207],
  sendmsg: [46, 211],
  recvmsg: [47, 212],
  socket: [41, 198],
  bind: [49, 200],
  connect: [42, 203],
  listen: [50, 201],
  accept4: [288, 242],
  shutdown: [48, 210],
  socketpair: [53, 199],
  getsockname: [51, 204],
  setsockopt: [54, 208],
  getsockopt: [55, 209],
  fcntl: [72, 25],
  statfs: [137, 43],
  mount: [165, 40],
  gettid: [186, 178],
  sched_setaffinity: [203, 122],
  sched_getaffinity: [204, 123],
  openat: [257, 56],
  unshare: [272, 97],
  epoll_ctl: [233, 21],
  epoll_pwait: [281, 22],
  eventfd2: [290, 19],
  epoll_create1: [291, 20],
  perf_event_open: [298, 241],
  prlimit64: [302, 261],
  name_to_handle_at: [303, 264],
  setns: [308, 268],
  bpf: [321, 280],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  pidfd_open: [434, 434],
  pidfd_getfd: [438, 438],
  ppoll: [271, 73],
} as const satisfies Record<string, Row>;
export type SyscallName = keyof typeof SYSCALLS;

/** The number of a system call. */
export function syscallNumber(name: SyscallName, arch: Arch): number {
  return SYSCALLS[name][arch === "x64" ? 0 : 1];
}

/** ioctl requests, the same on both processors (include/uapi/linux/perf_event.h). */
export const IOCTL = {
  PERF_EVENT_IOC_ENABLE: 0x2400,
  PERF_EVENT_IOC_DISABLE: 0x2401,
  PERF_EVENT_IOC_REFRESH: 0x2402,
  PERF_EVENT_IOC_RESET: 0x2403,
  PERF_EVENT_IOC_SET_FILTER: 0x40082406,
  PERF_EVENT_IOC_SET_BPF: 0x40042408,
  PERF_EVENT_IOC_QUERY_BPF: 0xc008240a,
} as const;
