/** Error numbers that helpers answer with: include/uapi/asm-generic/errno{,-base}.h. Returned negated. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const E2BIG = 7;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ERANGE = 34;
export const EDEADLK = 35;
export const EOPNOTSUPP = 95;
export const EBADF = 9;
export const ENODATA = 61;
