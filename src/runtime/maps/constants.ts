// Map flags and error numbers that the host (TypeScript) and the wasm module (AssemblyScript, `assembly/maps/`) share.
// Plain constants without types or imports: both compilers read this very file.

// Update flags: include/uapi/linux/bpf.h.
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;
export const BPF_F_LOCK = 4;

// Creation flags: include/uapi/linux/bpf.h.
export const BPF_F_NO_PREALLOC = 0x1;
export const BPF_F_NO_COMMON_LRU = 0x2;
export const BPF_F_NUMA_NODE = 0x4;
export const BPF_F_RDONLY = 0x8;
export const BPF_F_WRONLY = 0x10;
export const BPF_F_STACK_BUILD_ID = 0x20;
export const BPF_F_ZERO_SEED = 0x40;
export const BPF_F_RDONLY_PROG = 0x80;
export const BPF_F_WRONLY_PROG = 0x100;
export const BPF_F_CLONE = 0x200;
export const BPF_F_MMAPABLE = 0x400;
export const BPF_F_PRESERVE_ELEMS = 0x800;
export const BPF_F_INNER_MAP = 0x1000;
export const BPF_F_LINK = 0x2000;
export const BPF_F_PATH_FD = 0x4000;
export const BPF_F_VTYPE_BTF_OBJ_FD = 0x8000;
export const BPF_F_TOKEN_FD = 0x10000;
export const BPF_F_SEGV_ON_FAULT = 0x20000;
export const BPF_F_NO_USER_CONV = 0x40000;

// Ring buffer: include/uapi/linux/bpf.h.
export const BPF_RB_NO_WAKEUP = 1;
export const BPF_RB_FORCE_WAKEUP = 2;
export const BPF_RB_AVAIL_DATA = 0;
export const BPF_RB_RING_SIZE = 1;
export const BPF_RB_CONS_POS = 2;
export const BPF_RB_PROD_POS = 3;
export const BPF_RINGBUF_BUSY_BIT = 0x80000000;
export const BPF_RINGBUF_DISCARD_BIT = 0x40000000;
export const BPF_RINGBUF_HDR_SZ = 8;

// Error numbers: include/uapi/asm-generic/errno{-base,}.h, ENOTSUPP from include/linux/errno.h.
export const EPERM = 1;
export const ENOENT = 2;
export const E2BIG = 7;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ERANGE = 34;
export const ENODATA = 61;
export const EOVERFLOW = 75;
export const EOPNOTSUPP = 95;
export const ENOTSUPP = 524;
/** An i32 result in [-MAX_ERRNO, -1] is an error, anything else an address (Linux: MAX_ERRNO). */
export const MAX_ERRNO = 4095;

/** Largest per-CPU value: PCPU_MIN_UNIT_SIZE of include/linux/percpu.h. */
export const MAX_PERCPU_VALUE = 32768;

// Kinds of special fields inside a map value, as rows of the table at MAP_FIELDS (layout.ts).
export const FIELD_SPIN_LOCK = 1;
export const FIELD_TIMER = 2;
export const FIELD_KPTR = 3;
/** bpf_wq, bpf_task_work, list heads, rbtree roots and nodes, refcounts: kept, zeroed for the host. */
export const FIELD_OTHER = 4;
