"""Runs map cases (JSON on stdin, see map-cases.ts) over bpf(2) and prints what each step gave. Needs root, x86-64.

Input: {"creates": [[type, key, value, max, flags, extra], ...], "cases": [case, ...]}
Output: {"cpus": n, "creates": [outcome, ...], "cases": [[outcome, ...], ...]}
"""
import ctypes, errno, json, os, struct, sys

NR_BPF = 321
libc = ctypes.CDLL(None, use_errno=True)
CREATE, LOOKUP, UPDATE, DELETE, NEXT, POP, FREEZE, INFO = 0, 1, 2, 3, 4, 21, 22, 15
LOOKUP_BATCH, POP_BATCH, UPDATE_BATCH, DELETE_BATCH = 24, 25, 26, 27


def bpf(cmd, attr):
    buf = ctypes.create_string_buffer(bytes(attr), 128)
    ctypes.set_errno(0)
    got = libc.syscall(NR_BPF, cmd, buf, 128)
    if got >= 0:
        return got, buf.raw
    number = ctypes.get_errno()
    return ("ENOTSUPP" if number == 524 else errno.errorcode.get(number, str(number)).replace("ENOTSUP", "EOPNOTSUPP")
            if number != 95 else "EOPNOTSUPP"), buf.raw


def address(buf):
    return ctypes.addressof(buf) if buf is not None else 0


def create(kind, key, value, entries, flags=0, extra=0, inner=0):
    attr = bytearray(128)
    struct.pack_into("<IIIIII", attr, 0, kind, key, value, entries, flags, inner)
    struct.pack_into("<Q", attr, 64, extra)
    return bpf(CREATE, attr)[0]


def element(cmd, fd, key, value=None, flags=0):
    attr = bytearray(128)
    struct.pack_into("<I", attr, 0, fd)
    struct.pack_into("<QQQ", attr, 8, address(key), address(value), flags)
    return bpf(cmd, attr)[0]


def batch(cmd, fd, cursor, out, keys, values, count, flags=0):
    attr = bytearray(128)
    struct.pack_into("<QQQQIIQQ", attr, 0, address(cursor), address(out), address(keys), address(values), count, fd, flags, 0)
    got, raw = bpf(cmd, attr)
    return got, struct.unpack_from("<I", raw, 32)[0]


def map_id(fd):
    info = ctypes.create_string_buffer(128)
    attr = bytearray(128)
    struct.pack_into("<IIQ", attr, 0, fd, 128, address(info))
    bpf(INFO, attr)
    return struct.unpack_from("<I", info.raw, 4)[0]


def possible_cpus():
    text = open("/sys/devices/system/cpu/possible").read().strip()
    return sum(int(p.split("-")[-1]) - int(p.split("-")[0]) + 1 for p in text.split(","))


CPUS = possible_cpus()
PERCPU = {5, 6, 10, 21}


