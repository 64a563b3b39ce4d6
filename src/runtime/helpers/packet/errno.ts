/** Error numbers of the packet helpers: include/uapi/asm-generic/errno{,-base}.h, include/linux/errno.h. */
export const ENOENT = 2;
export const E2BIG = 7;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const ENODEV = 19;
export const EINVAL = 22;
export const ERANGE = 34;
export const EPROTO = 71;
export const EBADMSG = 74;
export const EPROTONOSUPPORT = 93;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EALREADY = 114;
/** Kernel-internal, yet what programs see. */
export const ENOTSUPP = 524;
