import { Worker } from "node:worker_threads";
import type { WorkerSource } from "../runtime/index.ts";

/**
 * Node's worker threads for an embedded kernel: `openKernel("embedded", { engine: "jit", workers: nodeWorkers(4) })`.
 * @param script what the threads run: it must call `serveWorker`; default: the one that comes with Skep.
 */
export function nodeWorkers(
  count: number,
  script: URL = new URL("./worker.js", import.meta.url),
): WorkerSource {
  return {
    count,
    spawn() {
      const worker = new Worker(script);
      return {
        post: (message) => worker.postMessage(message),
        onMessage: (listener) => worker.on("message", listener),
        onError(listener) {
          worker.on("error", listener);
          worker.on("messageerror", listener);
          worker.on("exit", (code) => listener(new Error(`it ended with code ${code}`)));
        },
        terminate: () => void worker.terminate(),
      };
    },
  };
}