class Case:
    def __init__(self, case):
        self.kind, self.key, self.value = case["id"], case["key"], case["value"]
        self.size = (self.value + 7) // 8 * 8 * CPUS if self.kind in PERCPU else self.value
        self.inners = [create(i["id"], i["key"], i["value"], i["max"], i.get("flags", 0)) for i in case.get("inners", [])]
        self.ids = {map_id(fd): i for i, fd in enumerate(self.inners)}
        self.fd = create(self.kind, self.key, self.value, case["max"], case.get("flags", 0), case.get("extra", 0),
                         self.inners[0] if self.inners else 0)

    def bytes_of(self, text):
        if text is None:
            return None
        if text.startswith("@"):
            return ctypes.create_string_buffer(struct.pack("<I", self.inners[int(text[1:])]), 4)
        raw = bytes.fromhex(text[1:]) * CPUS if text.startswith("*") else bytes.fromhex(text)
        return ctypes.create_string_buffer(raw, max(1, len(raw)))

    def text_of(self, raw):
        if self.inners:
            return "@%d" % self.ids.get(struct.unpack("<I", raw)[0], -1)
        if self.kind in PERCPU:
            each = len(raw) // CPUS
            if raw == raw[:each] * CPUS:
                return "*" + raw[:each].hex()
        return raw.hex()

    def step(self, op, *args):
        if op == "update":
            key = self.bytes_of(args[0]) if self.key else None
            got = element(UPDATE, self.fd, key, self.bytes_of(args[1]), args[2])
            return "ok" if got == 0 else got
        if op in ("lookup", "pop"):
            if self.kind == 30:
                got = element(LOOKUP, self.fd, None, self.bytes_of(args[0]))
                return args[0] if got == 0 else got
            out = ctypes.create_string_buffer(max(1, self.size))
            key = self.bytes_of(args[0]) if self.key else None
            got = element(LOOKUP if op == "lookup" else POP, self.fd, key, out)
            return self.text_of(out.raw[: self.size]) if got == 0 else got
        if op == "delete":
            got = element(DELETE, self.fd, self.bytes_of(args[0]) if self.key else None)
            return "ok" if got == 0 else got
        if op == "next":
            out = ctypes.create_string_buffer(max(1, self.key))
            got = element(NEXT, self.fd, self.bytes_of(args[0]), out)
            return out.raw[: self.key].hex() if got == 0 else got
        if op == "walk":
            seen, key = [], None
            while len(seen) < 10000:
                out = ctypes.create_string_buffer(self.key)
                got = element(NEXT, self.fd, key, out)
                if got != 0:
                    return ",".join(seen) if got == "ENOENT" else got
                seen.append(out.raw[: self.key].hex())
                key = out
            return "endless"
        if op == "freeze":
            attr = bytearray(128)
            struct.pack_into("<I", attr, 0, self.fd)
            got = bpf(FREEZE, attr)[0]
            return "ok" if got == 0 else got
        if op in ("lookupBatch", "popBatch"):
            count, seen, cursor = args[0], [], None
            while len(seen) < 100:
                out = ctypes.create_string_buffer(max(4, self.key))
                keys = ctypes.create_string_buffer(self.key * count)
                values = ctypes.create_string_buffer(self.size * count)
                got, done = batch(LOOKUP_BATCH if op == "lookupBatch" else POP_BATCH, self.fd, cursor, out, keys, values, count)
                if got not in (0, "ENOENT"):
                    return got
                seen.append(" ".join(
                    keys.raw[i * self.key : (i + 1) * self.key].hex() + "=" + self.text_of(values.raw[i * self.size : (i + 1) * self.size])
                    for i in range(done)))
                if got == "ENOENT":
                    return "; ".join(seen)
                cursor = out
        if op in ("updateBatch", "deleteBatch"):
            keys = ctypes.create_string_buffer(b"".join(bytes.fromhex(k) for k in args[0]))
            values = None
            if op == "updateBatch":
                values = ctypes.create_string_buffer(b"".join(self.bytes_of(v).raw[: self.size] for v in args[1]))
            got, done = batch(UPDATE_BATCH if op == "updateBatch" else DELETE_BATCH, self.fd, None, None, keys, values, len(args[0]))
            return str(done) if got == 0 or (op == "deleteBatch" and got == "ENOENT") else got
        raise ValueError(op)

    def run(self, steps):
        try:
            if isinstance(self.fd, str):
                return [self.fd] * len(steps)
            return [self.step(*step[:-1]) for step in steps]
        finally:
            for fd in [self.fd, *self.inners]:
                if not isinstance(fd, str):
                    os.close(fd)


def main():
    work = json.load(sys.stdin)
    creates = []
    for row in work["creates"]:
        got = create(*row)
        creates.append(got if isinstance(got, str) else "ok")
        if not isinstance(got, str):
            os.close(got)
    cases = [Case(case).run(case["steps"]) for case in work["cases"]]
    json.dump({"cpus": CPUS, "creates": creates, "cases": cases}, sys.stdout)


main()
